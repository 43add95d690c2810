//! Room for texts that are put together for an event, used again by the next one.

use std::cell::{Cell, OnceCell};

/// A text that is made when it is first asked for.
#[derive(Default)]
pub(super) struct Text {
    made: OnceCell<Vec<u8>>,
    spare: Cell<Vec<u8>>,
}

impl Text {
    /// The text; `make` appends it to what is empty, if nobody has asked for it yet.
    pub(super) fn get(&self, make: impl FnOnce(&mut Vec<u8>)) -> &[u8] {
        self.made.get_or_init(|| {
            let mut text = self.spare.take();
            text.clear();
            make(&mut text);
            text
        })
    }

    fn clear(&mut self) {
        if let Some(text) = self.made.take() {
            self.spare.set(text);
        }
    }
}

/// The texts of one event.
#[derive(Default)]
pub(super) struct Room {
    pub(super) cmdline: Text,
    pub(super) args: Text,
    pub(super) exeline: Text,
    pub(super) parent_cmdline: Text,
    pub(super) name: Text,
    pub(super) from: Text,
    pub(super) to: Text,
    pub(super) flags: Text,
    pub(super) cwd: Text,
    pub(super) exepath: Text,
    pub(super) environment: Text,
}

impl Room {
    /// For the next event.
    pub(super) fn clear(&mut self) {
        let Self { cmdline, args, exeline, parent_cmdline, name, from, to, flags, cwd, exepath, environment } =
            self;
        for text in [cmdline, args, exeline, parent_cmdline, name, from, to, flags, cwd, exepath, environment]
        {
            text.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_made_once_an_event_in_the_room_of_the_one_before() {
        let mut room = Room::default();
        let address = room.name.get(|text| text.extend_from_slice(b"/etc/passwd")).as_ptr();
        assert_eq!(room.name.get(|_| panic!("it is made")), b"/etc/passwd");
        room.clear();
        let next = room.name.get(|text| text.extend_from_slice(b"/x"));
        assert_eq!((next, next.as_ptr()), (&b"/x"[..], address));
    }
}

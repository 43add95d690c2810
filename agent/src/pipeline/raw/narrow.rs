//! Rules may want more of the kernel than the streams do: what only they want is not sent.

use std::sync::Arc;

use agent_abi::{
    interest::{ABI_MASK, ABI_NATIVE, ABI_URING, Interest, predicate},
    record::Syscall,
};

use crate::{
    decode::{Event, FileCall},
    filter::PathPrefix,
    syscall::{self, Wants},
};

/// Of the kernel programs' own filter: `O_ACCMODE` and `O_TRUNC`.
const WRITES: u64 = 0o3 | 0o1000;

/// What the streams want of calls, as the kernel's table would have it without rules.
#[derive(Clone, Debug)]
pub struct Narrow {
    table: Arc<[Interest]>,
    below: Arc<[PathPrefix]>,
}

impl Narrow {
    /// Of the streams' own wants and prefixes.
    #[must_use]
    pub fn new(streams: &Wants, below: &[PathPrefix]) -> Self {
        Self { table: streams.table().into(), below: below.into() }
    }

    /// Whether the streams want an event.
    pub(super) fn takes(&self, event: &Event<'_>) -> bool {
        let (call, file) = match event {
            Event::File(file) => (&file.record.call, Some(file)),
            Event::Path(path) => (&path.record.call, None),
            Event::Plain(plain) => (&plain.record.call, None),
            Event::Socket(socket) => (&socket.record.call, None),
            _ => return true,
        };
        let Some(predicates) = self.predicates(call) else { return false };
        file.is_none_or(|file| {
            (predicates & predicate::WRITES == 0 || is_for_writing(file))
                && (predicates & predicate::PREFIXES == 0 || self.is_below(file.path))
        })
    }

    /// Of a wanted call.
    fn predicates(&self, call: &Syscall) -> Option<u8> {
        let (abi, number) = match call.abi {
            ABI_URING => {
                let native = syscall::uring::name(call.number).and_then(syscall::by_name)?.native?;
                (ABI_NATIVE, native)
            }
            abi => (abi, call.number),
        };
        let slot = self.table.get(number as usize)?;
        (slot.wanted >> abi & 1 != 0).then(|| slot.wants[usize::from(abi & ABI_MASK)].predicates)
    }

    /// The longest prefix that fits counts; a path without its front may be anywhere.
    fn is_below(&self, path: &[u8]) -> bool {
        if !path.starts_with(b"/") {
            return true;
        }
        let fitting = self.below.iter().filter(|prefix| prefix.fits(path));
        fitting.max_by_key(|prefix| prefix.len()).is_some_and(PathPrefix::is_wanted)
    }
}

fn is_for_writing(file: &FileCall<'_>) -> bool {
    u64::from(file.record.open_flags) & WRITES != 0 || given(&file.record.call) & WRITES != 0
}

/// The flags that the caller gave, which the file does not keep whole.
fn given(call: &Syscall) -> u64 {
    match syscall::name_of(call) {
        Some("open") => call.args[1],
        Some("openat") => call.args[2],
        Some("creat") => WRITES,
        _ => 0,
    }
}

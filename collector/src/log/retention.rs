//! Which segments go.

use std::{collections::VecDeque, fs, time::SystemTime};

use super::{
    Options,
    shared::{Segment, Shared},
};

/// Deletes the segments that are too old or too many, but for what somebody still needs.
pub(super) fn retire(shared: &Shared) {
    loop {
        let first = {
            let segments = shared.list();
            match surplus(&segments, shared.options, shared.held(), SystemTime::now()) {
                Some(first) => first,
                None => return,
            }
        };
        let path = shared.path(first);
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(segment = %path.display(), %error, "cannot delete an old segment");
            return;
        }
        tracing::info!(segment = %path.display(), "old segment deleted");
        // Only the writer's thread changes the list, so the front is still that segment.
        shared.list().pop_front();
    }
}

/// The oldest segment, if it is to go. The last one, which is written to, never is.
fn surplus(segments: &VecDeque<Segment>, options: Options, held: u64, now: SystemTime) -> Option<u64> {
    let (oldest, second) = (segments.front()?, segments.get(1)?);
    if second.first > held {
        return None;
    }
    let bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
    let old = now.duration_since(oldest.written).is_ok_and(|age| age > options.max_age);
    (bytes > options.max_bytes || old).then_some(oldest.first)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn segments() -> VecDeque<Segment> {
        let written = SystemTime::now();
        let segment = |first| Segment { first, bytes: 10, written, unreadable: false };
        [1, 5, 9].map(segment).into()
    }

    fn options(max_bytes: u64, max_age: Duration) -> Options {
        Options { segment_bytes: 10, max_bytes, max_age }
    }

    #[test]
    fn the_oldest_goes_when_there_is_too_much() {
        let (now, day) = (SystemTime::now(), Duration::from_hours(24));
        assert_eq!(surplus(&segments(), options(30, day), u64::MAX, now), None);
        assert_eq!(surplus(&segments(), options(29, day), u64::MAX, now), Some(1));
    }

    #[test]
    fn the_oldest_goes_when_it_is_too_old() {
        let day = Duration::from_hours(24);
        let later = SystemTime::now() + Duration::from_hours(25);
        assert_eq!(surplus(&segments(), options(99, day), u64::MAX, later), Some(1));
        // A clock that went back says nothing of age.
        let before = SystemTime::UNIX_EPOCH;
        assert_eq!(surplus(&segments(), options(99, day), u64::MAX, before), None);
    }

    #[test]
    fn what_is_held_stays_and_so_does_the_last() {
        let (now, day) = (SystemTime::now(), Duration::from_hours(24));
        assert_eq!(surplus(&segments(), options(1, day), 4, now), None);
        assert_eq!(surplus(&segments(), options(1, day), 5, now), Some(1));
        let last: VecDeque<_> = segments().into_iter().skip(2).collect();
        assert_eq!(surplus(&last, options(1, day), u64::MAX, now), None);
    }
}

//! Events that are part of a rule over several, until they can be taken in their order. Rings are read one after
//! the other, so an exec is seen before the change of mode that went before it.

use rules::temporal::Part;

use crate::{source::AlignedRecord, time::Clock};

/// Most events and bytes of records that are kept. Beyond, they are taken in the order that they have.
const EVENTS: usize = 1024;
const BYTES: usize = 1 << 20;
/// Most of them whose memory is used again.
const SPARE: usize = 64;

/// Such an event.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) at: Clock,
    pub(super) parts: Vec<Part>,
    pub(super) record: AlignedRecord,
}

/// All that are kept.
#[derive(Debug, Default)]
pub(super) struct Steps {
    kept: Vec<Kept>,
    bytes: usize,
    spare: Vec<Kept>,
    /// Those that [`Steps::until`] gave.
    due: Vec<Kept>,
}

impl Steps {
    /// Keeps one, and leaves no parts behind. True where there is no room for another.
    pub(super) fn keep(&mut self, at: Clock, parts: &mut Vec<Part>, record: &[u8]) -> bool {
        let mut kept = self.spare.pop().unwrap_or_default();
        kept.at = at;
        kept.parts.clear();
        kept.parts.append(parts);
        kept.record.fill(record);
        self.bytes += record.len();
        self.kept.push(kept);
        self.kept.len() >= EVENTS || self.bytes >= BYTES
    }

    /// Those from before a time, in their order. They are to be given back.
    pub(super) fn until(&mut self, until_ns: u64) -> Vec<Kept> {
        let mut due = std::mem::take(&mut self.due);
        if self.kept.is_empty() {
            return due;
        }
        due.extend(self.kept.extract_if(.., |kept| kept.at.boottime_ns <= until_ns));
        due.sort_by_key(|kept| kept.at.boottime_ns);
        self.bytes -= due.iter().map(|kept| kept.record.bytes().len()).sum::<usize>();
        due
    }

    /// Takes the memory of those that [`Steps::until`] gave.
    pub(super) fn give_back(&mut self, mut due: Vec<Kept>) {
        let room = SPARE.saturating_sub(self.spare.len());
        self.spare.extend(due.drain(..).take(room));
        self.due = due;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(boottime_ns: u64) -> Clock {
        Clock { boottime_ns, wall_ns: 0 }
    }

    fn times(kept: &[Kept]) -> Vec<u64> {
        kept.iter().map(|kept| kept.at.boottime_ns).collect()
    }

    #[test]
    fn they_come_in_the_order_of_time_once_all_before_them_is_read() {
        let mut steps = Steps::default();
        for time in [5, 2, 9, 4] {
            assert!(!steps.keep(at(time), &mut Vec::new(), &[0; 16]));
        }
        assert!(steps.until(1).is_empty());
        assert_eq!(times(&steps.until(5)), [2, 4, 5]);
        assert_eq!(times(&steps.until(u64::MAX)), [9]);
        assert_eq!(steps.bytes, 0);
    }

    #[test]
    fn there_is_an_end_to_what_is_kept() {
        let mut steps = Steps::default();
        let full = (1..).find(|&time| steps.keep(at(time), &mut Vec::new(), &[0; 16]));
        assert_eq!(full, Some(EVENTS as u64));
        let mut steps = Steps::default();
        let full = (1..).find(|&time| steps.keep(at(time), &mut Vec::new(), &[0; 32768]));
        assert_eq!(full, Some((BYTES / 32768) as u64));
    }
}

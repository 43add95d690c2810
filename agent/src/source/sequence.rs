//! Gaps in the numbers of the records.

use agent_abi::{map::RING_COUNT, record::Header};

/// What each (ring, CPU) should send next.
#[derive(Clone, Debug, Default)]
pub struct SequenceCheck {
    expected: [Vec<u64>; RING_COUNT],
}

impl SequenceCheck {
    /// Starts from the numbers that the programs will use next. What is in the rings already is
    /// older: the hooks' counters, not these numbers, tell what was lost before.
    #[must_use]
    pub fn new(next: [Vec<u64>; RING_COUNT]) -> Self {
        Self { expected: next }
    }

    /// Numbers missing before this record. Where programs nest, neighbours may come out of order
    /// and the late one was counted as missing: so this locates losses, and the hooks' counters
    /// count them.
    pub fn missing_before(&mut self, header: &Header) -> u64 {
        let Some(expected) = self
            .expected
            .get_mut(usize::from(header.ring))
            .and_then(|cpus| cpus.get_mut(usize::from(header.cpu)))
        else {
            return 0;
        };
        // Older than the start, or overtaken by a record of a nested program: no gap.
        let gap = header.sequence.saturating_sub(*expected);
        *expected = (*expected).max(header.sequence.saturating_add(1));
        gap
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(cpu: u16, sequence: u64) -> Header {
        Header { cpu, sequence, ..Header::default() }
    }

    #[test]
    fn counts_what_is_missing_per_cpu() {
        let mut check = SequenceCheck::new([vec![10, 0], vec![0, 0]]);
        assert_eq!(check.missing_before(&header(0, 8)), 0, "from before the start");
        assert_eq!(check.missing_before(&header(0, 10)), 0);
        assert_eq!(check.missing_before(&header(0, 13)), 2);
        assert_eq!(check.missing_before(&header(1, 0)), 0);
        assert_eq!(check.missing_before(&header(1, 1)), 0);
        assert_eq!(check.missing_before(&header(7, 1)), 0, "no such CPU");
    }
}

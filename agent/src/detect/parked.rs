//! Events that rules cannot judge before their container has its names.

use std::collections::VecDeque;

use crate::{context::ContainerKey, source::AlignedRecord, telemetry::label::Unparked, time::Clock};

/// Most records and bytes that are kept. Beyond, the oldest are judged without names.
const RECORDS: usize = 4096;
const BYTES: usize = 4 << 20;

/// An event that waits.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) container: ContainerKey,
    pub(super) at: Clock,
    pub(super) record: AlignedRecord,
    until_ns: u64,
}

/// All that wait, in the order of their coming.
#[derive(Debug, Default)]
pub(super) struct Lot {
    parked: VecDeque<Parked>,
    bytes: usize,
}

impl Lot {
    pub(super) fn len(&self) -> usize {
        self.parked.len()
    }

    /// Parks an event; gives back whom there is no room for any more.
    pub(super) fn park(
        &mut self,
        container: ContainerKey,
        at: Clock,
        record: &[u8],
        until_ns: u64,
    ) -> Option<Parked> {
        let gone =
            if self.parked.len() == RECORDS || self.bytes + record.len() > BYTES { self.pop() } else { None };
        self.bytes += record.len();
        self.parked.push_back(Parked { container, at, record: AlignedRecord::from(record), until_ns });
        gone
    }

    /// Those whose container `is_known`, or whose time is over, in their order, each with the reason.
    pub(super) fn due(
        &mut self,
        now_ns: u64,
        is_known: impl Fn(ContainerKey) -> bool,
    ) -> Vec<(Parked, Unparked)> {
        let why = |parked: &Parked| match is_known(parked.container) {
            true => Some(Unparked::Named),
            false => (parked.until_ns <= now_ns).then_some(Unparked::Deadline),
        };
        let mut due = Vec::new();
        if !self.parked.iter().any(|parked| why(parked).is_some()) {
            return due;
        }
        for parked in std::mem::take(&mut self.parked) {
            match why(&parked) {
                Some(why) => {
                    self.bytes -= parked.record.bytes().len();
                    due.push((parked, why));
                }
                None => self.parked.push_back(parked),
            }
        }
        due
    }

    /// The oldest.
    pub(super) fn pop(&mut self) -> Option<Parked> {
        let parked = self.parked.pop_front()?;
        self.bytes -= parked.record.bytes().len();
        Some(parked)
    }
}

//! Events that rules cannot judge before their container has its names, or before what they ask of an image is
//! read.

use std::collections::VecDeque;

use rules::temporal::Part;

use crate::{
    context::ContainerKey,
    image::{ImageId, Parts},
    source::AlignedRecord,
    telemetry::label::Unparked,
    time::Clock,
};

/// Most records and bytes that are kept. Beyond, the oldest are judged without what they wait for.
const RECORDS: usize = 4096;
const BYTES: usize = 4 << 20;

/// What an event waits for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Awaited {
    /// Names of its container.
    pub(super) container: Option<ContainerKey>,
    /// Parts of its process' image.
    pub(super) image: Option<(ImageId, Parts)>,
}

/// An event that waits.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) awaited: Awaited,
    pub(super) at: Clock,
    pub(super) record: AlignedRecord,
    /// What rules over several events have noted of it.
    pub(super) noted: Vec<Part>,
    pub(super) until_ns: u64,
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
        awaited: Awaited,
        at: Clock,
        record: &[u8],
        noted: Vec<Part>,
        until_ns: u64,
    ) -> Option<Parked> {
        let gone =
            if self.parked.len() == RECORDS || self.bytes + record.len() > BYTES { self.pop() } else { None };
        self.bytes += record.len();
        self.parked.push_back(Parked { awaited, at, record: AlignedRecord::from(record), noted, until_ns });
        gone
    }

    /// Those that wait no more, by what `is_there`, or whose time is over, in their order, each with the reason.
    pub(super) fn due(
        &mut self,
        now_ns: u64,
        is_there: impl Fn(&Awaited) -> bool,
    ) -> Vec<(Parked, Unparked)> {
        let why = |parked: &Parked| match is_there(&parked.awaited) {
            true if parked.awaited.container.is_some() => Some(Unparked::Named),
            true => Some(Unparked::Read),
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

//! Numbers that will never arrive.

use kestrel_proto::v1;

use super::Lane;

/// Numbers of one epoch and lane that are lost for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GapRange {
    pub(super) epoch: u64,
    pub(super) lane: Lane,
    /// First and last, both included.
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) reason: Reason,
    pub(super) from_ns: u64,
    pub(super) to_ns: u64,
}

impl GapRange {
    pub(super) const fn to_proto(self) -> v1::Gap {
        v1::Gap {
            epoch: self.epoch,
            lane: self.lane.to_proto() as i32,
            from_sequence: self.from,
            to_sequence: self.to,
            reason: self.reason.to_proto() as i32,
            from_boottime_ns: self.from_ns,
            to_boottime_ns: self.to_ns,
        }
    }

    pub(super) fn from_proto(gap: &v1::Gap) -> Option<Self> {
        Some(Self {
            epoch: gap.epoch,
            lane: Lane::from_proto(gap.lane)?,
            from: gap.from_sequence,
            to: gap.to_sequence,
            reason: Reason::from_proto(gap.reason)?,
            from_ns: gap.from_boottime_ns,
            to_ns: gap.to_boottime_ns,
        })
    }
}

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Full,
    Corrupt,
    NotOnDisk,
    Refused,
}

impl Reason {
    pub(super) const fn to_proto(self) -> v1::GapReason {
        match self {
            Self::Full => v1::GapReason::OutboxFull,
            Self::Corrupt => v1::GapReason::Corrupt,
            Self::NotOnDisk => v1::GapReason::NotOnDisk,
            Self::Refused => v1::GapReason::Refused,
        }
    }

    pub(super) fn from_proto(reason: i32) -> Option<Self> {
        [Self::Full, Self::Corrupt, Self::NotOnDisk, Self::Refused]
            .into_iter()
            .find(|each| each.to_proto() as i32 == reason)
    }
}

/// Gaps that have no number yet. Adjacent ones are one.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    ranges: Vec<GapRange>,
    // Goes up with each change.
    version: u64,
}

/// More are joined over what lies between them.
const MAX_GAPS: usize = 1024;

impl Gaps {
    pub(super) const fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Another one after each change.
    pub(super) const fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn ranges(&self) -> &[GapRange] {
        &self.ranges
    }

    pub(super) fn take(&mut self) -> Vec<GapRange> {
        self.version += 1;
        std::mem::take(&mut self.ranges)
    }

    pub(super) fn add(&mut self, mut gap: GapRange) {
        self.version += 1;
        // Joining one may close the distance to another.
        while let Some(place) = self.ranges.iter().position(|other| touches(other, &gap)) {
            gap = join(self.ranges.swap_remove(place), gap);
        }
        self.ranges.push(gap);
        if self.ranges.len() > MAX_GAPS {
            self.squeeze();
        }
    }

    // Joins the two nearest of a kind: a gap that names numbers which arrived is harmless, for the
    // collector knows what it has; one that is not told is not.
    fn squeeze(&mut self) {
        self.ranges.sort_by_key(|gap| (gap.epoch, gap.lane, gap.reason as u8, gap.from));
        let nearest = (1..self.ranges.len())
            .filter(|place| is_same_kind(&self.ranges[place - 1], &self.ranges[*place]))
            .min_by_key(|place| self.ranges[*place].from - self.ranges[place - 1].to);
        if let Some(place) = nearest {
            let gap = self.ranges.remove(place);
            self.ranges[place - 1] = join(self.ranges[place - 1], gap);
        }
    }
}

fn is_same_kind(one: &GapRange, other: &GapRange) -> bool {
    (one.epoch, one.lane, one.reason) == (other.epoch, other.lane, other.reason)
}

fn touches(one: &GapRange, other: &GapRange) -> bool {
    is_same_kind(one, other)
        && one.from <= other.to.saturating_add(1)
        && other.from <= one.to.saturating_add(1)
}

fn join(one: GapRange, other: GapRange) -> GapRange {
    GapRange {
        from: one.from.min(other.from),
        to: one.to.max(other.to),
        from_ns: one.from_ns.min(other.from_ns),
        to_ns: one.to_ns.max(other.to_ns),
        ..one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(from: u64, to: u64) -> GapRange {
        GapRange {
            epoch: 1,
            lane: Lane::Detections,
            from,
            to,
            reason: Reason::Full,
            from_ns: from * 10,
            to_ns: to * 10,
        }
    }

    #[test]
    fn adjacent_gaps_are_one() {
        let mut gaps = Gaps::default();
        gaps.add(gap(1, 5));
        gaps.add(gap(7, 9));
        assert_eq!(gaps.ranges().len(), 2);
        gaps.add(gap(6, 6));
        assert_eq!(gaps.ranges(), [gap(1, 9)]);
        gaps.add(GapRange { lane: Lane::Findings, ..gap(10, 12) });
        gaps.add(GapRange { reason: Reason::Corrupt, ..gap(10, 12) });
        assert_eq!(gaps.ranges().len(), 3);
    }

    #[test]
    fn too_many_are_joined_and_none_is_lost() {
        let mut gaps = Gaps::default();
        let count = MAX_GAPS as u64 + 50;
        for number in 1..=count {
            gaps.add(gap(number * 10, number * 10));
        }
        assert_eq!(gaps.ranges().len(), MAX_GAPS);
        for number in 1..=count {
            assert!(gaps.ranges().iter().any(|gap| (gap.from..=gap.to).contains(&(number * 10))));
        }
    }
}

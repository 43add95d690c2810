//! Which queue an event travels in.

use kestrel_proto::v1;

/// A queue with numbers of its own. Higher lanes go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// Findings, gaps and the agent's own notices. On disk.
    Findings,
    /// Detections, lifecycle, execs, exits, credential changes. On disk.
    Detections,
    /// Raw file and network events. In memory only.
    Bulk,
}

impl Lane {
    /// Every lane, the highest first.
    pub const ALL: [Self; 3] = [Self::Findings, Self::Detections, Self::Bulk];
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Place in [`Lane::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether its events are kept on disk.
    #[must_use]
    pub const fn is_durable(self) -> bool {
        !matches!(self, Self::Bulk)
    }

    /// Name in metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Findings => "findings",
            Self::Detections => "detections",
            Self::Bulk => "bulk",
        }
    }

    /// As the contract has it.
    #[must_use]
    pub const fn to_proto(self) -> v1::Lane {
        match self {
            Self::Findings => v1::Lane::Findings,
            Self::Detections => v1::Lane::Detections,
            Self::Bulk => v1::Lane::Bulk,
        }
    }

    /// From the contract's number.
    #[must_use]
    pub fn from_proto(lane: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|each| each.to_proto() as i32 == lane)
    }
}

/// Something for each lane, by [`Lane::index`].
pub type PerLane<T> = [T; Lane::COUNT];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_those_of_the_contract() {
        for (index, lane) in Lane::ALL.into_iter().enumerate() {
            assert_eq!(lane.index(), index);
            assert_eq!(Lane::from_proto(lane.to_proto() as i32), Some(lane));
        }
        assert_eq!(Lane::from_proto(0), None);
    }
}

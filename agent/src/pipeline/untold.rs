//! What was read and not told yet, for the agent that follows one that was killed.
//!
//! The rings free what is read, and a finding may be held for its name, so a kill can take it along.
//! Two words that outlive the agent say which time that concerns: up to when records were read, and
//! up to when what was read is told. The hot loop writes them by plain stores.
//!
//! Something is always on its way while records come. So now and then a [`Marker`] notes how much
//! was sent by when; as soon as that much is told, the second word moves up to the marker.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64},
    },
};

use crate::kernel::UntoldWords;

/// Markers that are kept. When there are more the newest moves on instead.
const MARKERS: usize = 64;
/// Between two markers, at least: to make one takes a look at the findings.
const MARK_NS: u64 = 20_000_000;
/// A record may be read in the round after that of one which was made a little later.
const SKEW_NS: u64 = 10_000_000;

/// What the writing end has done.
#[derive(Debug, Default)]
pub struct Told {
    /// Of what came through the channel of changes, how much is on disk. Whatever it is, it counts.
    pub changes: AtomicU64,
    /// How many buffers of lifecycle events, from the first on, are on disk with all that is in them.
    pub lifecycle: AtomicU64,
    /// How many buffers of rare raw events are.
    pub rare: AtomicU64,
    /// How many buffers of bulk events are numbered. On disk they never are: an agent that is killed
    /// takes them along, and the next one names their numbers.
    pub bulk: AtomicU64,
    /// The ready line is written, and with it all that a start has to tell.
    pub ready: AtomicBool,
}

/// How much was sent or told, of each way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amount {
    /// Changes of findings and what comes between them.
    pub(super) changes: u64,
    /// Buffers of lifecycle events.
    pub(super) lifecycle: u64,
    /// Buffers of rare raw events.
    pub(super) rare: u64,
    /// Buffers of bulk events.
    pub(super) bulk: u64,
}

impl Amount {
    const fn covers(self, other: Self) -> bool {
        self.changes >= other.changes
            && self.lifecycle >= other.lifecycle
            && self.rare >= other.rare
            && self.bulk >= other.bulk
    }
}

/// When so much is told, all that was read up to a moment is.
#[derive(Clone, Copy, Debug)]
struct Marker {
    sent: Amount,
    told_ns: u64,
    /// Up to when records had been read.
    read_ns: u64,
}

/// The two words, and what moves them.
pub struct Untold {
    words: Arc<dyn AsRef<UntoldWords> + Send + Sync>,
    markers: VecDeque<Marker>,
    read_ns: u64,
    marked_at_ns: u64,
}

impl Untold {
    /// Takes the words over. What an agent before left untold, from when to when, is to be told
    /// first, and stands until the start is told. `alive_ns`: when an agent was last alive, of which
    /// a start may have to tell something; `before`: what the words of other programs say.
    #[must_use]
    pub fn start(
        words: Arc<dyn AsRef<UntoldWords> + Send + Sync>,
        before: impl IntoIterator<Item = agent_abi::map::Untold>,
        alive_ns: Option<u64>,
        now_ns: u64,
    ) -> (Self, Option<(u64, u64)>) {
        let own = (*words).as_ref().get();
        let untold = before.into_iter().chain([own]).filter(|untold| untold.told_ns < untold.read_ns);
        let left = untold
            .map(|untold| (untold.told_ns, untold.read_ns))
            .reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
            .map(|(told_ns, read_ns)| (told_ns.saturating_sub(SKEW_NS), read_ns));
        let told_ns = left.map_or(alive_ns.unwrap_or(now_ns), |(from_ns, _)| from_ns);
        let untold =
            Self { words, markers: VecDeque::with_capacity(MARKERS), read_ns: now_ns, marked_at_ns: 0 };
        untold.words().told(told_ns);
        untold.words().read(now_ns);
        (untold, left)
    }

    /// What came up to `now_ns` is read from now on.
    pub fn reading(&mut self, now_ns: u64) {
        self.read_ns = now_ns;
        self.words().read(now_ns);
    }

    /// Whether a marker is wanted: something was read since the last.
    pub(super) fn wants_marker(&self, now_ns: u64) -> bool {
        self.markers.back().is_none_or(|newest| newest.read_ns < self.read_ns)
            && self.words().get().told_ns < self.read_ns
            && now_ns.saturating_sub(self.marked_at_ns) >= MARK_NS
    }

    /// All that was read is sent, which makes `sent`; but for what is held since `held_ns`.
    pub(super) fn mark(&mut self, sent: Amount, held_ns: Option<u64>, now_ns: u64) {
        self.marked_at_ns = now_ns;
        let told_ns = self.read_ns.min(held_ns.unwrap_or(u64::MAX));
        let marker = Marker { sent, told_ns, read_ns: self.read_ns };
        if self.markers.len() == MARKERS {
            self.markers.pop_back();
        }
        self.markers.push_back(marker);
    }

    /// The other side has told so much.
    pub(super) fn told(&mut self, told: Amount) {
        while let Some(marker) = self.markers.pop_front_if(|marker| told.covers(marker.sent)) {
            let words = self.words();
            if marker.told_ns > words.get().told_ns {
                words.told(marker.told_ns);
            }
        }
    }

    /// What was sent got lost on the way: older markers do not hold any more.
    pub(super) fn forget_markers(&mut self) {
        self.markers.clear();
    }

    /// All is told.
    pub fn clear(&mut self) {
        self.markers.clear();
        self.words().told(self.read_ns);
    }

    fn words(&self) -> &UntoldWords {
        (*self.words).as_ref()
    }
}

//! What stands in a channel's journal.

use prost::Message;

use super::{
    group::{Group, Key},
    notice::Notice,
};

/// One entry of the journal. The fields are taken in their order.
#[derive(Clone, PartialEq, Message)]
pub struct Entry {
    /// Everything: what the journal starts with.
    #[prost(message, optional, tag = "1")]
    pub base: Option<Base>,
    /// All transitions up to this one were taken.
    #[prost(message, optional, tag = "2")]
    pub taken: Option<Place>,
    /// To be told.
    #[prost(message, optional, tag = "3")]
    pub add: Option<Notice>,
    /// Over, and not to be told.
    #[prost(message, optional, tag = "4")]
    pub close: Option<Notice>,
    /// The first notices, so many, are about to be sent.
    #[prost(uint64, optional, tag = "5")]
    pub attempt: Option<u64>,
    /// How the attempt ended.
    #[prost(enumeration = "Result", optional, tag = "6")]
    pub result: Option<i32>,
    /// As `taken`, for a log that begins anew: numbers may be lower than before.
    #[prost(message, optional, tag = "7")]
    pub restart: Option<Place>,
    /// The collector ran without this channel: where it begins again is not known.
    #[prost(bool, tag = "8")]
    pub off: bool,
    /// Detections that are told later, as a number.
    #[prost(message, optional, tag = "9")]
    pub more: Option<More>,
    /// Windows that ended.
    #[prost(message, optional, tag = "10")]
    pub release: Option<Release>,
    /// Detections that a replay could not hold; told as a number.
    #[prost(uint64, tag = "11")]
    pub left_out: u64,
}

impl Entry {
    /// Takes in the entry after it, where one can say both.
    pub fn absorb(&mut self, next: &Self) -> bool {
        let Self { base, taken, add, close, attempt, result, restart, off, more, release, left_out } = next;
        let is_plain = base.is_none()
            && add.is_none()
            && close.is_none()
            && attempt.is_none()
            && result.is_none()
            && restart.is_none()
            && release.is_none()
            && !off
            && *left_out == 0;
        match (&mut self.more, more) {
            (_, None) if is_plain => {}
            (Some(own), Some(more)) if is_plain && own.key == more.key && more.first.is_none() => {
                own.count += more.count;
                own.held_back = own.held_back.saturating_add(more.held_back);
                own.until_unix_ns = own.until_unix_ns.max(more.until_unix_ns);
            }
            _ => return false,
        }
        self.taken = self.taken.max(*taken);
        true
    }
}

/// Detections of a group that has a window.
#[derive(Clone, PartialEq, Message)]
pub struct More {
    /// Which group.
    #[prost(message, required, tag = "1")]
    pub key: Key,
    /// How many.
    #[prost(uint64, tag = "2")]
    pub count: u64,
    /// As many were held back before them, on their nodes.
    #[prost(uint64, tag = "3")]
    pub held_back: u64,
    /// When the last of them happened, its node's clock.
    #[prost(int64, tag = "4")]
    pub until_unix_ns: i64,
    /// The first of them, where none waited.
    #[prost(message, optional, tag = "5")]
    pub first: Option<Notice>,
}

/// Windows that ended, by the collector's clock.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Release {
    /// Those that began then or earlier.
    #[prost(int64, tag = "1")]
    pub before_unix_ns: i64,
    /// When they ended.
    #[prost(int64, tag = "2")]
    pub now_unix_ns: i64,
}

/// What became of the detections that a channel was to tell. Beside these some wait.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Tally {
    /// All of them.
    #[prost(uint64, tag = "1")]
    pub wanted: u64,
    /// Told, by themselves or as a number with the first of them.
    #[prost(uint64, tag = "2")]
    pub told: u64,
    /// Told as a bare number.
    #[prost(uint64, tag = "3")]
    pub counted: u64,
    /// Refused for good.
    #[prost(uint64, tag = "4")]
    pub refused: u64,
}

/// How an attempt ended. While none of these is known, it may have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Result {
    /// Received.
    Sent = 0,
    /// Surely not received; to be tried again.
    NotSent = 1,
    /// Refused for good.
    Refused = 2,
}

/// A transition's place in the log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Message)]
pub struct Place {
    /// Number of the frame.
    #[prost(uint64, tag = "1")]
    pub frame: u64,
    /// Among the transitions of the frame.
    #[prost(uint32, tag = "2")]
    pub index: u32,
}

/// A whole queue.
#[derive(Clone, PartialEq, Message)]
pub struct Base {
    /// Of the next notice.
    #[prost(uint64, tag = "1")]
    pub next_id: u64,
    /// See [`Entry::taken`]; absent before the first.
    #[prost(message, optional, tag = "2")]
    pub taken: Option<Place>,
    /// What was told as open and not as over.
    #[prost(message, repeated, tag = "3")]
    pub open: Vec<Told>,
    /// Waiting notices, in order.
    #[prost(message, repeated, tag = "4")]
    pub waiting: Vec<Notice>,
    /// So many of them, from the front, may have arrived.
    #[prost(uint64, tag = "5")]
    pub attempted: u64,
    /// Notices that found no room and were not yet told as a number.
    #[prost(uint64, tag = "6")]
    pub overflow: u64,
    /// So many of these are in the attempt.
    #[prost(uint64, tag = "7")]
    pub attempted_overflow: u64,
    /// Notices received at the other end, ever.
    #[prost(uint64, tag = "8")]
    pub delivered: u64,
    /// Notices refused for good, ever.
    #[prost(uint64, tag = "9")]
    pub failed: u64,
    /// Detections among `overflow`.
    #[prost(uint64, tag = "10")]
    pub overflow_detections: u64,
    /// So many of these are in the attempt.
    #[prost(uint64, tag = "11")]
    pub attempted_detections: u64,
    /// Groups of detections.
    #[prost(message, repeated, tag = "12")]
    pub groups: Vec<Group>,
    /// Detections told before their window ended.
    #[prost(uint64, tag = "13")]
    pub early: u64,
    /// What became of all detections.
    #[prost(message, required, tag = "14")]
    pub tally: Tally,
}

/// Something told as open.
#[derive(Clone, PartialEq, Message)]
pub struct Told {
    /// Cluster.
    #[prost(string, tag = "1")]
    pub cluster: String,
    /// Node.
    #[prost(string, tag = "2")]
    pub node: String,
    /// Finding; empty: the node itself.
    #[prost(string, tag = "3")]
    pub finding: String,
    /// Verdict, or condition of the node, that was told.
    #[prost(int32, tag = "4")]
    pub value: i32,
}

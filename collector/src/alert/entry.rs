//! What stands in a channel's journal.

use prost::Message;

use super::notice::Notice;

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

//! What goes into one message.

use super::notice::Notice;

/// More notices than this that wait share a message.
pub const SINGLE: usize = 5;
/// Notices that share a message which names each.
const NAMED: usize = 40;
/// With more than this waiting, a message counts more than it names.
const FLOOD: usize = 400;
/// Most notices that a message speaks for.
const COUNTED: usize = 5000;

/// How a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// With everything.
    Full,
    /// As little as can be, after the full form was refused.
    Plain,
}

/// The notices of one message.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// One or more, or none when there is only an overflow.
    pub notices: &'a [Notice],
    /// An earlier try may have arrived.
    pub uncertain: bool,
    /// Changes that found no room in the queue and are told as a number.
    pub overflow: u64,
}

impl Batch<'_> {
    /// Whether the message says that it may be the second.
    #[must_use]
    pub fn is_repeat(&self) -> bool {
        self.uncertain || self.notices.iter().any(|notice| notice.repeat)
    }
}

/// How many of so many that wait go into the next message.
#[must_use]
pub fn size(waiting: usize) -> usize {
    match waiting {
        0 => 0,
        1..=SINGLE => 1,
        many if many <= FLOOD => many.min(NAMED),
        many => many.min(COUNTED),
    }
}

//! Where bytes come from: the rings, and the task iterator.

mod ring;
mod scan;
mod sequence;

pub use ring::{Ring, RingError};
pub use scan::{AlignedRecord, ScanError, scan};
pub use sequence::SequenceCheck;

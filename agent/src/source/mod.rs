//! Where bytes come from: the rings, and the task iterator.

mod ring;

pub use ring::{Ring, RingError};

//! What this kernel offers, and Kestrel's programs in it.

pub mod btf;
mod cgroup;
mod interest;
mod load;
mod maps;
mod offsets;
mod pins;
pub mod prove;
mod untold;

pub use cgroup::{CgroupError, Hierarchy, Mounted};
pub use interest::Streams;
pub use load::{LinkPins, LoadError, Plan, Predecessor, Programs, RecursionCounters, TaskScan, detach};
pub use maps::{Counters, MapsError, ProgressMap, Sequences, Switches};
pub use offsets::{Layout, OffsetError};
pub use pins::PinError;
pub use untold::{UntoldMap, UntoldWords};

//! What this kernel offers, and Kestrel's programs in it.

pub mod btf;
mod cgroup;
mod fexit;
mod load;
pub mod lockdown;
mod lsm;
mod maps;
mod offsets;
mod pins;
pub mod prove;
mod registers;
mod tier;
mod untold;

pub use cgroup::{CgroupError, Hierarchy, Mounted};
pub use fexit::Exits;
pub use load::{LinkPins, LoadError, Plan, Predecessor, Programs, RecursionCounters, TaskScan, detach};
pub use maps::{Counters, MapsError, ProgressMap, Sequences, Switches};
pub use offsets::{Layout, OffsetError};
pub use pins::PinError;
pub use tier::{Choice, Hooks, Tier, TierError};
pub use untold::{UntoldMap, UntoldWords};

//! What this kernel offers, and Kestrel's programs in it.

pub mod btf;
mod cgroup;
mod form;
mod link;
mod load;
mod maps;
mod offsets;
mod optional;
mod pins;
pub mod prove;
mod registers;
mod untold;
mod uring;

pub use cgroup::{CgroupError, Hierarchy, Mounted};
pub use form::Forms;
pub use load::{LinkPins, LoadError, Plan, Predecessor, Programs, RecursionCounters, TaskScan, detach};
pub use maps::{Counters, MapsError, ProgressMap, Sequences, Switches};
pub use offsets::{Layout, OffsetError};
pub use pins::PinError;
pub use untold::{UntoldMap, UntoldWords};
pub use uring::UringLayout;

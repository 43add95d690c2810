//! What this kernel offers, and Kestrel's programs in it.

pub mod btf;
mod calls;
mod cast;
mod cgroup;
mod fexit;
mod filters;
mod form;
mod link;
mod load;
pub mod lockdown;
mod lsm;
mod mapped;
mod maps;
mod offsets;
mod optional;
mod pins;
pub mod prove;
mod registers;
mod switches;
mod tier;
mod untold;
mod uring;

pub use cgroup::{CgroupError, Hierarchy, Mounted, v2_root};
pub use fexit::Exits;
pub use filters::{Buckets, CgroupMap, Filters};
pub use form::Forms;
pub use load::{LinkPins, LoadError, Plan, Predecessor, Programs, RecursionCounters, TaskScan, detach};
pub use maps::{Counters, InterestTable, MapsError, ProgressMap, Sequences};
pub use offsets::{Layout, OffsetError};
pub use pins::PinError;
pub use switches::Switches;
pub use tier::{Choice, Hooks, Tier, TierError};
pub use untold::{UntoldMap, UntoldWords};
pub use uring::UringLayout;

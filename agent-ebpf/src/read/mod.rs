//! The only code that follows kernel pointers.

mod cgroup;
mod file;
mod memory;
mod seccomp;
mod task;

pub use cgroup::{cgroup_id, cgroup_in_hierarchy, task_cgroup_id};
pub use file::{append_path, describe};
pub use memory::{Memory, Probed, Typed, pointer, probe};
pub use seccomp::allow_bitmap;
pub use task::{fill, is_group_dead, is_kernel_thread, is_leader, task_ref};

//! The only code that follows kernel pointers.

mod cgroup;
mod file;
mod memory;
mod path;
mod seccomp;
mod task;

pub use cgroup::{cgroup_id, cgroup_in_hierarchy, current_cgroup_id, task_cgroup_id};
pub use file::{behind, describe, descriptor_grade, has_own_descriptors, is_held_once};
pub use memory::{Memory, Probed, Typed, pointer, probe};
pub use path::{AT_FDCWD, append_path, arrived, is_leaf, is_wanted, named, root_of};
pub use seccomp::allow_bitmap;
pub use task::{fill, is_group_dead, is_kernel_thread, is_leader, pid_namespace, process_of_pidfd, task_ref};

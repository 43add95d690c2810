//! The only code that follows kernel pointers.

mod block;
mod cgroup;
mod current;
mod file;
mod landmark;
mod memory;
mod path;
mod seccomp;
mod socket;
mod task;
mod uring;

pub use cgroup::{cgroup_id, cgroup_in_hierarchy, task_cgroup_id};
pub use current::Current;
pub use file::{Depth, describe, descriptor_grade, is_held_once};
pub use memory::{Memory, Probed, Typed, loads_words, pointer, probe};
pub use path::{AT_FDCWD, append_path, arrived, is_dotted, is_leaf, named, root_of};
pub use seccomp::allow_bitmap;
pub use socket::{append_unix_path, describe_socket, sock_behind, sock_cgroup_id, sock_state, sock_type};
pub use task::{
    exec_id, fill, is_group_dead, is_kernel_thread, is_leader, pid_namespace, process_of_pidfd, task_ref,
};
pub use uring::{Request, named_in_kernel};

//! Which cgroup a task is in.

use agent_abi::map::CGROUP_V2;

use super::{Memory, Typed};
use crate::global::{BOOT, frozen, offset};

/// Inode number of the task's cgroup in the hierarchy that containers live in.
///
/// # Safety
/// `task` is a `task_struct` pointer of the kind that `M` reads.
#[inline(always)]
pub unsafe fn task_cgroup_id<M: Memory>(task: u64) -> u64 {
    let subsys = frozen(&BOOT.cgroup_subsys);
    // SAFETY: a chain of fields from the offset table.
    unsafe {
        let css_set = M::read::<u64>(task, offset!(task_cgroups));
        let cgroup = if subsys == CGROUP_V2 {
            M::read::<u64>(css_set, offset!(css_set_dfl_cgrp))
        } else {
            let css = M::read::<u64>(css_set, offset!(css_set_subsys) + 8 * subsys);
            M::read::<u64>(css, offset!(css_cgroup))
        };
        cgroup_id::<M>(cgroup)
    }
}

/// Inode number of a cgroup.
///
/// # Safety
/// `cgroup` is a `cgroup` pointer of the kind that `M` reads.
#[inline(always)]
pub unsafe fn cgroup_id<M: Memory>(cgroup: u64) -> u64 {
    // SAFETY: a chain of fields from the offset table.
    unsafe {
        let node = M::read::<u64>(cgroup, offset!(cgroup_kn));
        M::read::<u64>(node, offset!(kernfs_node_id))
    }
}

/// The hierarchy of a cgroup, if it is the one that containers live in.
///
/// # Safety
/// `cgroup` is a `cgroup` pointer that the verifier knows.
#[inline(always)]
pub unsafe fn cgroup_in_hierarchy(cgroup: u64) -> Option<u32> {
    // SAFETY: a chain of fields from the offset table.
    let hierarchy = unsafe {
        let root = Typed::read::<u64>(cgroup, offset!(cgroup_root));
        Typed::read::<u32>(root, offset!(cgroup_root_hierarchy))
    };
    (hierarchy == frozen(&BOOT.cgroup_hierarchy)).then_some(hierarchy)
}

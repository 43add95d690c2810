//! What the hot loop tells of cgroups: marks for the kernel programs, and whose a cgroup was.

use std::{collections::VecDeque, sync::mpsc::SyncSender};

use super::lifecycle::ContainerEntry;
use crate::{
    context::{Container, Context},
    filter::{CgroupMarks, MarkCounts},
};

/// Removed cgroups whose container is remembered, for counts that come after them.
const REMEMBERED: usize = 256;

/// Whose a cgroup is.
pub(super) enum Owner {
    /// A container's, or within one.
    Container(ContainerEntry),
    /// The host's, or not known.
    Other,
}

/// Who wants to know of cgroups.
pub(super) struct Groups {
    marks: Option<CgroupMarks>,
    /// Cgroups that are gone, to whoever reads their buckets.
    gone: Option<SyncSender<u64>>,
    removed: VecDeque<(u64, ContainerEntry)>,
}

impl Groups {
    /// Nobody.
    pub(super) fn new() -> Self {
        Self { marks: None, gone: None, removed: VecDeque::with_capacity(REMEMBERED) }
    }

    pub(super) fn connect(&mut self, marks: CgroupMarks, gone: SyncSender<u64>) {
        (self.marks, self.gone) = (Some(marks), Some(gone));
    }

    pub(super) fn known(&mut self, cgroup: u64, path: &[u8], is_host: bool) {
        if let Some(marks) = &mut self.marks {
            marks.known(cgroup, path, is_host);
        }
    }

    pub(super) fn gone(&mut self, cgroup: u64, container: Option<&Container>) {
        if let Some(marks) = &mut self.marks {
            marks.gone(cgroup);
        }
        if let Some(gone) = &self.gone {
            // Where there is no room the bucket goes when it was silent for long.
            let _ = gone.try_send(cgroup);
        }
        if let Some(container) = container {
            if self.removed.len() == REMEMBERED {
                self.removed.pop_front();
            }
            self.removed.push_back((cgroup, container.into()));
        }
    }

    /// A scan has told of all cgroups that are there.
    pub(super) fn scanned(&mut self) {
        if let Some(marks) = &mut self.marks {
            marks.scanned();
        }
    }

    pub(super) fn counts(&self) -> MarkCounts {
        self.marks.as_ref().map(CgroupMarks::counts).unwrap_or_default()
    }

    pub(super) fn owner(&self, cgroup: u64, context: &Context) -> Owner {
        if let Some(container) = context.container_of_cgroup(cgroup) {
            return Owner::Container(container.into());
        }
        let removed = self.removed.iter().rev().find(|(removed, _)| *removed == cgroup);
        removed.map_or(Owner::Other, |(_, container)| Owner::Container(container.clone()))
    }
}

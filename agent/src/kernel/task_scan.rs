//! The programs that list the tasks that are there.

use std::{fs::File, io};

use aya::{Ebpf, programs::Program};

use super::program::{describe, retried};

/// The task iterator; absent where the kernel has none.
pub struct TaskScan {
    /// Not the program alone: to get hold of it by its id takes `CAP_SYS_ADMIN`.
    object: Ebpf,
    has_program: bool,
}

const TASK_SCAN: &str = "task_scan";

impl TaskScan {
    /// Loads it.
    pub(super) fn load(object: &mut Ebpf, types: &aya::Btf) -> Result<(), String> {
        let Some(Program::Iter(program)) = object.program_mut(TASK_SCAN) else {
            return Err(format!("the object has no iterator {TASK_SCAN}"));
        };
        retried(|| program.load("task", types)).map_err(describe)
    }

    /// With what is left of the object; `has_program`: it is loaded.
    pub(super) const fn new(object: Ebpf, has_program: bool) -> Self {
        Self { object, has_program }
    }

    /// A stream of scan records, one after the other; `None` where there is no iterator.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn open(&mut self) -> Option<io::Result<File>> {
        let Some(Program::Iter(program)) = self.object.program_mut(TASK_SCAN) else { return None };
        self.has_program.then(|| {
            program
                .attach()
                .and_then(|id| program.take_link(id))
                .map_err(io::Error::other)
                .and_then(|link| link.into_file().map_err(io::Error::other))
        })
    }
}

//! Images that were replaced, and credentials that were changed, a moment ago. The ring of execs is read before the ring of opens, so an
//! open is often met when whoever made it runs another program already.

use agent_abi::record::{TaskRef, TaskState};

use crate::context::{ARGV_BYTES, EXE_PATH_BYTES, Process, ProcessId};

/// Images that are remembered: more than are replaced while a record waits in its ring.
const REMEMBERED: usize = 256;

/// States that are remembered: more than change while events wait for the names of their container, unless somebody
/// changes them for that.
const STATES: usize = 256;

/// The last images and states that were replaced. Their room is made once and used again.
#[derive(Debug)]
pub struct Former {
    images: Vec<Image>,
    /// The oldest, which goes next.
    next: usize,
    states: Vec<State>,
    next_state: usize,
}

#[derive(Clone, Debug, Default)]
struct State {
    state: TaskState,
    task: TaskRef,
    /// When a call changed it; 0: nothing is here yet.
    until_ns: u64,
}

#[derive(Debug)]
struct Image {
    process: Process,
    /// When it was replaced; 0: nothing is here yet.
    until_ns: u64,
}

impl Former {
    pub(super) fn new() -> Self {
        let image = || Image { process: nobody(), until_ns: 0 };
        Self {
            images: std::iter::repeat_with(image).take(REMEMBERED).collect(),
            next: 0,
            states: vec![State::default(); STATES],
            next_state: 0,
        }
    }

    /// The process is about to replace its image.
    pub(super) fn remember(&mut self, process: &Process, until_ns: u64) {
        let Some(image) = self.images.get_mut(self.next) else { return };
        self.next = (self.next + 1) % REMEMBERED;
        image.until_ns = until_ns;
        let Process {
            id,
            parent,
            state,
            seccomp_allow,
            image_exec_id,
            exe,
            exe_path,
            argv,
            container,
            origin,
            stage,
            left_container,
            exec_ns,
            updated_ns,
        } = process;
        let kept = &mut image.process;
        kept.image_exec_id = *image_exec_id;
        kept.exe_path.clear();
        kept.exe_path.extend_from_slice(exe_path);
        kept.argv.clear();
        kept.argv.extend_from_slice(argv);
        (kept.id, kept.parent, kept.state, kept.seccomp_allow) = (*id, *parent, *state, *seccomp_allow);
        (kept.exe, kept.container, kept.origin, kept.stage) = (*exe, *container, *origin, *stage);
        (kept.left_container, kept.exec_ns, kept.updated_ns) = (*left_container, *exec_ns, *updated_ns);
    }

    /// A call of the task has changed what is known of its process.
    pub(super) fn remember_state(&mut self, process: &Process, task: TaskRef, until_ns: u64) {
        let Some(place) = self.states.get_mut(self.next_state) else { return };
        self.next_state = (self.next_state + 1) % STATES;
        *place = State { state: process.state, task, until_ns };
    }

    /// What was known of the process of a task before its call that returned at that moment.
    pub(crate) fn state(&self, task: &TaskRef, at_ns: u64) -> Option<&TaskState> {
        let had = |state: &&State| state.until_ns == at_ns && state.task == *task;
        self.states.iter().find(had).map(|state| &state.state)
    }

    /// The process with the image that it had at a moment.
    pub(crate) fn at(&self, id: ProcessId, at_ns: u64) -> Option<&Process> {
        let had = |image: &&Image| {
            image.process.id == id && (image.process.exec_ns..image.until_ns).contains(&at_ns)
        };
        self.images.iter().find(had).map(|image| &image.process)
    }
}

fn nobody() -> Process {
    let (exe_path, argv) = (Vec::with_capacity(EXE_PATH_BYTES), Vec::with_capacity(ARGV_BYTES));
    Process { exe_path, argv, ..Process::nobody() }
}

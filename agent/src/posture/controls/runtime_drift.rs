//! What runs in a container comes from its image.
//!
//! By the file itself, not its name: in the writable layer of an overlay, on another device than the root file
//! system (a volume), in memory only (memfd), or without a name. Whether a file of another file system than
//! overlay was in the image is not known.

use agent_abi::record::file_flag;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::posture::{
    Evidence, Explanation, Facts, Observation, Outcome, UnknownReason,
    control::{ControlId, Requirements, TASK_HOOKS, TaskControl},
};

pub(super) const CONTROL: TaskControl = TaskControl {
    id: ControlId::RuntimeDrift,
    requires: Requirements {
        hooks: TASK_HOOKS,
        fields: &["mm_exe_file"],
        better_with: &["ovl_inode_vfs", "ovl_inode_upper"],
    },
    check,
    explain,
};

#[derive(Default, IntoBytes, FromBytes, Immutable)]
#[repr(C)]
struct Numbers {
    flags: u32,
    dev: u32,
    root_dev: u32,
    why: u32,
}

const IN_IMAGE: u32 = 0;
const MEMORY: u32 = 1;
const UNLINKED: u32 = 2;
const UPPER: u32 = 3;
const VOLUME: u32 = 4;
const NOT_KNOWN: u32 = 5;
const NO_LAYERS: u32 = 6;
const NOT_READ: u32 = 7;

fn check(facts: &Facts<'_>) -> Observation {
    if !facts.is_program_known() {
        // A scan tells what runs.
        return Observation::NOT_APPLICABLE;
    }
    let exe = &facts.process.exe;
    let root_dev = facts.around.root_dev;
    let has = |flag| exe.flags & flag != 0;
    let why = if has(file_flag::MEMFD) {
        MEMORY
    } else if has(file_flag::NOT_READ) || (exe.inode, exe.dev) == (0, 0) {
        // Nor does a record tell of it that was shrunk for want of room.
        NOT_READ
    } else if has(file_flag::UPPER_LAYER) {
        UPPER
    } else if has(file_flag::UNLINKED) {
        UNLINKED
    } else if has(file_flag::OVERLAY) && !(facts.host.sees_layers && facts.task.exec_id != 0) {
        NO_LAYERS
    } else if has(file_flag::OVERLAY) && (root_dev == 0 || root_dev == exe.dev) {
        IN_IMAGE
    } else if root_dev == 0 {
        // Nothing can be told before the container was looked into.
        return Observation::NOT_APPLICABLE;
    } else if root_dev == exe.dev {
        NOT_KNOWN
    } else {
        VOLUME
    };
    let outcome = match why {
        IN_IMAGE => Outcome::Pass,
        NOT_KNOWN | NO_LAYERS | NOT_READ => Outcome::Unknown(UnknownReason::NotObserved),
        // It came from outside with its program.
        _ if facts.is_measured_against_init() && why == VOLUME => Outcome::NotApplicable,
        _ => Outcome::Fail,
    };
    Observation::new(outcome, &Numbers { flags: exe.flags, dev: exe.dev, root_dev, why })
}

fn explain(evidence: &Evidence) -> Explanation {
    let numbers: Numbers = evidence.get();
    let observed = match numbers.why {
        IN_IMAGE => "the program is in the image".to_owned(),
        MEMORY => "the program is in memory only (memfd)".to_owned(),
        UNLINKED => "the program's file has no name any more".to_owned(),
        UPPER => "the program was written into the container's writable layer".to_owned(),
        VOLUME => format!(
            "the program is on device {}:{}, the root file system on {}:{}",
            numbers.dev >> 20,
            numbers.dev & 0xf_ffff,
            numbers.root_dev >> 20,
            numbers.root_dev & 0xf_ffff
        ),
        NOT_READ => "the program's file was not read".to_owned(),
        // Nor where there was no task iterator, and a scan of /proc had to do.
        NO_LAYERS => "overlayfs was loaded after the agent started: its layers are not told apart".to_owned(),
        _ => "the root file system is no overlay: what was in the image is not known".to_owned(),
    };
    Explanation { observed, declared: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posture::controls::testing::{Case, task};

    fn case(flags: u32, dev: u32, root_dev: u32) -> Case {
        let mut case = Case::new(ControlId::RuntimeDrift, task(|task| task.exec_id = 7));
        case.process.exe.flags = flags;
        case.process.exe.dev = dev;
        case.process.exe.inode = 9;
        case.around.root_dev = root_dev;
        case
    }

    #[test]
    fn verdicts() {
        use file_flag::{MEMFD, OVERLAY, UNLINKED, UPPER_LAYER};
        case(OVERLAY, 7, 0).gives(Outcome::Pass, "the program is in the image");
        case(OVERLAY, 7, 7).is(Outcome::Pass);
        case(OVERLAY | UPPER_LAYER, 7, 7)
            .gives(Outcome::Fail, "the program was written into the container's writable layer");
        case(MEMFD | UNLINKED, 1, 0).gives(Outcome::Fail, "the program is in memory only (memfd)");
        case(OVERLAY | UNLINKED, 7, 7).is(Outcome::Fail);
        case(0, 8 << 20 | 1, 7)
            .gives(Outcome::Fail, "the program is on device 8:1, the root file system on 0:7");
        case(0, 8, 0).is(Outcome::NotApplicable);
        let mut lost = case(MEMFD, 1, 7);
        lost.process.image_exec_id = 6;
        lost.is(Outcome::NotApplicable);
        let mut no_layers = case(OVERLAY, 7, 7);
        no_layers.host.sees_layers = false;
        no_layers.is(Outcome::Unknown(UnknownReason::NotObserved));
        case(0, 8, 8).is(Outcome::Unknown(UnknownReason::NotObserved));
        let mut shrunk = case(0, 0, 7);
        shrunk.process.exe.inode = 0;
        shrunk.is(Outcome::Unknown(UnknownReason::NotObserved));
        case(file_flag::NOT_READ, 0, 7).is(Outcome::Unknown(UnknownReason::NotObserved));
    }
}

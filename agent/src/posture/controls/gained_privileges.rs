//! No program gives its task more than it had.
//!
//! At an exec a set-uid file gives another uid and a file with capabilities adds to the permitted set; what
//! the task had before is what it was last judged by. A task whose exec was not seen is held against the
//! container's first process: who was born in the container and has more has gained it.

use agent_abi::record::{UNMAPPED, file_flag};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::{
    capability::names,
    context::Origin,
    posture::{
        Evidence, Explanation, Facts, Gain, Observation, Outcome, UnknownReason,
        control::{ControlId, Requirements, TASK_HOOKS, TaskControl},
        facts::{is_host_root, is_namespace_root},
    },
};

pub(super) const CONTROL: TaskControl = TaskControl {
    id: ControlId::GainedPrivileges,
    requires: Requirements {
        hooks: TASK_HOOKS,
        fields: &["cred_cap_permitted", "cred_euid", "user_ns_inum", "user_ns_level"],
        better_with: &[],
    },
    check,
    explain,
};

#[derive(Default, IntoBytes, FromBytes, Immutable)]
#[repr(C)]
struct Numbers {
    capabilities: u64,
    euid: u32,
    euid_before: u32,
    gained: u32,
    reserved: u32,
}

fn check(facts: &Facts<'_>) -> Observation {
    if facts.is_measured_against_init() || facts.is_in_nested_user_namespace() == Some(true) {
        return Observation::new(Outcome::Pass, &Numbers::default());
    }
    let gains = [facts.gain, by_set_uid(facts), against_init(facts)];
    let Some(gain) = gains.into_iter().find(|gain| *gain != Gain::default()) else {
        let outcome =
            if may_be_by_file(facts) { Outcome::Unknown(UnknownReason::ExecNotSeen) } else { Outcome::Pass };
        return Observation::new(outcome, &Numbers::default());
    };
    let numbers = Numbers {
        capabilities: gain.capabilities,
        euid: facts.task.ids.euid,
        euid_before: gain.euid_before.unwrap_or(UNMAPPED),
        gained: 1,
        reserved: 0,
    };
    Observation::new(Outcome::Fail, &numbers)
}

/// Of an exec that was not seen: its file is set-uid, and the task has the file's uid.
fn by_set_uid(facts: &Facts<'_>) -> Gain {
    /// `S_ISUID` (include/uapi/linux/stat.h).
    const SET_UID: u32 = 0o4000;
    let (process, ids) = (facts.process, &facts.task.ids);
    let exe = &process.exe;
    let is_so = process.exec_ns == 0
        && facts.is_program_known()
        && exe.flags & file_flag::NOT_READ == 0
        && exe.mode & SET_UID != 0
        && ids.euid == exe.uid
        && ids.uid != exe.uid;
    Gain { capabilities: 0, euid_before: is_so.then_some(ids.uid) }
}

/// Of an exec that was not seen: a user who is not root has at an exec what is ambient, and what the file has.
/// (Or it was root, and kept them.)
fn may_be_by_file(facts: &Facts<'_>) -> bool {
    let task = facts.task;
    let is_root = is_host_root(task) || is_namespace_root(task);
    facts.process.exec_ns == 0 && !is_root && task.caps.permitted & !task.caps.ambient != 0
}

fn against_init(facts: &Facts<'_>) -> Gain {
    let Some(init) = facts.baseline.map(|baseline| &baseline.state) else { return Gain::default() };
    if facts.process.origin != Origin::Born {
        return Gain::default();
    }
    // The bounding set is what a root may have back at any exec.
    let could = init.caps.permitted | if init.ids.euid == 0 { init.caps.bounding } else { 0 };
    let became_root = is_host_root(facts.task) && !is_host_root(init);
    Gain {
        capabilities: facts.task.caps.permitted & !could,
        euid_before: became_root.then_some(init.ids.euid),
    }
}

fn explain(evidence: &Evidence) -> Explanation {
    let numbers: Numbers = evidence.get();
    if numbers.gained == 0 {
        return Explanation { observed: "nothing".into(), declared: None };
    }
    let mut gains = Vec::new();
    if numbers.euid_before != UNMAPPED {
        gains.push(format!("euid {} (before {})", numbers.euid, numbers.euid_before));
    }
    if numbers.capabilities != 0 {
        gains.push(format!("capabilities {}", names(numbers.capabilities)));
    }
    Explanation { observed: gains.join("; "), declared: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posture::controls::testing::{Case, task};

    #[test]
    fn verdicts() {
        let id = ControlId::GainedPrivileges;
        Case::new(id, task(|_| ())).gives(Outcome::Pass, "nothing");
        let mut case = Case::new(id, task(|task| task.ids.euid = 0));
        case.gain = Gain { capabilities: 1 << 21, euid_before: Some(1000) };
        case.gives(Outcome::Fail, "euid 0 (before 1000); capabilities SYS_ADMIN");
        let root = task(|task| task.ids.euid = 0);
        Case::new(id, root).with_init(task(|_| ())).gives(Outcome::Fail, "euid 0 (before 1000)");
        Case::new(id, root).with_init(root).is(Outcome::Pass);
        let capable = task(|task| task.caps.permitted = 1);
        Case::new(id, capable).with_init(task(|_| ())).is(Outcome::Fail);
        // The init itself: what it held before its exec was seen by nobody.
        Case::new(id, capable).is(Outcome::Unknown(UnknownReason::ExecNotSeen));
        let mut seen = Case::new(id, capable);
        seen.process.exec_ns = 1;
        seen.is(Outcome::Pass);
        let mut set_uid = Case::new(id, root);
        (set_uid.process.exe.mode, set_uid.process.exe.uid) = (0o104_755, 0);
        set_uid.gives(Outcome::Fail, "euid 0 (before 1000)");
    }
}

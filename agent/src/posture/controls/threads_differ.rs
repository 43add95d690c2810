//! All threads of a process may do the same.
//!
//! A thread with a weaker filter, or with rights that the leader has given up, is a way round both. C
//! libraries change ids and capabilities thread by thread, so a difference in these counts only where a scan
//! finds it; one in filters or no_new_privs counts at once.

use agent_abi::record::TaskState;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::posture::{
    Evidence, Explanation, Facts, Observation, Outcome,
    control::{ControlId, Requirements, TASK_HOOKS, TaskControl},
};

pub(super) const CONTROL: TaskControl = TaskControl {
    id: ControlId::ThreadsDiffer,
    requires: Requirements {
        hooks: TASK_HOOKS,
        fields: &["task_seccomp_mode", "task_atomic_flags"],
        better_with: &["task_seccomp_filter_count"],
    },
    check,
    explain,
};

const IDS: u32 = 1;
const CAPABILITIES: u32 = 1 << 1;
const NO_NEW_PRIVS: u32 = 1 << 2;
const SECCOMP: u32 = 1 << 3;

#[derive(Default, IntoBytes, FromBytes, Immutable)]
#[repr(C)]
struct Numbers {
    differs: u32,
    euid: u32,
    leader_euid: u32,
    no_new_privs: u32,
    seccomp_mode: u32,
    leader_seccomp_mode: u32,
    filters: u32,
    leader_filters: u32,
}

fn check(facts: &Facts<'_>) -> Observation {
    let (task, leader) = (facts.task, &facts.process.state);
    let differs = if task.task.tid == task.task.tgid { 0 } else { differences(task, leader, facts.is_scan) };
    if differs == 0 {
        return alike();
    }
    let numbers = Numbers {
        differs,
        euid: task.ids.euid,
        leader_euid: leader.ids.euid,
        no_new_privs: task.no_new_privs,
        seccomp_mode: task.seccomp_mode,
        leader_seccomp_mode: leader.seccomp_mode,
        filters: task.seccomp_filters,
        leader_filters: leader.seccomp_filters,
    };
    Observation::new(Outcome::Fail, &numbers)
}

/// What is said of a thread that does not differ.
pub(in crate::posture) fn alike() -> Observation {
    Observation::new(Outcome::Pass, &Numbers::default())
}

fn differences(task: &TaskState, leader: &TaskState, is_scan: bool) -> u32 {
    let mut differs = 0;
    if is_scan && task.ids != leader.ids {
        differs |= IDS;
    }
    if is_scan && task.caps != leader.caps {
        differs |= CAPABILITIES;
    }
    if task.no_new_privs != leader.no_new_privs {
        differs |= NO_NEW_PRIVS;
    }
    // A scan of /proc does not tell how many filters there are.
    let counted = task.seccomp_filters != 0 && leader.seccomp_filters != 0;
    if task.seccomp_mode != leader.seccomp_mode || (counted && task.seccomp_filters != leader.seccomp_filters)
    {
        differs |= SECCOMP;
    }
    differs
}

fn explain(evidence: &Evidence) -> Explanation {
    let numbers: Numbers = evidence.get();
    let mut differences = Vec::new();
    if numbers.differs & IDS != 0 {
        differences.push(format!("euid {} (leader {})", numbers.euid, numbers.leader_euid));
    }
    if numbers.differs & CAPABILITIES != 0 {
        differences.push("other capabilities than the leader".to_owned());
    }
    if numbers.differs & NO_NEW_PRIVS != 0 {
        let leader = 1 - numbers.no_new_privs.min(1);
        differences.push(format!("no_new_privs {} (leader {leader})", numbers.no_new_privs));
    }
    if numbers.differs & SECCOMP != 0 {
        differences.push(format!(
            "seccomp mode {} with {} filters (leader mode {} with {})",
            numbers.seccomp_mode, numbers.filters, numbers.leader_seccomp_mode, numbers.leader_filters
        ));
    }
    if differences.is_empty() {
        differences.push("all threads alike".to_owned());
    }
    Explanation { observed: differences.join("; "), declared: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posture::controls::testing::{Case, task};

    #[test]
    fn verdicts() {
        let id = ControlId::ThreadsDiffer;
        let leader = task(|_| ());
        let thread = |change: fn(&mut TaskState)| {
            let mut case = Case::new(
                id,
                task(|task| {
                    task.task.tid = 101;
                    change(task);
                }),
            );
            case.process.state = leader;
            case
        };
        thread(|_| ()).gives(Outcome::Pass, "all threads alike");
        thread(|task| task.seccomp_filters = 2)
            .gives(Outcome::Fail, "seccomp mode 2 with 2 filters (leader mode 2 with 1)");
        thread(|task| task.no_new_privs = 0).gives(Outcome::Fail, "no_new_privs 0 (leader 1)");
        // On its way through the threads, perhaps.
        thread(|task| task.ids.euid = 0).is(Outcome::Pass);
        let mut scanned = thread(|task| task.ids.euid = 0);
        scanned.is_scan = true;
        scanned.gives(Outcome::Fail, "euid 0 (leader 1000)");
        Case::new(id, leader).is(Outcome::Pass);
    }
}

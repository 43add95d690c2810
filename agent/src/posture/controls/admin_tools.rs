//! No package manager, shell or compiler is started in a container that serves.
//!
//! Known by the name that the program was started by and by that of its file; programs that rename themselves
//! are for rules. What ran before the container was seen to serve is how it starts, and does not count.

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::posture::{
    Evidence, Explanation, Facts, Observation, Outcome, UnknownReason,
    control::{ControlId, Requirements, TASK_HOOKS, TaskControl},
};

pub(super) const CONTROL: TaskControl = TaskControl {
    id: ControlId::AdminTools,
    requires: Requirements { hooks: TASK_HOOKS, fields: &["mm_exe_file"], better_with: &[] },
    check,
    explain,
};

const KINDS: [(&str, &[&str]); 3] = [
    (
        "package manager",
        &[
            "apk", "apt", "apt-get", "aptitude", "conda", "dnf", "dpkg", "emerge", "gem", "microdnf", "npm",
            "opkg", "pacman", "pip", "pip3", "rpm", "snap", "yum", "zypper",
        ],
    ),
    ("shell", &["ash", "bash", "csh", "dash", "fish", "ksh", "mksh", "pwsh", "rbash", "sh", "tcsh", "zsh"]),
    (
        "compiler",
        &[
            "as", "c++", "cargo", "cc", "cc1", "clang", "clang++", "g++", "gcc", "go", "javac", "ld", "make",
            "nasm", "rustc", "tcc",
        ],
    ),
];

#[derive(Default, IntoBytes, FromBytes, Immutable)]
#[repr(C)]
struct Numbers {
    /// Place in [`KINDS`] and in its names, each from 1.
    kind: u32,
    name: u32,
}

fn check(facts: &Facts<'_>) -> Observation {
    let process = facts.process;
    let since = facts.around.serves_since;
    let pass = Observation::new(Outcome::Pass, &Numbers::default());
    if !facts.is_program_known() {
        return Observation::NOT_APPLICABLE;
    }
    match facts.around.listeners {
        _ if since != 0 => {}
        None => return Observation::NOT_APPLICABLE,
        Some(Err(why)) => {
            let unknown = Outcome::Unknown(UnknownReason::NotRead(why));
            return Observation::new(unknown, &Numbers::default());
        }
        Some(Ok(())) => {}
    }
    let is_unseen = process.exec_ns == 0;
    if since == 0 || (process.exec_ns < since && !is_unseen) || facts.container.init == Some(process.id) {
        return pass;
    }
    let file = process.exe_path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let comm = facts.task.comm.split(|&byte| byte == 0).next().unwrap_or_default();
    let found = KINDS.iter().zip(1..).find_map(|((_, names), kind)| {
        let name = names.iter().zip(1..).find(|(name, _)| [file, comm].contains(&name.as_bytes()));
        name.map(|(_, name)| Numbers { kind, name })
    });
    match found {
        // Whether it was there before the container served, nobody saw.
        Some(numbers) if is_unseen => {
            Observation::new(Outcome::Unknown(UnknownReason::ExecNotSeen), &numbers)
        }
        Some(numbers) => Observation::new(Outcome::Fail, &numbers),
        None => pass,
    }
}

fn explain(evidence: &Evidence) -> Explanation {
    let numbers: Numbers = evidence.get();
    let place = |number: u32| usize::try_from(number).ok()?.checked_sub(1);
    let found = place(numbers.kind).and_then(|kind| KINDS.get(kind)).and_then(|(kind, names)| {
        let name = names.get(place(numbers.name)?)?;
        Some(format!("{kind} {name} was started in a container that serves"))
    });
    Explanation { observed: found.unwrap_or_else(|| "none".to_owned()), declared: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        inspect::NotRead,
        posture::controls::testing::{Case, task},
    };

    fn case(path: &str, exec_ns: u64, serves_since: u64) -> Case {
        let mut case = Case::new(ControlId::AdminTools, task(|_| ()));
        case.process.exe_path = path.into();
        case.process.exec_ns = exec_ns;
        case.around.serves_since = serves_since;
        case.around.listeners = Some(Ok(()));
        case
    }

    #[test]
    fn verdicts() {
        case("/bin/bash", 9, 0).gives(Outcome::Pass, "none");
        case("/bin/bash", 9, 8).gives(Outcome::Fail, "shell bash was started in a container that serves");
        case("/bin/bash", 7, 8).is(Outcome::Pass);
        case("/bin/bash", 0, 8).is(Outcome::Unknown(UnknownReason::ExecNotSeen));
        case("/usr/bin/server", 0, 8).is(Outcome::Pass);
        case("/usr/bin/apt-get", 9, 8).observed("package manager apt-get");
        case("/usr/bin/server", 9, 8).is(Outcome::Pass);
        let mut blind = case("/bin/bash", 9, 0);
        blind.around.listeners = Some(Err(NotRead::NotPermitted));
        blind.is(Outcome::Unknown(UnknownReason::NotRead(NotRead::NotPermitted)));
        let mut early = case("/bin/bash", 9, 0);
        early.around.listeners = None;
        early.is(Outcome::NotApplicable);
        let mut busybox =
            Case::new(ControlId::AdminTools, task(|task| task.comm[..2].copy_from_slice(b"sh")));
        busybox.process.exe_path = b"/bin/busybox".to_vec();
        busybox.process.exec_ns = 9;
        busybox.around.serves_since = 8;
        busybox.observed("shell sh");
    }
}

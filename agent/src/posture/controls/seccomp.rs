//! Every task is under a seccomp filter that denies something.
//!
//! A mode is not enough: a filter that allows everything has mode 2 as well. The kernel's bitmap
//! of what is allowed whatever the arguments (5.11) tells it apart, for the whole chain of
//! filters; it speaks of native calls only, and a call allowed for some arguments counts as
//! denied. Where the bitmap is not visible, mode 2 passes only if the runtime's default profile is
//! declared, which is known not to be empty; any other filter is UNKNOWN.

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::{
    context::DeclaredSeccomp,
    posture::{
        Evidence, Explanation, Facts, Observation, Outcome, UnknownReason,
        control::{ControlId, Requirements, TASK_HOOKS, TaskControl},
        syscall::{Reach, open_names},
    },
};

pub(super) const CONTROL: TaskControl = TaskControl {
    id: ControlId::Seccomp,
    requires: Requirements {
        hooks: TASK_HOOKS,
        fields: &["task_seccomp_mode"],
        better_with: &[
            "task_thread_status",
            "task_seccomp_filter",
            "task_seccomp_filter_count",
            "seccomp_filter_allow",
        ],
    },
    check,
    explain,
};

const DISABLED: u32 = 0;
const STRICT: u32 = 1;
const FILTER: u32 = 2;

#[derive(IntoBytes, FromBytes, Immutable)]
#[repr(C)]
struct Numbers {
    open: u64,
    mode: u32,
    filters: u32,
    /// Known system calls; 0 where the contents are not visible.
    known: u32,
    allowed: u32,
    allow_all: u32,
    declared: u32,
}

fn check(facts: &Facts<'_>) -> Observation {
    if facts.is_measured_against_init() {
        return Observation::NOT_APPLICABLE;
    }
    let declared = facts.declared.and_then(|declared| declared.seccomp.as_ref());
    let mode = facts.task.seccomp_mode;
    let reach = if mode == FILTER { Reach::of(facts.allow) } else { None };
    let allow_all = reach.is_some_and(|reach| reach.is_allow_all());
    let outcome = match (mode, declared) {
        (DISABLED, Some(DeclaredSeccomp::Unconfined) | None) => Outcome::Fail,
        (DISABLED, Some(_)) => Outcome::Drift,
        (STRICT, _) => Outcome::Pass,
        (FILTER, Some(DeclaredSeccomp::RuntimeDefault)) if allow_all => Outcome::Drift,
        (FILTER, _) if allow_all => Outcome::Fail,
        (FILTER, Some(DeclaredSeccomp::RuntimeDefault)) => Outcome::Pass,
        (FILTER, _) if reach.is_none() => Outcome::Unknown(UnknownReason::FilterNotVisible),
        (FILTER, _) => Outcome::Pass,
        _ => Outcome::Unknown(UnknownReason::ValueNotUnderstood),
    };
    let numbers = Numbers {
        open: reach.map_or(0, |reach| reach.open),
        mode,
        filters: facts.task.seccomp_filters,
        known: reach.map_or(0, |reach| reach.known),
        allowed: reach.map_or(0, |reach| reach.allowed),
        allow_all: u32::from(allow_all),
        declared: match declared {
            None => 0,
            Some(DeclaredSeccomp::Unconfined) => 1,
            Some(DeclaredSeccomp::RuntimeDefault) => 2,
            Some(DeclaredSeccomp::Localhost(_)) => 3,
            Some(DeclaredSeccomp::Filter) => 4,
        },
    };
    Observation::new(outcome, &numbers)
}

fn explain(evidence: &Evidence) -> Explanation {
    let numbers: Numbers = evidence.get();
    let observed = match numbers.mode {
        DISABLED => "seccomp disabled (mode 0)".to_owned(),
        STRICT => "seccomp strict (mode 1)".to_owned(),
        FILTER if numbers.known == 0 => "seccomp filter (mode 2), contents not visible".to_owned(),
        FILTER => {
            let mut text = if numbers.allow_all == 1 {
                format!(
                    "seccomp filter allows everything ({} of {} syscalls)",
                    numbers.allowed, numbers.known
                )
            } else {
                format!("seccomp filter allows {} of {} syscalls", numbers.allowed, numbers.known)
            };
            if numbers.filters > 1 {
                text.push_str(&format!(", {} filters", numbers.filters));
            }
            if numbers.open != 0 {
                text.push_str(&format!(", open: {}", open_names(numbers.open)));
            }
            text
        }
        mode => format!("seccomp mode {mode}"),
    };
    let declared = match numbers.declared {
        1 => Some("Unconfined"),
        2 => Some("RuntimeDefault"),
        3 => Some("Localhost"),
        4 => Some("a filter"),
        _ => None,
    };
    Explanation { observed, declared: declared.map(Into::into) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posture::{
        controls::testing::{Case, allow_all, allow_default, task},
        syscall::DANGEROUS,
    };

    fn declared(profile: DeclaredSeccomp) -> impl FnOnce(&mut crate::context::Declared) {
        move |declared| declared.seccomp = Some(profile)
    }

    #[test]
    fn modes() {
        let id = ControlId::Seccomp;
        let off = task(|task| task.seccomp_mode = 0);
        Case::new(id, off).gives(Outcome::Fail, "seccomp disabled (mode 0)");
        Case::new(id, off).declares(declared(DeclaredSeccomp::Unconfined)).is(Outcome::Fail);
        Case::new(id, off).declares(declared(DeclaredSeccomp::RuntimeDefault)).is(Outcome::Drift);
        Case::new(id, off).declares(declared(DeclaredSeccomp::Localhost("x".into()))).is(Outcome::Drift);
        Case::new(id, off).declares(declared(DeclaredSeccomp::Filter)).is(Outcome::Drift);
        Case::new(id, task(|task| task.seccomp_mode = 1)).is(Outcome::Pass);
        Case::new(id, task(|task| task.seccomp_mode = 3))
            .is(Outcome::Unknown(UnknownReason::ValueNotUnderstood));
    }

    #[test]
    fn contents() {
        let id = ControlId::Seccomp;
        let filter = task(|_| ());
        Case::new(id, filter).allows(allow_default()).is(Outcome::Pass);
        Case::new(id, filter).allows(allow_all()).is(Outcome::Fail).observed("allows everything (");
        Case::new(id, filter)
            .allows(allow_all())
            .declares(declared(DeclaredSeccomp::RuntimeDefault))
            .is(Outcome::Drift);
        // A few calls denied for show change nothing.
        let mut for_show = allow_all();
        for number in 0..7_usize {
            for_show.bits[number] &= !1;
        }
        Case::new(id, filter).allows(for_show).is(Outcome::Fail);
        // Nor do many, as long as none of them matters.
        let mut harmless = allow_all();
        harmless.bits[..8].fill(0);
        Case::new(id, filter).allows(harmless).is(Outcome::Fail);
        // With every capability the default profile opens most of the dangerous ones.
        let mut all_capabilities = allow_default();
        for dangerous in DANGEROUS.iter().filter(|dangerous| !dangerous.never_by_default) {
            all_capabilities.bits[dangerous.number as usize / 8] |= 1 << (dangerous.number % 8);
        }
        Case::new(id, filter).allows(all_capabilities).is(Outcome::Pass).observed("open: bpf,init_module");
    }

    #[test]
    fn invisible_contents_are_not_a_pass() {
        let id = ControlId::Seccomp;
        let filter = task(|_| ());
        let unknown = Outcome::Unknown(UnknownReason::FilterNotVisible);
        let hidden = || Case::new(id, filter).allows(crate::context::SeccompAllow::NONE);
        hidden().is(unknown).observed("contents not visible");
        hidden().declares(declared(DeclaredSeccomp::Localhost("x".into()))).is(unknown);
        hidden().declares(declared(DeclaredSeccomp::Filter)).is(unknown);
        hidden()
            .declares(declared(DeclaredSeccomp::RuntimeDefault))
            .gives(Outcome::Pass, "seccomp filter (mode 2), contents not visible");
    }
}

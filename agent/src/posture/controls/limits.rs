//! The container or its pod has a limit of memory, of CPU time, of processes: the lowest of both is there.

use super::text::bounded;
use crate::{
    inspect::Limits,
    posture::{
        ContainerFacts, Judgement, Outcome, UnknownReason,
        control::{ContainerControl, ControlId},
    },
};

pub(super) const MEMORY: ContainerControl = ContainerControl {
    id: ControlId::MemoryLimit,
    check: |facts| check(facts, |limits| limits.memory, |limit| format!("{limit} bytes")),
};

pub(super) const CPU: ContainerControl = ContainerControl {
    id: ControlId::CpuLimit,
    check: |facts| {
        check(facts, |limits| limits.cpu_millis, |limit| format!("{}.{:03} CPUs", limit / 1000, limit % 1000))
    },
};

pub(super) const PIDS: ContainerControl = ContainerControl {
    id: ControlId::PidsLimit,
    check: |facts| check(facts, |limits| limits.pids, |limit| format!("{limit} processes and threads")),
};

fn check(
    facts: &ContainerFacts<'_>,
    limit: fn(&Limits) -> Option<u64>,
    text: fn(u64) -> String,
) -> Judgement {
    let limits = match &facts.inspection.limits {
        Ok(limits) => limits,
        Err(why) => return Judgement::unknown(UnknownReason::NotRead(*why)),
    };
    let declared = facts.declared.and_then(|declared| declared.limits.as_ref()).and_then(limit);
    let judgement = match limit(limits) {
        Some(limit) => Judgement::new(Outcome::Pass, bounded(text(limit))),
        None if declared.is_some() => Judgement::new(Outcome::Drift, "no limit"),
        None => Judgement::new(Outcome::Fail, "no limit"),
    };
    judgement.declared(declared.map(text).map(bounded))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{inspect::NotRead, posture::controls::case::ContainerCase};

    #[test]
    fn verdicts() {
        let memory = Limits { memory: Some(500), ..Limits::default() };
        let cpu = Limits { cpu_millis: Some(500), ..Limits::default() };
        let pids = Limits { pids: Some(500), ..Limits::default() };
        for (id, limited, text) in [
            (ControlId::MemoryLimit, memory, "500 bytes"),
            (ControlId::CpuLimit, cpu, "0.500 CPUs"),
            (ControlId::PidsLimit, pids, "500 processes and threads"),
        ] {
            let case = || ContainerCase::new(id);
            case().limits(limited).gives(Outcome::Pass, text).declared(None);
            case().limits(Limits::default()).gives(Outcome::Fail, "no limit").declared(None);
            case().is(Outcome::Unknown(UnknownReason::NotRead(NotRead::Gone)));
            // Declared to be there.
            let declared = |case: ContainerCase| case.declares(|declared| declared.limits = Some(limited));
            declared(case().limits(Limits::default())).is(Outcome::Drift).declared(Some(text));
            declared(case().limits(limited)).is(Outcome::Pass);
            declared(case()).is(Outcome::Unknown(UnknownReason::NotRead(NotRead::Gone)));
            // Limits of something else.
            let none =
                |case: ContainerCase| case.declares(|declared| declared.limits = Some(Limits::default()));
            none(case().limits(Limits::default())).is(Outcome::Fail);
        }
    }
}

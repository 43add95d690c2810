//! What runtimes hide of `/proc` and `/sys`, or make read-only, is so.

use super::text::{NAMED, bounded, list};
use crate::posture::{
    ContainerFacts, Judgement, Outcome, UnknownReason,
    control::{ContainerControl, ControlId},
};

pub(super) const CONTROL: ContainerControl = ContainerControl { id: ControlId::ProcMount, check };

fn check(facts: &ContainerFacts<'_>) -> Judgement {
    let mounts = match &facts.inspection.mounts {
        Ok(mounts) => mounts,
        Err(why) => return Judgement::unknown(UnknownReason::NotRead(*why)),
    };
    let open = |is_writable| {
        let paths = mounts.open.iter().filter(move |open| open.is_writable == is_writable);
        list("", paths.map(|open| open.path), NAMED)
    };
    let observed = match (open(false), open(true)) {
        (masked, written) if masked.is_empty() && written.is_empty() => {
            return Judgement::new(Outcome::Pass, "masked and read-only as runtimes do by default");
        }
        (masked, written) if written.is_empty() => format!("not masked: {masked}"),
        (masked, written) if masked.is_empty() => format!("can be written: {written}"),
        (masked, written) => format!("not masked: {masked}; can be written: {written}"),
    };
    Judgement::new(Outcome::Fail, bounded(observed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        inspect::{NotRead, mounts::tests},
        posture::controls::case::ContainerCase,
    };

    #[test]
    fn verdicts() {
        let case = |text: &str| ContainerCase::new(ControlId::ProcMount).mounts(tests::mounts(text));
        case(tests::DEFAULT).gives(Outcome::Pass, "masked and read-only as runtimes do by default");
        case(tests::PRIVILEGED).gives(
            Outcome::Fail,
            "not masked: /proc/acpi, /proc/keys, /proc/timer_list, /sys/firmware; can be written: /proc/bus, \
             /proc/irq, /proc/sys, /sys",
        );
        let sys = tests::DEFAULT.replace("/sys ro,nosuid", "/sys rw,nosuid").replace("sysfs ro", "sysfs rw");
        case(&sys).gives(Outcome::Fail, "can be written: /sys");
        let keys: String = tests::DEFAULT
            .lines()
            .filter(|line| !line.contains("/proc/keys"))
            .map(|line| format!("{line}\n"))
            .collect();
        case(&keys).gives(Outcome::Fail, "not masked: /proc/keys");
        case("1 0 0:1 / / rw - overlay o rw\n").is(Outcome::Pass);
        ContainerCase::new(ControlId::ProcMount).not_read(NotRead::Gone);
    }
}

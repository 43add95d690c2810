//! AppArmor or SELinux confines every process.

use super::text::bounded;
use crate::{
    inspect::{
        LabelModule,
        labels::{is_unconfined, type_of},
    },
    posture::{
        ContainerFacts, Judgement, Outcome, UnknownReason,
        control::{ContainerControl, ControlId},
    },
};

pub(super) const CONTROL: ContainerControl = ContainerControl { id: ControlId::LsmProfile, check };

fn check(facts: &ContainerFacts<'_>) -> Judgement {
    let found = match &facts.inspection.labels {
        Ok(found) => found,
        Err(why) => return Judgement::unknown(UnknownReason::NotRead(*why)),
    };
    let Some(module) = found.module else {
        let reason = UnknownReason::NoLabelModule;
        let text = if found.is_permissive { "SELinux is there and only warns" } else { reason.as_str() };
        return Judgement::new(Outcome::Unknown(reason), text);
    };
    let declared = facts.declared.and_then(|declared| declared.label.as_deref());
    let asked = declared.filter(|label| !is_none(module, label));
    let unconfined = found.labels.iter().find(|(label, _)| is_unconfined(module, label));
    let other =
        || found.labels.iter().find(|(label, _)| asked.is_some_and(|asked| is_other(module, asked, label)));
    let judgement = if let Some((label, tgid)) = unconfined {
        let label = if label.is_empty() { "no label" } else { label };
        let outcome = if asked.is_some() { Outcome::Drift } else { Outcome::Fail };
        Judgement::new(outcome, bounded(format!("process {tgid} is not confined: {label}")))
    } else if let Some((label, tgid)) = other() {
        Judgement::new(Outcome::Drift, bounded(format!("process {tgid} is confined by another: {label}")))
    } else if let Some((label, _)) = found.labels.first() {
        Judgement::new(Outcome::Pass, bounded(label.clone()))
    } else {
        Judgement::unknown(UnknownReason::NotInspected)
    };
    judgement.declared(declared.map(|label| bounded(label.to_owned())))
}

/// Whether what was declared asks for no label of this module.
fn is_none(module: LabelModule, declared: &str) -> bool {
    match module {
        LabelModule::AppArmor => declared.contains(':') || is_unconfined(module, declared),
        LabelModule::SeLinux => type_of(declared).is_none() || is_unconfined(module, declared),
    }
}

/// Whether a process has another label than was declared. By which name a runtime loads its default is its own
/// affair.
fn is_other(module: LabelModule, declared: &str, label: &str) -> bool {
    match module {
        LabelModule::AppArmor => {
            let profile = label.rsplit_once(" (").map_or(label, |(profile, _)| profile);
            // Of a stack each profile confines.
            declared != "runtime/default" && !profile.split("//&").any(|part| part == declared)
        }
        LabelModule::SeLinux => type_of(declared) != type_of(label),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        inspect::{Labels, NotRead},
        posture::controls::case::ContainerCase,
    };

    const OWN: &str = "cri-containerd.apparmor.d";

    fn case(module: Option<LabelModule>, labels: &[&str]) -> ContainerCase {
        let mut case = ContainerCase::new(ControlId::LsmProfile);
        let labels = labels.iter().zip(7..).map(|(label, tgid)| ((*label).to_owned(), tgid)).collect();
        case.inspection.labels = Ok(Labels { module, is_permissive: false, labels });
        case
    }

    fn apparmor(labels: &[&str], declared: Option<&str>) -> ContainerCase {
        let case = case(Some(LabelModule::AppArmor), labels);
        case.declares(|own| own.label = declared.map(str::to_owned))
    }

    fn selinux(labels: &[&str], declared: Option<&str>) -> ContainerCase {
        let case = case(Some(LabelModule::SeLinux), labels);
        case.declares(|own| own.label = declared.map(str::to_owned))
    }

    #[test]
    fn apparmor_verdicts() {
        let enforced = "cri-containerd.apparmor.d (enforce)";
        apparmor(&[enforced], None).gives(Outcome::Pass, enforced).declared(None);
        apparmor(&[enforced], Some(OWN)).is(Outcome::Pass).declared(Some(OWN));
        apparmor(&[enforced], Some("runtime/default")).is(Outcome::Pass);
        apparmor(&["a//&cri-containerd.apparmor.d (enforce)"], Some(OWN)).is(Outcome::Pass);
        apparmor(&[enforced, "unconfined"], None)
            .gives(Outcome::Fail, "process 8 is not confined: unconfined");
        apparmor(&["x (complain)"], Some("unconfined"))
            .gives(Outcome::Fail, "process 7 is not confined: x (complain)");
        apparmor(&[""], None).gives(Outcome::Fail, "process 7 is not confined: no label");
        apparmor(&["unconfined"], Some(OWN)).is(Outcome::Drift);
        apparmor(&["unconfined"], Some("runtime/default")).is(Outcome::Drift);
        apparmor(&["other (enforce)"], Some(OWN))
            .gives(Outcome::Drift, "process 7 is confined by another: other (enforce)");
        // Of the other module.
        apparmor(&[enforced], Some("u:r:container_t:s0")).is(Outcome::Pass);
        apparmor(&[], None).is(Outcome::Unknown(UnknownReason::NotInspected));
        apparmor(&[&"p".repeat(2000)], Some(&"q".repeat(2000))).is(Outcome::Drift);
    }

    #[test]
    fn selinux_verdicts() {
        let label = "system_u:system_r:container_t:s0:c1,c2";
        selinux(&[label], None).gives(Outcome::Pass, label);
        selinux(&[label], Some("::container_t:")).is(Outcome::Pass);
        selinux(&[label], Some("u:r:other_t:s0")).is(Outcome::Drift);
        selinux(&["u:r:spc_t:s0"], None).is(Outcome::Fail);
        selinux(&["u:r:spc_t:s0"], Some(label)).is(Outcome::Drift);
        selinux(&["u:r:spc_t:s0"], Some("u:r:spc_t:s0")).is(Outcome::Fail);
        selinux(&[label], Some(OWN)).is(Outcome::Pass);
    }

    #[test]
    fn without_a_module_nothing_is_known() {
        let unknown = Outcome::Unknown(UnknownReason::NoLabelModule);
        case(None, &[]).is(unknown);
        let mut permissive = case(None, &[]);
        permissive.inspection.labels = Ok(Labels { is_permissive: true, ..Labels::default() });
        permissive.gives(unknown, "SELinux is there and only warns");
        let mut unread = case(None, &[]);
        unread.inspection.labels = Err(NotRead::NotPermitted);
        unread.is(Outcome::Unknown(UnknownReason::NotRead(NotRead::NotPermitted)));
    }
}

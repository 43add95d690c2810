//! Nothing can be written to the root file system.

use crate::{
    inspect::NotRead,
    posture::{
        ContainerFacts, Judgement, Outcome, UnknownReason,
        control::{ContainerControl, ControlId},
        controls::mounted::text,
    },
};

pub(super) const CONTROL: ContainerControl = ContainerControl { id: ControlId::ReadOnlyRoot, check };

fn check(facts: &ContainerFacts<'_>) -> Judgement {
    let mounts = match &facts.inspection.mounts {
        Ok(mounts) => mounts,
        Err(why) => return Judgement::unknown(UnknownReason::NotRead(*why)),
    };
    let Some(root) = mounts.root() else {
        return Judgement::unknown(UnknownReason::NotRead(NotRead::NotUnderstood));
    };
    let declared = facts.declared.and_then(|declared| declared.read_only_root);
    let kind = text(root.file_system.as_bytes());
    let judgement = if root.read_only {
        Judgement::new(Outcome::Pass, format!("the root file system ({kind}) is read-only"))
    } else {
        let outcome = if declared == Some(true) { Outcome::Drift } else { Outcome::Fail };
        Judgement::new(outcome, format!("the root file system ({kind}) can be written"))
    };
    judgement.declared(declared.map(|value| format!("readOnlyRootFilesystem {value}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{inspect::mounts::tests, posture::controls::case::ContainerCase};

    #[test]
    fn verdicts() {
        let case = |text| ContainerCase::new(ControlId::ReadOnlyRoot).mounts(tests::mounts(text));
        case(tests::DEFAULT).gives(Outcome::Pass, "the root file system (overlay) is read-only");
        case(tests::PRIVILEGED).gives(Outcome::Fail, "the root file system (overlay) can be written");
        case(tests::PRIVILEGED).declares(|all| all.read_only_root = Some(false)).is(Outcome::Fail);
        let drift = case(tests::PRIVILEGED).declares(|all| all.read_only_root = Some(true));
        assert_eq!(drift.judge().explanation.declared.as_deref(), Some("readOnlyRootFilesystem true"));
        drift.is(Outcome::Drift);
        // A root on the root counts.
        let text = format!("{}99 77 0:40 / / rw - overlay overlay rw\n", tests::DEFAULT);
        case(&text).is(Outcome::Fail);
        case("1 0 0:1 / /a rw - tmpfs x rw\n").not_read(NotRead::NotUnderstood);
        ContainerCase::new(ControlId::ReadOnlyRoot).not_read(NotRead::Gone);
    }
}

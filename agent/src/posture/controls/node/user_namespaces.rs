//! Whether every user may make user namespaces. Any one of three settings closes it, and which of them a kernel
//! has is the distribution's choice.

use super::component::unread;
use crate::{
    inspect::node::NodeFacts,
    posture::{
        Judgement, Outcome,
        control::{ControlId, NodeControl},
    },
};

pub(super) const CONTROL: NodeControl = NodeControl { id: ControlId::HostUnprivilegedUserNamespaces, check };

fn check(facts: &NodeFacts) -> Judgement {
    let kernel = &facts.kernel;
    // The setting of AppArmor is there, and does nothing, where AppArmor is not in force.
    let apparmor = match &kernel.modules {
        Ok(modules) => Ok(modules.iter().any(|module| module == "apparmor")),
        Err(why) => Err(*why),
    };
    let restricted = match (apparmor, kernel.apparmor_restrict_unprivileged_userns) {
        (Ok(false), _) | (_, Ok(None)) => Ok(None),
        (Ok(true), setting) => setting,
        (Err(why), _) => Err(why),
    };
    let settings = [
        ("user.max_user_namespaces", kernel.max_user_namespaces, 0),
        ("kernel.unprivileged_userns_clone", kernel.unprivileged_userns_clone, 0),
        ("kernel.apparmor_restrict_unprivileged_userns", restricted, 1),
    ];
    if kernel.max_user_namespaces == Ok(None) {
        return Judgement::new(Outcome::Pass, "the kernel has no user namespaces");
    }
    for (name, value, closed) in settings {
        if value == Ok(Some(closed)) {
            return Judgement::new(Outcome::Pass, format!("{name} = {closed}"));
        }
    }
    let mut open = Vec::new();
    for (name, value, _) in settings {
        match value {
            Ok(Some(value)) => open.push(format!("{name} = {value}")),
            Ok(None) => {}
            Err(why) => return unread(why),
        }
    }
    Judgement::new(Outcome::Fail, open.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        inspect::{
            NotRead,
            node::{KernelFacts, read, testing::Tree},
        },
        posture::UnknownReason,
    };

    fn judged(change: impl FnOnce(&mut KernelFacts)) -> (Outcome, String) {
        let mut facts = read(&Tree::hardened().paths(), &[]);
        facts.kernel.unprivileged_userns_clone = Ok(None);
        change(&mut facts.kernel);
        let judgement = check(&facts);
        (judgement.outcome, judgement.explanation.observed)
    }

    #[test]
    fn any_of_three_closes_it() {
        let (outcome, observed) = judged(|_| ());
        assert_eq!((outcome, observed.as_str()), (Outcome::Fail, "user.max_user_namespaces = 127234"));
        assert_eq!(judged(|kernel| kernel.max_user_namespaces = Ok(Some(0))).0, Outcome::Pass);
        assert_eq!(judged(|kernel| kernel.max_user_namespaces = Ok(None)).0, Outcome::Pass);
        assert_eq!(judged(|kernel| kernel.unprivileged_userns_clone = Ok(Some(0))).0, Outcome::Pass);
        assert_eq!(judged(|kernel| kernel.unprivileged_userns_clone = Ok(Some(1))).0, Outcome::Fail);
    }

    #[test]
    fn that_of_apparmor_counts_where_apparmor_is_in_force() {
        let restrict = |kernel: &mut KernelFacts| kernel.apparmor_restrict_unprivileged_userns = Ok(Some(1));
        assert_eq!(judged(restrict).0, Outcome::Pass);
        let off = |kernel: &mut KernelFacts| {
            restrict(kernel);
            kernel.modules = Ok(vec!["capability".into()]);
        };
        assert_eq!(judged(off).0, Outcome::Fail);
        let unread = |kernel: &mut KernelFacts| {
            restrict(kernel);
            kernel.modules = Err(NotRead::NotPermitted);
        };
        let unknown = Outcome::Unknown(UnknownReason::NotRead(NotRead::NotPermitted));
        assert_eq!(judged(unread).0, unknown);
        // What closes it counts, whatever else was not read.
        let closed = |kernel: &mut KernelFacts| {
            kernel.modules = Err(NotRead::NotPermitted);
            kernel.unprivileged_userns_clone = Ok(Some(0));
        };
        assert_eq!(judged(closed).0, Outcome::Pass);
        assert_eq!(judged(|kernel| kernel.max_user_namespaces = Err(NotRead::NotPermitted)).0, unknown);
    }
}

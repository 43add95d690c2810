//! No port that others reach is listened on, but those that the pod declares or the policy allows.

use super::text::{NAMED, list};
use crate::{
    context::DeclaredPort,
    posture::{
        ContainerFacts, Judgement, Outcome, UnknownReason,
        control::{ContainerControl, ControlId},
    },
};

pub(super) const CONTROL: ContainerControl = ContainerControl { id: ControlId::UndeclaredPorts, check };

fn check(facts: &ContainerFacts<'_>) -> Judgement {
    let listeners = match &facts.inspection.listeners {
        Ok(listeners) => listeners,
        Err(why) => return Judgement::unknown(UnknownReason::NotRead(*why)),
    };
    let mut open: Vec<DeclaredPort> = listeners
        .iter()
        .filter(|listener| !listener.is_loopback)
        .map(|listener| DeclaredPort { port: listener.port, is_udp: listener.is_udp })
        .collect();
    open.sort_unstable();
    open.dedup();
    let declared = facts.declared.and_then(|declared| declared.ports.as_deref());
    let declared_text =
        declared.map(|ports| if ports.is_empty() { "none".to_owned() } else { text("", ports) });
    if open.is_empty() {
        return Judgement::new(Outcome::Pass, "listens on no port").declared(declared_text);
    }
    let undeclared: Vec<_> = open
        .iter()
        .copied()
        .filter(|open| !facts.policy.ports.contains(&open.port))
        .filter(|open| !declared.is_some_and(|ports| ports.contains(open)))
        .collect();
    if undeclared.is_empty() {
        return Judgement::new(Outcome::Pass, text("listens on ", &open)).declared(declared_text);
    }
    if declared.is_none() {
        return Judgement::unknown(UnknownReason::NotTold);
    }
    Judgement::new(Outcome::Fail, text("not declared: ", &undeclared)).declared(declared_text)
}

fn text(start: &str, ports: &[DeclaredPort]) -> String {
    let names = ports.iter().map(|port| format!("{}/{}", if port.is_udp { "udp" } else { "tcp" }, port.port));
    list(start, names, NAMED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        inspect::{Listener, NotRead},
        posture::controls::case::ContainerCase,
    };

    fn case(listeners: &[(u16, bool, bool)], declared: Option<&[(u16, bool)]>) -> ContainerCase {
        let mut case = ContainerCase::new(ControlId::UndeclaredPorts);
        let listeners = listeners.iter().map(|&(port, is_udp, is_loopback)| Listener {
            port,
            is_udp,
            is_loopback,
            tgid: 7,
        });
        case.inspection.listeners = Ok(listeners.collect());
        let ports = declared.map(|ports| ports.iter().map(|&(port, is_udp)| DeclaredPort { port, is_udp }));
        case.declares(|own| own.ports = ports.map(Iterator::collect))
    }

    #[test]
    fn verdicts() {
        case(&[], None).gives(Outcome::Pass, "listens on no port").declared(None);
        case(&[(80, false, true)], Some(&[]))
            .gives(Outcome::Pass, "listens on no port")
            .declared(Some("none"));
        case(&[(80, false, false)], Some(&[(80, false)]))
            .gives(Outcome::Pass, "listens on tcp/80")
            .declared(Some("tcp/80"));
        case(&[(80, false, false), (53, true, false), (80, false, true)], Some(&[(80, false), (53, false)]))
            .gives(Outcome::Fail, "not declared: udp/53")
            .declared(Some("tcp/80, tcp/53"));
        case(&[(80, false, false)], Some(&[])).is(Outcome::Fail);
        case(&[(80, false, false)], None).is(Outcome::Unknown(UnknownReason::NotTold));
        let mut unread = case(&[], Some(&[]));
        unread.inspection.listeners = Err(NotRead::TooMuch);
        unread.is(Outcome::Unknown(UnknownReason::NotRead(NotRead::TooMuch)));
    }

    #[test]
    fn ports_of_the_policy_need_no_declaration() {
        for declared in [None, Some(&[][..])] {
            let mut case = case(&[(15_090, false, false)], declared);
            case.policy.ports = vec![15_090];
            case.is(Outcome::Pass);
        }
    }

    #[test]
    fn many_ports_are_cut() {
        let many: Vec<_> = (1..1000).map(|port| (port, false, false)).collect();
        let judgement = case(&many, Some(&[])).judge();
        assert!(judgement.explanation.observed.ends_with(", and 983 more"), "{judgement:?}");
    }
}

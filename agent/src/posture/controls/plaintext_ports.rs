//! Connections to ports that others reach begin with TLS. One that was seen to begin with something else is
//! enough for a FAIL; for a PASS one that began with TLS has to be seen on each port.

use std::collections::BTreeSet;

use super::text::{NAMED, list};
use crate::posture::{
    ContainerFacts, Judgement, Outcome, UnknownReason,
    control::{ContainerControl, ControlId},
};

pub(super) const CONTROL: ContainerControl = ContainerControl { id: ControlId::PlaintextPorts, check };

fn check(facts: &ContainerFacts<'_>) -> Judgement {
    let listeners = match &facts.inspection.listeners {
        Ok(listeners) => listeners,
        Err(why) => return Judgement::unknown(UnknownReason::NotRead(*why)),
    };
    let reached = listeners.iter().filter(|listener| !listener.is_udp && !listener.is_loopback);
    let open: BTreeSet<u16> = reached.map(|listener| listener.port).collect();
    if open.is_empty() {
        return Judgement::new(Outcome::Pass, "listens on no port");
    }
    let seen = |port: u16| facts.witnessed.ports.iter().find(|seen| seen.port == port);
    let plain: Vec<u16> =
        open.iter().copied().filter(|&port| seen(port).is_some_and(|seen| seen.plain)).collect();
    if !plain.is_empty() {
        return Judgement::new(Outcome::Fail, text("plain text on ", &plain));
    }
    if !facts.sight.packets {
        return Judgement::unknown(UnknownReason::NotObserved);
    }
    let quiet: Vec<u16> =
        open.iter().copied().filter(|&port| !seen(port).is_some_and(|seen| seen.tls)).collect();
    if !quiet.is_empty() {
        return Judgement::new(
            Outcome::Unknown(UnknownReason::NotObserved),
            text("no connection was seen to begin on ", &quiet),
        );
    }
    let open: Vec<u16> = open.into_iter().collect();
    Judgement::new(Outcome::Pass, text("TLS on ", &open))
}

fn text(start: &str, ports: &[u16]) -> String {
    list(start, ports.iter().map(|port| format!("tcp/{port}")), NAMED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        inspect::{Listener, NotRead},
        posture::{PortBytes, controls::case::ContainerCase},
    };

    fn case(listeners: &[(u16, bool, bool)], seen: &[(u16, bool, bool)]) -> ContainerCase {
        let mut case = ContainerCase::new(ControlId::PlaintextPorts);
        let listener = |&(port, is_udp, is_loopback)| Listener { port, is_udp, is_loopback, tgid: 7 };
        case.inspection.listeners = Ok(listeners.iter().map(listener).collect());
        case.witnessed.ports =
            seen.iter().map(|&(port, tls, plain)| PortBytes { port, tls, plain }).collect();
        case.sight.packets = true;
        case
    }

    #[test]
    fn verdicts() {
        let unknown = Outcome::Unknown(UnknownReason::NotObserved);
        case(&[], &[]).gives(Outcome::Pass, "listens on no port");
        case(&[(80, true, false), (81, false, true)], &[]).gives(Outcome::Pass, "listens on no port");
        let two = [(80, false, false), (443, false, false)];
        case(&two, &[(80, true, true), (443, true, false)]).gives(Outcome::Fail, "plain text on tcp/80");
        case(&two, &[(80, true, false), (443, true, false)]).gives(Outcome::Pass, "TLS on tcp/80, tcp/443");
        case(&two, &[(80, false, false), (443, true, false)])
            .gives(unknown, "no connection was seen to begin on tcp/80");
        case(&two, &[]).is(unknown);
        // What is not listened on any more.
        case(&[(443, false, false)], &[(80, false, true), (443, true, false)]).is(Outcome::Pass);
    }

    #[test]
    fn what_is_not_observed_is_not_known() {
        let mut blind = case(&[(80, false, false)], &[(80, true, false)]);
        blind.sight.packets = false;
        blind.is(Outcome::Unknown(UnknownReason::NotObserved));
        // It was seen all the same.
        let mut blind = case(&[(80, false, false)], &[(80, false, true)]);
        blind.sight.packets = false;
        blind.is(Outcome::Fail);
        let mut unread = case(&[], &[]);
        unread.inspection.listeners = Err(NotRead::Gone);
        unread.is(Outcome::Unknown(UnknownReason::NotRead(NotRead::Gone)));
    }
}

//! No kernel parameter is set for the pod but safe ones.

use super::text::{NAMED, list};
use crate::posture::{
    ContainerFacts, Judgement, Outcome, UnknownReason,
    control::{ContainerControl, ControlId},
};

pub(super) const CONTROL: ContainerControl = ContainerControl { id: ControlId::Sysctls, check };

/// Those of the Pod Security Standards, Kubernetes 1.32. Each is of the pod's namespaces alone.
const SAFE: [&str; 10] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_syncookies",
];

fn check(facts: &ContainerFacts<'_>) -> Judgement {
    let Some(set) = facts.declared.and_then(|declared| declared.sysctls.as_ref()) else {
        return Judgement::unknown(UnknownReason::NotTold);
    };
    let unsafe_ones: Vec<_> = set.iter().filter(|name| !is_safe(name)).collect();
    if !unsafe_ones.is_empty() {
        return Judgement::new(Outcome::Fail, list("set for the pod: ", unsafe_ones, NAMED));
    }
    let observed = if set.is_empty() { "none is set".to_owned() } else { list("safe: ", set, NAMED) };
    Judgement::new(Outcome::Pass, observed)
}

/// Whether the standards call it safe. A slash may stand for a dot (sysctl(8)).
pub(in crate::posture) fn is_safe(name: &str) -> bool {
    SAFE.iter().any(|safe| {
        safe.len() == name.len()
            && safe
                .bytes()
                .zip(name.bytes())
                .all(|(one, other)| one == if other == b'/' { b'.' } else { other })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posture::controls::case::ContainerCase;

    #[test]
    fn verdicts() {
        let case = |names: Option<&[&str]>| {
            ContainerCase::new(ControlId::Sysctls).declares(|own| {
                own.sysctls = names.map(|names| names.iter().map(|&name| name.to_owned()).collect());
            })
        };
        case(None).is(Outcome::Unknown(UnknownReason::NotTold));
        case(Some(&[])).gives(Outcome::Pass, "none is set");
        case(Some(&["net.ipv4.ping_group_range", "net/ipv4/tcp_syncookies"]))
            .gives(Outcome::Pass, "safe: net.ipv4.ping_group_range, net/ipv4/tcp_syncookies");
        case(Some(&["net.ipv4.ping_group_range", "kernel.msgmax", "net.core.somaxconn"]))
            .gives(Outcome::Fail, "set for the pod: kernel.msgmax, net.core.somaxconn");
        case(Some(&["net.ipv4.tcp_syncookies2"])).is(Outcome::Fail);
    }
}

//! No port of the node leads to the container.

use super::text::{NAMED, list};
use crate::posture::{
    ContainerFacts, Judgement, Outcome, UnknownReason,
    control::{ContainerControl, ControlId},
};

pub(super) const CONTROL: ContainerControl = ContainerControl { id: ControlId::HostPorts, check };

fn check(facts: &ContainerFacts<'_>) -> Judgement {
    let Some(ports) = facts.declared.and_then(|declared| declared.host_ports.as_ref()) else {
        return Judgement::unknown(UnknownReason::NotTold);
    };
    if ports.is_empty() {
        return Judgement::new(Outcome::Pass, "no port of the node");
    }
    Judgement::new(Outcome::Fail, list("ports of the node: ", ports.iter().map(u16::to_string), NAMED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posture::controls::case::ContainerCase;

    #[test]
    fn verdicts() {
        let case = |ports: Option<&[u16]>| {
            ContainerCase::new(ControlId::HostPorts)
                .declares(|own| own.host_ports = ports.map(<[u16]>::to_vec))
        };
        case(None).is(Outcome::Unknown(UnknownReason::NotTold));
        case(Some(&[])).gives(Outcome::Pass, "no port of the node");
        case(Some(&[80, 443])).gives(Outcome::Fail, "ports of the node: 80, 443");
        ContainerCase::new(ControlId::HostPorts).is(Outcome::Unknown(UnknownReason::NotTold));
    }
}

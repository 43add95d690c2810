//! `/dev` has no devices but those that runtimes give to every container.

use super::{
    mounted::text,
    text::{NAMED, list},
};
use crate::posture::{
    ContainerFacts, Judgement, Outcome, UnknownReason,
    control::{ContainerControl, ControlId},
};

pub(super) const CONTROL: ContainerControl = ContainerControl { id: ControlId::HostDevices, check };

fn check(facts: &ContainerFacts<'_>) -> Judgement {
    let devices = match &facts.inspection.devices {
        Ok(devices) => devices,
        Err(why) => return Judgement::unknown(UnknownReason::NotRead(*why)),
    };
    let others = || devices.iter().filter(|device| !device.is_default());
    let count = others().count();
    if count == 0 {
        return Judgement::new(Outcome::Pass, "only the devices of every container");
    }
    let names = others().map(|device| {
        let kind = if device.is_block { "block" } else { "char" };
        format!("{} ({kind} {}:{})", text(&device.name), device.major, device.minor)
    });
    Judgement::new(Outcome::Fail, list(&format!("{count} of the host: "), names, NAMED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        inspect::{Device, NotRead},
        posture::controls::case::ContainerCase,
    };

    fn device(name: &str, is_block: bool, major: u32, minor: u32) -> Device {
        Device { name: name.into(), is_block, major, minor }
    }

    #[test]
    fn verdicts() {
        let case = |devices: Vec<Device>| {
            let mut case = ContainerCase::new(ControlId::HostDevices);
            case.inspection.devices = Ok(devices);
            case
        };
        let null = device("null", false, 1, 3);
        case(vec![]).is(Outcome::Pass);
        case(vec![null.clone(), device("tty", false, 5, 0)])
            .gives(Outcome::Pass, "only the devices of every container");
        case(vec![null, device("sda", true, 8, 0), device("fuse", false, 10, 229)])
            .gives(Outcome::Fail, "2 of the host: sda (block 8:0), fuse (char 10:229)");
        // By a name that every container has.
        case(vec![device("null", false, 1, 1)]).is(Outcome::Fail);
        let many = (0..300).map(|number| device(&format!("disk/{number}"), true, 8, number)).collect();
        let observed = case(many).judge().explanation.observed;
        assert!(observed.starts_with("300 of the host: ") && observed.len() < 310, "{observed}");
        ContainerCase::new(ControlId::HostDevices).not_read(NotRead::Gone);
    }
}

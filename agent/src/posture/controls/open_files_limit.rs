//! A process may not open more files than the policy allows: the hard limit, up to which it may raise its own.

use crate::posture::{
    ContainerFacts, Judgement, Outcome, UnknownReason,
    control::{ContainerControl, ControlId},
};

pub(super) const CONTROL: ContainerControl = ContainerControl { id: ControlId::OpenFilesLimit, check };

fn check(facts: &ContainerFacts<'_>) -> Judgement {
    let most = facts.policy.open_files;
    match facts.inspection.open_files {
        Err(why) => Judgement::unknown(UnknownReason::NotRead(why)),
        Ok(None) => Judgement::new(Outcome::Fail, "no limit"),
        Ok(Some(limit)) if limit > most => {
            Judgement::new(Outcome::Fail, format!("{limit} open files, and the policy allows {most}"))
        }
        Ok(Some(limit)) => Judgement::new(Outcome::Pass, format!("{limit} open files")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{inspect::NotRead, posture::controls::case::ContainerCase};

    #[test]
    fn verdicts() {
        let case = |limit| {
            let mut case = ContainerCase::new(ControlId::OpenFilesLimit);
            case.inspection.open_files = limit;
            case.policy.open_files = 1024;
            case
        };
        case(Ok(Some(1024))).gives(Outcome::Pass, "1024 open files");
        case(Ok(Some(1025))).gives(Outcome::Fail, "1025 open files, and the policy allows 1024");
        case(Ok(None)).gives(Outcome::Fail, "no limit");
        let why = NotRead::NotPermitted;
        case(Err(why)).is(Outcome::Unknown(UnknownReason::NotRead(why)));
    }
}

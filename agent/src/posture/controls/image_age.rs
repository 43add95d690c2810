//! The image was built no longer ago than the policy allows.

use crate::{
    posture::{
        ContainerFacts, Judgement, Outcome, UnknownReason,
        control::{ContainerControl, ControlId},
    },
    time::Clock,
};

pub(super) const CONTROL: ContainerControl = ContainerControl { id: ControlId::ImageAge, check };

const DAY: i64 = 86_400;

fn check(facts: &ContainerFacts<'_>) -> Judgement {
    let Some(most) = facts.policy.image_age else {
        return Judgement::new(Outcome::NotApplicable, "the policy names no age");
    };
    let Some(created) = facts.names.and_then(|names| names.image_created) else {
        return Judgement::unknown(UnknownReason::NotTold);
    };
    // One of two clocks is wrong.
    if created > facts.now_unix.saturating_add(DAY) {
        return Judgement::unknown(UnknownReason::ValueNotUnderstood);
    }
    let age = facts.now_unix.saturating_sub(created);
    let most = i64::try_from(most.as_secs()).unwrap_or(i64::MAX);
    // The text stays the same from one look to the next.
    let built = format!("built on {}", date(created));
    if age > most {
        Judgement::new(Outcome::Fail, format!("{built}, more than {} days ago", most / DAY))
    } else {
        Judgement::new(Outcome::Pass, built)
    }
}

fn date(seconds: i64) -> String {
    let nanoseconds = u64::try_from(seconds).unwrap_or(0).saturating_mul(crate::time::SECOND);
    Clock { boottime_ns: 0, wall_ns: nanoseconds }.date().to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::posture::controls::case::{ContainerCase, NOW};

    #[test]
    fn verdicts() {
        let case = |created: Option<i64>| {
            let mut case = ContainerCase::new(ControlId::ImageAge);
            case.policy.image_age = Some(Duration::from_secs(90 * 86_400));
            case.named(|names| names.image_created = created)
        };
        case(Some(NOW)).gives(Outcome::Pass, "built on 2024-02-29");
        case(Some(NOW - 90 * DAY)).is(Outcome::Pass);
        case(Some(NOW - 90 * DAY - 1)).gives(Outcome::Fail, "built on 2023-12-01, more than 90 days ago");
        case(None).is(Outcome::Unknown(UnknownReason::NotTold));
        case(Some(NOW + 2 * DAY)).is(Outcome::Unknown(UnknownReason::ValueNotUnderstood));
        case(Some(i64::MIN)).is(Outcome::Fail);
        case(Some(i64::MAX)).is(Outcome::Unknown(UnknownReason::ValueNotUnderstood));
        let mut no_policy = case(Some(0));
        no_policy.policy.image_age = None;
        no_policy.gives(Outcome::NotApplicable, "the policy names no age");
        let mut unnamed = case(None);
        unnamed.names = None;
        unnamed.is(Outcome::Unknown(UnknownReason::NotTold));
    }
}

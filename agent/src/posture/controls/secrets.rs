//! Neither an argument nor a variable of an environment looks like a secret. The place is told and what it was
//! known by, never the value.

use super::text::{NAMED, list};
use crate::{
    inspect::{Read, SecretPlace},
    posture::{
        Judgement, Outcome, UnknownReason,
        control::{ContainerControl, ControlId},
    },
};

pub(super) const ENVIRONMENT: ContainerControl = ContainerControl {
    id: ControlId::SecretsInEnvironment,
    check: |facts| check(&facts.inspection.environment),
};

pub(super) const ARGUMENTS: ContainerControl =
    ContainerControl { id: ControlId::SecretsInArguments, check: |facts| check(&facts.inspection.arguments) };

fn check(places: &Read<Vec<SecretPlace>>) -> Judgement {
    match places {
        Err(why) => Judgement::unknown(UnknownReason::NotRead(*why)),
        Ok(places) if places.is_empty() => Judgement::new(Outcome::Pass, "none"),
        Ok(places) => {
            let names = places.iter().map(|place| format!("{} ({})", place.name, place.known_by));
            Judgement::new(Outcome::Fail, list("looks like a secret: ", names, NAMED))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        inspect::{Inspection, NotRead},
        posture::controls::case::ContainerCase,
    };

    type Places = fn(&mut Inspection) -> &mut Read<Vec<SecretPlace>>;

    #[test]
    fn verdicts() {
        let environment: Places = |inspection| &mut inspection.environment;
        let arguments: Places = |inspection| &mut inspection.arguments;
        for (id, places) in
            [(ControlId::SecretsInEnvironment, environment), (ControlId::SecretsInArguments, arguments)]
        {
            let case = |found| {
                let mut case = ContainerCase::new(id);
                *places(&mut case.inspection) = found;
                case
            };
            let place = |name: &str, known_by| SecretPlace { tgid: 7, name: name.to_owned(), known_by };
            case(Ok(Vec::new())).gives(Outcome::Pass, "none");
            case(Ok(vec![place("DB_PASSWORD", "name"), place("argument 2", "GitHub token")]))
                .gives(Outcome::Fail, "looks like a secret: DB_PASSWORD (name), argument 2 (GitHub token)");
            let many = (0..64).map(|n| place(&format!("DB_PASSWORD{n}"), "name")).collect();
            case(Ok(many)).is(Outcome::Fail);
            let why = NotRead::TooMuch;
            case(Err(why)).is(Outcome::Unknown(UnknownReason::NotRead(why)));
        }
    }
}

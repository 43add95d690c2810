//! The image is referred to by a digest or a version, not by what changes.

use super::{reference::Reference, text::bounded};
use crate::posture::{
    ContainerFacts, Judgement, Outcome, UnknownReason,
    control::{ContainerControl, ControlId},
};

pub(super) const CONTROL: ContainerControl = ContainerControl { id: ControlId::ImageTag, check };

fn check(facts: &ContainerFacts<'_>) -> Judgement {
    let Some(image) = facts.names.and_then(|names| Reference::parse(&names.image)) else {
        return Judgement::unknown(UnknownReason::NotTold);
    };
    match image {
        Reference { has_digest: true, .. } => Judgement::new(Outcome::Pass, "by digest"),
        Reference { tag: Some("latest"), .. } => Judgement::new(Outcome::Fail, "by the tag latest"),
        Reference { tag: Some(tag), .. } => {
            Judgement::new(Outcome::Pass, bounded(format!("by the tag {tag}")))
        }
        Reference { tag: None, .. } => Judgement::new(Outcome::Fail, "by no tag and no digest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posture::controls::case::ContainerCase;

    #[test]
    fn verdicts() {
        let case = |image: &str| {
            ContainerCase::new(ControlId::ImageTag).named(|names| names.image = image.to_owned())
        };
        case("registry.example:5000/web:1.2").gives(Outcome::Pass, "by the tag 1.2");
        case(&format!("web:latest@sha256:{}", "a".repeat(64))).gives(Outcome::Pass, "by digest");
        case("web:latest").gives(Outcome::Fail, "by the tag latest");
        case("registry.example:5000/web").gives(Outcome::Fail, "by no tag and no digest");
        let unknown = Outcome::Unknown(UnknownReason::NotTold);
        case("").is(unknown);
        case(&format!("sha256:{}", "a".repeat(64))).is(unknown);
        ContainerCase::new(ControlId::ImageTag).is(unknown);
        case(&format!("web:{}", "t".repeat(500))).is(Outcome::Pass);
    }
}

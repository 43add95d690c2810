//! The image of a container.

use crate::{Control, ControlId, Item, Scope, Severity, text::IMAGE_COST};

pub(crate) const IMAGE_REGISTRY: Control = Control {
    id: ControlId::ImageRegistry,
    slug: "image-registry",
    title: "Image registry",
    scope: Scope::Container,
    severity: Severity::High,
    pss: None,
    cis: &["5.5.1"],
    nsa: Some("Kubernetes Pod security: Building secure container images"),
    nist: Some("4.1.5 Use of untrusted images"),
    attack: &["T1204.003", "T1195.002"],
    checklists: &[
        Item::A("Base images are from trusted sources"),
        Item::B("Images from trusted registry only"),
    ],
    detective: false,
    exempts_sandbox: true,
    fails: "the image is from a registry that the policy does not allow",
    observed: "the image reference that CRI tells of the container, against the policy",
    unknown: "the image is not known, as without a CRI socket",
    cost: IMAGE_COST,
    fix: "Copy the image to an allowed registry and use it from there.",
    yaml: include_str!("../yaml/image-registry.yaml"),
};

pub(crate) const IMAGE_TAG: Control = Control {
    id: ControlId::ImageTag,
    slug: "image-tag",
    title: "Immutable image reference",
    scope: Scope::Container,
    severity: Severity::Medium,
    pss: None,
    cis: &[],
    nsa: Some("Kubernetes Pod security: Building secure container images"),
    nist: Some("4.2.2 Stale images in registries"),
    attack: &["T1195.002", "T1525"],
    checklists: &[Item::B("Image tags are immutable (not :latest)")],
    detective: false,
    exempts_sandbox: true,
    fails: "the image is referred to by latest, or by no tag and no digest",
    observed: "the image reference that CRI tells of the container",
    unknown: "the image is not known, as without a CRI socket",
    cost: IMAGE_COST,
    fix: "Refer to the image by digest (name@sha256:…), or by a version.",
    yaml: include_str!("../yaml/image-tag.yaml"),
};

pub(crate) const IMAGE_AGE: Control = Control {
    id: ControlId::ImageAge,
    slug: "image-age",
    title: "Image age",
    scope: Scope::Container,
    severity: Severity::Low,
    pss: None,
    cis: &[],
    nsa: Some("Kubernetes Pod security: Building secure container images"),
    nist: Some("4.2.2 Stale images in registries"),
    attack: &["T1190"],
    checklists: &[Item::A("Images are regularly updated")],
    detective: false,
    exempts_sandbox: true,
    fails: "the image was built longer ago than the policy allows",
    observed: "the time at which the image says that it was built, through CRI, against the policy",
    unknown: "the image is not known, as without a CRI socket; the image does not say when it was built, \
        as with reproducible builds",
    cost: IMAGE_COST,
    fix: "Rebuild the image on a current base and roll it out.",
    yaml: include_str!("../yaml/image-age.yaml"),
};

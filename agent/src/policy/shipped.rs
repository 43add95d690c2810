//! The exemptions that come with the agent: system pods that cannot do their work otherwise.

use std::path::Path;

use controls::ControlId;
use serde::Deserialize;
use settings::{ConfigError, Spanned, check::Checker, yaml};

use super::{profile::unknown, raw::Entries};
use crate::posture::{Exemption, ShippedExemption};

/// What they are.
const TEXT: &str = include_str!("../../../deploy/exemptions.yaml");
const FILE: &str = "exemptions.yaml";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    /// Controls that fail together, by a name.
    rights: Entries<Vec<Spanned<String>>>,
    exemptions: Vec<RawShipped>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawShipped {
    name: String,
    namespaces: Vec<String>,
    #[serde(default)]
    service_accounts: Vec<String>,
    images: Vec<String>,
    #[serde(default)]
    rights: Vec<Spanned<String>>,
    #[serde(default)]
    controls: Vec<Spanned<String>>,
    reason: String,
}

/// All of them.
pub(super) fn exemptions() -> Result<Vec<Exemption>, ConfigError> {
    parse(TEXT)
}

fn parse(text: &str) -> Result<Vec<Exemption>, ConfigError> {
    let at = Checker { file: Path::new(FILE) };
    let RawFile { rights: Entries(known), exemptions } = yaml::parse(at.file, text)?;
    let entries = exemptions.into_iter().map(|raw| {
        let mut controls = Vec::new();
        for right in &raw.rights {
            let Some((name, slugs)) = known.iter().find(|(name, _)| *name == right.value) else {
                return Err(at.refuse(&raw.name, right, unknown("right", &right.value, &[])));
            };
            add(at, name, slugs, &mut controls)?;
        }
        add(at, &raw.name, &raw.controls, &mut controls)?;
        let RawShipped { name, namespaces, service_accounts, images, reason, .. } = raw;
        let reason = format!("{name}: {reason}");
        Ok(Exemption::shipped(ShippedExemption { namespaces, service_accounts, images, controls, reason }))
    });
    entries.collect()
}

fn add(
    at: Checker<'_>,
    key: &str,
    slugs: &[Spanned<String>],
    controls: &mut Vec<ControlId>,
) -> Result<(), ConfigError> {
    for slug in slugs {
        let control = ControlId::from_slug(&slug.value)
            .ok_or_else(|| at.refuse(key, slug, unknown("control", &slug.value, &[])))?;
        if !controls.contains(&control) {
            controls.push(control);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

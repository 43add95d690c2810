//! From the file as written to a policy that holds.

use std::{ops::RangeInclusive, time::Duration};

use controls::CONTROLS;
use settings::{
    ConfigError, Spanned,
    check::{Checker, number},
};

use super::{
    Loaded,
    profile::{self, Profiles, Stance},
    raw::{RawAllow, RawPolicy},
    shipped,
};
use crate::{
    capability,
    config::Located,
    posture::{BUILT_IN, Policy},
};

/// What is asked for where the file names no profiles.
const AGE_DAYS: RangeInclusive<u64> = 1..=3650;
const DAY: u64 = 24 * 60 * 60;
const PORTS: RangeInclusive<usize> = 1..=65_535;
/// The kernel's own bound of `fs.nr_open` lies just below.
const OPEN_FILES: RangeInclusive<usize> = 1..=1 << 31;
const REGISTRY_BYTES: usize = 255;

/// Puts what the file says over the defaults.
pub(super) fn check(at: Checker<'_>, raw: RawPolicy) -> Result<Loaded, ConfigError> {
    let RawPolicy { profiles, custom, controls, allow, exemptions, default_exemptions } = raw;
    let own = profile::settings(at, "", controls.unwrap_or_default())?;
    let mut known = Profiles::new(at, custom)?;
    known.check()?;
    let stances = known.inherit("profiles", &profiles.unwrap_or_else(default_profiles), &own)?;

    let mut policy = Policy::default();
    for (control, stance) in CONTROLS.iter().zip(stances) {
        let severity = Stance::severity(stance, control.id);
        policy.enabled[control.id as usize] = severity.is_some();
        policy.severities[control.id as usize] = severity.unwrap_or(control.severity);
    }
    allowed(at, allow.unwrap_or_default(), &mut policy)?;

    let located: Vec<_> =
        exemptions.unwrap_or_default().into_iter().map(|item| Located::new(at.file, item)).collect();
    let mut with_shipped = true;
    at.text("default_exemptions", default_exemptions, on_or_off, &mut with_shipped)?;
    let mut exemptions = Located::exemptions(&located)?;
    if with_shipped {
        exemptions = exemptions.with_shipped(shipped::exemptions()?);
    }
    Ok(Loaded { policy, exemptions, located })
}

fn default_profiles() -> Vec<Spanned<String>> {
    let place = settings::Location::UNKNOWN;
    BUILT_IN.iter().map(|profile| Spanned::new(profile.as_str().to_owned(), place, place)).collect()
}

fn allowed(at: Checker<'_>, raw: RawAllow, policy: &mut Policy) -> Result<(), ConfigError> {
    let RawAllow { capabilities, registries, ports, image_age, open_files } = raw;
    if let Some(names) = capabilities {
        let bits = each(at, "allow.capabilities", names.value, |name| capability(&name))?;
        policy.capabilities = bits.into_iter().fold(0, |set, bit| set | bit);
    }
    if let Some(names) = registries {
        policy.registries = each(at, "allow.registries", names.value, |name| registry(&name))?;
    }
    if let Some(numbers) = ports {
        policy.ports = each(at, "allow.ports", numbers.value, port)?;
        policy.ports.sort_unstable();
        policy.ports.dedup();
    }
    at.text("allow.image_age", image_age, age, &mut policy.image_age)?;
    let files = |files| number(OPEN_FILES)(files).map(|files| files as u64);
    at.field("allow.open_files", open_files, files, &mut policy.open_files)
}

fn each<R, V>(
    at: Checker<'_>,
    key: &str,
    items: Vec<Spanned<R>>,
    parse: impl Fn(R) -> Result<V, String>,
) -> Result<Vec<V>, ConfigError> {
    let items = items.into_iter().enumerate().map(|(index, item)| {
        let place = Spanned::new((), item.referenced, item.defined);
        parse(item.value).map_err(|message| at.refuse(&format!("{key}[{index}]"), &place, message))
    });
    items.collect()
}

/// The bit of a capability, as Kubernetes and as the kernel call it.
fn capability(text: &str) -> Result<u64, String> {
    let name = text.strip_prefix("CAP_").unwrap_or(text);
    if name == "ALL" {
        return Err("ALL would allow everything: name capabilities, or switch the controls off".to_owned());
    }
    let bit = capability::NAMES.iter().position(|known| *known == name);
    bit.map(|bit| 1 << bit).ok_or_else(|| profile::unknown("capability", text, &capability::NAMES))
}

/// A registry, and maybe a folder in it. Whatever lies below is meant, so `/*` at its end says nothing new.
fn registry(text: &str) -> Result<String, String> {
    let name = text.strip_suffix("/*").unwrap_or(text);
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-:/".contains(&byte);
    let host = name.split('/').next().unwrap_or_default();
    let is_host = host == "localhost" || host.contains(['.', ':']);
    let is_whole = name.split('/').all(|part| !part.is_empty() && !part.starts_with(':'));
    if name.len() <= REGISTRY_BYTES && name.bytes().all(allowed) && is_host && is_whole {
        return Ok(name.to_owned());
    }
    Err(format!("expected a registry, or a folder in one, such as registry.example.com/team/*, got {text:?}"))
}

fn port(port: usize) -> Result<u16, String> {
    let port = number(PORTS)(port)?;
    u16::try_from(port).map_err(|error| error.to_string())
}

/// `any`, or days.
fn age(text: &str) -> Result<Option<Duration>, String> {
    if text == "any" {
        return Ok(None);
    }
    let digits = text.strip_suffix('d').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let days = digits.and_then(|digits| digits.parse().ok()).filter(|days| AGE_DAYS.contains(days));
    days.map(|days: u64| Some(Duration::from_secs(days * DAY))).ok_or_else(|| {
        let (low, high) = (AGE_DAYS.start(), AGE_DAYS.end());
        format!("expected any or a number of days from {low}d to {high}d, got {text:?}")
    })
}

fn on_or_off(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("expected on or off, got {text:?}")),
    }
}

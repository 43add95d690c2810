//! Who answers for a violation, why, and until when.

use std::sync::Arc;

use serde::Deserialize;
use thiserror::Error;

use super::ControlId;
use crate::{
    context::{ContainerRole, Names},
    time::Date,
};

/// Who answers for what comes with the agent.
const OWNER: &str = "kestrel";

/// An exemption as written in the configuration or the policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawExemption {
    /// Kubernetes namespace; `*` stands for any text, here and below.
    pub namespace: Option<String>,
    /// Pod name.
    pub pod: Option<String>,
    /// Container name in the pod.
    pub container: Option<String>,
    /// Image as asked for.
    pub image: Option<String>,
    /// Service account of the pod. Where the agent does not know it, it matches nothing.
    pub service_account: Option<String>,
    /// Slug, or list of slugs, of the controls.
    pub control: OneOrMany,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Last day on which it holds (UTC), `YYYY-MM-DD`.
    pub expires: String,
}

/// A value, or a list of them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Default for OneOrMany {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl OneOrMany {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// Why an exemption is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ExemptionError {
    /// It names no control.
    #[error("names no control")]
    NoControl(usize),
    /// It names a control that does not exist.
    #[error("no control `{}`", .1.escape_debug())]
    UnknownControl(usize, String),
    /// It would match every container.
    #[error("needs a namespace, pod, container, image or service account other than `*`")]
    NoSelector(usize),
    /// Owner or reason is blank.
    #[error("`{1}` is empty")]
    Empty(usize, &'static str),
    /// The day does not exist.
    #[error("`{}` is not a date like 2026-12-31", .1.escape_debug())]
    Expiry(usize, String),
}

impl ExemptionError {
    /// Which one, from 1.
    #[must_use]
    pub const fn number(&self) -> usize {
        match self {
            Self::NoControl(number)
            | Self::UnknownControl(number, _)
            | Self::NoSelector(number)
            | Self::Empty(number, _)
            | Self::Expiry(number, _) => *number,
        }
    }
}

/// Whom an exemption speaks of. Each list says what it may be, and an empty one says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Selector {
    namespaces: Vec<String>,
    pods: Vec<String>,
    containers: Vec<String>,
    images: Vec<String>,
    /// Images by the end of their name, whatever registry they come from, tag and digest.
    repositories: Vec<String>,
    service_accounts: Vec<String>,
    /// A service account that nobody tells is taken for the right one.
    trusts_unknown_account: bool,
}

impl Selector {
    fn matches(&self, names: &Names) -> bool {
        let Self {
            namespaces,
            pods,
            containers,
            images,
            repositories,
            service_accounts,
            trusts_unknown_account,
        } = self;
        let one_of = |patterns: &[String], text: &str| {
            let is = |pattern: &String| is_match(pattern.as_bytes(), text.as_bytes());
            patterns.is_empty() || patterns.iter().any(is)
        };
        let of_account = match &names.service_account {
            Some(account) => one_of(service_accounts, account),
            None => service_accounts.is_empty() || *trusts_unknown_account,
        };
        of_account
            && one_of(namespaces, &names.namespace)
            && one_of(pods, &names.pod)
            && one_of(containers, &names.container)
            && one_of(images, &names.image)
            && (repositories.is_empty() || repositories.iter().any(|end| is_of(&names.image, end)))
    }
}

/// Whether an image is of the repository of that name, in whatever registry.
fn is_of(image: &str, repository: &str) -> bool {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    // A colon before the last slash is a port.
    let slash = name.rfind('/').map_or(0, |slash| slash + 1);
    let name = match name[slash..].find(':') {
        Some(colon) => &name[..slash + colon],
        None => name,
    };
    name.strip_suffix(repository).is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

/// What an exemption that comes with the agent says.
#[derive(Clone, Debug)]
pub struct ShippedExemption {
    /// The namespaces that it holds in.
    pub namespaces: Vec<String>,
    /// The service accounts, which count where they are known; empty: any.
    pub service_accounts: Vec<String>,
    /// Ends of the images' names: `calico/node` is `docker.io/calico/node:v3` too.
    pub images: Vec<String>,
    /// From what.
    pub controls: Vec<ControlId>,
    /// Why.
    pub reason: String,
}

/// An exemption that holds until its day is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exemption {
    containers: Selector,
    controls: Vec<ControlId>,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Last day on which it holds; `None` for the built-in one.
    pub expires: Option<Date>,
}

impl Exemption {
    fn validate(number: usize, raw: RawExemption) -> Result<Self, ExemptionError> {
        let RawExemption {
            namespace,
            pod,
            container,
            image,
            service_account,
            control,
            owner,
            reason,
            expires,
        } = raw;
        let slugs = control.as_slice();
        if slugs.is_empty() {
            return Err(ExemptionError::NoControl(number));
        }
        let controls = slugs
            .iter()
            .map(|slug| {
                ControlId::from_slug(slug).ok_or_else(|| ExemptionError::UnknownControl(number, slug.clone()))
            })
            .collect::<Result<_, _>>()?;
        let selects = |pattern: &Option<String>| {
            pattern.as_ref().is_some_and(|pattern| pattern.chars().any(|char| char != '*'))
        };
        if ![&namespace, &pod, &container, &image, &service_account].into_iter().any(selects) {
            return Err(ExemptionError::NoSelector(number));
        }
        for (name, text) in [("owner", &owner), ("reason", &reason)] {
            if text.trim().is_empty() {
                return Err(ExemptionError::Empty(number, name));
            }
        }
        let expires = Date::parse(&expires).ok_or(ExemptionError::Expiry(number, expires))?;
        let list = |pattern: Option<String>| pattern.into_iter().collect();
        let containers = Selector {
            namespaces: list(namespace),
            pods: list(pod),
            containers: list(container),
            images: list(image),
            repositories: Vec::new(),
            service_accounts: list(service_account),
            trusts_unknown_account: false,
        };
        Ok(Self { containers, controls, owner, reason, expires: Some(expires) })
    }

    /// One that comes with the agent.
    #[must_use]
    pub fn shipped(from: ShippedExemption) -> Self {
        let ShippedExemption { namespaces, service_accounts, images, controls, reason } = from;
        let containers = Selector {
            namespaces,
            service_accounts,
            repositories: images,
            trusts_unknown_account: true,
            ..Selector::default()
        };
        Self { containers, controls, owner: OWNER.into(), reason, expires: None }
    }

    /// Whether it matches nothing where the service account is not known.
    #[must_use]
    pub fn asks_for_service_account(&self) -> bool {
        !self.containers.service_accounts.is_empty() && !self.containers.trusts_unknown_account
    }

    /// Whether its day has not passed.
    #[must_use]
    pub fn holds(&self, today: Date) -> bool {
        self.expires.is_none_or(|expires| today <= expires)
    }

    fn matches(&self, control: ControlId, names: &Names) -> bool {
        self.controls.contains(&control) && self.containers.matches(names)
    }
}

/// Whether `text` is `pattern`, in which `*` stands for any text. Linear in memory, and in time
/// the product of both at worst.
fn is_match(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at_pattern, mut at_text) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while at_text < text.len() {
        if pattern.get(at_pattern) == Some(&b'*') {
            last_star = Some((at_pattern, at_text));
            at_pattern += 1;
        } else if pattern.get(at_pattern) == Some(&text[at_text]) {
            at_pattern += 1;
            at_text += 1;
        } else if let Some((star, from)) = last_star {
            // The star takes one more byte.
            last_star = Some((star, from + 1));
            at_pattern = star + 1;
            at_text = from + 1;
        } else {
            return false;
        }
    }
    pattern[at_pattern..].iter().all(|&byte| byte == b'*')
}

/// Every exemption: those that somebody wrote go before those that come with the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exemptions {
    configured: Vec<Arc<Exemption>>,
    shipped: Vec<Arc<Exemption>>,
    sandbox: Arc<Exemption>,
}

impl Default for Exemptions {
    fn default() -> Self {
        Self {
            configured: Vec::new(),
            shipped: Vec::new(),
            sandbox: Arc::new(Exemption {
                containers: Selector::default(),
                controls: super::CONTROLS
                    .iter()
                    .filter(|control| control.exempts_sandbox)
                    .map(|control| control.id)
                    .collect(),
                owner: OWNER.into(),
                reason: "pod sandbox, owned by the runtime".into(),
                expires: None,
            }),
        }
    }
}

impl Exemptions {
    /// Accepts all or none.
    ///
    /// # Errors
    ///
    /// The first exemption that says something impossible, by its place in the list from 1.
    pub fn validate(raw: Vec<RawExemption>) -> Result<Self, ExemptionError> {
        let configured = raw
            .into_iter()
            .enumerate()
            .map(|(index, raw)| Exemption::validate(index + 1, raw).map(Arc::new))
            .collect::<Result<_, _>>()?;
        Ok(Self { configured, ..Self::default() })
    }

    /// These, and `more` after them.
    #[must_use]
    pub fn and(mut self, more: Self) -> Self {
        let Self { configured, shipped, sandbox: _ } = more;
        self.configured.extend(configured);
        self.shipped.extend(shipped);
        self
    }

    /// These, and those that come with the agent.
    #[must_use]
    pub fn with_shipped(mut self, shipped: Vec<Exemption>) -> Self {
        self.shipped.extend(shipped.into_iter().map(Arc::new));
        self
    }

    /// The exemption of a control of a container, if one holds today.
    #[must_use]
    pub fn find(&self, control: ControlId, names: &Names, today: Date) -> Option<&Arc<Exemption>> {
        if names.role == ContainerRole::Sandbox && self.sandbox.controls.contains(&control) {
            return Some(&self.sandbox);
        }
        let mut all = self.configured.iter().chain(&self.shipped);
        all.find(|exemption| exemption.holds(today) && exemption.matches(control, names))
    }

    /// Those that were configured, in their order.
    pub fn configured(&self) -> impl Iterator<Item = &Exemption> {
        self.configured.iter().map(AsRef::as_ref)
    }

    /// Those whose day has passed: they count as absent.
    pub fn expired(&self, today: Date) -> impl Iterator<Item = &Exemption> {
        self.configured.iter().map(Arc::as_ref).filter(move |exemption| !exemption.holds(today))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posture::controls::testing::names;

    fn raw(json: &str) -> Result<Exemptions, String> {
        let raw = serde_json::from_str(json).map_err(|error| error.to_string())?;
        Exemptions::validate(vec![raw]).map_err(|error| error.to_string())
    }

    #[test]
    fn patterns() {
        for (pattern, text, is) in [
            ("shop", "shop", true),
            ("shop", "shops", false),
            ("*", "", true),
            ("web-*", "web-7d4", true),
            ("*-web-*-x", "a-web-b-web-c-x", true),
            ("a*b*c", "a-c-b", false),
            ("**a", "ba", true),
            ("", "a", false),
        ] {
            assert_eq!(is_match(pattern.as_bytes(), text.as_bytes()), is, "{pattern} {text}");
        }
    }

    #[test]
    fn holds_through_its_last_day() {
        let exemptions = raw(
            r#"{"namespace":"shop","pod":"web-*","control":["seccomp"],"owner":"a","reason":"b","expires":"2026-06-30"}"#,
        )
        .unwrap();
        let day = |text| Date::parse(text).unwrap();
        let find = |control, names: &Names, today| exemptions.find(control, names, day(today)).is_some();
        assert!(find(ControlId::Seccomp, &names("web"), "2026-06-30"));
        assert!(!find(ControlId::Seccomp, &names("web"), "2026-07-01"));
        assert!(!find(ControlId::Privileged, &names("web"), "2026-06-30"));
        assert!(!find(ControlId::Seccomp, &names("cart"), "2026-06-30"));
        assert_eq!(exemptions.expired(day("2026-06-30")).count(), 0);
        assert_eq!(exemptions.expired(day("2026-07-01")).count(), 1);
    }

    #[test]
    fn impossible_ones_are_refused() {
        let base = |extra: &str| format!(r#"{{"owner":"a","reason":"b","expires":"2026-06-30",{extra}}}"#);
        for (json, message) in [
            (base(r#""namespace":"x","control":"nope""#), "no control `nope`"),
            (base(r#""namespace":"x","control":[]"#), "names no control"),
            (
                base(r#""namespace":"*","control":"seccomp""#),
                "needs a namespace, pod, container, image or service account other than `*`",
            ),
            (
                r#"{"image":"x","control":"seccomp","owner":" ","reason":"b","expires":"2026-06-30"}"#.into(),
                "`owner` is empty",
            ),
            (
                r#"{"image":"x","control":"seccomp","owner":"a","reason":"b","expires":"2026-02-30"}"#.into(),
                "`2026-02-30` is not a date like 2026-12-31",
            ),
        ] {
            assert_eq!(raw(&json).unwrap_err(), message);
        }
        assert!(
            raw(&base(r#""namespace":"x","control":"seccomp","until":"x""#)).unwrap_err().contains("until")
        );
        assert!(
            raw(r#"{"image":"x","control":"seccomp","owner":"a","reason":"b"}"#)
                .unwrap_err()
                .contains("expires")
        );
    }

    #[test]
    fn what_is_not_known_is_not_exempt() {
        let exemptions = raw(
            r#"{"service_account":"cni-*","control":"seccomp","owner":"a","reason":"b","expires":"2026-06-30"}"#,
        )
        .unwrap();
        let today = Date::parse("2026-06-30").unwrap();
        let mut names = names("web");
        assert!(exemptions.find(ControlId::Seccomp, &names, today).is_none());
        names.service_account = Some("cni-node".into());
        assert!(exemptions.find(ControlId::Seccomp, &names, today).is_some());
        names.service_account = Some("default".into());
        assert!(exemptions.find(ControlId::Seccomp, &names, today).is_none());
    }

    #[test]
    fn who_wrote_one_goes_before_the_agent() {
        let own = raw(
            r#"{"namespace":"shop","control":"seccomp","owner":"a","reason":"b","expires":"2026-06-30"}"#,
        )
        .unwrap();
        let shipped = Exemption::shipped(ShippedExemption {
            namespaces: vec!["shop".into()],
            service_accounts: Vec::new(),
            images: vec!["registry.example/web".into()],
            controls: vec![ControlId::Seccomp, ControlId::Privileged],
            reason: "c".into(),
        });
        let all = own.and(Exemptions::default().with_shipped(vec![shipped]));
        let reason = |control, day| {
            let today = Date::parse(day).unwrap();
            all.find(control, &names("web"), today).map(|found| found.reason.clone())
        };
        assert_eq!(reason(ControlId::Seccomp, "2026-06-30").as_deref(), Some("b"));
        assert_eq!(reason(ControlId::Seccomp, "2026-07-01").as_deref(), Some("c"));
        assert_eq!(reason(ControlId::Privileged, "2026-06-30").as_deref(), Some("c"));
        assert_eq!(all.configured().count(), 1);
    }

    #[test]
    fn images_are_known_by_the_end_of_their_name() {
        for (image, is) in [
            ("calico/node", true),
            ("calico/node:v3", true),
            ("docker.io/calico/node:v3@sha256:00", true),
            ("host:5000/a/calico/node@sha256:00", true),
            ("host:5000/calico/node", true),
            ("notcalico/node", false),
            ("calico/node-x", false),
            ("calico/node/x", false),
            ("x:calico/node", false),
            ("x@calico/node", false),
            ("", false),
            (":", false),
            ("/", false),
        ] {
            assert_eq!(is_of(image, "calico/node"), is, "{image}");
        }
    }

    #[test]
    fn sandbox_is_the_runtimes() {
        let mut sandbox = names("web");
        sandbox.role = ContainerRole::Sandbox;
        let exemptions = Exemptions::default();
        let today = Date::parse("2026-01-01").unwrap();
        assert!(exemptions.find(ControlId::NoNewPrivileges, &sandbox, today).is_some());
        assert!(exemptions.find(ControlId::Entered, &sandbox, today).is_none());
        assert!(exemptions.find(ControlId::NoNewPrivileges, &names("web"), today).is_none());
    }
}

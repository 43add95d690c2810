//! Which records somebody wants to see.

use kestrel_proto::detection::urgency;
use kestrel_proto::v1::{
    self, ContainerNames, CoverageKind, Detection, EventKind, Finding, Priority, Severity, Verdict,
    record::Event,
};
use thiserror::Error;

use super::joined::Entry;

/// Most values of one field.
const VALUES: usize = 64;
/// Longest value.
const BYTES: usize = 512;

/// A filter that is not taken.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FilterError {
    /// Too many values.
    #[error("filter.{0} has more than {VALUES} values")]
    TooMany(&'static str),
    /// A value is too long.
    #[error("a value of filter.{0} is longer than {BYTES} bytes")]
    TooLong(&'static str),
    /// A number that means nothing here.
    #[error("filter.{0} has a value that this collector does not know")]
    Unknown(&'static str),
}

/// A checked filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    kinds: Vec<EventKind>,
    min_severity: Option<Severity>,
    namespaces: Vec<String>,
    pods: Vec<String>,
    containers: Vec<String>,
    images: Vec<String>,
    controls: Vec<String>,
    verdicts: Vec<Verdict>,
    rules: Vec<String>,
    nodes: Vec<String>,
    min_priority: Option<Priority>,
    tags: Vec<String>,
}

/// Where something is.
#[derive(Clone, Copy, Debug, Default)]
struct Whereabouts<'a> {
    namespace: Option<&'a str>,
    pod: Option<&'a str>,
    container: Option<&'a str>,
    image: Option<&'a str>,
}

impl TryFrom<v1::Filter> for Filter {
    type Error = FilterError;

    fn try_from(raw: v1::Filter) -> Result<Self, FilterError> {
        let v1::Filter {
            kinds,
            min_severity,
            namespaces,
            pods,
            containers,
            images,
            controls,
            verdicts,
            rules,
            nodes,
            min_priority,
            tags,
        } = raw;
        let severity = Severity::try_from(min_severity).map_err(|_| FilterError::Unknown("min_severity"))?;
        let priority = Priority::try_from(min_priority).map_err(|_| FilterError::Unknown("min_priority"))?;
        Ok(Self {
            kinds: numbers("kinds", &kinds)?,
            min_severity: (severity != Severity::Unspecified).then_some(severity),
            namespaces: texts("namespaces", namespaces)?,
            pods: texts("pods", pods)?,
            containers: texts("containers", containers)?,
            images: texts("images", images)?,
            controls: texts("controls", controls)?,
            verdicts: numbers("verdicts", &verdicts)?,
            rules: texts("rules", rules)?,
            nodes: texts("nodes", nodes)?,
            min_priority: (priority != Priority::Unspecified).then_some(priority),
            tags: texts("tags", tags)?,
        })
    }
}

impl Filter {
    /// Whether anything of this node can pass.
    #[must_use]
    pub fn takes_node(&self, node: &str) -> bool {
        any(&self.nodes, Some(node))
    }

    /// Whether a record passes; its node was asked for before.
    #[must_use]
    pub fn takes(&self, entry: Entry<'_>) -> bool {
        let Some(event) = &entry.record.event else { return false };
        if !self.kinds.is_empty() && !kind(event).is_some_and(|kind| self.kinds.contains(&kind)) {
            return false;
        }
        let names = entry.container.and_then(|container| container.names.as_ref());
        match event {
            Event::Finding(finding) => {
                self.takes_properties(
                    finding_severity(finding),
                    Some(&slug(finding)),
                    Some(finding.verdict()),
                    None,
                ) && self.takes_place(of_finding(finding))
            }
            Event::Detection(detection) => {
                self.takes_properties(Some(detection.severity()), None, None, Some(detection))
                    && self.takes_place(of_names(names))
            }
            Event::Coverage(coverage) if coverage.kind() == CoverageKind::Control => {
                self.takes_properties(None, Some(&coverage.at), None, None)
                    && self.takes_place(of_names(None))
            }
            _ => self.takes_properties(None, None, None, None) && self.takes_place(of_names(names)),
        }
    }

    /// Whether a finding passes; its node was asked for before.
    #[must_use]
    pub fn takes_finding(&self, finding: &Finding) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&EventKind::Finding))
            && self.takes_properties(
                finding_severity(finding),
                Some(&slug(finding)),
                Some(finding.verdict()),
                None,
            )
            && self.takes_place(of_finding(finding))
    }

    /// Whether a container passes: one of its controls has to, where controls or verdicts are asked for.
    #[must_use]
    pub fn takes_container(&self, posture: &v1::ContainerPosture) -> bool {
        let names = posture.container.as_ref().and_then(|container| container.names.as_ref());
        let asks_controls = !self.controls.is_empty() || !self.verdicts.is_empty();
        let controls = || {
            posture.controls.iter().any(|control| {
                any(&self.controls, Some(&control.control))
                    && (self.verdicts.is_empty() || self.verdicts.contains(&control.verdict()))
            })
        };
        (self.kinds.is_empty() || self.kinds.contains(&EventKind::Container))
            && self.min_severity.is_none()
            && !self.asks_detections()
            && (!asks_controls || controls())
            && self.takes_place(of_names(names))
    }

    fn takes_properties(
        &self,
        severity: Option<Severity>,
        control: Option<&str>,
        verdict: Option<Verdict>,
        detection: Option<&Detection>,
    ) -> bool {
        self.min_severity.is_none_or(|least| severity.is_some_and(|severity| severity >= least))
            && any(&self.controls, control)
            && (self.verdicts.is_empty() || verdict.is_some_and(|verdict| self.verdicts.contains(&verdict)))
            && (!self.asks_detections() || detection.is_some_and(|detection| self.takes_detection(detection)))
    }

    /// Whether it asks for what only detections have.
    fn asks_detections(&self) -> bool {
        !self.rules.is_empty() || self.min_priority.is_some() || !self.tags.is_empty()
    }

    fn takes_detection(&self, detection: &Detection) -> bool {
        any(&self.rules, Some(&detection.rule))
            && self.min_priority.is_none_or(|least| urgency(detection) as i32 >= least as i32)
            && (self.tags.is_empty() || detection.tags.iter().any(|tag| any(&self.tags, Some(tag))))
    }

    fn takes_place(&self, place: Whereabouts<'_>) -> bool {
        let Whereabouts { namespace, pod, container, image } = place;
        any(&self.namespaces, namespace)
            && any(&self.pods, pod)
            && any(&self.containers, container)
            && any(&self.images, image)
    }
}

/// Of which kind an event is, for filters.
#[must_use]
pub fn kind(event: &Event) -> Option<EventKind> {
    Some(match event {
        Event::Exec(_) => EventKind::Exec,
        Event::Exit(_) => EventKind::Exit,
        Event::Credentials(_) => EventKind::Credentials,
        Event::Detection(_) => EventKind::Detection,
        Event::Finding(_) => EventKind::Finding,
        Event::ContainerStarted(_) | Event::ContainerNamed(_) | Event::ContainerGone(_) => {
            EventKind::Container
        }
        Event::File(_) | Event::Path(_) => EventKind::File,
        Event::Socket(_) | Event::SocketState(_) | Event::Packet(_) => EventKind::Network,
        Event::Call(_)
        | Event::UringDone(_)
        | Event::OomKill(_)
        | Event::AgentSignal(_)
        | Event::Sysctl(_) => EventKind::System,
        Event::Gap(_) | Event::Loss(_) | Event::Throttled(_) | Event::Blind(_) => EventKind::Loss,
        Event::Coverage(_) | Event::Ready(_) | Event::Stop(_) | Event::Node(_) => EventKind::Node,
    })
}

fn finding_severity(finding: &Finding) -> Option<Severity> {
    Some(finding.severity())
}

fn slug(finding: &Finding) -> String {
    finding.control.as_ref().map(|control| control.slug.clone()).unwrap_or_default()
}

fn given(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn of_finding(finding: &Finding) -> Whereabouts<'_> {
    Whereabouts {
        namespace: finding.workload.as_ref().and_then(|workload| given(&workload.namespace)),
        pod: given(&finding.pod),
        container: given(&finding.container),
        image: given(&finding.image),
    }
}

fn of_names(names: Option<&ContainerNames>) -> Whereabouts<'_> {
    names.map_or(Whereabouts::default(), |names| Whereabouts {
        namespace: given(&names.namespace),
        pod: given(&names.pod),
        container: given(&names.container),
        image: given(&names.image),
    })
}

fn any(patterns: &[String], text: Option<&str>) -> bool {
    patterns.is_empty() || text.is_some_and(|text| patterns.iter().any(|pattern| matches(pattern, text)))
}

/// Whether a text is as the pattern says. `*` stands for any text.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let Some(mut part) = parts.next() else { return rest.is_empty() };
    for next in parts {
        // The first place is as good as any later one.
        let Some((_, after)) = rest.split_once(part) else { return false };
        (rest, part) = (after, next);
    }
    rest.ends_with(part)
}

fn texts(field: &'static str, values: Vec<String>) -> Result<Vec<String>, FilterError> {
    if values.len() > VALUES {
        return Err(FilterError::TooMany(field));
    }
    if values.iter().any(|value| value.len() > BYTES) {
        return Err(FilterError::TooLong(field));
    }
    Ok(values)
}

fn numbers<E: TryFrom<i32>>(field: &'static str, values: &[i32]) -> Result<Vec<E>, FilterError> {
    if values.len() > VALUES {
        return Err(FilterError::TooMany(field));
    }
    values.iter().map(|&value| E::try_from(value).map_err(|_| FilterError::Unknown(field))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, matched) in [
            ("web", "web", true),
            ("web", "web-1", false),
            ("web*", "web-1", true),
            ("*", "", true),
            ("*-1", "web-1", true),
            ("w*b*1", "web-1", true),
            ("w*b*b", "web", false),
            ("**", "x", true),
            ("a*a", "a", false),
            ("", "", true),
            ("", "x", false),
            ("*bc*", "abcd", true),
        ] {
            assert_eq!(matches(pattern, text), matched, "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn as_a_slow_matcher_says(pattern in "[ab*]{0,8}", text in "[ab]{0,8}") {
            fn slow(pattern: &[u8], text: &[u8]) -> bool {
                match (pattern, text) {
                    ([], text) => text.is_empty(),
                    ([b'*', rest @ ..], text) => (0..=text.len()).any(|cut| slow(rest, &text[cut..])),
                    ([one, rest @ ..], [first, others @ ..]) => one == first && slow(rest, others),
                    (_, []) => false,
                }
            }
            prop_assert_eq!(matches(&pattern, &text), slow(pattern.as_bytes(), text.as_bytes()));
        }
    }
}

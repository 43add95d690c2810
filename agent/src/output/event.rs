//! What is emitted, as people and programs read it: one JSON object a line.

use std::{collections::BTreeMap, io::Write};

use inert::{inert, inert_comm, json::InertFormatter};
use serde::Serialize;

use crate::{
    context::{Enrichment, PendingReason},
    detect::Detection,
    pipeline::{Detected, Throttled, lifecycle::ContainerEntry},
    posture::{Change, ChangeKind, FindingReport, InstanceReport, PssLevel, Severity, Subject, Verdict},
    time::Clock,
};

/// Version of the schema; a field that changes its meaning raises it.
pub const SCHEMA: u32 = 1;

/// Where events come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// Node name.
    pub node: String,
    /// The kernel's boot id.
    pub boot_id: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event<'a> {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Where from.
    #[serde(flatten)]
    pub origin: &'a Origin,
    /// RFC 3339, UTC.
    pub time: String,
    /// `CLOCK_BOOTTIME`, nanoseconds.
    pub boottime_ns: u64,
    /// What.
    #[serde(flatten)]
    pub body: Body,
}

/// What happened; `type` names it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Body {
    /// A finding changed.
    Finding(Box<Finding>),
    /// Events were lost.
    Loss {
        /// Ring, queue or hook.
        at: &'static str,
        /// How many.
        lost: u64,
        /// Why.
        reason: &'static str,
        /// Within which time.
        #[serde(flatten)]
        interval: Interval,
    },
    /// Events were held back in the kernel because a cgroup sent too many.
    Throttled {
        /// Whose; absent for the host's, and for a cgroup that is not known.
        #[serde(flatten, skip_serializing_if = "Option::is_none")]
        of: Option<Box<ContainerNames>>,
        /// Cgroup; 0 for several of the host's.
        cgroup: u64,
        /// How many.
        events: u64,
        /// Within which time.
        #[serde(flatten)]
        interval: Interval,
    },
    /// A rule matched, or the agent detected something by itself.
    Detection {
        /// The rule's name.
        rule: String,
        /// Severity.
        severity: Severity,
        /// Tags.
        tags: Vec<String>,
        /// As the rule says it; absent for what the agent detects without a rule.
        #[serde(skip_serializing_if = "Option::is_none")]
        priority: Option<&'static str>,
        /// Values of the event by the names of their fields.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        fields: BTreeMap<String, Option<String>>,
        /// Matches held back before it.
        #[serde(skip_serializing_if = "is_zero")]
        held_back: u64,
        /// A sentence.
        output: String,
        /// Where; absent for the host.
        #[serde(flatten, skip_serializing_if = "Option::is_none")]
        of: Option<Box<ContainerNames>>,
    },
    /// For a while the agent saw nothing.
    Blind {
        /// Why.
        reason: &'static str,
        /// From when to when.
        #[serde(flatten)]
        interval: Interval,
    },
    /// What is seen, and how well.
    Coverage {
        /// Hook or control.
        at: String,
        /// `SUPPORTED`, `DEGRADED` or `UNSUPPORTED`.
        state: String,
        /// Why, unless supported.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The start scan is done and everything that runs was judged.
    Ready {
        /// Containers found.
        containers: u64,
        /// Processes found.
        processes: u64,
    },
    /// The agent stops.
    Stop {
        /// Why.
        reason: String,
    },
}

/// A container, with its names if they are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ContainerNames {
    /// Runtime's id.
    pub container_id: String,
    /// Kubernetes namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// Name in the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
}

impl ContainerNames {
    /// As it is known now.
    #[must_use]
    pub fn of(entry: &ContainerEntry) -> Self {
        let names = match &entry.names {
            Enrichment::Complete(names) => Some(names),
            Enrichment::Pending(_) => None,
        };
        Self {
            container_id: entry.id.to_string(),
            namespace: names.map(|names| names.namespace.clone()),
            pod: names.map(|names| names.pod.clone()),
            container: names.map(|names| names.container.clone()),
        }
    }

    /// For people; inert.
    fn place(&self) -> String {
        match (&self.namespace, &self.pod, &self.container) {
            (Some(namespace), Some(pod), Some(container)) => {
                format!("{}/{}/{}", inert(namespace), inert(pod), inert(container))
            }
            _ => format!("container {}", self.container_id.get(..12).unwrap_or(&self.container_id)),
        }
    }
}

/// From one moment to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Interval {
    /// RFC 3339.
    pub from: String,
    /// RFC 3339.
    pub to: String,
    /// `CLOCK_BOOTTIME`, nanoseconds.
    pub from_boottime_ns: u64,
    /// `CLOCK_BOOTTIME`, nanoseconds.
    pub to_boottime_ns: u64,
    /// From when, by both clocks.
    #[serde(skip)]
    pub from_clock: Clock,
    /// To when, by both clocks.
    #[serde(skip)]
    pub to_clock: Clock,
}

impl Interval {
    /// Between two moments.
    #[must_use]
    pub fn new(from: Clock, to: Clock) -> Self {
        Self {
            from: from.rfc3339(),
            to: to.rfc3339(),
            from_boottime_ns: from.boottime_ns,
            to_boottime_ns: to.boottime_ns,
            from_clock: from,
            to_clock: to,
        }
    }
}

impl Body {
    /// Events that a ring or queue had no room for.
    #[must_use]
    pub fn loss(at: &'static str, lost: u64, reason: &'static str, from: Clock, to: Clock) -> Self {
        Self::Loss { at, lost, reason, interval: Interval::new(from, to) }
    }

    /// For people, where it matters to whoever watches; findings have a line of their own.
    #[must_use]
    pub fn sentence(&self) -> Option<String> {
        match self {
            Self::Finding(_) | Self::Coverage { .. } => None,
            Self::Loss { at, lost, reason, interval } => Some(format!(
                "LOSS      {lost} at {at} between {} and {}: {reason}",
                interval.from, interval.to
            )),
            Self::Throttled { of, cgroup, events, interval } => {
                let place = match of {
                    Some(container) => container.place(),
                    None => format!("cgroup {cgroup}"),
                };
                Some(format!(
                    "THROTTLED {events} events in {place} between {} and {}",
                    interval.from, interval.to
                ))
            }
            Self::Detection { rule, output, of, .. } => {
                let place = of.as_ref().map_or_else(|| "host".to_owned(), |container| container.place());
                Some(format!("DETECT    {}: {place}: {}", inert(rule), inert(output)))
            }
            Self::Blind { reason, interval } => {
                Some(format!("BLIND     from {} to {}: {reason}", interval.from, interval.to))
            }
            Self::Ready { containers, processes } => {
                Some(format!("READY     {containers} containers and {processes} processes were there before"))
            }
            Self::Stop { reason } => Some(format!("STOP      {reason}")),
        }
    }

    /// Events that were held back.
    #[must_use]
    pub fn throttled(throttled: &Throttled) -> Self {
        let Throttled { container, cgroup, events, from, to, begins: _ } = throttled;
        Self::Throttled {
            of: container.as_ref().map(|container| Box::new(ContainerNames::of(container))),
            cgroup: *cgroup,
            events: *events,
            interval: Interval::new(*from, *to),
        }
    }

    /// What the agent detected by itself.
    #[must_use]
    pub fn detected(detected: &Detected) -> Self {
        let Detected { at: _, rule, severity, tags, output, container } = detected;
        Self::Detection {
            rule: (*rule).to_owned(),
            severity: *severity,
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            priority: None,
            fields: BTreeMap::new(),
            held_back: 0,
            output: output.clone(),
            of: container.as_ref().map(|container| Box::new(ContainerNames::of(container))),
        }
    }

    /// A match of a rule.
    #[must_use]
    pub fn detection(detection: &Detection) -> Self {
        let Detection { rule, output, fields, container, held_back, .. } = detection;
        Self::Detection {
            rule: rule.name.clone(),
            severity: rule.severity(),
            tags: rule.tags.clone(),
            priority: Some(rule.priority.as_str()),
            fields: fields.iter().cloned().collect(),
            held_back: *held_back,
            output: output.clone(),
            of: container.as_ref().map(|container| Box::new(ContainerNames::of(container))),
        }
    }

    /// A time in which nothing was seen.
    #[must_use]
    pub fn blind(reason: &'static str, from: Clock, to: Clock) -> Self {
        Self::Blind { reason, interval: Interval::new(from, to) }
    }
}

/// A finding.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// Stays the same over restarts.
    pub id: String,
    /// `OPEN`, `UPDATED` or `RESOLVED`.
    pub state: &'static str,
    /// Why it was resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// Whether somebody is to be told, or it is only listed.
    pub alert: bool,
    /// PASS does not occur.
    pub verdict: Verdict,
    /// Why, when UNKNOWN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<&'static str>,
    /// Who answers for it, when EXEMPT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exemption: Option<Exemption>,
    /// Severity of the verdict.
    pub severity: Severity,
    /// The control.
    pub control: Control,
    /// `COMPLETE` or `PENDING`.
    pub enrichment: &'static str,
    /// Why PENDING.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<&'static str>,
    /// Whose it is, once that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload: Option<Workload>,
    /// Pod of the first instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// Name of the container in its pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Runtime's id of the container of the first instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_id: Option<String>,
    /// Image as asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Digest of the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_digest: Option<String>,
    /// Evidence of the first instance: what the kernel holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed: Option<String>,
    /// Evidence of the first instance: what the pod asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declared: Option<String>,
    /// The first instance's process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    /// RFC 3339.
    pub first_seen: String,
    /// RFC 3339.
    pub last_seen: String,
    /// How many images were seen to violate the control.
    pub count: u64,
    /// How often it came back.
    pub reopened: u32,
    /// Tasks that violate it, the worst first.
    pub instances: Vec<Instance>,
    /// How many more there are.
    pub more_instances: u64,
    /// Ids under which this finding was known before its container had a name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub completes: Vec<String>,
    /// Id under which this finding goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<String>,
    /// How to fix it.
    pub fix: &'static str,
}

/// A control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Control {
    /// Its name in files and metrics.
    pub slug: &'static str,
    /// Its name in the Pod Security Standards or CIS.
    pub title: &'static str,
    /// The standard that asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pss: Option<PssLevel>,
    /// Recommendation of the CIS Kubernetes Benchmark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cis: Option<&'static str>,
}

/// A workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Workload {
    /// Kind of the owner.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
}

/// Who answers for a violation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exemption {
    /// Who.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Last day, `YYYY-MM-DD`; none for what is built in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

/// A task that violates a control.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Instance {
    /// Verdict on it alone.
    pub verdict: Verdict,
    /// Runtime's id of its container.
    pub container_id: String,
    /// Who.
    pub process: Process,
    /// What the kernel holds.
    pub observed: String,
    /// What the pod asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declared: Option<String>,
    /// RFC 3339.
    pub since: String,
}

/// A process, or a thread of one. Its texts are inert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Process {
    /// Process id on the host.
    pub pid: u32,
    /// Thread id on the host.
    pub tid: u32,
    /// Process id in the container.
    pub ns_pid: u32,
    /// Start in ticks of 10 ms since boot: with `pid`, safe against reuse.
    pub start_ticks: u64,
    /// Path of the executable.
    pub exe: String,
    /// Name of the task.
    pub comm: String,
    /// Real user id on the host.
    pub uid: u32,
    /// Effective user id on the host.
    pub euid: u32,
    /// Effective user id in its user namespace.
    pub ns_euid: u32,
}

impl<'a> Event<'a> {
    /// An event of that moment.
    #[must_use]
    pub fn new(origin: &'a Origin, at: Clock, body: Body) -> Self {
        Self { schema: SCHEMA, origin, time: at.rfc3339(), boottime_ns: at.boottime_ns, body }
    }

    /// A change of a finding.
    #[must_use]
    pub fn of_change(origin: &'a Origin, change: &Change) -> Self {
        Self::new(origin, change.at, Body::Finding(Box::new(Finding::of(change))))
    }

    /// Writes the event as one line of JSON, newline included. Hostile characters in strings are
    /// written as `\u` escapes: nothing is lost, and the line is inert on a terminal.
    ///
    /// # Errors
    ///
    /// When `out` does not take it.
    pub fn write_line(&self, mut out: impl Write) -> std::io::Result<()> {
        let mut serializer = serde_json::Serializer::with_formatter(&mut out, InertFormatter);
        self.serialize(&mut serializer)?;
        out.write_all(b"\n")
    }
}

/// Why a container has no name, as a word.
#[must_use]
pub const fn pending_word(reason: PendingReason) -> &'static str {
    match reason {
        PendingReason::Asked => "asked",
        PendingReason::NoRuntime => "no-runtime",
        PendingReason::RuntimeUnavailable => "runtime-unavailable",
        PendingReason::NotKnown => "not-known",
        PendingReason::QueueFull => "queue-full",
    }
}

impl Finding {
    /// From a change.
    #[must_use]
    pub fn of(change: &Change) -> Self {
        let (state, reason) = match change.kind {
            ChangeKind::Open => ("OPEN", None),
            ChangeKind::Updated => ("UPDATED", None),
            ChangeKind::Resolved(resolution) => ("RESOLVED", Some(resolution.as_str())),
        };
        Self::of_report(&change.finding, state, reason, change.alert)
    }

    fn of_report(
        report: &FindingReport,
        state: &'static str,
        reason: Option<&'static str>,
        alert: bool,
    ) -> Self {
        let control = report.control.control();
        let names = report.names.as_deref();
        let instances: Vec<_> = report.instances.iter().map(Instance::of).collect();
        let first = instances.first();
        let (workload, container, container_id) = match &report.subject {
            Subject::Workload { namespace, kind, name, container } => (
                Some(Workload { kind: kind.clone(), name: name.clone(), namespace: namespace.clone() }),
                Some(container.clone()),
                first.map(|first| first.container_id.clone()),
            ),
            Subject::Container(id) => (None, None, Some(id.clone())),
            Subject::Node => (None, None, None),
        };
        Self {
            id: report.id.to_string(),
            state,
            reason,
            alert,
            verdict: report.verdict,
            unknown: report
                .instances
                .first()
                .and_then(|first| first.unknown)
                .filter(|_| report.verdict == Verdict::Unknown)
                .map(|reason| reason.as_str()),
            exemption: report.exemption.as_deref().map(|exemption| Exemption {
                owner: exemption.owner.clone(),
                reason: exemption.reason.clone(),
                expires: exemption.expires.map(|day| day.to_string()),
            }),
            severity: report.severity,
            control: Control {
                slug: control.slug,
                title: control.title,
                pss: control.pss.map(|pss| pss.level),
                cis: control.cis.first().copied(),
            },
            enrichment: if report.subject.is_pending() || report.pending.is_some() {
                "PENDING"
            } else {
                "COMPLETE"
            },
            pending: report.pending.map(pending_word),
            workload,
            pod: names.map(|names| names.pod.clone()),
            container,
            container_id,
            image: names.map(|names| names.image.clone()),
            image_digest: names.and_then(|names| names.image_digest.clone()),
            observed: first.map(|first| first.observed.clone()),
            declared: first.and_then(|first| first.declared.clone()),
            process: first.map(|first| first.process.clone()),
            first_seen: report.first_seen.rfc3339(),
            last_seen: report.last_seen.rfc3339(),
            count: report.count,
            reopened: report.reopened,
            more_instances: report.more_instances,
            completes: report.completes.iter().map(ToString::to_string).collect(),
            superseded_by: report.superseded_by.map(|id| id.to_string()),
            fix: control.fix,
            instances,
        }
    }
}

impl Instance {
    fn of(report: &InstanceReport) -> Self {
        Self {
            verdict: report.verdict,
            container_id: report.container.map(|id| id.to_string()).unwrap_or_default(),
            process: Process {
                pid: report.process.tgid,
                tid: report.tid,
                ns_pid: report.ns_tgid,
                start_ticks: report.process.start_ticks,
                exe: inert(&report.exe),
                comm: inert_comm(&report.comm),
                uid: report.uid,
                euid: report.euid,
                ns_euid: report.ns_euid,
            },
            observed: report.explanation.observed.clone(),
            declared: report.explanation.declared.clone(),
            since: report.since.rfc3339(),
        }
    }
}

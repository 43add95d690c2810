//! Flags to the collector's filter.

use kestrel_proto::v1;

use crate::args::{FilterArgs, Kind, Priority, Severity, Verdict};

/// The filter of these flags.
#[must_use]
pub fn of(args: &FilterArgs, kinds: &[Kind]) -> v1::Filter {
    let FilterArgs {
        namespace,
        pod,
        container,
        image,
        control,
        verdict,
        severity,
        rule,
        priority,
        tag,
        node,
    } = args.clone();
    v1::Filter {
        kinds: kinds.iter().map(|&kind| kind_of(kind).into()).collect(),
        min_severity: severity.map_or(v1::Severity::Unspecified, severity_of).into(),
        namespaces: namespace,
        pods: pod,
        containers: container,
        images: image,
        controls: control,
        verdicts: verdict.into_iter().map(|verdict| verdict_of(verdict).into()).collect(),
        rules: rule,
        nodes: node,
        min_priority: priority.map_or(v1::Priority::Unspecified, priority_of).into(),
        tags: tag,
    }
}

/// A filter for these nodes alone.
#[must_use]
pub fn of_nodes(nodes: &[String]) -> v1::Filter {
    v1::Filter { nodes: nodes.to_vec(), ..Default::default() }
}

const fn kind_of(kind: Kind) -> v1::EventKind {
    match kind {
        Kind::Finding => v1::EventKind::Finding,
        Kind::Detection => v1::EventKind::Detection,
        Kind::Exec => v1::EventKind::Exec,
        Kind::Exit => v1::EventKind::Exit,
        Kind::Credentials => v1::EventKind::Credentials,
        Kind::Container => v1::EventKind::Container,
        Kind::File => v1::EventKind::File,
        Kind::Network => v1::EventKind::Network,
        Kind::System => v1::EventKind::System,
        Kind::Loss => v1::EventKind::Loss,
        Kind::Node => v1::EventKind::Node,
    }
}

const fn priority_of(priority: Priority) -> v1::Priority {
    match priority {
        Priority::Debug => v1::Priority::Debug,
        Priority::Informational => v1::Priority::Informational,
        Priority::Notice => v1::Priority::Notice,
        Priority::Warning => v1::Priority::Warning,
        Priority::Error => v1::Priority::Error,
        Priority::Critical => v1::Priority::Critical,
        Priority::Alert => v1::Priority::Alert,
        Priority::Emergency => v1::Priority::Emergency,
    }
}

const fn severity_of(severity: Severity) -> v1::Severity {
    match severity {
        Severity::Info => v1::Severity::Info,
        Severity::Low => v1::Severity::Low,
        Severity::Medium => v1::Severity::Medium,
        Severity::High => v1::Severity::High,
        Severity::Critical => v1::Severity::Critical,
    }
}

pub(crate) const fn verdict_of(verdict: Verdict) -> v1::Verdict {
    match verdict {
        Verdict::Pass => v1::Verdict::Pass,
        Verdict::Exempt => v1::Verdict::Exempt,
        Verdict::Unknown => v1::Verdict::Unknown,
        Verdict::Fail => v1::Verdict::Fail,
        Verdict::Drift => v1::Verdict::Drift,
    }
}

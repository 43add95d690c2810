//! Findings.

use agent_abi::record::UNMAPPED;
use bytes::Bytes;
use kestrel_proto::v1;

use super::{container, process, wall};
use crate::posture::{
    Change, ChangeKind, ControlId, Exemption, FindingReport, InstanceReport, Resolution, Scope, Severity,
    Subject, Verdict,
};

pub(super) fn of_change(change: &Change) -> v1::Finding {
    let (state, why) = match change.kind {
        ChangeKind::Open => (v1::FindingState::Open, v1::Resolution::Unspecified),
        ChangeKind::Updated => (v1::FindingState::Updated, v1::Resolution::Unspecified),
        ChangeKind::Resolved(why) => (v1::FindingState::Resolved, resolution(why)),
    };
    v1::Finding { state: state.into(), resolution: why.into(), ..of_report(&change.finding) }
}

/// A finding that is open, as of now.
pub(super) fn of_open(report: &FindingReport) -> v1::Finding {
    v1::Finding { state: v1::FindingState::Open.into(), ..of_report(report) }
}

fn of_report(report: &FindingReport) -> v1::Finding {
    let FindingReport {
        id,
        control,
        verdict: worst,
        severity: how_bad,
        subject,
        names,
        pending,
        exemption: exempt,
        first_seen,
        last_seen,
        count,
        reopened,
        instances,
        more_instances,
        completes,
        superseded_by,
    } = report;
    let first = instances.first();
    let names = names.as_deref();
    let (workload, name, container_id) = match subject {
        Subject::Workload { namespace, kind, name, container } => (
            Some(v1::Workload { kind: kind.clone(), name: name.clone(), namespace: namespace.clone() }),
            container.clone(),
            first.and_then(|first| first.container).map(|id| id.to_string()).unwrap_or_default(),
        ),
        Subject::Container(id) => (None, String::new(), id.clone()),
        Subject::Node => (None, String::new(), String::new()),
    };
    let unknown = first.and_then(|first| first.unknown).filter(|_| *worst == Verdict::Unknown);
    v1::Finding {
        id: id.to_string(),
        state: v1::FindingState::Unspecified.into(),
        resolution: v1::Resolution::Unspecified.into(),
        alert: worst.alerts(),
        verdict: verdict(*worst).into(),
        unknown_reason: unknown.map(|reason| reason.as_str().to_owned()).unwrap_or_default(),
        exemption: exempt.as_deref().map(exemption),
        severity: severity(*how_bad).into(),
        control: Some(control_of(*control)),
        workload,
        pod: names.map(|names| names.pod.clone()).unwrap_or_default(),
        container: name,
        container_id,
        image: names.map(|names| names.image.clone()).unwrap_or_default(),
        image_digest: names.and_then(|names| names.image_digest.clone()),
        pending: pending.map_or(v1::Pending::Unspecified, container::pending).into(),
        first_seen_unix_ns: wall(*first_seen),
        last_seen_unix_ns: wall(*last_seen),
        count: *count,
        reopened: *reopened,
        instances: instances.iter().map(instance).collect(),
        more_instances: *more_instances,
        completes: completes.iter().map(ToString::to_string).collect(),
        superseded_by: superseded_by.map(|id| id.to_string()),
        fix: control.control().fix.to_owned(),
    }
}

fn instance(report: &InstanceReport) -> v1::FindingInstance {
    let InstanceReport {
        verdict: own,
        // Goes with the finding's verdict.
        unknown: _,
        container,
        process: id,
        tid,
        ns_tgid,
        exe,
        comm,
        uid,
        euid,
        ns_euid,
        explanation,
        since,
    } = report;
    v1::FindingInstance {
        verdict: verdict(*own).into(),
        container_id: container.map(|id| id.to_string()).unwrap_or_default(),
        process: Some(process::id(*id, 0)),
        tid: *tid,
        ns_tgid: *ns_tgid,
        exe: Bytes::copy_from_slice(exe),
        comm: process::text(comm),
        uid: *uid,
        euid: *euid,
        ns_euid: (*ns_euid != UNMAPPED).then_some(*ns_euid),
        observed: explanation.observed.clone(),
        declared: explanation.declared.clone(),
        since_unix_ns: wall(*since),
    }
}

fn control_of(id: ControlId) -> v1::Control {
    let control = id.control();
    v1::Control {
        slug: control.slug.to_owned(),
        title: control.title.to_owned(),
        pss: control.pss.map(|pss| pss.level.as_str().to_owned()),
        cis: control.cis.first().map(|&number| number.to_owned()),
        scope: scope(control.scope).into(),
    }
}

const fn scope(scope: Scope) -> v1::Scope {
    match scope {
        Scope::Task => v1::Scope::Task,
        Scope::Container => v1::Scope::Container,
        Scope::Node => v1::Scope::Node,
    }
}

pub(super) fn exemption(exemption: &Exemption) -> v1::Exemption {
    v1::Exemption {
        owner: exemption.owner.clone(),
        reason: exemption.reason.clone(),
        expires: exemption.expires.map(|day| day.to_string()),
    }
}

pub(super) const fn verdict(verdict: Verdict) -> v1::Verdict {
    match verdict {
        Verdict::Pass => v1::Verdict::Pass,
        Verdict::Exempt => v1::Verdict::Exempt,
        Verdict::Unknown => v1::Verdict::Unknown,
        Verdict::Fail => v1::Verdict::Fail,
        Verdict::Drift => v1::Verdict::Drift,
    }
}

pub(super) const fn severity(severity: Severity) -> v1::Severity {
    match severity {
        Severity::Low => v1::Severity::Low,
        Severity::Medium => v1::Severity::Medium,
        Severity::High => v1::Severity::High,
        Severity::Critical => v1::Severity::Critical,
    }
}

const fn resolution(resolution: Resolution) -> v1::Resolution {
    match resolution {
        Resolution::Quiet => v1::Resolution::Quiet,
        Resolution::Gone => v1::Resolution::Gone,
        Resolution::NotThereAfterRestart => v1::Resolution::NotThereAfterRestart,
        Resolution::Superseded => v1::Resolution::Superseded,
        Resolution::Evicted => v1::Resolution::Evicted,
    }
}

//! Notices: what was lost, when the agent was blind, what it sees, that it is ready or stops.

use kestrel_proto::v1::{self, record::Event};

use crate::{
    output::event::{Body, Interval},
    posture::ControlId,
};

/// `None` for a finding, and for what refers to a container.
pub(super) fn event(body: &Body) -> Option<Event> {
    Some(match body {
        // They refer to a container, and are made of more than this.
        Body::Finding(_) | Body::Throttled { .. } | Body::Detection { .. } => return None,
        Body::Loss { at, lost, reason, interval } => Event::Loss(v1::Loss {
            at: (*at).to_owned(),
            lost: *lost,
            reason: (*reason).to_owned(),
            interval: Some(of_interval(interval)),
        }),
        Body::Blind { reason, interval } => {
            Event::Blind(v1::Blind { reason: (*reason).to_owned(), interval: Some(of_interval(interval)) })
        }
        Body::Coverage { at, state, reason } => Event::Coverage(v1::Coverage {
            at: at.clone(),
            kind: kind(at).into(),
            support: support(state).into(),
            reason: reason.clone().unwrap_or_default(),
        }),
        Body::Ready { containers, processes } => {
            Event::Ready(v1::AgentReady { containers: *containers, processes: *processes })
        }
        Body::Stop { reason } => Event::Stop(v1::AgentStop { reason: reason.clone() }),
    })
}

pub(super) fn of_interval(interval: &Interval) -> v1::Interval {
    let Interval { from_clock, to_clock, .. } = interval;
    v1::Interval {
        from_boottime_ns: from_clock.boottime_ns,
        to_boottime_ns: to_clock.boottime_ns,
        from_unix_ns: super::wall(*from_clock),
        to_unix_ns: super::wall(*to_clock),
    }
}

/// Controls have their slugs; all else that is reported is a hook.
fn kind(at: &str) -> v1::CoverageKind {
    match ControlId::from_slug(at) {
        Some(_) => v1::CoverageKind::Control,
        None => v1::CoverageKind::Hook,
    }
}

fn support(state: &str) -> v1::Support {
    match state {
        "SUPPORTED" => v1::Support::Supported,
        "DEGRADED" => v1::Support::Degraded,
        "UNSUPPORTED" => v1::Support::Unsupported,
        _ => v1::Support::Unspecified,
    }
}

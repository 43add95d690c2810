//! Whose raw events are: the same questions are asked of each kind.

use crate::v1::{Actor, ProcessId, record::Event};

/// Who did it; `None` where an event does not say, or is no raw one.
#[must_use]
pub const fn actor(event: &Event) -> Option<&Actor> {
    match event {
        Event::File(it) => it.actor.as_ref(),
        Event::Path(it) => it.actor.as_ref(),
        Event::Call(it) => it.actor.as_ref(),
        Event::Socket(it) => it.actor.as_ref(),
        Event::UringDone(it) => it.actor.as_ref(),
        Event::OomKill(it) => it.victim.as_ref(),
        Event::AgentSignal(it) => it.actor.as_ref(),
        Event::Sysctl(it) => it.actor.as_ref(),
        _ => None,
    }
}

/// Container of an event that says so itself.
#[must_use]
pub fn container_id(event: &Event) -> Option<&str> {
    match event {
        Event::SocketState(it) => it.container_id.as_deref(),
        Event::Packet(it) => it.container_id.as_deref(),
        event => actor(event).and_then(|actor| actor.container_id.as_deref()),
    }
}

/// Process and container that a raw event refers to by id.
#[must_use]
pub fn refers(event: &Event) -> (Option<&ProcessId>, Option<&str>) {
    (actor(event).and_then(|actor| actor.process.as_ref()), container_id(event))
}

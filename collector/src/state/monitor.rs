//! Nodes that fall silent, go blind, and come back: said in the log, so that everybody learns it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use kestrel_proto::v1::{Heartbeat, NodeCondition, NodeStatus};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{NodeKey, Presence, State, presence::unix_ns};
use crate::log::{Content, FrameBody, Log, Source};

/// Most reasons of an agent that are repeated.
const REASONS: usize = 5;
/// Longest reason.
const REASON: usize = 200;

/// When a node counts as silent.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Nothing was heard for so long. After a start, nodes that the log knows have as long to come.
    pub silent_after: Duration,
    /// From one look to the next.
    pub look: Duration,
}

impl Patience {
    /// Looks often enough for `silent_after`.
    #[must_use]
    pub fn new(silent_after: Duration) -> Self {
        let look = (silent_after / 10).clamp(Duration::from_millis(50), Duration::from_secs(1));
        Self { silent_after, look }
    }
}

/// Looks after all nodes until `stop`. What changes is appended to the log; when the log takes nothing
/// it is tried again at each look.
pub async fn watch(state: State, log: Log, patience: Patience, stop: CancellationToken) {
    let start = Instant::now();
    let mut ticks = interval(patience.look);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Said, and not yet in the state.
    let mut said: HashMap<NodeKey, (i32, u64)> = HashMap::new();
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        for (key, boot_id, status) in changes(&state, start, patience, &mut said) {
            let (cluster, node) = key.clone();
            let (condition, reason) = (status.condition, status.detail.clone());
            let body = FrameBody {
                source: Source { cluster, node, boot_id: boot_id.as_str().into() },
                received_unix_ns: unix_ns(),
                content: Content::Node(status),
            };
            match log.append(body).await {
                Ok(frame) => {
                    let name = inert::inert(key.1.as_bytes());
                    match NodeCondition::try_from(condition) {
                        Ok(NodeCondition::Healthy) => info!(node = name, "node is well again"),
                        Ok(NodeCondition::Silent) => warn!(node = name, reason, "node is silent"),
                        _ => warn!(node = name, reason, "node is blind"),
                    }
                    said.insert(key, (condition, frame));
                }
                Err(error) => {
                    warn!(error = error.sentence(), "a node's condition cannot be put into the log")
                }
            }
        }
    }
}

/// Nodes whose condition is not what the log says.
fn changes(
    state: &State,
    start: Instant,
    patience: Patience,
    said: &mut HashMap<NodeKey, (i32, u64)>,
) -> Vec<(NodeKey, String, NodeStatus)> {
    let fold = state.read();
    said.retain(|_, &mut (_, frame)| frame >= fold.next_frame());
    let now = Instant::now();
    fold.nodes()
        .filter(|&(key, _)| !said.contains_key(key))
        .filter_map(|(key, node)| {
            let presence = state.presences().get(key);
            let (condition, detail) = judge(&node.status, presence.as_ref(), start, now, patience)?;
            if condition == node.status.condition() {
                return None;
            }
            let since = match (condition, &presence) {
                (NodeCondition::Silent, Some(presence)) if presence.heard_unix_ns > 0 => {
                    presence.heard_unix_ns
                }
                (NodeCondition::Silent, _) if node.last_frame_unix_ns > 0 => node.last_frame_unix_ns,
                _ => unix_ns(),
            };
            let mut status = NodeStatus { since_unix_ns: since, detail, ..NodeStatus::default() };
            status.set_condition(condition);
            Some(((Arc::clone(&key.0), Arc::clone(&key.1)), node.hello.boot_id.clone(), status))
        })
        .collect()
}

/// The condition that a node is in, and why; nothing where that cannot be said yet.
fn judge(
    status: &NodeStatus,
    presence: Option<&Presence>,
    start: Instant,
    now: Instant,
    patience: Patience,
) -> Option<(NodeCondition, String)> {
    let heard_at = presence.map_or(start, |presence| presence.heard_at);
    let quiet = now.duration_since(heard_at);
    if quiet > patience.silent_after {
        let stopped = if status.condition() == NodeCondition::Stopped {
            " after the agent said that it stops and did not come back"
        } else {
            ""
        };
        let shown = settings::unit::show_duration(patience.silent_after);
        return Some((NodeCondition::Silent, format!("nothing was heard for more than {shown}{stopped}")));
    }
    let presence = presence?;
    if status.condition() == NodeCondition::Stopped && !presence.is_connected() {
        return None;
    }
    match &presence.heartbeat {
        Some(heartbeat) => Some(match why_blind(heartbeat) {
            Some(why) => (NodeCondition::Blind, why),
            None => (NodeCondition::Healthy, String::new()),
        }),
        // It is back, but whether it sees is known with its first heartbeat.
        None if presence.is_connected() && status.condition() == NodeCondition::Silent => {
            Some((NodeCondition::Healthy, String::new()))
        }
        None => None,
    }
}

fn why_blind(heartbeat: &Heartbeat) -> Option<String> {
    let mut reasons = Vec::new();
    if let Some(canary) = heartbeat.canary.as_ref().filter(|canary| canary.failing) {
        reasons.push(format!(
            "it does not see the program that it runs itself ({} of {} times)",
            canary.failures, canary.runs
        ));
    }
    if !heartbeat.healthy {
        let told = heartbeat.problems.iter().take(REASONS);
        reasons.extend(told.map(|problem| inert::fit(&inert::inert(problem), REASON)));
        if reasons.is_empty() {
            reasons.push("the agent says that it is not healthy".to_owned());
        }
    }
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

#[cfg(test)]
mod tests {
    use kestrel_proto::v1::{Canary, Rules};

    use super::*;

    fn heartbeat(healthy: bool, failing: bool) -> Heartbeat {
        let canary = Canary { failing, runs: 3, failures: 2, ..Canary::default() };
        Heartbeat { healthy, canary: Some(canary), ..Heartbeat::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn conditions() {
        let patience = Patience::new(Duration::from_secs(60));
        let state = super::super::tests::empty();
        let key: NodeKey = ("c".into(), "n".into());
        let start = Instant::now();
        let judged = |condition: NodeCondition| {
            let mut status = NodeStatus::default();
            status.set_condition(condition);
            let presence = state.presences().get(&key);
            judge(&status, presence.as_ref(), start, Instant::now(), patience).map(|(condition, _)| condition)
        };
        // Known from the log only: it has time to come.
        assert_eq!(judged(NodeCondition::Healthy), None);
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(judged(NodeCondition::Healthy), Some(NodeCondition::Silent));
        let connection = state.connect("c", "n");
        assert_eq!(judged(NodeCondition::Silent), Some(NodeCondition::Healthy));
        assert_eq!(judged(NodeCondition::Blind), None);
        state.heard("c", "n", heartbeat(true, true));
        assert_eq!(judged(NodeCondition::Healthy), Some(NodeCondition::Blind));
        state.heard("c", "n", heartbeat(false, false));
        assert_eq!(judged(NodeCondition::Healthy), Some(NodeCondition::Blind));
        state.heard("c", "n", heartbeat(true, false));
        assert_eq!(judged(NodeCondition::Blind), Some(NodeCondition::Healthy));
        // A connection that says nothing is no life.
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(judged(NodeCondition::Healthy), Some(NodeCondition::Silent));
        drop(connection);
        // It said that it stops: that alone is no alarm, but not coming back is.
        state.heard("c", "n", heartbeat(true, false));
        assert_eq!(judged(NodeCondition::Stopped), None);
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(judged(NodeCondition::Stopped), Some(NodeCondition::Silent));
    }

    #[tokio::test]
    async fn nodes_that_refused_their_newest_rules_are_counted() {
        let state = super::super::tests::empty();
        let connection = state.connect("c", "n");
        let rules = |error: Option<&str>| {
            let rules = Rules { error: error.map(str::to_owned), ..Rules::default() };
            Heartbeat { rules: Some(rules), ..heartbeat(true, false) }
        };
        for (error, refusing) in [(None, 0), (Some("local.yaml:3:1: no"), 1), (None, 0), (Some("x"), 1)] {
            state.heard("c", "n", rules(error));
            assert_eq!(state.presences().refusing_rules(), refusing);
        }
        // What is not there refuses nothing.
        drop(connection);
        assert_eq!(state.presences().refusing_rules(), 0);
    }

    #[tokio::test]
    async fn the_newer_connection_counts() {
        let state = super::super::tests::empty();
        let key: NodeKey = ("c".into(), "n".into());
        let connected = || state.presences().get(&key).is_some_and(|presence| presence.is_connected());
        let old = state.connect("c", "n");
        let new = state.connect("c", "n");
        drop(old);
        assert!(connected());
        drop(new);
        assert!(!connected());
    }
}

//! Looks into containers, and reads the node, for the hot loop: each on a thread of its own, so that a file
//! that does not answer holds up no other.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::{
    inspect::{
        Inspector,
        node::{self, Candidate, NodePaths},
    },
    pipeline::{Inspected, InspectionQuestion, Message},
    telemetry::Telemetry,
};

/// Looks, until the hot loop is gone. Blocks.
pub(super) fn run(
    mut inspector: Inspector,
    mut questions: mpsc::Receiver<InspectionQuestion>,
    messages: &mpsc::Sender<Message>,
    telemetry: &Arc<Telemetry>,
) {
    while let Some(question) = questions.blocking_recv() {
        let inspection = inspector.inspect(&question.id, &question.cgroup_path, &question.processes);
        let count =
            if inspection.is_some() { &telemetry.posture.inspected } else { &telemetry.posture.missed };
        count.add(1);
        let inspected = Inspected { key: question.key, inspection };
        if messages.blocking_send(Message::Inspected(Box::new(inspected))).is_err() {
            return;
        }
    }
}

/// Reads the node, until the hot loop is gone. Blocks.
pub(super) fn read_node(mut questions: mpsc::Receiver<Vec<Candidate>>, messages: &mpsc::Sender<Message>) {
    let paths = NodePaths::default();
    while let Some(candidates) = questions.blocking_recv() {
        let facts = node::read(&paths, &candidates);
        if messages.blocking_send(Message::NodeRead(Box::new(facts))).is_err() {
            return;
        }
    }
}

//! When the node itself is read, and by which processes.

use crate::{
    context::{Container, Context, Enrichment, Process},
    inspect::node::{Candidate, Home, may_be},
    time::SECOND,
};

/// Between two reads of the node: what it reads is set at boot, or by a person.
const EVERY_NS: u64 = 300 * SECOND;
/// After a question that found no room.
const AGAIN_NS: u64 = SECOND;

/// When the node is due.
#[derive(Debug, Default)]
pub(super) struct NodeReads {
    due: Option<u64>,
}

impl NodeReads {
    /// The start scan is in, and containers have their names by `at_ns`.
    pub(super) fn begin(&mut self, at_ns: u64) {
        self.due.get_or_insert(at_ns);
    }

    /// Asks through `ask`, which says whether there was room.
    pub(super) fn tick(&mut self, context: &Context, now_ns: u64, ask: impl FnOnce(Vec<Candidate>) -> bool) {
        if self.due.is_none_or(|due| due > now_ns) {
            return;
        }
        let next = if ask(candidates(context)) { EVERY_NS } else { AGAIN_NS };
        self.due = Some(now_ns.saturating_add(next));
    }
}

fn candidates(context: &Context) -> Vec<Candidate> {
    let processes = context.processes().filter(|process| may_be(&process.exe_path));
    processes.map(|process| Candidate { tgid: process.id.tgid, home: home(context, process) }).collect()
}

fn home(context: &Context, process: &Process) -> Home {
    let Some(key) = process.container else { return Home::Host };
    match context.container(key).map(|container: &Container| &container.enrichment) {
        Some(Enrichment::Complete(names)) => Home::Pod { namespace: names.namespace.clone() },
        Some(Enrichment::Pending(_)) | None => Home::Unnamed,
    }
}

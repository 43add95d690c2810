//! What ingest asks of the state.

use std::sync::Arc;

use kestrel_proto::v1;

use crate::{
    ingest::{Connected, Registry},
    log::Source,
    state::State,
};

struct OfState(State);

/// The state, as ingest sees it.
pub(super) fn of(state: &State) -> Arc<dyn Registry> {
    Arc::new(OfState(state.clone()))
}

impl Registry for OfState {
    fn watermarks(&self, cluster: &str, node: &str, epochs: &[u64]) -> Vec<v1::Watermark> {
        self.0.watermarks(cluster, node, epochs)
    }

    fn connected(&self, source: &Source) -> Connected {
        Box::new(self.0.connect(&source.cluster, &source.node))
    }

    fn heard(&self, source: &Source, heartbeat: v1::Heartbeat) {
        self.0.heard(&source.cluster, &source.node, heartbeat);
    }

    fn held_back(&self, source: &Source) {
        self.0.presences().touch(&(Arc::clone(&source.cluster), Arc::clone(&source.node)));
    }
}

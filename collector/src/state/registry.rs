//! What ingest tells the state of connections, and asks it.

use std::sync::Arc;

use kestrel_proto::v1::{Heartbeat, Hello, Watermark};

use super::{NodeKey, State};
use crate::{ingest::Registry, log::Source};

impl Registry for State {
    fn watermarks(&self, cluster: &str, node: &str, epochs: &[u64]) -> Vec<Watermark> {
        let fold = self.read();
        fold.node(cluster, node).map(|node| node.watermarks(epochs)).unwrap_or_default()
    }

    fn connected(&self, source: &Source, _hello: &Hello) {
        self.presences().connected(&key(source));
    }

    fn heard(&self, source: &Source, heartbeat: Heartbeat) {
        self.presences().heard(&key(source), heartbeat);
    }

    fn held_back(&self, source: &Source) {
        self.presences().touch(&key(source));
    }

    fn disconnected(&self, source: &Source) {
        self.presences().disconnected(&key(source));
    }
}

fn key(source: &Source) -> NodeKey {
    (Arc::clone(&source.cluster), Arc::clone(&source.node))
}

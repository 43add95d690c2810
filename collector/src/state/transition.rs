//! What a frame of the log changed, for whoever alerts.

use std::sync::Arc;

use kestrel_proto::v1;

use super::Detected;

/// A change of a finding or of a node, or a detection, as one frame of the log brought it about. The same log gives
/// the same transitions.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// Number of the frame.
    pub frame: u64,
    /// Place among the transitions of the frame, from 0.
    pub index: u32,
    /// When the collector took it, its own clock.
    pub at_unix_ns: i64,
    /// Cluster of the node.
    pub cluster: Arc<str>,
    /// The node.
    pub node: Arc<str>,
    /// What changed.
    pub change: Change,
}

/// What changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A finding is there that was not, or is back.
    Opened(Arc<v1::Finding>),
    /// An open finding's verdict is another, or whether somebody is to be told.
    Updated(Arc<v1::Finding>),
    /// A finding is over.
    Resolved(Arc<v1::Finding>),
    /// A rule matched. It has no later state.
    Detected(Arc<Detected>),
    /// A node's condition.
    Node(v1::NodeStatus),
}

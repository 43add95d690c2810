//! What is to be told, as it stands in the journal.

use kestrel_proto::{detection::severity_of, v1};
use prost::Message;

use crate::state::Detected;

/// Most instances of a finding that a message shows.
const INSTANCES: usize = 3;
/// Longest text that is kept; a message shows less.
const TEXT: usize = 2048;

/// Of what a notice speaks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    /// Cluster.
    pub cluster: String,
    /// Node.
    pub node: String,
    /// Id of the finding; empty: the node itself.
    pub finding: String,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Kind {
    /// A finding opened, or a node went silent or blind.
    Opened = 0,
    /// An open finding's verdict got worse, or a node's condition changed to another bad one.
    Worse = 1,
    /// It is over.
    Resolved = 2,
    /// It opened and was over before anybody could be told.
    Passed = 3,
    /// A rule matched.
    Detected = 4,
}

/// One thing to be told on one channel.
#[derive(Clone, PartialEq, Message)]
pub struct Notice {
    /// Number within the channel, from 1.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// What happened.
    #[prost(enumeration = "Kind", tag = "2")]
    pub kind: i32,
    /// Cluster of the node.
    #[prost(string, tag = "3")]
    pub cluster: String,
    /// The node.
    #[prost(string, tag = "4")]
    pub node: String,
    /// The finding; absent where the node itself is meant.
    #[prost(message, optional, tag = "5")]
    pub finding: Option<v1::Finding>,
    /// The node's condition; absent where a finding is meant.
    #[prost(message, optional, tag = "6")]
    pub status: Option<v1::NodeStatus>,
    /// When the collector learned it, its own clock.
    #[prost(int64, tag = "7")]
    pub at_unix_ns: i64,
    /// How often it opened and was over; 0 and 1 are the same.
    #[prost(uint32, tag = "8")]
    pub times: u32,
    /// It may have been told before: the journal that knew was damaged.
    #[prost(bool, tag = "9")]
    pub repeat: bool,
    /// A detection, or the first of several; absent where something else is meant.
    #[prost(message, optional, tag = "10")]
    pub detected: Option<Detected>,
    /// Of how many detections it speaks.
    #[prost(uint64, tag = "11")]
    pub count: u64,
    /// How many were held back before these, on their nodes.
    #[prost(uint64, tag = "12")]
    pub held_back: u64,
    /// When the last of them happened, its node's clock.
    #[prost(int64, tag = "13")]
    pub until_unix_ns: i64,
    /// They follow one that was told before.
    #[prost(bool, tag = "14")]
    pub follows: bool,
}

impl Notice {
    /// Of what it speaks.
    #[must_use]
    pub fn subject(&self) -> Subject {
        Subject {
            cluster: self.cluster.clone(),
            node: self.node.clone(),
            finding: self.finding.as_ref().map(|finding| finding.id.clone()).unwrap_or_default(),
        }
    }

    /// Severity: the finding's; a detection's by how urgent it is; of a node's condition HIGH.
    #[must_use]
    pub fn severity(&self) -> v1::Severity {
        match (&self.finding, &self.detected) {
            (Some(finding), _) => finding.severity(),
            (None, Some(detected)) => severity_of(detected.urgency()),
            (None, None) => v1::Severity::High,
        }
    }

    /// Of how many things it speaks.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.count.max(1)
    }
}

/// The finding without what no message shows, so that a journal of thousands stays small.
#[must_use]
pub(crate) fn trimmed(finding: &v1::Finding) -> v1::Finding {
    let mut finding = finding.clone();
    if finding.instances.len() > INSTANCES {
        finding.more_instances += (finding.instances.len() - INSTANCES) as u64;
        finding.instances.truncate(INSTANCES);
    }
    finding.completes.truncate(INSTANCES);
    for instance in &mut finding.instances {
        shorten(&mut instance.observed);
        instance.declared.iter_mut().for_each(shorten);
        instance.exe.truncate(TEXT);
        instance.comm.truncate(TEXT);
    }
    shorten(&mut finding.fix);
    shorten(&mut finding.image);
    finding
}

fn shorten(text: &mut String) {
    text.truncate(text.floor_char_boundary(TEXT));
}

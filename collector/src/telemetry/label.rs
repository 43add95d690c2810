//! Values of labels.

use std::fmt;

use kestrel_proto::{
    detection::urgency,
    v1::{self, Priority, record::Event},
};
use prometheus_client::encoding::{EncodeLabelValue, LabelValueEncoder};

/// An enum whose values are those of a label.
macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $value:ident = $text:literal),+ $(,)? })+) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
        pub enum $name { $($(#[$of])* $value),+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$value),+];

            /// As it is shown.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$value => $text),+ }
            }
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
                self.name().encode(encoder)
            }
        }
    )+ };
}

labels! {
    /// Where alerts go.
    ChannelLabel {
        /// Slack.
        Slack = "slack",
        /// The JSON webhook.
        Webhook = "webhook",
    }
    /// How a node is.
    ConditionLabel {
        /// Nothing is wrong with it.
        Healthy = "healthy",
        /// Nothing is heard of it.
        Silent = "silent",
        /// It does not see, or is not well.
        Blind = "blind",
        /// It said that it stops.
        Stopped = "stopped",
        /// It has not said yet.
        Unknown = "unknown",
    }
    /// Messages of agents.
    MessageKind {
        /// The first of a stream.
        Hello = "hello",
        /// Events.
        Batch = "batch",
        /// What is true on the node.
        Inventory = "inventory",
        /// How the agent is.
        Heartbeat = "heartbeat",
    }
    /// Events.
    EventKind {
        /// A process replaced its image.
        Exec = "exec",
        /// A process ended.
        Exit = "exit",
        /// A task's credentials changed.
        Credentials = "credentials",
        /// A rule matched.
        Detection = "detection",
        /// A finding opened, changed or was resolved.
        Finding = "finding",
        /// A container came, was named or went.
        Container = "container",
        /// A call on files.
        File = "file",
        /// A call on a socket, a change of its state, a packet.
        Network = "network",
        /// Any other call, and what happens in the kernel.
        System = "system",
        /// Numbers that will not come.
        Gap = "gap",
        /// Events that were lost before they had a number.
        Loss = "loss",
        /// A time in which nothing was seen.
        Blind = "blind",
        /// What works on the node.
        Coverage = "coverage",
        /// The agent is ready, or stops.
        Agent = "agent",
    }
    /// How urgent a detection is.
    PriorityLabel {
        /// Debug.
        Debug = "debug",
        /// Informational.
        Informational = "informational",
        /// Notice.
        Notice = "notice",
        /// Warning.
        Warning = "warning",
        /// Error.
        Error = "error",
        /// Critical.
        Critical = "critical",
        /// Alert.
        Alert = "alert",
        /// Emergency.
        Emergency = "emergency",
    }
    /// Why the collector ended a stream.
    RefusalReason {
        /// A message says what cannot be.
        Invalid = "invalid",
        /// A message is too large.
        TooLarge = "too_large",
        /// The agent's schema is too new.
        Schema = "schema",
        /// The certificate is another node's, or the cluster is not served.
        Permission = "permission",
        /// A newer connection of the node took over.
        Replaced = "replaced",
        /// The collector shuts down.
        Stopping = "stopping",
        /// The peer was too slow.
        TooSlow = "too_slow",
        /// No room for another node, or for what is remembered.
        NoRoom = "no_room",
        /// The log has ended.
        NoLog = "no_log",
        /// The connection broke.
        Broken = "broken",
    }
    /// Why an agent is asked to wait.
    PressureLabel {
        /// Its quota is used up.
        Quota = "quota",
        /// The disk takes nothing.
        DiskFull = "disk_full",
    }
}

impl PriorityLabel {
    /// Of a detection.
    #[must_use]
    pub fn of(detection: &v1::Detection) -> Self {
        match urgency(detection) {
            Priority::Unspecified | Priority::Debug => Self::Debug,
            Priority::Informational => Self::Informational,
            Priority::Notice => Self::Notice,
            Priority::Warning => Self::Warning,
            Priority::Error => Self::Error,
            Priority::Critical => Self::Critical,
            Priority::Alert => Self::Alert,
            Priority::Emergency => Self::Emergency,
        }
    }
}

impl EventKind {
    /// Of an event.
    #[must_use]
    pub const fn of(event: &Event) -> Self {
        match event {
            Event::Exec(_) => Self::Exec,
            Event::Exit(_) => Self::Exit,
            Event::Credentials(_) => Self::Credentials,
            Event::Detection(_) => Self::Detection,
            Event::Finding(_) => Self::Finding,
            Event::ContainerStarted(_) | Event::ContainerNamed(_) | Event::ContainerGone(_) => {
                Self::Container
            }
            Event::File(_) | Event::Path(_) => Self::File,
            Event::Socket(_) | Event::SocketState(_) | Event::Packet(_) => Self::Network,
            Event::Call(_)
            | Event::UringDone(_)
            | Event::OomKill(_)
            | Event::AgentSignal(_)
            | Event::Sysctl(_) => Self::System,
            Event::Gap(_) => Self::Gap,
            Event::Loss(_) | Event::Throttled(_) => Self::Loss,
            Event::Blind(_) => Self::Blind,
            Event::Coverage(_) => Self::Coverage,
            Event::Ready(_) | Event::Stop(_) | Event::Node(_) => Self::Agent,
        }
    }
}

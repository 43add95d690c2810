//! Why a stream ends, in one sentence and a code.

use thiserror::Error;
use tonic::{Code, Status};

use crate::telemetry::RefusalReason;

/// Why a stream ends.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// Something in a message cannot be.
    #[error("{0}")]
    Invalid(String),
    /// The message is larger, once decoded, than any that an agent sends.
    #[error("message would take {bytes} bytes in memory, at most {limit} are taken")]
    TooLarge {
        /// That it would take.
        bytes: usize,
        /// Most.
        limit: usize,
    },
    /// The message is longer than any that an agent sends.
    #[error("{0}")]
    Long(String),
    /// The agent speaks a later schema.
    #[error("schema {theirs} is later than this collector's {ours}: update the collector first")]
    Schema {
        /// The agent's.
        theirs: u32,
        /// The collector's.
        ours: u32,
    },
    /// The client certificate is another's.
    #[error("the client certificate does not speak for node {0:?}")]
    NotItsNode(String),
    /// This collector does not take events of that cluster.
    #[error("this collector does not serve cluster {0:?}")]
    NotItsCluster(String),
    /// A newer connection of the same node took over.
    #[error("a newer connection of this node took over")]
    Replaced,
    /// The collector shuts down.
    #[error("the collector is shutting down")]
    Stopping,
    /// The peer did not do what it had to in time.
    #[error("{0}")]
    TooSlow(&'static str),
    /// More nodes than the collector has room for.
    #[error("more than {0} nodes")]
    TooManyNodes(usize),
    /// Too much is remembered for all connections together; a new one begins with nothing.
    #[error("no memory left for what connections refer to, connect again")]
    NoMemory,
    /// The log has ended.
    #[error("the log has ended")]
    NoLog,
    /// The peer is gone.
    #[error("the connection broke: {0}")]
    Broken(String),
}

impl Refusal {
    /// Of a stream that ended with an error.
    pub(super) fn of(status: &Status) -> Self {
        match status.code() {
            Code::InvalidArgument => Self::Invalid(status.message().to_owned()),
            // tonic's code for a message that decompresses to more than is allowed, and for one that
            // is longer as it is.
            Code::ResourceExhausted | Code::OutOfRange => Self::Long(status.message().to_owned()),
            // Bytes that are no zstd, or a stream that is no gRPC, and peers that are gone.
            _ => Self::Broken(status.message().to_owned()),
        }
    }

    /// Whether it happens without anybody having done wrong.
    pub(super) fn is_ordinary(&self) -> bool {
        matches!(self, Self::Replaced | Self::Stopping | Self::Broken(_))
    }

    /// The reason, for counters.
    #[must_use]
    pub fn reason(&self) -> RefusalReason {
        match self {
            Self::Invalid(_) => RefusalReason::Invalid,
            Self::TooLarge { .. } | Self::Long(_) => RefusalReason::TooLarge,
            Self::Schema { .. } => RefusalReason::Schema,
            Self::NotItsNode(_) | Self::NotItsCluster(_) => RefusalReason::Permission,
            Self::Replaced => RefusalReason::Replaced,
            Self::Stopping => RefusalReason::Stopping,
            Self::TooSlow(_) => RefusalReason::TooSlow,
            Self::TooManyNodes(_) | Self::NoMemory => RefusalReason::NoRoom,
            Self::NoLog => RefusalReason::NoLog,
            Self::Broken(_) => RefusalReason::Broken,
        }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let code = match &refusal {
            Refusal::Invalid(_) => Code::InvalidArgument,
            Refusal::TooLarge { .. } | Refusal::Long(_) => Code::ResourceExhausted,
            Refusal::Schema { .. } => Code::FailedPrecondition,
            Refusal::NotItsNode(_) | Refusal::NotItsCluster(_) => Code::PermissionDenied,
            Refusal::Replaced => Code::Aborted,
            Refusal::TooSlow(_) => Code::DeadlineExceeded,
            Refusal::Stopping
            | Refusal::TooManyNodes(_)
            | Refusal::NoMemory
            | Refusal::NoLog
            | Refusal::Broken(_) => Code::Unavailable,
        };
        Self::new(code, refusal.to_string())
    }
}

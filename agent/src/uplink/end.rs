//! Why a connection to the collector ended, or did not come about.

use inert::{fit, inert};
use tonic::{Code, Status};

use crate::telemetry::label::UplinkEnd;

/// Longest reason that is kept, in columns: it comes from outside.
const REASON: usize = 300;

/// Why.
#[derive(Debug)]
pub(super) enum End {
    /// No connection.
    Unreachable(String),
    /// The collector ended it with a status, or the connection broke.
    Status(Box<Status>),
    /// The collector ended it without one.
    Closed,
    /// No welcome in time.
    NoWelcome,
    /// No ack in time.
    NoAck,
    /// It did not answer as a collector does.
    Protocol(&'static str),
}

impl From<Status> for End {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

impl End {
    /// One sentence, inert.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Unreachable(reason) => fit(&inert(reason), REASON),
            Self::Status(status) => fit(&inert(of_status(status)), REASON),
            Self::Closed => "the collector ended the connection".to_owned(),
            Self::NoWelcome => "the collector did not answer in time".to_owned(),
            Self::NoAck => "the collector has acknowledged nothing in time".to_owned(),
            Self::Protocol(what) => format!("what answers is no collector: {what}"),
        }
    }

    /// For the metric.
    pub(super) fn label(&self) -> UplinkEnd {
        match self {
            Self::Unreachable(_) => UplinkEnd::Unreachable,
            Self::Closed => UplinkEnd::Closed,
            Self::NoWelcome | Self::NoAck => UplinkEnd::Silent,
            Self::Protocol(_) => UplinkEnd::Protocol,
            Self::Status(status) => match status.code() {
                Code::InvalidArgument | Code::ResourceExhausted | Code::OutOfRange => UplinkEnd::Refused,
                Code::Unauthenticated | Code::PermissionDenied => UplinkEnd::Unauthenticated,
                Code::FailedPrecondition | Code::Unimplemented => UplinkEnd::Schema,
                Code::Aborted => UplinkEnd::Replaced,
                _ => UplinkEnd::Closed,
            },
        }
    }
}

fn of_status(status: &Status) -> String {
    let why = kestrel_tls::reason(status);
    match status.code() {
        Code::InvalidArgument | Code::ResourceExhausted | Code::OutOfRange => {
            format!("the collector refused a message: {why}")
        }
        Code::Unauthenticated | Code::PermissionDenied => {
            format!("the collector does not let this node in: {why}")
        }
        Code::FailedPrecondition => format!("the collector does not take this agent's schema: {why}"),
        Code::Unimplemented => format!("what answers is no collector of this version: {why}"),
        Code::Aborted => format!("the collector ended the connection: {why}"),
        Code::Unavailable => format!("the collector is not available: {why}"),
        _ => format!("the connection failed: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_one_inert_sentence() {
        let end = End::from(Status::permission_denied("node \"b\" \u{1b}[31m is not yours"));
        assert_eq!(
            end.reason(),
            "the collector does not let this node in: node \"b\" \\x1b[31m is not yours"
        );
        assert_eq!(end.label(), UplinkEnd::Unauthenticated);
        let long = End::Unreachable("x".repeat(10_000));
        assert!(long.reason().chars().count() <= REASON);
    }
}

//! What goes back to the agent.

use std::time::Duration;

use kestrel_proto::v1::{self, CollectorMessage, collector_message::Message};
use tokio::sync::mpsc;
use tonic::Status;

use crate::ingest::Refusal;

/// The way back. A peer that does not read its answers is not served for ever.
#[derive(Debug)]
pub(super) struct Answers {
    answers: mpsc::Sender<Result<CollectorMessage, Status>>,
    patience: Duration,
}

impl Answers {
    pub(super) fn new(answers: mpsc::Sender<Result<CollectorMessage, Status>>, patience: Duration) -> Self {
        Self { answers, patience }
    }

    pub(super) async fn welcome(&self, welcome: v1::Welcome) -> Result<(), Refusal> {
        self.send(Message::Welcome(welcome)).await
    }

    pub(super) async fn ack(&self, watermark: v1::Watermark) -> Result<(), Refusal> {
        self.send(Message::Ack(v1::Ack { watermark: Some(watermark) })).await
    }

    pub(super) async fn pressure(&self, pressure: v1::Pressure) -> Result<(), Refusal> {
        self.send(Message::Pressure(pressure)).await
    }

    /// Ends the stream. A peer that is gone or has no room does not learn why.
    pub(super) async fn end(&self, status: Status) {
        let _ = self.answers.send_timeout(Err(status), Duration::from_secs(1)).await;
    }

    async fn send(&self, message: Message) -> Result<(), Refusal> {
        let message = CollectorMessage { message: Some(message) };
        match self.answers.send_timeout(Ok(message), self.patience).await {
            Ok(()) => Ok(()),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                Err(Refusal::TooSlow("the answers are not read"))
            }
            Err(mpsc::error::SendTimeoutError::Closed(_)) => {
                Err(Refusal::Broken("it was closed by the agent".to_owned()))
            }
        }
    }
}

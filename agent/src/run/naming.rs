//! The container runtime's answers on their way to the hot loop.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::{
    config::{Config, CriSocket},
    context::{
        PendingReason,
        cri::{self, Answer, Question, Settings},
    },
    http::Health,
    pipeline::Message,
    telemetry::{Telemetry, label::CriResult},
};

/// Answers on their way.
const ANSWERS: usize = 64;

/// How the runtime is asked.
pub(super) fn settings(config: &Config) -> Settings {
    let socket = match &config.cri.socket {
        CriSocket::Auto => None,
        CriSocket::Path(path) => Some(path.clone()),
    };
    Settings { socket, call_timeout: config.cri.timeout, ..Settings::default() }
}

/// Asks, and passes answers on, until the hot loop is gone. Beside it, which runtime it is.
pub(super) async fn run(
    settings: Settings,
    questions: mpsc::Receiver<Question>,
    messages: mpsc::Sender<Message>,
    telemetry: Arc<Telemetry>,
    health: Arc<Health>,
) {
    let (answers, mut answered) = mpsc::channel(ANSWERS);
    let pass_on = async {
        while let Some(answer) = answered.recv().await {
            telemetry.cri.requests.of(result(&answer)).add(1);
            if messages.send(Message::Names(answer)).await.is_err() {
                return;
            }
        }
    };
    let version = cri::watch_version(settings.clone(), |version| health.set_runtime(version));
    let named = async { tokio::join!(cri::run(settings, questions, answers), pass_on) };
    tokio::select! {
        _ = named => {}
        () = version => {}
    }
}

fn result(answer: &Answer) -> CriResult {
    match answer.result {
        Ok(_) => CriResult::Ok,
        Err(PendingReason::NotKnown) => CriResult::NotFound,
        Err(PendingReason::NoRuntime) => CriResult::Unavailable,
        Err(PendingReason::RuntimeUnavailable | PendingReason::Asked | PendingReason::QueueFull) => {
            CriResult::Error
        }
    }
}

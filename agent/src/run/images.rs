//! Reads what rules ask of processes' images, on a thread of its own.

use std::sync::mpsc::Receiver;

use tokio::sync::mpsc;

use crate::{
    image::{Question, Reader},
    pipeline::Message,
};

/// Reads, until the hot loop is gone. Blocks.
pub(super) fn run(mut reader: Reader, questions: &Receiver<Question>, messages: &mpsc::Sender<Message>) {
    while let Ok(question) = questions.recv() {
        if messages.blocking_send(Message::Image(reader.read(&question))).is_err() {
            return;
        }
    }
}

//! Names of containers, asked from the runtime through CRI.
//!
//! Beside the hot side, which sends a [`Question`] without waiting and goes on: what the runtime
//! does, or fails to do, costs names and never events. Questions, those under way and answers are
//! all bounded; a question that finds no room is answered [`PendingReason::QueueFull`] and asked
//! again by [`super::Context::tick`].

mod answer;
mod client;
mod declared;
mod image;
mod kernel;
mod owner;
mod ports;
mod resources;
#[cfg(test)]
mod tests;
mod version;

use std::{
    collections::BTreeSet,
    hash::{BuildHasher, RandomState},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use hashbrown::HashMap;
use tokio::{
    sync::mpsc,
    task::{self, JoinSet},
    time::{Instant, sleep_until},
};

pub use client::{CriError, SOCKETS};
pub use version::{RuntimeVersion, watch_version};

use self::client::Client;
use super::{ContainerId, ContainerKey, Names, PendingReason, Runtime};

/// How the runtime is asked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its socket; `None`: the first of [`SOCKETS`] that is there.
    pub socket: Option<PathBuf>,
    /// For one call, connecting included.
    pub call_timeout: Duration,
    /// Longest message that is taken from it.
    pub message_bytes: usize,
    /// Most containers that are asked for at a time.
    pub concurrent: usize,
    /// Most containers that wait for an answer.
    pub pending: usize,
    /// Until the second attempt; doubled after each, up to `retry_most`, and jittered by half.
    pub retry_first: Duration,
    /// Longest pause while the runtime answers and does not know the container: it knows a pod's sandbox only when
    /// the pod is up, and findings wait for the name.
    pub retry_not_known: Duration,
    /// Longest pause between attempts.
    pub retry_most: Duration,
    /// Attempts until a container is given up; the hot side asks again later.
    pub attempts: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            socket: None,
            call_timeout: Duration::from_secs(2),
            message_bytes: 4 << 20,
            concurrent: 4,
            pending: 1024,
            retry_first: Duration::from_millis(200),
            retry_not_known: Duration::from_millis(800),
            retry_most: Duration::from_secs(10),
            attempts: 16,
        }
    }
}

/// A container to be named.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// By its cgroup.
    pub key: ContainerKey,
    /// The runtime's id.
    pub id: ContainerId,
    /// Who made it, as far as the path tells.
    pub runtime: Runtime,
}

/// What became of a question. One that is retried is answered more than once, when the reason
/// changes.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The container.
    pub key: ContainerKey,
    /// For [`super::Context::named`].
    pub result: Result<Arc<Names>, PendingReason>,
}

/// A question under way.
#[derive(Debug)]
struct Pending {
    id: ContainerId,
    attempts: u32,
    told: Option<PendingReason>,
}

/// Answers questions until their channel is closed, or nobody takes answers any more.
pub async fn run(settings: Settings, mut questions: mpsc::Receiver<Question>, answers: mpsc::Sender<Answer>) {
    let client = Client::new(&settings);
    let mut pending: HashMap<ContainerKey, Pending> = HashMap::new();
    let mut due: BTreeSet<(Instant, ContainerKey)> = BTreeSet::new();
    let mut calls = JoinSet::new();
    let mut asked: HashMap<task::Id, ContainerKey> = HashMap::new();
    loop {
        while calls.len() < settings.concurrent.max(1)
            && let Some(&(at, key)) = due.first()
            && at <= Instant::now()
        {
            due.pop_first();
            let Some(id) = pending.get(&key).map(|question| question.id) else { continue };
            let client = client.clone();
            let task = calls.spawn(async move { client.names(&id).await }).id();
            asked.insert(task, key);
        }
        let free = calls.len() < settings.concurrent.max(1);
        let next = due.first().map(|&(at, _)| at).filter(|_| free);
        let answer = tokio::select! {
            question = questions.recv() => {
                let Some(Question { key, id, runtime: _ }) = question else { return };
                if pending.contains_key(&key) {
                    continue;
                }
                if pending.len() >= settings.pending {
                    Answer { key, result: Err(PendingReason::QueueFull) }
                } else {
                    pending.insert(key, Pending { id, attempts: 0, told: None });
                    due.insert((Instant::now(), key));
                    continue;
                }
            }
            Some(call) = calls.join_next_with_id() => {
                let (task, result) = match call {
                    Ok((task, result)) => (task, Ok(result)),
                    Err(error) => (error.id(), Err(error)),
                };
                let Some(key) = asked.remove(&task) else { continue };
                match result {
                    Ok(result) => match settle(&settings, &mut pending, &mut due, key, result) {
                        Some(answer) => answer,
                        None => continue,
                    },
                    Err(error) => {
                        tracing::error!(%error, "a call to the runtime panicked");
                        pending.remove(&key);
                        Answer { key, result: Err(PendingReason::RuntimeUnavailable) }
                    }
                }
            }
            () = wait(next) => continue,
        };
        if answers.send(answer).await.is_err() {
            return;
        }
    }
}

async fn wait(until: Option<Instant>) {
    match until {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Books a call's outcome; gives the answer, if there is a new one.
fn settle(
    settings: &Settings,
    pending: &mut HashMap<ContainerKey, Pending>,
    due: &mut BTreeSet<(Instant, ContainerKey)>,
    key: ContainerKey,
    result: Result<Names, CriError>,
) -> Option<Answer> {
    let error = match result {
        Ok(names) => {
            pending.remove(&key);
            return Some(Answer { key, result: Ok(Arc::new(names)) });
        }
        Err(error) => error,
    };
    let reason = error.reason();
    let question = pending.get_mut(&key)?;
    question.attempts += 1;
    // What the runtime says is not logged above debug: containers make it say it as often as they
    // like.
    tracing::debug!(id = %question.id.short(), attempts = question.attempts, %error, "container not named");
    let news = question.told.replace(reason) != Some(reason);
    if question.attempts >= settings.attempts {
        pending.remove(&key);
        return Some(Answer { key, result: Err(reason) });
    }
    let most = if reason == PendingReason::NotKnown { settings.retry_not_known } else { settings.retry_most };
    due.insert((Instant::now() + pause(settings, question.attempts, most), key));
    news.then_some(Answer { key, result: Err(reason) })
}

/// The pause after that many attempts, between half and all of it.
fn pause(settings: &Settings, attempts: u32, most: Duration) -> Duration {
    let doubled = settings.retry_first.saturating_mul(1 << attempts.saturating_sub(1).min(16));
    let whole = doubled.min(most);
    // The standard library's hasher keys are random; no more is needed here.
    let random = RandomState::new().hash_one(attempts) % 1024;
    whole / 2 + whole.mul_f64(0.5 * f64::from(u16::try_from(random).unwrap_or(0)) / 1024.0)
}

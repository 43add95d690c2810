//! Who is told, and that they are: Slack, a JSON webhook, and the receiver of signs of life.
//!
//! Transitions come from the state's fold of the log. Each channel decides what it tells of them
//! ([`queue`]), keeps that through crashes ([`journal`]) and sends it ([`channel`]).

pub mod batch;
pub mod channel;
pub mod config;
pub mod entry;
pub mod group;
pub mod journal;
pub mod notice;
pub mod post;
pub mod queue;
pub mod receiver;
pub mod secret;
pub mod slack;
pub mod text;
pub mod webhook;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use thiserror::Error;
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use self::{
    channel::Channel,
    config::ChannelConfig,
    entry::Entry,
    journal::{Journal, Opened},
    post::{Poster, PosterError},
    queue::{Policy, Queue},
};
pub use self::{
    channel::{ChannelStatus, Pace},
    config::{AlertsConfig, RawAlerts},
    entry::Place,
};
use crate::state::{Replayed, Standing, Transition};

/// Most transitions that wait for one channel's journal; then the log's followers wait.
const QUEUED: usize = 1024;

/// All channels.
#[derive(Clone, Debug)]
pub struct Alerts {
    channels: Vec<Arc<Channel>>,
    damaged: Vec<&'static str>,
    poster: Poster,
}

/// Why alerts cannot be set up.
#[derive(Debug, Error)]
pub enum AlertError {
    /// The folder of the journals cannot be made.
    #[error("cannot make folder {}", folder.display())]
    Folder {
        /// It.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nothing can be posted.
    #[error(transparent)]
    Poster(#[from] PosterError),
    /// A task of a channel panicked.
    #[error("a task of the alerts ended")]
    Task(#[from] tokio::task::JoinError),
}

impl Alerts {
    /// Opens the journals in a folder of their own. Blocks on the disk.
    ///
    /// # Errors
    /// What has to be put right before anybody can be told.
    pub fn open(config: &AlertsConfig, folder: &Path, pace: Pace) -> Result<Self, AlertError> {
        fs::create_dir_all(folder)
            .map_err(|source| AlertError::Folder { folder: folder.to_owned(), source })?;
        let poster = Poster::new(config.ca_file.as_deref(), config.timeout)?;
        let mut alerts = Self { channels: Vec::new(), damaged: Vec::new(), poster };
        let mut add = |name, render, config: &Option<ChannelConfig>| {
            let path = folder.join(format!("{name}.journal"));
            let Some(config) = config else {
                Journal::leave(&path);
                return;
            };
            let Opened { journal, queue, damaged, new: _ } = Journal::open(&path);
            if damaged {
                alerts.damaged.push(name);
            }
            let channel = Channel::new(name, render, config.clone(), pace, journal, queue);
            alerts.channels.push(Arc::new(channel));
        };
        add("slack", slack::body, &config.slack);
        add("webhook", webhook::body, &config.webhook);
        Ok(alerts)
    }

    /// What posts, for [`receiver::run`].
    #[must_use]
    pub fn poster(&self) -> &Poster {
        &self.poster
    }

    /// The last transition that every channel has on disk; none where there is no channel, or one
    /// that has taken nothing yet.
    #[must_use]
    pub fn taken(&self) -> Option<Place> {
        self.channels.iter().map(|channel| channel.status().taken).min().flatten()
    }

    /// The last transition that every channel has on disk which has taken any. A channel that is new, or
    /// was off, begins with what comes, and with what is so.
    #[must_use]
    pub fn resume(&self) -> Option<Place> {
        self.channels.iter().filter_map(|channel| channel.status().taken).min()
    }

    /// Whether anything is to be told to anybody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    /// How the channels are.
    #[must_use]
    pub fn status(&self) -> Vec<ChannelStatus> {
        self.channels.iter().map(|channel| channel.status()).collect()
    }

    /// Takes what a start left to be taken: the transitions of a replay, then the difference between
    /// what was told and what is so (what a damaged journal, or a time without this channel, left
    /// out). Call it when the state has read the whole log and before new frames come; `next_frame` is
    /// the one that it reads next.
    ///
    /// # Errors
    /// That the task which writes the journal panicked.
    pub async fn heal(
        &self,
        replayed: Replayed,
        standing: Standing,
        next_frame: u64,
        now_unix_ns: i64,
    ) -> Result<(), AlertError> {
        let inputs = Arc::new((replayed, standing));
        for channel in &self.channels {
            let (inputs, policy) = (Arc::clone(&inputs), channel.policy());
            let damaged = self.damaged.contains(&channel.name);
            channel
                .commit(move |queue| heal(queue, policy, &inputs, damaged, (next_frame, now_unix_ns)))
                .await?;
        }
        Ok(())
    }

    /// Takes transitions and tells them until `stop`, then until `transitions` ends.
    ///
    /// # Errors
    /// That a task ended which should not.
    pub async fn run(
        self,
        mut transitions: mpsc::Receiver<Transition>,
        stop: CancellationToken,
    ) -> Result<(), AlertError> {
        let mut tasks = JoinSet::new();
        let mut outlets = Vec::new();
        for channel in &self.channels {
            let (sender, receiver) = mpsc::channel(QUEUED);
            outlets.push(sender);
            let taker = Arc::clone(channel);
            tasks.spawn(async move { taker.take(receiver).await });
            let (channel, poster, stop) = (Arc::clone(channel), self.poster.clone(), stop.clone());
            tasks.spawn(async move { channel.deliver(&poster, &stop).await });
        }
        loop {
            let transition = tokio::select! {
                transition = transitions.recv() => transition,
                Some(ended) = tasks.join_next(), if !stop.is_cancelled() => {
                    ended??;
                    continue;
                }
            };
            let Some(transition) = transition else { break };
            for outlet in &outlets {
                // A task that is gone ends this one, in the next round or below.
                let _ = outlet.send(transition.clone()).await;
            }
        }
        drop(outlets);
        stop.cancelled().await;
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok(())
    }
}

fn heal(
    queue: &mut Queue,
    policy: Policy,
    (replayed, standing): &(Replayed, Standing),
    damaged: bool,
    (next_frame, at_unix_ns): (u64, i64),
) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut take = |queue: &mut Queue, entry: Entry| {
        queue.apply(entry.clone());
        entries.push(entry);
    };
    // All that the state knows is taken with this.
    let place = Place { frame: next_frame.saturating_sub(1), index: u32::MAX };
    let left_out = if queue.taken().is_some() {
        replayed.left_out(|priority| policy.wants_priority(priority))
    } else {
        // New here, or off for a while: no detection of that time is told.
        take(queue, Entry { restart: Some(place), ..Entry::default() });
        0
    };
    for transition in &replayed.transitions {
        if let Some(entry) = queue.decide(transition, policy) {
            take(queue, entry);
        }
    }
    for (cluster, node, change) in standing.differences(queue.open()) {
        let Place { frame, index } = place;
        let transition = Transition { frame, index, at_unix_ns, cluster, node, change };
        let mut entry = queue.entry(&transition, policy);
        if let Some(notice) = &mut entry.add {
            notice.repeat = damaged;
        }
        if entry != Entry::default() {
            take(queue, entry);
        }
    }
    if queue.taken() != Some(place) {
        // Also where it was later: then this is another log, whose frames must not count as taken. In one
        // entry with what was left out, so that it is counted once.
        take(queue, Entry { restart: Some(place), left_out, ..Entry::default() });
    }
    entries
}

#[cfg(test)]
mod tests;

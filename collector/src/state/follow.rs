//! Every committed frame, in order: to those who watch, into the state, its transitions to the alerts.

use std::{sync::Arc, time::Duration};

use thiserror::Error;
use tokio::{
    sync::mpsc,
    task::spawn_blocking,
    time::{Instant, timeout_at},
};
use tracing::{info, warn};

use super::{
    State, Transition,
    snapshot::{self, Image},
};
use crate::{
    alert::{Alerts, Place},
    live::Live,
    log::{Content, Frame, Log},
};

/// After so many snapshots that were not made, the log may forget what they would have held. Nodes
/// tell again what is so.
const FAILED: u32 = 3;

/// When snapshots are made.
#[derive(Clone, Copy, Debug)]
pub struct Cadence {
    /// From one to the next, if there was any frame.
    pub interval: Duration,
    /// How long one waits for the alerts to be on disk before it is given up.
    pub patience: Duration,
}

impl Default for Cadence {
    fn default() -> Self {
        Self { interval: Duration::from_secs(300), patience: Duration::from_secs(20) }
    }
}

/// Why following ended.
#[derive(Debug, Error)]
pub enum FollowError {
    /// Nobody takes transitions any more.
    #[error("the alerts ended")]
    Alerts,
    /// Making a snapshot panicked.
    #[error("a snapshot was not made")]
    Task(#[from] tokio::task::JoinError),
}

/// Follows the log's feed until it ends, which the log's closing does; then makes a last snapshot.
///
/// # Errors
/// That the alerts ended first.
pub async fn follow(
    mut feed: mpsc::Receiver<Arc<Frame>>,
    log: Log,
    state: State,
    live: Live,
    alerts: Alerts,
    transitions: mpsc::Sender<Transition>,
    cadence: Cadence,
) -> Result<(), FollowError> {
    let mut due = Instant::now() + cadence.interval;
    let mut written = state.read().next_frame();
    log.hold("state", written);
    let mut waiting: Option<(Image, Instant)> = None;
    let mut failed = 0;
    loop {
        let look = waiting.as_ref().map_or(due, |_| Instant::now() + Duration::from_millis(200));
        match timeout_at(look, feed.recv()).await {
            Ok(Some(frame)) => take(&frame, &state, &live, &transitions).await?,
            Ok(None) => break,
            Err(_) => {}
        }
        if let Some((image, until)) = waiting.take() {
            if is_told(&alerts, image.last) {
                match write(&state, &log, image).await? {
                    Some(next) => (written, failed) = (next, 0),
                    None => failed += 1,
                }
            } else if Instant::now() < until {
                waiting = Some((image, until));
            } else {
                warn!(
                    "no snapshot of the state: alerts that are not on disk would be lost with the log before it"
                );
                failed += 1;
            }
            if failed >= FAILED {
                // A log that may not shrink keeps the disk full, and that is why there is no snapshot.
                log.hold("state", state.read().next_frame());
            }
        } else if Instant::now() >= due {
            due = Instant::now() + cadence.interval;
            if state.read().next_frame() > written {
                waiting = pack(&state).await?.map(|image| (image, Instant::now() + cadence.patience));
            }
        }
    }
    drop(transitions);
    if state.read().next_frame() > written
        && let Some(image) = pack(&state).await?
    {
        let until = Instant::now() + Duration::from_secs(2);
        while !is_told(&alerts, image.last) && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if is_told(&alerts, image.last) {
            write(&state, &log, image).await?;
        }
    }
    Ok(())
}

async fn take(
    frame: &Arc<Frame>,
    state: &State,
    live: &Live,
    transitions: &mpsc::Sender<Transition>,
) -> Result<(), FollowError> {
    // First, since somebody may look at it this moment.
    live.publish(Arc::clone(frame));
    let source = &frame.body.source;
    if !matches!(frame.body.content, Content::Node(_)) {
        state.presences.touch(&(Arc::clone(&source.cluster), Arc::clone(&source.node)));
    }
    for transition in state.apply(frame) {
        transitions.send(transition).await.map_err(|_| FollowError::Alerts)?;
    }
    Ok(())
}

/// Whether a start from that snapshot would leave nothing untold.
fn is_told(alerts: &Alerts, last: Option<Place>) -> bool {
    alerts.is_empty() || last.is_none() || alerts.taken() >= last
}

async fn pack(state: &State) -> Result<Option<Image>, FollowError> {
    let state = state.clone();
    // A copy first: frames do not wait for the packing.
    let packed = spawn_blocking(move || {
        let fold = state.read().clone();
        snapshot::pack(&fold)
    });
    Ok(packed.await?.map_err(|error| warn!(%error, "the state cannot be packed")).ok())
}

/// Writes a snapshot; the frame that a start reads first from then on.
async fn write(state: &State, log: &Log, image: Image) -> Result<Option<u64>, FollowError> {
    let dir = Arc::clone(&state.dir);
    let next = image.next_frame;
    match spawn_blocking(move || snapshot::write(&dir, &image)).await? {
        Ok(()) => {
            log.hold("state", next);
            info!(next_frame = next, "snapshot of the state written");
            Ok(Some(next))
        }
        Err(error) => {
            warn!(error = crate::alert::channel::error_chain(&error), "no snapshot of the state");
            Ok(None)
        }
    }
}

//! Puts the agent together and takes it down: hooks first, then the scan, ready after it.

mod alive;
mod attach;
mod before;
mod coverage;
mod delivery;
mod filter;
mod host;
mod images;
mod inspect;
mod keep;
mod lock;
mod losses;
mod naming;
mod open;
mod record;
mod resolver;
mod rules;
mod running;
mod sample;
mod scan;
mod sink;
mod spawn;
mod throttle;
mod waiting;

use std::{sync::Arc, thread, time::Duration};

use anyhow::{Context as _, Result};
use tokio::sync::{mpsc, oneshot};

pub use self::record::{Recording, record};
use self::{attach::attach, open::Ground, record::Tape, running::Signals, sink::Notice};
use crate::{config::Config, output::event::Body, pipeline::clock};

/// Losses and the like; at start the whole attach report, before anybody reads.
const NOTICES: usize = 512;

/// Runs until a signal, or until a part of the agent ends.
///
/// # Errors
/// Why it could not start, or which part ended.
pub fn run(config: Config) -> Result<()> {
    run_with(config, None)
}

fn run_with(config: Config, tape: Option<Tape>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(start(config, tape));
    // Threads that wait in the kernel must not hold up the end.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn start(config: Config, tape: Option<Tape>) -> Result<()> {
    let mut signals = Signals::new()?;
    let ground = Ground::open(config).await?;
    let attached = attach(&ground)?;
    let (notices, notices_out) = mpsc::channel(NOTICES);
    let (attached, before) = before::tell_of(attached, &ground, &notices).await?;
    let (lasts, lines, writer) = match tape {
        None => (None, None, None),
        Some(Tape { lasts, lines, writer }) => (lasts, Some(lines), Some(writer)),
    };
    let telemetry = Arc::clone(&ground.telemetry);
    let mut running = spawn::spawn(ground, attached, before, (notices, notices_out), lines).await?;
    let reason = tokio::select! {
        reason = running.watch(&mut signals) => reason,
        () = over(lasts) => Ok("the recording is over"),
    };
    running.end(reason, &mut signals).await?;
    match writer {
        None => Ok(()),
        Some(writer) => {
            writer.await.context("the writer of the recording panicked")??;
            let (written, dropped) = (telemetry.detect.recorded.get(), telemetry.detect.unrecorded.get());
            let lost = telemetry.rings.lost.total();
            tracing::info!(written, dropped, lost, "recorded");
            Ok(())
        }
    }
}

async fn over(lasts: Option<Duration>) {
    match lasts {
        Some(lasts) => tokio::time::sleep(lasts).await,
        None => std::future::pending().await,
    }
}

async fn tell(notices: &mpsc::Sender<Notice>, body: Body) {
    // The sink outlives whoever tells, except in a start that failed.
    let _ = notices.send(Notice::Tell { at: clock::now(), body }).await;
}

/// The receiver has the thread's result, or an error when it panicked.
fn spawn_thread<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<oneshot::Receiver<T>> {
    let (ended, end) = oneshot::channel();
    let body = move || drop(ended.send(body()));
    thread::Builder::new().name(name.to_owned()).spawn(body).context("cannot start a thread")?;
    Ok(end)
}

//! Puts the collector together, and takes it apart.
//!
//! ```text
//! listener → gRPC ┬ ingest → log ─feed→ follow → state, live ─transitions→ alerts
//!                 └ watch  ← log, state, live
//! ```
//!
//! Whatever ends before it is told to takes the process down. At a stop streams end first, then what
//! they asked of the log is written, then the state takes in the last frame, then alerts end.

mod lock;
mod registry;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use kestrel_proto::v1::watch_server::WatchServer;
use kestrel_tls::{Limits as TlsLimits, Listener, Security as TlsSecurity, ServerTls};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
    task::{JoinSet, spawn_blocking},
    time::{interval, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::{codec::CompressionEncoding, transport::Server as Grpc};

use crate::{
    alert::{Alerts, channel::Pace, receiver},
    api::{self, WatchService},
    config::{Config, Security},
    http::{self, Pages, Status},
    ingest::{self, Ingest, IngestService},
    live::{Live, Window},
    log::{Condition, Log, Recovery, make_folder},
    state::{
        self, Standing, State,
        follow::{self, Cadence},
        monitor::{self, Patience},
    },
    telemetry::Telemetry,
};
use lock::DataDir;

/// Frames on their way to the state.
const FEED: usize = 256;
/// Changes on their way to the alerts.
const TRANSITIONS: usize = 1024;
/// How often gauges are read.
const SAMPLE: Duration = Duration::from_secs(1);
/// A peer that says nothing is asked whether it is there, and has so long to answer.
const KEEPALIVE: Duration = Duration::from_secs(20);
const KEEPALIVE_TIME: Duration = Duration::from_secs(10);
/// What a stream may have on its way to us before we read it, and all of a connection.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 2 << 20;
/// Streams of one connection. An agent has one, a client a few.
const STREAMS: u32 = 32;
/// A stop that takes longer is cut off: what was acknowledged is on the disk anyway.
const STOP_TIME: Duration = Duration::from_secs(8);

/// Runs until a signal, or until a part ends.
///
/// # Errors
/// What kept it from starting, or which part ended.
pub fn run(config: &Config) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(collect(config))
}

async fn collect(config: &Config) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let data = DataDir::take(&config.data_dir)?;
    let security = security(&config.grpc.security)?;

    let Opened { log, state, alerts, replayed, problems } = open(config, data.path()).await?;
    let feed = log.feed(FEED);
    let next_frame = state.read().next_frame();
    let standing = Standing::new(&state.read());
    alerts.heal(replayed, standing, next_frame, now_unix_ns()).await.context("cannot take up the alerts")?;

    let telemetry = Arc::new(Telemetry::default());
    let live = Live::new(next_frame, Window::default());
    let options = ingest::Options {
        quota: config.quota,
        clusters: config.clusters.clone(),
        ..ingest::Options::default()
    };
    let ingest = Ingest::new(log.clone(), registry::of(&state), Arc::clone(&telemetry), options);
    let stop = CancellationToken::new();
    let health: api::Health = {
        let (log, problems) = (log.clone(), problems.clone());
        Arc::new(move || problems.iter().cloned().chain(log_problem(&log)).collect())
    };
    let watch = WatchService::new(
        log.clone(),
        state.clone(),
        live.clone(),
        alerts.clone(),
        Arc::clone(&health),
        api::Limits::default(),
        stop.clone(),
    );

    let listener = Listener::bind(&config.grpc.listen, security, TlsLimits::default()).await?;
    match listener.address() {
        Some(address) => tracing::info!(%address, "listening for agents and clients"),
        None => tracing::info!(address = %config.grpc.listen, "listening for agents and clients"),
    }

    let (failed, mut failures) = mpsc::channel::<&'static str>(16);
    let mut tasks = Parts { tasks: JoinSet::new(), failed };
    let mut closing = JoinSet::new();
    if let Some(address) = config.http.listen {
        let pages = pages(&telemetry, &log, &state, health, Instant::now());
        let server = http::Server::bind(address, pages).await?;
        tracing::info!(address = %server.address()?, "metrics, health and status");
        tasks.spawn("the HTTP server", server.serve());
    }
    tasks.spawn(
        "the gauges",
        sample(Arc::clone(&telemetry), Arc::clone(&ingest), log.clone(), state.clone(), alerts.clone()),
    );
    let ended = log.clone();
    tasks.spawn("the log's writer", async move { ended.ended().await });
    let patience = Patience::new(config.nodes.silent_after);
    closing.spawn(monitor::watch(state.clone(), log.clone(), patience, stop.clone()));
    if let Some(receiver) = config.alerts.receiver.clone() {
        let (alerts, log, stop) = (alerts.clone(), log.clone(), stop.clone());
        closing.spawn(async move {
            let healthy = || log_problem(&log).map_or(Ok(()), Err);
            receiver::run(&receiver, alerts.poster(), healthy, &stop).await;
        });
    }
    let (transitions, transitions_out) = mpsc::channel(TRANSITIONS);
    let told = CancellationToken::new();
    let mut following = tokio::spawn(follow::follow(
        feed,
        log.clone(),
        state.clone(),
        live,
        alerts.clone(),
        transitions,
        Cadence::default(),
    ));
    let mut telling = tokio::spawn(alerts.run(transitions_out, told.clone()));

    let no_more = stop.clone();
    let serving = Grpc::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIME))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(STREAMS)
        .tcp_nodelay(true)
        .add_service(IngestService::new(Arc::clone(&ingest)))
        .add_service(WatchServer::new(watch).send_compressed(CompressionEncoding::Zstd))
        .serve_with_incoming_shutdown(listener.incoming(), async move { no_more.cancelled().await });
    let mut serving = tokio::spawn(serving);

    let reason = tokio::select! {
        _ = terminate.recv() => Ok("terminated"),
        _ = interrupt.recv() => Ok("interrupted"),
        what = failures.recv() => Err(what.unwrap_or("a part").to_owned()),
        ended = &mut serving => Err(format!("the gRPC server: {ended:?}")),
        ended = &mut following => Err(format!("the state: {ended:?}")),
        ended = &mut telling => Err(format!("the alerts: {ended:?}")),
        _ = closing.join_next() => Err("the watch over nodes".to_owned()),
    };
    match &reason {
        Ok(reason) => tracing::info!(reason, "stopping"),
        Err(what) => tracing::error!(what, "a part of the collector ended, so the collector does"),
    }
    stop.cancel();
    let stopped = timeout(STOP_TIME, async {
        ingest.stop().await;
        while closing.join_next().await.is_some() {}
        log.close().await;
        if !following.is_finished() {
            let _ = following.await;
        }
        told.cancel();
        if !telling.is_finished() {
            let _ = telling.await;
        }
        if !serving.is_finished() {
            let _ = serving.await;
        }
    });
    if stopped.await.is_err() {
        tracing::warn!("not everything ended in time; what was acknowledged is on the disk");
    }
    tasks.tasks.abort_all();
    drop(data);
    match reason {
        Ok(_) => Ok(()),
        Err(what) => bail!("{what} ended"),
    }
}

/// Parts that must not end.
struct Parts {
    tasks: JoinSet<()>,
    failed: mpsc::Sender<&'static str>,
}

impl Parts {
    fn spawn(&mut self, name: &'static str, part: impl Future<Output = ()> + Send + 'static) {
        let failed = self.failed.clone();
        // Sent when the part ends, also when it panics.
        let told = Told(failed, name);
        self.tasks.spawn(async move {
            let _told = told;
            part.await;
        });
    }
}

struct Told(mpsc::Sender<&'static str>, &'static str);

impl Drop for Told {
    fn drop(&mut self) {
        // Full: others have ended before.
        let _ = self.0.try_send(self.1);
    }
}

struct Opened {
    log: Log,
    state: State,
    alerts: Alerts,
    replayed: state::Replayed,
    problems: Vec<String>,
}

/// Everything that is read from the disk, off the runtime's threads.
async fn open(config: &Config, dir: &Path) -> Result<Opened> {
    let (config, dir) = (config.clone(), dir.to_owned());
    spawn_blocking(move || {
        let (log, recovery) = Log::open(&dir.join("log"), config.log_store)?;
        // Until the state has read what it lacks, and says from where on it needs it.
        log.hold("state", 1);
        let mut problems = report(&recovery);
        let alerts = Alerts::open(&config.alerts, &dir.join("alerts"), Pace::default())?;
        let state_dir = dir.join("state");
        make_folder(&state_dir).with_context(|| format!("cannot make {}", state_dir.display()))?;
        let opened = State::open(&state_dir, &log, alerts.resume());
        problems.extend(opened.problems);
        Ok(Opened { log, state: opened.state, alerts, replayed: opened.replayed, problems })
    })
    .await
    .context("reading the data folder panicked")?
}

/// Says what was found in the log; what is lost goes on being said.
fn report(recovery: &Recovery) -> Vec<String> {
    let Recovery { segments, bytes, next, cut, damaged } = recovery;
    tracing::info!(segments, bytes, next_frame = next, "log opened");
    if let Some(cut) = cut {
        tracing::warn!(
            segment = %cut.path.display(),
            at = cut.at,
            bytes = cut.bytes,
            "what was not written to its end was cut off; it was not acknowledged"
        );
    }
    let told = |damage: &crate::log::Damage| {
        let (path, at) = (damage.path.display(), damage.at);
        format!("{path} is damaged at byte {at}, frame {}: events are lost there", damage.frame)
    };
    let problems: Vec<_> = damaged.iter().map(told).collect();
    for problem in &problems {
        tracing::error!(problem, "log");
    }
    problems
}

fn security(security: &Security) -> Result<TlsSecurity> {
    Ok(match security {
        Security::Local => TlsSecurity::Plain,
        Security::Off => {
            tracing::warn!("TLS is off: everybody who can connect may deliver events and read them");
            TlsSecurity::Plain
        }
        Security::Tls(material) => TlsSecurity::Tls(ServerTls::open(material.clone())?),
    })
}

fn log_problem(log: &Log) -> Option<String> {
    match &*log.condition().borrow() {
        Condition::Writing => None,
        condition => Some(format!("the log takes nothing, so agents keep their events: {condition}")),
    }
}

fn pages(
    telemetry: &Arc<Telemetry>,
    log: &Log,
    state: &State,
    health: api::Health,
    started: Instant,
) -> Pages {
    let (counters, log, state) = (Arc::clone(telemetry), log.clone(), state.clone());
    let status = move || {
        let fold = state.read();
        let problems: Vec<_> = health().into_iter().chain(state.problems()).collect();
        Status {
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: started.elapsed().as_secs(),
            healthy: problems.is_empty(),
            ready: log_problem(&log).is_none(),
            problems,
            oldest_frame: log.oldest(),
            next_frame: *log.committed().borrow(),
            log_bytes: log.bytes(),
            nodes: fold.nodes().count() as u64,
            connections: u64::try_from(counters.ingest.connections.get()).unwrap_or_default(),
            open_findings: fold.open_findings(),
        }
    };
    Pages { telemetry: Arc::clone(telemetry), status: Box::new(status) }
}

async fn sample(telemetry: Arc<Telemetry>, ingest: Arc<Ingest>, log: Log, state: State, alerts: Alerts) {
    let committed: watch::Receiver<u64> = log.committed();
    let mut due = interval(SAMPLE);
    let gauge = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    loop {
        due.tick().await;
        let gauges = &telemetry.log;
        gauges.next_frame.set(gauge(*committed.borrow()));
        gauges.oldest_frame.set(gauge(log.oldest()));
        gauges.bytes.set(gauge(log.bytes()));
        gauges.segments.set(gauge(log.segments() as u64));
        gauges.writing.set(i64::from(log_problem(&log).is_none()));
        telemetry.ingest.definition_bytes.set(gauge(ingest.definition_bytes() as u64));
        telemetry.known.state(&state.read());
        telemetry.known.presences(state.presences());
        telemetry.known.alerts(&alerts.status());
    }
}

fn now_unix_ns() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

//! Puts the agent together and takes it down: hooks first, then the scan, ready after it.

mod alive;
mod coverage;
mod host;
mod lock;
mod losses;
mod naming;
mod scan;
mod sink;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::sync_channel,
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};

use self::{
    alive::AliveFile,
    host::{Boot, Host},
    lock::StateDir,
    losses::{Losses, Start},
    scan::Scanner,
    sink::{Notice, Sink},
};
use crate::{
    config::{Config, Listen},
    context::{Context, Limits},
    http::{Health, Pages, Server, ServerLimits},
    kernel::{self, Layout, LinkPins, Mounted, Plan, Predecessor, Streams, UntoldMap, prove},
    output::{
        event::{Body, Origin},
        jsonl::JsonLines,
    },
    pipeline::{
        Outgoing, Outlets, Parts, Pipeline, Reader, Untold, clock,
        lifecycle::{self, LifecycleReceiver, Processes},
    },
    posture::{self, CONTROLS, Posture, store},
    source::SequenceCheck,
    telemetry::{
        Telemetry,
        label::{Queue, Table},
    },
};

/// A hot loop that has not turned for so long is dead.
const MAX_SILENCE: Duration = Duration::from_secs(10);
/// How often losses are looked for and word is left.
const SAMPLE: Duration = Duration::from_millis(500);
/// Messages to the hot loop.
const MESSAGES: usize = 1024;
/// Changes of findings on their way out.
const CHANGES: usize = 1024;
/// Containers to be named, cgroups to be found.
const QUESTIONS: usize = 1024;
/// Losses and the like; at start the whole attach report, before anybody reads.
const NOTICES: usize = 512;

/// Runs until a signal, or until a part of the agent ends.
///
/// # Errors
/// Why it could not start, or which part ended.
pub fn run(config: Config) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(start(config));
    // Threads that wait in the kernel must not hold up the end.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn start(config: Config) -> Result<()> {
    let mut signals = Signals::new()?;
    let exemptions = config.exemptions()?;
    let state = StateDir::take(&config.state_dir)?;
    let mounted = Mounted::detect()?;
    let boot = Boot::read()?;
    let slugs: Vec<_> = CONTROLS.iter().map(|control| control.slug).collect();
    let telemetry = Arc::new(Telemetry::new(&slugs));
    let health = Arc::new(Health::new(MAX_SILENCE));
    let mut tasks = JoinSet::new();
    serve(&config, &telemetry, &health, &mut tasks).await?;

    let layout = Layout::read(mounted.hierarchy, [config.rings.critical_bytes, config.rings.bulk_bytes])?;
    let alive = AliveFile::new(state.file("alive"), &boot.id);
    let last_alive_ns = alive.read();
    let plan = Plan {
        pin_dir: config.pin_dir.clone(),
        layout: layout.clone(),
        streams: Streams { open: config.streams.open },
    };
    let mut programs = plan.carry_out()?;
    let host = Host::read(&mounted, &mut programs.scan)?;
    let report = coverage::report(&boot.release, &layout, &programs);
    report.log();
    telemetry.support.set(&report);
    health.set_coverage(report.clone());

    let (notices, notices_out) = mpsc::channel(NOTICES);
    for entry in report.hooks.iter().chain(&report.controls) {
        let body = Body::Coverage {
            at: entry.name.clone(),
            state: entry.support.state().to_owned(),
            reason: entry.support.reason().map(str::to_owned),
        };
        tell(&notices, body).await;
    }
    let how = match (programs.adopted, programs.predecessors.is_empty()) {
        (true, _) => Start::Adopted,
        // They were attached until these were.
        (false, false) => Start::Attached { last_alive_ns: None },
        (false, true) => Start::Attached { last_alive_ns },
    };
    let beat_ns = Arc::new(AtomicU64::new(clock::boottime_ns()));
    // Now and at the end too: an agent may end before its first sample.
    alive.write(clock::boottime_ns());
    let alive_at_end = alive.clone();
    let sequence = SequenceCheck::new(programs.sequences.read()?);
    let before_ns = match how {
        Start::Adopted => Some(programs.progress.get()?.alive_ns).filter(|&alive_ns| alive_ns != 0),
        Start::Attached { last_alive_ns } => last_alive_ns,
    };
    let words: Arc<UntoldMap> = Arc::new(programs.untold);
    let left = programs.predecessors.iter().map(|predecessor| predecessor.untold);
    // What follows is to be told, and a start can be killed like any agent.
    let (untold, untold_before) = Untold::start(words, left, before_ns, clock::boottime_ns());
    let (losses, told) = Losses::start(
        how,
        programs.counters,
        programs.progress,
        programs.recursion,
        Arc::clone(&beat_ns),
        Arc::clone(&telemetry),
    )?;
    let untold_before = untold_before.map(|(from_ns, to_ns)| losses::killed(from_ns, to_ns, &telemetry));
    for body in told.into_iter().chain(untold_before).chain(left_behind(&programs.predecessors)?) {
        tell(&notices, body).await;
    }

    let limits = Limits {
        processes: config.limits.processes,
        containers: config.limits.containers,
        cgroups: config.limits.cgroups,
    };
    let mut posture =
        Posture::new(posture_settings(&config), exemptions, host.posture, config.node_name.clone());
    let state_file = state.file("findings.json");
    restore(&mut posture, &state_file, &boot.id);

    let (messages, messages_in) = mpsc::channel(MESSAGES);
    let (changes, changes_out) = mpsc::channel(CHANGES);
    let (names, names_out) = mpsc::channel(QUESTIONS);
    let (cgroups, cgroups_out) = mpsc::channel(QUESTIONS);
    let (start_scan, mut start_scan_done) = watch::channel(false);
    let (proof, observed) = sync_channel(4);
    for (queue, capacity) in
        [(Queue::Findings, CHANGES), (Queue::CriRequests, QUESTIONS), (Queue::CgroupRequests, QUESTIONS)]
    {
        telemetry.queues.capacity.of(queue).set(capacity as u64);
    }
    for (table, capacity) in [
        (Table::Processes, config.limits.processes),
        (Table::Containers, config.limits.containers),
        (Table::Cgroups, config.limits.cgroups),
        (Table::Findings, config.limits.findings),
    ] {
        telemetry.context.capacity.of(table).set(capacity as u64);
    }
    let outlets = Outlets::new(changes, names, cgroups, start_scan);
    let (lifecycle, lifecycle_out) = lifecycle::channel(Processes::Containers);
    telemetry.queues.capacity.of(Queue::Lifecycle).set(lifecycle::CAPACITY as u64);
    let told = Arc::clone(&outlets.told);
    let mut pipeline = Pipeline::new(Parts {
        context: Context::new(limits, host.context),
        posture,
        telemetry: Arc::clone(&telemetry),
        messages: messages_in,
        outlets,
        lifecycle,
        sequence,
        boot_id: boot.id.clone(),
        proof: Some(proof),
        canary: None,
    });
    pipeline.leave_word(untold);

    let stop = Arc::new(AtomicBool::new(false));
    let reader = Reader {
        critical: programs.critical,
        bulk: programs.bulk,
        switches: programs.switches,
        health: Arc::clone(&health),
        beat_ns: Arc::clone(&beat_ns),
        stop: Arc::clone(&stop),
    };
    let mut hot = spawn_hot(reader, pipeline, programs.predecessors)?;

    let proved = tokio::task::spawn_blocking(move || prove::prove(&observed));
    proved
        .await
        .context("the offset proof panicked")?
        .context("the kernel's layout is not what the agent expects")?;
    tracing::info!("offset table proved against /proc");

    tasks.spawn(naming::run(naming::settings(&config), names_out, messages.clone(), Arc::clone(&telemetry)));
    let (mounted_too, messages_too) = (mounted.clone(), messages.clone());
    let mut finding =
        spawn_thread("cgroups", move || scan::find_cgroups(&mounted_too, cgroups_out, &messages_too))?;
    let scanner = Scanner {
        mounted,
        tasks: programs.scan,
        messages: messages.clone(),
        telemetry: Arc::clone(&telemetry),
    };
    let every = config.scan.interval;
    let mut scanning = spawn_thread("scan", move || scanner.run(every))?;
    tasks.spawn(sample(
        losses,
        alive,
        programs.links,
        Arc::clone(&health),
        notices.clone(),
        Arc::clone(&beat_ns),
    ));
    let sink = Sink {
        origin: Origin { node: config.node_name.clone(), boot_id: boot.id.clone() },
        state: state_file.clone(),
        events: config.findings.file.clone().map(JsonLines::new),
        messages: messages.clone(),
        telemetry: Arc::clone(&telemetry),
        told,
        state_failing: false,
    };
    drop(messages);
    let mut sink = spawn_sink(sink, changes_out, lifecycle_out, notices_out)?;

    // Whoever ends before it is told to takes the agent down: half an agent is a blind one.
    let reason = loop {
        tokio::select! {
            name = signals.recv() => break Ok(name),
            _ = &mut hot => break Err("the hot loop ended"),
            _ = &mut sink => break Err("the writer ended"),
            _ = &mut scanning => break Err("the scanner ended"),
            _ = &mut finding => break Err("the search for cgroups ended"),
            Some(_) = tasks.join_next() => break Err("a part of the agent ended"),
            Ok(()) = start_scan_done.changed() => {
                health.start_scan_done();
                tell(&notices, ready(&telemetry)).await;
                tracing::info!("ready");
            }
        }
    };
    stop.store(true, Ordering::Relaxed);
    let name = match reason {
        Ok(name) => name,
        Err(what) => bail!(what),
    };
    tell(&notices, Body::Stop { reason: name.to_owned() }).await;
    drop(notices);
    tasks.shutdown().await;
    let mut pipeline = hot.await.context("the hot loop panicked")?;
    let snapshot = pipeline.snapshot();
    let untold = pipeline.take_word();
    // With the pipeline its ends of the channels go, and the sink writes what is left.
    drop(pipeline);
    sink.await.context("the writer panicked")?;
    store::write(&state_file, &snapshot)?;
    if !health.is_detached() {
        alive_at_end.write(beat_ns.load(Ordering::Relaxed));
    }
    if let Some(mut untold) = untold {
        untold.clear();
    }
    Ok(())
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn recv(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "terminated",
            _ = self.interrupt.recv() => "interrupted",
        }
    }
}

async fn serve(
    config: &Config,
    telemetry: &Arc<Telemetry>,
    health: &Arc<Health>,
    tasks: &mut JoinSet<()>,
) -> Result<()> {
    let Listen::At(address) = config.http.listen else { return Ok(()) };
    let pages = Pages {
        node: config.node_name.clone(),
        telemetry: Arc::clone(telemetry),
        health: Arc::clone(health),
    };
    let server = Server::bind(address, pages, ServerLimits::default()).await?;
    tracing::info!(address = %server.address(), "metrics, health and status");
    tasks.spawn(server.serve());
    Ok(())
}

fn posture_settings(config: &Config) -> posture::Settings {
    let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    posture::Settings {
        name_wait_ns: nanos(config.findings.name_wait),
        quiet_ns: nanos(config.findings.quiet_time),
        max_findings: config.limits.findings,
        max_processes: config.limits.processes,
        max_containers: config.limits.containers,
        ..posture::Settings::default()
    }
}

fn restore(posture: &mut Posture, path: &std::path::Path, boot_id: &str) {
    match store::read(path) {
        store::Stored::Absent => {}
        store::Stored::Found(snapshot) => posture.restore(*snapshot, boot_id, clock::now()),
        store::Stored::Unusable { kept, reason } => {
            let kept = kept.map_or_else(PathBuf::new, PathBuf::from);
            tracing::error!(%reason, kept = %kept.display(), "state file is not usable: findings start anew");
        }
    }
}

/// What the rings of other programs lost that nobody told.
fn left_behind(predecessors: &[Predecessor]) -> Result<Vec<Body>, kernel::MapsError> {
    let now = clock::now();
    let mut bodies = Vec::new();
    for predecessor in predecessors {
        bodies.extend(losses::untold(&predecessor.counters.lost()?, &predecessor.progress, now));
    }
    Ok(bodies)
}

fn spawn_hot(
    reader: Reader,
    pipeline: Pipeline,
    predecessors: Vec<Predecessor>,
) -> Result<oneshot::Receiver<Pipeline>> {
    spawn_thread("hot", move || reader.run(pipeline, predecessors))
}

/// A thread of its own: files and the terminal may block, and nobody else may wait for them.
fn spawn_sink(
    sink: Sink,
    changes: mpsc::Receiver<Outgoing>,
    lifecycle: LifecycleReceiver,
    notices: mpsc::Receiver<Notice>,
) -> Result<oneshot::Receiver<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    spawn_thread("sink", move || runtime.block_on(sink.run(changes, lifecycle, notices)))
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

async fn sample(
    mut losses: Losses,
    alive: AliveFile,
    links: LinkPins,
    health: Arc<Health>,
    notices: mpsc::Sender<Notice>,
    beat_ns: Arc<AtomicU64>,
) {
    let mut due = tokio::time::interval(SAMPLE);
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        if let Some(hook) = links.removed()
            && !health.is_detached()
        {
            // Whoever watches the agent's health starts it again: that attaches a new hook, and
            // tells since when there was none.
            tracing::error!(hook = hook.name(), "somebody has removed the pin that keeps a hook attached");
            health.hook_detached(hook);
        }
        if let Err(error) = losses_told(&mut losses, &notices).await {
            tracing::error!(%error, "cannot read the hooks' counters");
        }
        if !health.is_detached() {
            alive.write(beat_ns.load(Ordering::Relaxed));
        }
    }
}

async fn losses_told(losses: &mut Losses, notices: &mpsc::Sender<Notice>) -> Result<(), kernel::MapsError> {
    for body in losses.sample()? {
        tell(notices, body).await;
    }
    // Behind all of them, those of the start too.
    let (written, is_written) = oneshot::channel();
    let sent = notices.send(Notice::Mark(written)).await;
    if sent.is_ok() && is_written.await.is_ok() { losses.written() } else { Ok(()) }
}

async fn tell(notices: &mpsc::Sender<Notice>, body: Body) {
    // The sink outlives whoever tells, except in a start that failed.
    let _ = notices.send(Notice::Tell { at: clock::now(), body }).await;
}

fn ready(telemetry: &Telemetry) -> Body {
    let entries = &telemetry.context.entries;
    Body::Ready {
        containers: entries.of(Table::Containers).get(),
        processes: entries.of(Table::Processes).get(),
    }
}

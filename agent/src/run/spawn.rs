//! Threads and tasks, and the queues between them: the hot loop first, all others once the offset
//! table is proved.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::AtomicBool,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    before::{Before, Sources},
    delivery::{self, RunningUplink},
    filter, images, inspect,
    keep::Keeper,
    naming,
    open::Ground,
    resolver::Resolver,
    rules::Reloader,
    running::Running,
    sample::Sampler,
    scan::{self, Scanner},
    sink::{Inlets, Notice, Sink},
    spawn_thread,
    throttle::BucketReader,
    waiting::Waiting,
};
use crate::{
    config::{Config, Rules, Scope, Streams},
    context::{Context, Limits},
    detect::{self, Detector, Loading, Recorder},
    filter::CgroupMarks,
    image,
    inspect::Inspector,
    kernel::prove,
    output::{event::Origin, jsonl::JsonLines},
    pipeline::{
        Outlets, Parts, Pipeline, Reader, clock, lifecycle,
        raw::{self, Narrow},
    },
    posture::{self, Posture, Sight, store},
    telemetry::{
        Telemetry,
        label::{Queue, Table},
    },
    uplink::canary::Canary,
};

/// Messages to the hot loop.
const MESSAGES: usize = 1024;
/// Changes of findings on their way out.
const CHANGES: usize = 1024;
/// Containers to be named, cgroups to be found.
const QUESTIONS: usize = 1024;

/// Containers to be looked into; one takes about a millisecond.
const INSPECTIONS: usize = 64;
/// Images of processes to be read; the environment of one takes some ten microseconds.
const IMAGES: usize = 1024;
/// Cgroups that are gone, to whoever reads their buckets once a second.
const GONE: usize = 4096;

/// Starts everything.
pub(super) async fn spawn(
    mut ground: Ground,
    sources: Sources,
    before: Before,
    (notices, notices_out): (mpsc::Sender<Notice>, mpsc::Receiver<Notice>),
    tape: Option<SyncSender<String>>,
) -> Result<Running> {
    let Sources {
        critical,
        bulk,
        switches,
        cgroups: cgroup_map,
        buckets,
        adopted,
        predecessors,
        sequence,
        scan,
        links,
        interest,
        filters,
        host,
        alive,
        sees_packets,
    } = sources;
    let Before { losses, untold, words, beat_ns } = before;
    let state_file = ground.state.file("findings.json");
    let exemptions = ground.exemptions.clone();
    let policy = ground.policy.clone();
    let Ground { config, telemetry, health, mounted, boot, delivery, .. } = &ground;
    let mut posture =
        Posture::new(posture_settings(config), policy, exemptions, host.posture, config.node_name.clone());
    posture.set_sight(Sight {
        files: config.streams.files != Scope::Off,
        packets: config.streams.network != Scope::Off && sees_packets,
    });
    restore(&mut posture, &state_file, &boot.id);

    let (messages, messages_in) = mpsc::channel(MESSAGES);
    let (changes, changes_out) = mpsc::channel(CHANGES);
    let (names, names_out) = mpsc::channel(QUESTIONS);
    let (cgroups, cgroups_out) = mpsc::channel(QUESTIONS);
    let (inspections, inspections_out) = mpsc::channel(INSPECTIONS);
    let (node, node_out) = mpsc::channel(1);
    let (start_scan, start_scan_done) = watch::channel(false);
    let (proof, observed) = sync_channel(4);
    let (canary, canary_seen) = sync_channel(4);
    let (lifecycle, lifecycle_out) = lifecycle::channel(delivery::processes(config));
    let (raw, raw_out) = raw::channel(delivery::raw_streams(config), narrow(config));
    set_capacities(config, telemetry);
    let outlets = Outlets::new(changes, names, cgroups, inspections, node, start_scan);
    let told = Arc::clone(&outlets.told);
    let mut detector = detector(config, telemetry, tape);
    let (asked, asked_images) = sync_channel(IMAGES);
    detector.read_images(asked);
    let mut pipeline = Pipeline::new(Parts {
        context: Context::new(context_limits(config), host.context),
        posture,
        telemetry: Arc::clone(telemetry),
        messages: messages_in,
        outlets,
        lifecycle,
        raw,
        detector,
        sequence,
        boot_id: boot.id.clone(),
        proof: Some(proof),
        canary: Some(canary),
        inspect_every_ns: nanos(config.inspect.interval),
    });
    pipeline.leave_word(untold);
    let (gone, gone_out) = sync_channel(GONE);
    pipeline.mark_cgroups(CgroupMarks::new(Box::new(cgroup_map), config.mute.cgroups.clone()), gone);
    let buckets = BucketReader::new(buckets, adopted, gone_out)?;

    let stop = Arc::new(AtomicBool::new(false));
    let reader = Reader {
        critical,
        bulk,
        switches,
        health: Arc::clone(health),
        beat_ns: Arc::clone(&beat_ns),
        stop: Arc::clone(&stop),
    };
    let hot = spawn_thread("hot", move || reader.run(pipeline, predecessors))?;
    prove(observed).await?;

    let finding = {
        let (mounted, messages) = (mounted.clone(), messages.clone());
        spawn_thread("cgroups", move || scan::find_cgroups(&mounted, cgroups_out, &messages))?
    };
    let inspecting = {
        let (inspector, messages) = (Inspector::new(), messages.clone());
        let telemetry = Arc::clone(telemetry);
        spawn_thread("inspect", move || inspect::run(inspector, inspections_out, &messages, &telemetry))?
    };
    let reading_images = {
        let (reader, messages) = (image::Reader::new(Arc::clone(telemetry)), messages.clone());
        spawn_thread("images", move || images::run(reader, &asked_images, &messages))?
    };
    let reading_node = {
        let messages = messages.clone();
        spawn_thread("node", move || inspect::read_node(node_out, &messages))?
    };
    let scanner = Scanner {
        mounted: mounted.clone(),
        tasks: scan,
        messages: messages.clone(),
        telemetry: Arc::clone(telemetry),
    };
    let every = config.scan.interval;
    let (scans, asked_scans) = sync_channel(1);
    let scanning = spawn_thread("scan", move || scanner.run(every, &asked_scans))?;
    let canary = Canary {
        every: config.canary.interval,
        seen: canary_seen,
        health: Arc::clone(health),
        telemetry: Arc::clone(telemetry),
    };
    let canary = spawn_thread("canary", move || canary.run())?;
    let (uplink, keeper, asked) = match delivery {
        None => (None, None, None),
        Some(delivery) => {
            let (uplink, maker) = RunningUplink::spawn(delivery, &ground)?;
            let waiting = Waiting::new(config.findings.name_wait, Arc::clone(telemetry));
            let keeper = Keeper::new(delivery, maker.made, waiting, Arc::clone(&told));
            (Some(uplink), Some(keeper), Some(maker.asked))
        }
    };
    let naming = naming::run(
        naming::settings(config),
        names_out,
        messages.clone(),
        Arc::clone(telemetry),
        Arc::clone(health),
    );
    let (stop_rules, rules_stop) = sync_channel(1);
    let (rules, resolver) = match ground.rules.clone() {
        None => (None, None),
        Some((loading, start)) => {
            let (resolver, asking) = Resolver::new(messages.clone());
            let (filters, filter) = filters;
            let reloader = Reloader {
                loading,
                start,
                streams: config.streams.clone(),
                interest,
                filters,
                filter,
                sees_packets,
                resolver: asking,
                messages: messages.clone(),
                health: Arc::clone(health),
                telemetry: Arc::clone(telemetry),
            };
            let rules = spawn_thread("rules", move || reloader.run(&rules_stop))?;
            (Some(rules), Some(spawn_thread("resolver", move || resolver.run())?))
        }
    };
    let sampler = Sampler {
        losses,
        buckets,
        throttling: messages.clone(),
        scans,
        alive: alive.clone(),
        links,
        health: Arc::clone(health),
        telemetry: Arc::clone(telemetry),
        outbox: delivery.as_ref().map(|delivery| delivery.outbox.clone()),
        notices: notices.clone(),
        beat_ns: Arc::clone(&beat_ns),
        words,
    };
    let sink = Sink {
        origin: Origin { node: config.node_name.clone(), boot_id: boot.id.clone() },
        state: state_file.clone(),
        events: config.findings.file.clone().map(JsonLines::new),
        keeper,
        messages,
        telemetry: Arc::clone(telemetry),
        told,
        state_failing: false,
        last_word: None,
    };
    let inlets =
        Inlets { changes: changes_out, lifecycle: lifecycle_out, raw: raw_out, notices: notices_out, asked };
    let sink = spawn_sink(sink, inlets)?;
    ground.tasks.spawn(naming);
    ground.tasks.spawn(sampler.run());
    Ok(Running {
        ground,
        hot,
        sink,
        scanning,
        finding,
        inspecting,
        reading_node,
        reading_images,
        canary,
        rules,
        resolver,
        stop_rules,
        uplink,
        start_scan_done,
        notices,
        stop,
        state_file,
        alive,
        beat_ns,
    })
}

async fn prove(observed: Receiver<prove::Observed>) -> Result<()> {
    let proved = tokio::task::spawn_blocking(move || prove::prove(&observed));
    proved
        .await
        .context("the offset proof panicked")?
        .context("the kernel's layout is not what the agent expects")?;
    tracing::info!("offset table proved against /proc");
    Ok(())
}

/// A thread of its own: files and the terminal may block, and nobody else may wait for them.
fn spawn_sink(sink: Sink, inlets: Inlets) -> Result<oneshot::Receiver<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    spawn_thread("sink", move || runtime.block_on(sink.run(inlets)))
}

/// What the streams want, where rules may want more.
fn narrow(config: &Config) -> Option<Narrow> {
    let Streams { files_below, .. } = &config.streams;
    Loading::of(config).map(|_| Narrow::new(&filter::wants(&config.streams), files_below))
}

fn detector(config: &Config, telemetry: &Arc<Telemetry>, tape: Option<SyncSender<String>>) -> Detector {
    let Rules { rate, burst, repeat_after, .. } = config.rules;
    let limits = detect::Limits { rate, burst, repeat_after_ns: nanos(repeat_after) };
    let name_wait_ns = nanos(config.findings.name_wait);
    let mut detector =
        Detector::new(limits, name_wait_ns, config.node_name.clone(), clock::now(), Arc::clone(telemetry));
    if let Some(tape) = tape {
        detector.record(Recorder::new(tape, Arc::clone(telemetry)));
    }
    detector
}

fn set_capacities(config: &Config, telemetry: &Telemetry) {
    for (queue, capacity) in [
        (Queue::Findings, CHANGES),
        (Queue::CriRequests, QUESTIONS),
        (Queue::CgroupRequests, QUESTIONS),
        (Queue::Inspections, INSPECTIONS),
        (Queue::NodeReads, 1),
        (Queue::ImageReads, IMAGES),
        (Queue::Lifecycle, lifecycle::CAPACITY),
        (Queue::Rare, raw::RARE_CAPACITY),
        (Queue::Bulk, raw::BULK_CAPACITY),
    ] {
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
}

fn context_limits(config: &Config) -> Limits {
    let crate::config::Limits { processes, containers, cgroups, findings: _ } = config.limits;
    Limits { processes, containers, cgroups }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn posture_settings(config: &Config) -> posture::Settings {
    posture::Settings {
        name_wait_ns: nanos(config.findings.name_wait),
        quiet_ns: nanos(config.findings.quiet_time),
        max_findings: config.limits.findings,
        max_processes: config.limits.processes,
        max_containers: config.limits.containers,
        ..posture::Settings::default()
    }
}

fn restore(posture: &mut Posture, path: &Path, boot_id: &str) {
    match store::read(path) {
        store::Stored::Absent => {}
        store::Stored::Found(snapshot) => posture.restore(*snapshot, boot_id, clock::now()),
        store::Stored::Unusable { kept, reason } => {
            let kept = kept.map_or_else(PathBuf::new, PathBuf::from);
            tracing::error!(%reason, kept = %kept.display(), "state file is not usable: findings start anew");
        }
    }
}

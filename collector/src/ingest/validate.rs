//! What a message may say. Bounds are far above what agents send; beyond them is a bug or an attack.
//!
//! Texts may hold anything: they are made inert where they are shown. Wall clocks may say anything
//! too: order comes from numbers, time from boottime and from the collector's own clock.

mod raw;

use kestrel_proto::{
    SCHEMA,
    v1::{self, record::Event},
};

use super::Refusal;

/// Most events of one batch.
const RECORDS: usize = 16_384;
/// Most outboxes that an agent has something of. An agent that cannot stay up makes one each start.
const EPOCHS: usize = 4096;
/// Most parts of one inventory, containers or findings of one part, and entries of a heartbeat.
const PARTS: u32 = 4096;
const ENTRIES: usize = 16_384;
const HEARTBEAT_ENTRIES: usize = 1024;
/// Names of things, and texts for people, in bytes.
const NAME: usize = 1024;
const TEXT: usize = 64 << 10;
/// Paths are up to 4 KiB, and what a mount's prefix adds.
const PATH: usize = 16 << 10;
const COMM: usize = 64;
const ARGUMENTS: usize = 4096;
const ARGUMENT_BYTES: usize = 256 << 10;
const INSTANCES: usize = 4096;
/// Of a detection: tags, values that its output names, forebears.
const TAGS: usize = 256;
const FIELDS: usize = 256;
const ANCESTORS: usize = 64;
/// A hundred years and more; a number above is no time since a boot.
const BOOTTIME_NS: u64 = 1 << 62;
const SEQUENCE: u64 = 1 << 62;

type Checked = Result<(), Refusal>;

/// Whether an agent may begin so.
///
/// # Errors
/// What is wrong with it.
pub fn hello(hello: &v1::Hello) -> Checked {
    let v1::Hello {
        schema,
        cluster,
        node,
        boot_id,
        agent_version,
        kernel,
        epochs,
        wall_unix_ns: _,
        boottime_ns,
    } = hello;
    if *schema > SCHEMA {
        return Err(Refusal::Schema { theirs: *schema, ours: SCHEMA });
    }
    ensure(*schema > 0, || "hello without a schema".to_owned())?;
    let name = |what: &str, text: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        ensure(text.len() <= 253 && text.bytes().all(allowed), || {
            format!("{what}: expected at most 253 letters, digits, '-', '.' or '_'")
        })
    };
    ensure(!node.is_empty(), || "node: expected a name".to_owned())?;
    name("node", node)?;
    name("cluster", cluster)?;
    boot("boot_id", boot_id)?;
    text("agent_version", agent_version, NAME)?;
    text("kernel", kernel, NAME)?;
    boottime(*boottime_ns)?;
    ensure((1..=EPOCHS).contains(&epochs.len()), || {
        format!("epochs: expected 1 to {EPOCHS}, got {}", epochs.len())
    })?;
    for epoch in epochs {
        ensure(epoch.epoch != 0, || "epochs: expected numbers other than 0".to_owned())?;
        boot("epochs: boot_id", &epoch.boot_id)?;
    }
    let mut numbers: Vec<_> = epochs.iter().map(|epoch| epoch.epoch).collect();
    numbers.sort_unstable();
    ensure(numbers.is_sorted_by(|a, b| a < b), || "epochs: one is there twice".to_owned())
}

/// Whether it is a batch that an agent sends.
///
/// # Errors
/// What is wrong with it.
pub fn batch(batch: &v1::Batch) -> Checked {
    let v1::Batch { epoch: _, lane, first_sequence, processes, containers, forget: _, records } = batch;
    known::<v1::Lane>("lane", *lane, 1)?;
    ensure((1..=RECORDS).contains(&records.len()), || {
        format!("records: expected 1 to {RECORDS}, got {}", records.len())
    })?;
    ensure((1..SEQUENCE - RECORDS as u64).contains(first_sequence), || {
        format!("first_sequence {first_sequence} is no number of an event")
    })?;
    processes.iter().try_for_each(process)?;
    containers.iter().try_for_each(container)?;
    records.iter().try_for_each(record)
}

/// Whether it is a part of an inventory.
///
/// # Errors
/// What is wrong with it.
pub fn inventory(inventory: &v1::Inventory) -> Checked {
    let v1::Inventory {
        number: _,
        part,
        parts,
        after,
        boottime_ns,
        wall_unix_ns: _,
        containers,
        findings,
        node_controls,
    } = inventory;
    ensure((1..=PARTS).contains(parts) && part < parts, || {
        format!("inventory: part {part} of {parts}, expected one from 0 of at most {PARTS}")
    })?;
    if let Some(after) = after {
        known::<v1::Lane>("inventory: after", after.lane, 1)?;
    }
    boottime(*boottime_ns)?;
    at_most("inventory: containers", containers.len(), ENTRIES)?;
    at_most("inventory: findings", findings.len(), ENTRIES)?;
    for posture in containers {
        posture.container.as_ref().map_or_else(
            || Err(Refusal::Invalid("inventory: a container without its id".to_owned())),
            container,
        )?;
        known::<v1::PodSecurity>("container: observed_level", posture.observed_level, 0)?;
        known::<v1::PodSecurity>("container: declared_level", posture.declared_level, 0)?;
        controls(&posture.controls)?;
    }
    controls(node_controls)?;
    findings.iter().try_for_each(finding)
}

fn controls(controls: &[v1::ControlPosture]) -> Checked {
    at_most("inventory: controls", controls.len(), HEARTBEAT_ENTRIES)?;
    for control in controls {
        text("control", &control.control, NAME)?;
        known::<v1::Verdict>("control: verdict", control.verdict, 1)?;
        known::<v1::Severity>("control: severity", control.severity, 0)?;
        text("control: unknown_reason", &control.unknown_reason, TEXT)?;
        optional("control: observed", control.observed.as_deref(), TEXT)?;
        optional("control: declared", control.declared.as_deref(), TEXT)?;
        exemption(control.exemption.as_ref())?;
    }
    Ok(())
}

/// Whether it is a heartbeat.
///
/// # Errors
/// What is wrong with it.
pub fn heartbeat(heartbeat: &v1::Heartbeat) -> Checked {
    boottime(heartbeat.boottime_ns)?;
    for (what, length) in [
        ("problems", heartbeat.problems.len()),
        ("coverage", heartbeat.coverage.len()),
        ("hooks", heartbeat.hooks.len()),
        ("queues", heartbeat.queues.len()),
        ("lanes", heartbeat.lanes.len()),
    ] {
        at_most(what, length, HEARTBEAT_ENTRIES)?;
    }
    heartbeat.problems.iter().try_for_each(|problem| text("problems", problem, TEXT))?;
    heartbeat.coverage.iter().try_for_each(coverage)?;
    heartbeat.hooks.iter().try_for_each(|hook| text("hook", &hook.hook, NAME))?;
    heartbeat.queues.iter().try_for_each(|queue| text("queue", &queue.queue, NAME))?;
    heartbeat.lanes.iter().try_for_each(|lane| known::<v1::Lane>("lanes", lane.lane, 1))?;
    if let Some(v1::Runtime { name, version }) = &heartbeat.runtime {
        text("runtime: name", name, NAME)?;
        text("runtime: version", version, NAME)?;
    }
    optional("memory_only", heartbeat.memory_only.as_deref(), TEXT)?;
    heartbeat.rules.as_ref().map_or(Ok(()), rules)
}

fn rules(rules: &v1::Rules) -> Checked {
    let v1::Rules { hash, active: _, defined: _, loaded_unix_ns: _, error, failed: _, warnings } = rules;
    ensure(is_hex(hash, 64..=64) || hash.is_empty(), || {
        "rules: expected a hash of 64 hex digits, or none".to_owned()
    })?;
    optional("rules: error", error.as_deref(), TEXT)?;
    at_most("rules: warnings", warnings.len(), HEARTBEAT_ENTRIES)?;
    warnings.iter().try_for_each(|warning| text("rules: warnings", warning, TEXT))
}

fn record(record: &v1::Record) -> Checked {
    boottime(record.boottime_ns)?;
    let Some(event) = &record.event else {
        return Err(Refusal::Invalid("a record without an event that this schema knows".to_owned()));
    };
    match event {
        Event::Exec(exec) => {
            process_id("exec", exec.process.as_ref())?;
            bytes("exec: filename", &exec.filename, PATH)
        }
        Event::Exit(exit) => process_id("exit", exit.process.as_ref()),
        Event::Credentials(change) => process_id("credentials", change.process.as_ref()),
        Event::Detection(it) => detection(it),
        Event::Finding(it) => finding(it),
        Event::File(_)
        | Event::Path(_)
        | Event::Call(_)
        | Event::Socket(_)
        | Event::SocketState(_)
        | Event::Packet(_)
        | Event::UringDone(_)
        | Event::OomKill(_)
        | Event::AgentSignal(_)
        | Event::Sysctl(_) => raw::event(event),
        Event::ContainerStarted(it) => container_id("container", &it.container_id),
        Event::ContainerNamed(it) => container_id("container", &it.container_id),
        Event::ContainerGone(it) => container_id("container", &it.container_id),
        Event::Gap(gap) => {
            known::<v1::Lane>("gap: lane", gap.lane, 1)?;
            known::<v1::GapReason>("gap: reason", gap.reason, 1)?;
            ensure(gap.epoch != 0, || "gap: expected an epoch other than 0".to_owned())?;
            ensure((1..=gap.to_sequence).contains(&gap.from_sequence) && gap.to_sequence < SEQUENCE, || {
                format!("gap: {} to {} is no range of numbers", gap.from_sequence, gap.to_sequence)
            })
        }
        Event::Loss(loss) => {
            text("loss: at", &loss.at, NAME)?;
            text("loss: reason", &loss.reason, TEXT)
        }
        Event::Throttled(throttled) => optional_id("throttled", throttled.container_id.as_deref()),
        Event::Blind(blind) => text("blind: reason", &blind.reason, TEXT),
        Event::Coverage(it) => coverage(it),
        Event::Ready(_) => Ok(()),
        Event::Stop(stop) => text("stop: reason", &stop.reason, TEXT),
        Event::Node(_) => Err(Refusal::Invalid("the collector itself says how nodes are".to_owned())),
    }
}

fn detection(detection: &v1::Detection) -> Checked {
    let v1::Detection {
        rule,
        severity,
        tags,
        output,
        process: _,
        container_id,
        priority,
        event_type,
        fields,
        ancestors,
        held_back: _,
        pending_names: _,
        object,
    } = detection;
    ensure(!rule.is_empty(), || "detection: expected a rule".to_owned())?;
    text("detection: rule", rule, NAME)?;
    known::<v1::Priority>("detection: priority", *priority, 0)?;
    // A rule says how urgent it is, all else how bad.
    known::<v1::Severity>("detection: severity", *severity, i32::from(*priority == 0))?;
    at_most("detection: tags", tags.len(), TAGS)?;
    tags.iter().try_for_each(|tag| text("detection: tags", tag, NAME))?;
    text("detection: output", output, TEXT)?;
    optional_id("detection", container_id.as_deref())?;
    text("detection: event_type", event_type, NAME)?;
    at_most("detection: fields", fields.len(), FIELDS)?;
    for v1::DetectionField { name, value } in fields {
        text("detection: name of a field", name, NAME)?;
        optional("detection: value of a field", value.as_deref(), TEXT)?;
    }
    at_most("detection: ancestors", ancestors.len(), ANCESTORS)?;
    for v1::Ancestor { pid: _, comm, exe } in ancestors {
        bytes("detection: comm of an ancestor", comm, COMM)?;
        bytes("detection: exe of an ancestor", exe, PATH)?;
    }
    match object {
        Some(v1::detection::Object::Path(path)) => bytes("detection: path", path, PATH),
        Some(v1::detection::Object::Peer(peer)) => raw::address(Some(peer)),
        None => Ok(()),
    }
}

fn process(process: &v1::Process) -> Checked {
    process_id("process", process.id.as_ref())?;
    bytes("process: exe", &process.exe, PATH)?;
    bytes("process: cwd", &process.cwd, PATH)?;
    bytes("process: comm", &process.comm, COMM)?;
    at_most("process: argv", process.argv.len(), ARGUMENTS)?;
    at_most("process: argv in bytes", process.argv.iter().map(bytes::Bytes::len).sum(), ARGUMENT_BYTES)?;
    known::<v1::Membership>("process: membership", process.membership, 0)?;
    optional_id("process", process.container_id.as_deref())
}

fn container(container: &v1::Container) -> Checked {
    container_id("container", &container.id)?;
    known::<v1::Pending>("container: pending", container.pending, 0)?;
    let Some(names) = &container.names else { return Ok(()) };
    let v1::ContainerNames {
        namespace,
        pod,
        pod_uid,
        container,
        image,
        image_digest,
        workload: owner,
        sandbox: _,
    } = names;
    for (what, name) in [
        ("container: namespace", namespace),
        ("container: pod", pod),
        ("container: pod_uid", pod_uid),
        ("container: container", container),
        ("container: image", image),
    ] {
        text(what, name, NAME)?;
    }
    optional("container: image_digest", image_digest.as_deref(), NAME)?;
    workload(owner.as_ref())
}

fn workload(workload: Option<&v1::Workload>) -> Checked {
    let Some(v1::Workload { kind, name, namespace }) = workload else { return Ok(()) };
    text("workload: kind", kind, NAME)?;
    text("workload: name", name, NAME)?;
    text("workload: namespace", namespace, NAME)
}

fn finding(finding: &v1::Finding) -> Checked {
    ensure(is_hex(&finding.id, 32..=32), || "finding: expected an id of 32 hex digits".to_owned())?;
    known::<v1::FindingState>("finding: state", finding.state, 1)?;
    known::<v1::Resolution>("finding: resolution", finding.resolution, 0)?;
    known::<v1::Verdict>("finding: verdict", finding.verdict, 1)?;
    known::<v1::Severity>("finding: severity", finding.severity, 1)?;
    known::<v1::Pending>("finding: pending", finding.pending, 0)?;
    for (what, name) in [
        ("finding: pod", &finding.pod),
        ("finding: container", &finding.container),
        ("finding: image", &finding.image),
    ] {
        text(what, name, NAME)?;
    }
    text("finding: unknown_reason", &finding.unknown_reason, TEXT)?;
    text("finding: fix", &finding.fix, TEXT)?;
    optional("finding: image_digest", finding.image_digest.as_deref(), NAME)?;
    optional("finding: superseded_by", finding.superseded_by.as_deref(), NAME)?;
    if !finding.container_id.is_empty() {
        container_id("finding", &finding.container_id)?;
    }
    let control = finding.control.as_ref().filter(|control| !control.slug.is_empty());
    let Some(control) = control else {
        return Err(Refusal::Invalid("finding: expected a control".to_owned()));
    };
    text("finding: control", &control.slug, NAME)?;
    text("finding: control title", &control.title, NAME)?;
    optional("finding: control pss", control.pss.as_deref(), NAME)?;
    optional("finding: control cis", control.cis.as_deref(), NAME)?;
    workload(finding.workload.as_ref())?;
    exemption(finding.exemption.as_ref())?;
    at_most("finding: completes", finding.completes.len(), INSTANCES)?;
    finding.completes.iter().try_for_each(|id| text("finding: completes", id, NAME))?;
    at_most("finding: instances", finding.instances.len(), INSTANCES)?;
    for instance in &finding.instances {
        known::<v1::Verdict>("instance: verdict", instance.verdict, 1)?;
        if !instance.container_id.is_empty() {
            container_id("instance", &instance.container_id)?;
        }
        bytes("instance: exe", &instance.exe, PATH)?;
        bytes("instance: comm", &instance.comm, COMM)?;
        text("instance: observed", &instance.observed, TEXT)?;
        optional("instance: declared", instance.declared.as_deref(), TEXT)?;
    }
    Ok(())
}

fn exemption(exemption: Option<&v1::Exemption>) -> Checked {
    let Some(v1::Exemption { owner, reason, expires }) = exemption else { return Ok(()) };
    text("exemption: owner", owner, TEXT)?;
    text("exemption: reason", reason, TEXT)?;
    optional("exemption: expires", expires.as_deref(), NAME)
}

fn coverage(coverage: &v1::Coverage) -> Checked {
    text("coverage: at", &coverage.at, NAME)?;
    known::<v1::CoverageKind>("coverage: kind", coverage.kind, 1)?;
    known::<v1::Support>("coverage: support", coverage.support, 1)?;
    text("coverage: reason", &coverage.reason, TEXT)
}

fn process_id(what: &str, id: Option<&v1::ProcessId>) -> Checked {
    ensure(id.is_some_and(|id| id.tgid != 0), || format!("{what}: expected a process"))
}

fn container_id(what: &str, id: &str) -> Checked {
    ensure(is_hex(id, 1..=64), || format!("{what}: expected a container id of up to 64 hex digits"))
}

fn optional_id(what: &str, id: Option<&str>) -> Checked {
    id.map_or(Ok(()), |id| container_id(what, id))
}

fn boot(what: &str, id: &str) -> Checked {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    ensure((1..=64).contains(&id.len()) && id.bytes().all(allowed), || {
        format!("{what}: expected 1 to 64 letters, digits or '-'")
    })
}

fn boottime(boottime_ns: u64) -> Checked {
    ensure((1..=BOOTTIME_NS).contains(&boottime_ns), || format!("{boottime_ns} ns is no time since a boot"))
}

fn is_hex(text: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    length.contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A value of `E` that is known, and 0 (unspecified) only where `from` is 0.
fn known<E: TryFrom<i32>>(what: &str, value: i32, from: i32) -> Checked {
    ensure(value >= from && E::try_from(value).is_ok(), || format!("{what}: {value} is not known here"))
}

fn text(what: &str, text: &str, most: usize) -> Checked {
    at_most(what, text.len(), most)
}

fn optional(what: &str, text: Option<&str>, most: usize) -> Checked {
    at_most(what, text.map_or(0, str::len), most)
}

fn bytes(what: &str, bytes: &[u8], most: usize) -> Checked {
    at_most(what, bytes.len(), most)
}

fn at_most(what: &str, length: usize, most: usize) -> Checked {
    ensure(length <= most, || format!("{what}: at most {most}, got {length}"))
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(Refusal::Invalid(otherwise())) }
}

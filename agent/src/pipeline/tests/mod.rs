//! A pipeline fed with records that a test makes, without a kernel.

mod images;
mod inspections;
mod judged;
mod lifecycle;
mod order;
mod peers;
mod raw;
mod rules;
mod throttle;

use std::sync::{
    Arc,
    mpsc::{Receiver, sync_channel},
};

use agent_abi::record::{self, FileRef, Header, Ids, Namespaces, TaskRef, TaskState, UNMAPPED, file_flag};
use tokio::sync::{mpsc, watch};

use super::{
    CgroupQuestion, InspectionQuestion, Message, Outgoing, Outlets, Parts, Pipeline,
    canary::CanarySeen,
    clock,
    lifecycle::{Activity, LifecycleReceiver, Processes, channel},
    raw::{RawReceivers, RawStreams},
};
use crate::{
    capability::ALL,
    config::Scope,
    context::{Context, Host, Limits, cri},
    decode::{Cgroup, CgroupChange, Credentials, Event, Exec, ImageSource, Strings},
    detect::{self, Detector},
    posture::{CONTROLS, Exemptions, HostFacts, Policy, Posture, Settings},
    source::SequenceCheck,
    telemetry::{Telemetry, label::ScanKind},
};

const HOST_MNT: u32 = 1;
const HOST_PID: u32 = 2;
const CONTAINER_MNT: u32 = 77;
/// A container's cgroup.
const CGROUP: u64 = 42;

/// How long rules wait for names.
const NAME_WAIT_NS: u64 = 2_000_000_000;

const OWN: u32 = file_flag::IN_TASK_MOUNT_NS | file_flag::OVERLAY;
const SEALED: u32 = file_flag::MEMFD;

/// One of each.
const RAW: RawStreams =
    RawStreams { files: Scope::All, network: Scope::Off, system: Scope::Containers, signals: Scope::Off };

/// A pipeline and its ends.
struct Node {
    pipeline: Pipeline,
    telemetry: Arc<Telemetry>,
    lifecycle: LifecycleReceiver,
    raw: RawReceivers,
    changes: mpsc::Receiver<Outgoing>,
    messages: mpsc::Sender<Message>,
    canaries: Receiver<CanarySeen>,
    _names: mpsc::Receiver<cri::Question>,
    _cgroups: mpsc::Receiver<CgroupQuestion>,
    inspections: mpsc::Receiver<InspectionQuestion>,
    node_reads: mpsc::Receiver<Vec<crate::inspect::node::Candidate>>,
    now: u64,
}

impl Node {
    fn new(processes: Processes) -> Self {
        Self::with(processes, 64)
    }

    /// With room for so many changes.
    fn with(processes: Processes, room: usize) -> Self {
        let slugs: Vec<_> = CONTROLS.iter().map(|control| control.slug).collect();
        let telemetry = Arc::new(Telemetry::new(&slugs));
        let (messages, messages_in) = mpsc::channel(64);
        let (changes, changes_out) = mpsc::channel(room);
        let (names, names_out) = mpsc::channel(64);
        let (cgroups, cgroups_out) = mpsc::channel(64);
        let (inspections, inspections_out) = mpsc::channel(64);
        let (node, node_out) = mpsc::channel(1);
        let (lifecycle, lifecycle_out) = channel(processes);
        let (raw, raw_out) = super::raw::channel(Some(RAW), None);
        let (canary, canaries) = sync_channel(4);
        let host = Host { mnt_ns: HOST_MNT, pid_ns: HOST_PID, hierarchy: 0 };
        let facts = HostFacts {
            bounding: ALL,
            sees_layers: true,
            ns: Namespaces { mnt: HOST_MNT, pid: HOST_PID, user: 3, ..Default::default() },
        };
        // Nothing waits for names: verdicts are told at once.
        let settings = Settings { name_wait_ns: 0, ..Settings::default() };
        let pipeline = Pipeline::new(Parts {
            context: Context::new(Limits { processes: 4096, containers: 64, cgroups: 256 }, host),
            posture: Posture::new(settings, Policy::default(), Exemptions::default(), facts, "node".into()),
            telemetry: Arc::clone(&telemetry),
            messages: messages_in,
            outlets: Outlets::new(changes, names, cgroups, inspections, node, watch::channel(false).0),
            lifecycle,
            raw,
            detector: Detector::new(
                detect::Limits::default(),
                NAME_WAIT_NS,
                "node".into(),
                clock::now(),
                Arc::clone(&telemetry),
            ),
            sequence: SequenceCheck::new([vec![0], vec![0]]),
            boot_id: "boot".into(),
            proof: None,
            canary: Some(canary),
            inspect_every_ns: 60_000_000_000,
        });
        let mut node = Self {
            pipeline,
            telemetry,
            lifecycle: lifecycle_out,
            raw: raw_out,
            changes: changes_out,
            messages,
            canaries,
            _names: names_out,
            _cgroups: cgroups_out,
            inspections: inspections_out,
            node_reads: node_out,
            now: clock::boottime_ns(),
        };
        node.say(Message::ScanDone(ScanKind::Start));
        node.mkdir(1, "/system.slice/containerd.service");
        node
    }

    /// Everything that ran before is known.
    fn scanned(&mut self) {
        self.say(Message::ScanDone(ScanKind::Start));
    }

    fn say(&mut self, message: Message) {
        self.messages.try_send(message).unwrap();
        self.pipeline.take_answers();
    }

    fn header(&mut self) -> Header {
        self.now += 1000;
        Header { boottime_ns: self.now, ..Header::default() }
    }

    fn mkdir(&mut self, cgroup_id: u64, path: &str) {
        self.cgroup(CgroupChange::Mkdir, cgroup_id, 1, path);
    }

    fn cgroup(&mut self, change: CgroupChange, cgroup_id: u64, pid: u32, path: &str) {
        let header = self.header();
        let record = record::Cgroup { header, cgroup_id, task: task(pid), ..record::Cgroup::default() };
        self.pipeline.event(&Event::Cgroup(Cgroup { record: &record, change, path: path.as_bytes() }));
    }

    fn fork(&mut self, child: TaskState) {
        let header = self.header();
        self.pipeline.event(&Event::Fork(&record::Fork { header, child, creator: child.parent }));
    }

    fn exec(&mut self, state: TaskState, flags: u32, argv: &[u8]) {
        self.exec_flagged(state, flags, argv, 0);
    }

    fn exec_flagged(&mut self, state: TaskState, flags: u32, argv: &[u8], header_flags: u32) {
        let header = Header { flags: header_flags, ..self.header() };
        let exe = FileRef { flags, inode: 9, ..FileRef::default() };
        let record = record::Exec { header, state, exe, ..record::Exec::default() };
        self.pipeline.event(&Event::Exec(Exec {
            record: &record,
            source: ImageSource::Exec,
            exe: b"/bin/s\xffh",
            argv: Strings(argv),
            filename: b"./s\xffh",
            cwd: b"/srv",
            seccomp_allow: None,
        }));
    }

    fn credentials(&mut self, state: TaskState) {
        let header = self.header();
        let record = record::Credentials { header, state, syscall: 105, ..record::Credentials::default() };
        self.pipeline.event(&Event::Credentials(Credentials { record: &record, seccomp_allow: None }));
    }

    fn exit(&mut self, pid: u32, status: u32) {
        let header = self.header();
        let exit = record::Exit { header, task: task(pid), status, ..record::Exit::default() };
        self.pipeline.event(&Event::Exit(&exit));
    }

    /// As runc starts a container whose init is `pid`.
    fn start(&mut self, pid: u32) -> TaskState {
        self.mkdir(CGROUP, &path());
        let host = state(pid, 11, HOST_MNT, 1);
        self.fork(host);
        self.exec(TaskState { exec_id: 1, ..host }, file_flag::IN_TASK_MOUNT_NS, b"runc\0");
        self.cgroup(CgroupChange::Attach, CGROUP, pid, &path());
        let inside = TaskState { cgroup_id: CGROUP, exec_id: 2, ..host };
        self.exec(inside, SEALED, b"runc\0init\0");
        let mut init = TaskState { exec_id: 2, ..state(pid, 11, CONTAINER_MNT, CGROUP) };
        self.credentials(init);
        init.exec_id = 3;
        self.exec(init, OWN, b"app\0--password=x\0");
        init
    }

    /// What left in buffers, as words.
    fn told(&mut self) -> Vec<String> {
        self.pipeline.end_round();
        let mut told = Vec::new();
        while let Some(filled) = self.lifecycle.try_recv() {
            told.extend(filled.entries().iter().map(|entry| word(&entry.activity)));
            drop(filled);
            self.pipeline.end_round();
        }
        told
    }
}

fn word(activity: &Activity) -> String {
    match activity {
        Activity::Exec { process, .. } => format!("exec {} {}", process.id.tgid, process.exec_id),
        Activity::Exit { process, status } => format!("exit {} {status}", process.id.tgid),
        Activity::Credentials { process, syscall, .. } => format!("call {syscall} {}", process.id.tgid),
        Activity::Started { found, .. } => format!("started{}", if *found { " found" } else { "" }),
        Activity::Named { .. } => "named".into(),
        Activity::Gone { .. } => "gone".into(),
    }
}

fn id() -> String {
    format!("{CGROUP:064x}")
}

fn path() -> String {
    format!("/kubepods/besteffort/pod0b6b3b1c-8d1a-4c39-9a50-1d2f3e4a5b6c/{}", id())
}

/// Processes start in the order of their pids.
fn task(pid: u32) -> TaskRef {
    TaskRef { leader_start_ns: u64::from(pid) * 10_000_000, tgid: pid, tid: pid }
}

fn state(pid: u32, parent: u32, mnt: u32, cgroup_id: u64) -> TaskState {
    let mut state = TaskState {
        task: task(pid),
        parent: task(parent),
        cgroup_id,
        ns_tgid: pid,
        login_uid: UNMAPPED,
        comm: *b"s\xffh\0\0\0\0\0\0\0\0\0\0\0\0\0",
        ids: Ids { ns_uid: 0, ns_euid: UNMAPPED, ..Ids::default() },
        ..TaskState::default()
    };
    state.ns.mnt = mnt;
    state.ns.pid = if mnt == HOST_MNT { HOST_PID } else { HOST_PID + 1 };
    state
}

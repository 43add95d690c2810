//! What a busy node sends: programs that start in its containers.

use kestrel_proto::{
    SCHEMA,
    v1::{
        AgentMessage, Batch, Container, ContainerNames, Epoch, Exec, File, Hello, Lane, Membership, Process,
        ProcessId, Record, TaskState, Workload, agent_message::Message, record::Event,
    },
};

/// Containers of the node.
const CONTAINERS: u64 = 30;
/// Processes that a collector remembers of a connection.
const PROCESSES: u64 = 65_536;
/// What a container runtime leaves to an unprivileged container.
const CAPABILITIES: u64 = 0xa804_25fb;
/// 10 ms.
const TICK_NS: u64 = 10_000_000;

/// A node whose containers start programs.
#[derive(Clone, Debug)]
pub struct Busy {
    node: String,
    epoch: u64,
    next: u64,
    acked: u64,
    /// Processes that the collector remembers.
    known: u64,
    told_containers: bool,
}

impl Busy {
    /// With an outbox of this epoch.
    #[must_use]
    pub fn new(node: &str, epoch: u64) -> Self {
        Self { node: node.to_owned(), epoch, next: 1, acked: 0, known: 0, told_containers: false }
    }

    /// The epoch of its outbox.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Takes note that everything up to that number is acknowledged; how many that are more.
    pub fn acknowledged(&mut self, sequence: u64) -> u64 {
        let more = sequence.saturating_sub(self.acked);
        self.acked += more;
        more
    }

    /// What it says first.
    #[must_use]
    pub fn hello(&self) -> AgentMessage {
        let boot_id = "5a7e1c2e-8f0b-4c1d-9a55-6f0f7c9d3b21".to_owned();
        let hello = Hello {
            schema: SCHEMA,
            cluster: "test".to_owned(),
            node: self.node.clone(),
            boot_id: boot_id.clone(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            kernel: "6.12.0".to_owned(),
            epochs: vec![Epoch { epoch: self.epoch, boot_id }],
            wall_unix_ns: wall(0),
            boottime_ns: 1_000_000_000,
        };
        AgentMessage { message: Some(Message::Hello(hello)) }
    }

    /// The next so many execs: each a process that was not there before.
    pub fn batch(&mut self, count: u64) -> AgentMessage {
        let first = self.next;
        self.next += count;
        let forget = self.known + count > PROCESSES;
        if forget {
            (self.known, self.told_containers) = (0, false);
        }
        self.known += count;
        let containers =
            if self.told_containers { Vec::new() } else { (0..CONTAINERS).map(container).collect() };
        self.told_containers = true;
        let batch = Batch {
            epoch: self.epoch,
            lane: Lane::Detections.into(),
            first_sequence: first,
            processes: (first..first + count).map(process).collect(),
            containers,
            forget,
            records: (first..first + count).map(record).collect(),
        };
        AgentMessage { message: Some(Message::Batch(batch)) }
    }
}

fn boottime(number: u64) -> u64 {
    3_600_000_000_000 + number * 137_000
}

fn wall(number: u64) -> i64 {
    1_795_000_000_000_000_000 + i64::try_from(number * 137_000).unwrap_or(0)
}

fn id(number: u64) -> ProcessId {
    let tgid = 4000 + u32::try_from(number % 60_000).unwrap_or(0);
    ProcessId { start_ticks: boottime(number) / TICK_NS, tgid, exec_id: Some(number * 3 + 7) }
}

fn record(number: u64) -> Record {
    let exec = Exec { process: Some(id(number)), filename: b"/usr/local/bin/job"[..].into() };
    Record { boottime_ns: boottime(number), wall_unix_ns: wall(number), event: Some(Event::Exec(exec)) }
}

/// A number that looks as if it had no order.
const fn scattered(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
}

fn process(number: u64) -> Process {
    let uid = 1000 + u32::try_from(number % CONTAINERS).unwrap_or(0);
    let argv = [
        "/usr/bin/python3".to_owned(),
        "/usr/local/bin/job".to_owned(),
        "--queue".to_owned(),
        format!("orders-{}", number % 17),
        "--order".to_owned(),
        format!("{:016x}", scattered(number)),
        format!("--attempt={}", number % 3),
    ];
    Process {
        id: Some(id(number)),
        parent: Some(ProcessId { start_ticks: 360_000, tgid: 3000 + uid, exec_id: None }),
        exe: b"/usr/bin/python3.11"[..].into(),
        argv: argv.into_iter().map(|word| word.into_bytes().into()).collect(),
        comm: b"python3"[..].into(),
        cwd: b"/srv/app"[..].into(),
        container_id: Some(container_id(number % CONTAINERS)),
        membership: Membership::Born.into(),
        state: Some(TaskState {
            uid,
            gid: uid,
            euid: uid,
            egid: uid,
            suid: uid,
            sgid: uid,
            fsuid: uid,
            fsgid: uid,
            ns_uid: Some(uid),
            ns_euid: Some(uid),
            cap_bounding: CAPABILITIES,
            no_new_privs: true,
            seccomp_mode: 2,
            seccomp_filters: Some(1),
            session: 3000 + uid,
            ns_tgid: u32::try_from(7 + number % 9000).unwrap_or(7),
            ..TaskState::default()
        }),
        file: Some(File {
            inode: 1_835_021,
            dev: 45,
            mode: 0o100_755,
            upper_layer: Some(false),
            ..File::default()
        }),
        exec_boottime_ns: Some(boottime(number)),
        ..Process::default()
    }
}

fn container_id(number: u64) -> String {
    (0..4).map(|part| format!("{:016x}", scattered(number * 4 + part + 1))).collect()
}

fn container(number: u64) -> Container {
    let name = format!("worker-{}", number / 3);
    let names = ContainerNames {
        namespace: "shop".to_owned(),
        pod: format!("{name}-6f7c8d9b5-{:05x}", scattered(number) & 0xf_ffff),
        pod_uid: format!("{:08x}-0000-4000-8000-{:012x}", number, scattered(number) & 0xffff_ffff_ffff),
        container: "app".to_owned(),
        image: "registry.example/shop/worker:1.42.0".to_owned(),
        image_digest: None,
        workload: Some(Workload { kind: "Deployment".to_owned(), name, namespace: "shop".to_owned() }),
        sandbox: false,
    };
    Container { id: container_id(number), names: Some(names), cgroup: 7000 + number, ..Container::default() }
}

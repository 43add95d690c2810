//! The labels. Each is an enum or a set given at start, so that no workload can make a series.

use agent_abi::hook::Hook;

use crate::{
    decode::{CgroupChange, DecodeError, Event, ImageSource},
    outbox::Lane,
    posture::Verdict,
};

/// An enum whose every value has a name.
pub trait Label: Copy + 'static {
    /// Name of the label.
    const KEY: &'static str;
    /// Every value, each at its [`Label::index`].
    const ALL: &'static [Self];

    /// Place in [`Label::ALL`].
    fn index(self) -> usize;

    /// Value of the label.
    fn value(self) -> &'static str;
}

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident($key:literal) {
        $($(#[$value_doc:meta])* $value:ident = $text:literal,)+
    })+) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$value_doc])* $value,)+
        }

        impl Label for $name {
            const KEY: &'static str = $key;
            const ALL: &'static [Self] = &[$(Self::$value,)+];

            fn index(self) -> usize {
                self as usize
            }

            fn value(self) -> &'static str {
                match self { $(Self::$value => $text,)+ }
            }
        }
    )+ };
}

labels! {
    /// A ring.
    Ring("ring") {
        /// Exec, exit, cgroup and credential records.
        Critical = "critical",
        /// File records.
        Bulk = "bulk",
    }

    /// Why a match of a rule is not told by itself.
    HeldBack("reason") {
        /// The same process did the same to the same object.
        Repeated = "repeated",
        /// The rule matched too often.
        TooFast = "rate",
    }

    /// Why an event that waited for names, or for what is read of an image, is judged.
    Unparked("reason") {
        /// The names have come, or will not come.
        Named = "named",
        /// What it asks of its image was read, or cannot be read.
        Read = "read",
        /// It has waited long enough.
        Deadline = "deadline",
        /// Others need its room.
        Room = "room",
        /// New rules come into force, or the agent stops.
        End = "end",
    }

    /// What became of a packet of a name server, or to one.
    DnsMessage("outcome") {
        /// A question, whose answer is waited for.
        Question = "question",
        /// An answer with addresses.
        Answer = "answer",
        /// An answer without.
        Empty = "empty",
        /// An answer that nobody asked for, or not there, or that came too late.
        Unasked = "unasked",
        /// A question too many on the node: its answer will be one that nobody asked for.
        Full = "full",
        /// Of a name server on this node.
        Served = "served",
        /// Neither a question nor an answer about names, or one that goes the wrong way.
        Other = "other",
        /// No message, or one that asks for no host.
        Malformed = "malformed",
        /// It is not known whose socket it is: where containers are in v1 cgroups, of none it is.
        Unowned = "unowned",
    }

    /// What came of hashing the file of an image.
    ImageHash("result") {
        /// It was read and hashed.
        Read = "read",
        /// It was hashed before, and has not changed since.
        Known = "known",
        /// The process was gone.
        Gone = "gone",
        /// It is too large.
        TooLarge = "too_large",
        /// Its file system asks a server or another process, which may not answer.
        Elsewhere = "elsewhere",
        /// It is another file, or was written to meanwhile.
        Changed = "changed",
        /// It could not be read.
        Failed = "failed",
    }

    /// What came of reading an environment.
    ImageEnvironment("result") {
        /// It was read.
        Read = "read",
        /// The front of it was read: it is too long.
        Cut = "cut",
        /// The process was gone.
        Gone = "gone",
        /// It could not be read.
        Failed = "failed",
    }

    /// What came of reading the files of rules anew.
    Reload("result") {
        /// They are in force.
        Ok = "ok",
        /// They are refused; those before stay in force.
        Failed = "failed",
    }

    /// Kinds of events.
    EventKind("kind") {
        /// A new process.
        Fork = "fork",
        /// A new image.
        Exec = "exec",
        /// A process found by a scan.
        Scan = "scan",
        /// The end of a process.
        Exit = "exit",
        /// A cgroup made.
        CgroupMkdir = "cgroup_mkdir",
        /// A cgroup removed.
        CgroupRmdir = "cgroup_rmdir",
        /// A task moved into a cgroup.
        CgroupAttach = "cgroup_attach",
        /// A credential change.
        Credentials = "credentials",
        /// A cgroup renamed.
        CgroupRename = "cgroup_rename",
        /// A cgroup released.
        CgroupRelease = "cgroup_release",
        /// A call on an open file.
        File = "file",
        /// A call that names files.
        Path = "path",
        /// Any other call.
        Plain = "call",
        /// A call on a socket.
        Socket = "socket",
        /// A change of a socket's state.
        SocketState = "socket_state",
        /// First bytes of a connection, or DNS.
        Packet = "packet",
        /// A process killed for its memory.
        OomKill = "oom_kill",
        /// A signal for the agent.
        Signal = "signal",
        /// The end of an operation of an io_uring.
        UringDone = "uring_done",
        /// A kernel parameter written.
        Sysctl = "sysctl",
    }

    /// Why a record was not decoded.
    DecodeReason("reason") {
        /// Shorter than a header.
        NoHeader = "no_header",
        /// Not aligned.
        Misaligned = "misaligned",
        /// Another ABI version.
        Version = "version",
        /// Its length is not the bytes given.
        Length = "length",
        /// Unknown kind.
        Kind = "kind",
        /// Unknown ring.
        Ring = "ring",
        /// Shorter than its fixed part.
        Short = "short",
        /// A span leaves the record.
        Span = "span",
    }

    /// Bounded tables of the agent.
    Table("table") {
        /// Processes.
        Processes = "processes",
        /// Containers.
        Containers = "containers",
        /// Cgroups.
        Cgroups = "cgroups",
        /// Findings.
        Findings = "findings",
    }

    /// How a CRI request ended.
    CriResult("result") {
        /// Answered.
        Ok = "ok",
        /// The runtime does not know the id.
        NotFound = "not_found",
        /// The socket is not there or refuses.
        Unavailable = "unavailable",
        /// Answered with an error, or with something that cannot be read.
        Error = "error",
    }

    /// Queues between the hot loop and what waits.
    Queue("queue") {
        /// Containers to be named.
        CriRequests = "cri_requests",
        /// Cgroups to be found.
        CgroupRequests = "cgroup_requests",
        /// Containers to be looked into.
        Inspections = "inspections",
        /// The node to be read.
        NodeReads = "node_reads",
        /// Images of processes to be read.
        ImageReads = "image_reads",
        /// Findings on their way out.
        Findings = "findings",
        /// What processes and containers do, on its way out. Counted in events.
        Lifecycle = "lifecycle",
        /// Raw events of the critical ring, on their way out.
        Rare = "rare",
        /// All other raw events, on their way out.
        Bulk = "bulk",
    }

    /// Why something in a queue was dropped.
    QueueDrop("reason") {
        /// The queue was full.
        Full = "full",
        /// Nobody reads it any more.
        Closed = "closed",
    }

    /// Why a line was not written.
    OutputDrop("reason") {
        /// No space or quota left.
        NoSpace = "no_space",
        /// The file system is read-only.
        ReadOnly = "read_only",
        /// Anything else.
        Other = "other",
    }

    /// Which scan.
    ScanKind("scan") {
        /// At start.
        Start = "start",
        /// The periodic one.
        Periodic = "periodic",
        /// After something was lost that posture rests on.
        Loss = "loss",
    }

    /// State of a hook or a control.
    SupportState("state") {
        /// Works.
        Supported = "supported",
        /// Works in part.
        Degraded = "degraded",
        /// Does not work here.
        Unsupported = "unsupported",
    }

    /// What a control found.
    VerdictLabel("verdict") {
        /// As it should be.
        Pass = "pass",
        /// Not as it should be.
        Fail = "fail",
        /// Not as declared.
        Drift = "drift",
        /// Exempt.
        Exempt = "exempt",
        /// Cannot be told.
        Unknown = "unknown",
    }

    /// Why an event waits no more for its container's names. All but the first go without.
    NameWaitEnd("reason") {
        /// They came.
        Named = "named",
        /// They will not come soon.
        Refused = "refused",
        /// They did not come in time.
        Deadline = "deadline",
        /// It was the oldest, and there was no room.
        Room = "room",
        /// The container is gone.
        Gone = "gone",
        /// The agent stops.
        Stop = "stop",
    }

    /// Queues of the outbox.
    OutboxLane("lane") {
        /// Findings, gaps, notices.
        Findings = "findings",
        /// Detections and lifecycle.
        Detections = "detections",
        /// Raw events.
        Bulk = "bulk",
    }

    /// Why a connection to the collector ended, or did not come about.
    UplinkEnd("reason") {
        /// Nobody there, or no TLS with whoever is.
        Unreachable = "unreachable",
        /// The certificate does not speak for this node.
        Unauthenticated = "unauthenticated",
        /// A message was refused.
        Refused = "refused",
        /// The collector does not speak this schema.
        Schema = "schema",
        /// Another connection of this node took over.
        Replaced = "replaced",
        /// The collector, or something between, ended it.
        Closed = "closed",
        /// No answer or ack in time.
        Silent = "silent",
        /// What came was not to be understood.
        Protocol = "protocol",
    }

    /// Why the collector asked for a pause.
    UplinkPressure("reason") {
        /// This node sends more than its share.
        Quota = "quota",
        /// Its disk is full.
        DiskFull = "disk_full",
        /// All nodes together send too much.
        Overloaded = "overloaded",
        /// Not said.
        Other = "other",
    }

    /// Why the agent saw nothing for a while.
    BlindReason("reason") {
        /// The agent before was killed with something read and not told.
        Killed = "killed",
        /// No program was attached.
        Detached = "detached",
    }
}

impl Label for Hook {
    const KEY: &'static str = "hook";
    const ALL: &'static [Self] = &Hook::ALL;

    fn index(self) -> usize {
        self as usize
    }

    fn value(self) -> &'static str {
        self.name()
    }
}

impl From<Verdict> for VerdictLabel {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass => Self::Pass,
            Verdict::Fail => Self::Fail,
            Verdict::Drift => Self::Drift,
            Verdict::Exempt => Self::Exempt,
            Verdict::Unknown => Self::Unknown,
        }
    }
}

impl From<Lane> for OutboxLane {
    fn from(lane: Lane) -> Self {
        match lane {
            Lane::Findings => Self::Findings,
            Lane::Detections => Self::Detections,
            Lane::Bulk => Self::Bulk,
        }
    }
}

impl Ring {
    /// By the number in a record's header, which decoding has checked.
    #[must_use]
    pub fn from_header(ring: u16) -> Self {
        if u32::from(ring) == agent_abi::map::RING_CRITICAL { Self::Critical } else { Self::Bulk }
    }
}

impl From<&Event<'_>> for EventKind {
    fn from(event: &Event<'_>) -> Self {
        match event {
            Event::Fork(_) => Self::Fork,
            Event::Exec(exec) => match exec.source {
                ImageSource::Exec => Self::Exec,
                ImageSource::Scan => Self::Scan,
            },
            Event::Exit(_) => Self::Exit,
            Event::Cgroup(cgroup) => match cgroup.change {
                CgroupChange::Mkdir => Self::CgroupMkdir,
                CgroupChange::Rmdir => Self::CgroupRmdir,
                CgroupChange::Attach => Self::CgroupAttach,
                CgroupChange::Rename => Self::CgroupRename,
                CgroupChange::Release => Self::CgroupRelease,
            },
            Event::Credentials(_) => Self::Credentials,
            Event::File(_) => Self::File,
            Event::Path(_) => Self::Path,
            Event::Plain(_) => Self::Plain,
            Event::Socket(_) => Self::Socket,
            Event::SocketState(_) => Self::SocketState,
            Event::Packet(_) => Self::Packet,
            Event::OomKill(_) => Self::OomKill,
            Event::Signal(_) => Self::Signal,
            Event::UringDone(_) => Self::UringDone,
            Event::Sysctl(_) => Self::Sysctl,
        }
    }
}

impl From<DecodeError> for DecodeReason {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::NoHeader { .. } => Self::NoHeader,
            DecodeError::Misaligned => Self::Misaligned,
            DecodeError::Version { .. } => Self::Version,
            DecodeError::Length { .. } => Self::Length,
            DecodeError::Kind { .. } => Self::Kind,
            DecodeError::Ring { .. } => Self::Ring,
            DecodeError::Short { .. } => Self::Short,
            DecodeError::Span { .. } => Self::Span,
        }
    }
}

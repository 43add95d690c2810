//! Proof of the offset table: the agent execs itself as a subject whose state is known, and holds
//! the record of that exec against /proc. An offset that lands on a sibling field passes the
//! verifier; here it is found.

use std::{
    env,
    io::{self, Read, Write},
    os::unix::process::CommandExt,
    process::{Child, Command, ExitCode, Stdio},
    sync::mpsc::Receiver,
    time::{Duration, Instant},
};

use agent_abi::record::TaskState;
use procfs::{ProcError, process::Process};
use thiserror::Error;

use crate::{
    context::{NANOS_PER_TICK, ProcessId, proc},
    decode::Exec,
};

/// Hidden command of the agent: becomes the subject.
const SUBJECT: &str = "prove-subject";
/// Its argument once its state is set.
const READY: &str = "ready";
/// Ids of the subject where the agent may change them: all different, so that none can stand in
/// for another.
const IDS: [u32; 3] = [64_001, 64_002, 64_003];

/// How long the exec's record may take to arrive.
const RECORD_DEADLINE: Duration = Duration::from_secs(10);

/// Subjects that are tried before it is said that none was seen: a ring under pressure shortens
/// records, and the proof needs whole ones.
const ATTEMPTS: usize = 3;

/// Why the table is not proved.
#[derive(Debug, Error)]
pub enum ProofError {
    /// The subject could not be run.
    #[error("cannot run the subject of the offset proof")]
    Subject(#[source] io::Error),
    /// The record did not come.
    #[error("the exec of the agent's own subject was not reported within {} s", RECORD_DEADLINE.as_secs())]
    NotSeen,
    /// /proc could not be read.
    #[error("cannot read /proc of the subject")]
    Proc(#[from] ProcError),
    /// A field is wrong.
    #[error("kernel field {field} is read wrong: the record says {record}, /proc says {proc}")]
    Mismatch {
        /// Which.
        field: &'static str,
        /// By the record.
        record: String,
        /// By /proc.
        proc: String,
    },
}

/// What the record of the subject's exec said.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The state.
    pub state: TaskState,
    /// Path of the executable.
    pub exe_path: Vec<u8>,
    /// Arguments, NUL-separated.
    pub argv: Vec<u8>,
    /// Working directory.
    pub cwd: Vec<u8>,
}

impl Observed {
    /// From the record of an exec.
    #[must_use]
    pub fn of(exec: &Exec<'_>) -> Self {
        let (exe_path, cwd) = (exec.exe.to_vec(), exec.cwd.to_vec());
        Self { state: exec.record.state, exe_path, argv: exec.argv.0.to_vec(), cwd }
    }

    /// Whether this is the exec of a subject in its final state.
    #[must_use]
    pub fn is_subject(argv: &[u8]) -> bool {
        argv.split(|&byte| byte == 0).skip(1).take(2).eq([SUBJECT.as_bytes(), READY.as_bytes()])
    }
}

/// Proves the table: runs a subject and holds what `observed` gets against /proc. Blocks.
///
/// # Errors
/// The first field that is read wrong, or why nothing was read.
pub fn prove(observed: &Receiver<Observed>) -> Result<(), ProofError> {
    for _ in 0..ATTEMPTS {
        let subject = Subject::start()?;
        let deadline = Instant::now() + RECORD_DEADLINE / ATTEMPTS as u32;
        while let Ok(record) = observed.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            // A late one of the subject before.
            if record.state.task.tgid == subject.pid() {
                return subject.compare(&record);
            }
        }
    }
    Err(ProofError::NotSeen)
}

/// A running subject. Ends with this value.
struct Subject {
    child: Child,
}

impl Subject {
    /// Starts it and waits until it has its state.
    fn start() -> Result<Self, ProofError> {
        let mut child = Command::new("/proc/self/exe")
            .arg(SUBJECT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(ProofError::Subject)?;
        let mut answer = String::new();
        let stdout = child.stdout.take();
        let subject = Self { child };
        // One short line and then the end of file or nothing: the subject closes its output.
        stdout
            .ok_or_else(|| io::Error::other("no pipe"))
            .and_then(|mut pipe| pipe.read_to_string(&mut answer))
            .map_err(ProofError::Subject)?;
        if answer.trim() != READY {
            return Err(ProofError::Subject(io::Error::other(format!("it answered {answer:?}"))));
        }
        Ok(subject)
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Holds what was observed against /proc; the error is the first field that is wrong.
    fn compare(&self, observed: &Observed) -> Result<(), ProofError> {
        let process = Process::new(
            i32::try_from(self.pid()).map_err(|error| ProofError::Subject(io::Error::other(error)))?,
        )?;
        let stat = process.stat()?;
        let status = process.status()?;
        let state = &observed.state;
        let parent_start = Process::new(stat.ppid)?.stat()?.starttime;
        let same = |field: &'static str, record: u64, proc: u64| {
            (record == proc).then_some(()).ok_or_else(|| ProofError::Mismatch {
                field,
                record: record.to_string(),
                proc: proc.to_string(),
            })
        };
        let id = ProcessId::of(&state.task);
        same("task_struct.tgid", id.tgid.into(), self.pid().into())?;
        same("task_struct.start_boottime", id.start_ticks, stat.starttime)?;
        same("task_struct.real_parent", state.parent.tgid.into(), stat.ppid.unsigned_abs().into())?;
        same(
            "task_struct.real_parent.start_boottime",
            state.parent.leader_start_ns / NANOS_PER_TICK,
            parent_start,
        )?;
        same("signal_struct.pids", state.session.into(), stat.session.unsigned_abs().into())?;
        same("signal_struct.tty", state.tty.into(), stat.tty_nr.unsigned_abs().into())?;
        for (field, record, proc) in [
            ("cred.uid", state.ids.uid, status.ruid),
            ("cred.euid", state.ids.euid, status.euid),
            ("cred.suid", state.ids.suid, status.suid),
            ("cred.fsuid", state.ids.fsuid, status.fuid),
            ("cred.gid", state.ids.gid, status.rgid),
            ("cred.egid", state.ids.egid, status.egid),
            ("cred.sgid", state.ids.sgid, status.sgid),
            ("cred.fsgid", state.ids.fsgid, status.fgid),
        ] {
            same(field, record.into(), proc.into())?;
        }
        same("cred.cap_inheritable", state.caps.inheritable, status.capinh)?;
        same("cred.cap_permitted", state.caps.permitted, status.capprm)?;
        same("cred.cap_effective", state.caps.effective, status.capeff)?;
        if let Some(bounding) = status.capbnd {
            same("cred.cap_bset", state.caps.bounding, bounding)?;
        }
        if let Some(ambient) = status.capamb {
            same("cred.cap_ambient", state.caps.ambient, ambient)?;
        }
        if let Some(no_new_privs) = status.nonewprivs {
            same("task_struct.atomic_flags", state.no_new_privs.into(), no_new_privs)?;
        }
        if let Some(seccomp) = status.seccomp {
            same("task_struct.seccomp.mode", state.seccomp_mode.into(), seccomp.into())?;
        }
        if let Some([.., pid]) = status.nstgid.as_deref() {
            same("upid.nr", state.ns_tgid.into(), pid.unsigned_abs().into())?;
        }
        for (field, record, name) in [
            ("mnt_namespace.ns.inum", state.ns.mnt, "mnt"),
            ("pid_namespace.ns.inum", state.ns.pid, "pid"),
            ("net.ns.inum", state.ns.net, "net"),
            ("uts_namespace.ns.inum", state.ns.uts, "uts"),
            ("cgroup_namespace.ns.inum", state.ns.cgroup, "cgroup"),
            ("user_namespace.ns.inum", state.ns.user, "user"),
        ] {
            same(field, record.into(), proc::namespace(self.pid(), name).into())?;
        }
        let text = |field: &'static str, record: &[u8], proc: &[u8]| {
            (record == proc).then_some(()).ok_or_else(|| ProofError::Mismatch {
                field,
                record: String::from_utf8_lossy(record).escape_debug().to_string(),
                proc: String::from_utf8_lossy(proc).escape_debug().to_string(),
            })
        };
        let comm = state.comm.split(|&byte| byte == 0).next().unwrap_or_default();
        text("task_struct.comm", comm, stat.comm.as_bytes())?;
        text("mm_struct.exe_file", &observed.exe_path, process.exe()?.as_os_str().as_encoded_bytes())?;
        text("fs_struct.pwd", &observed.cwd, process.cwd()?.as_os_str().as_encoded_bytes())?;
        let argv = process.cmdline()?.join("\0");
        text(
            "mm_struct.arg_start",
            observed.argv.strip_suffix(b"\0").unwrap_or(&observed.argv),
            argv.as_bytes(),
        )
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // It ends when its input does; it must not stay if it does not.
        drop(self.child.stdin.take());
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait().map(|_| ())) {
            tracing::warn!(%error, "cannot end the subject of the offset proof");
        }
    }
}

/// The subject's side: gives itself a state that tells the fields apart, execs itself to have it
/// reported, and waits for the end of its input.
#[must_use]
pub fn be_subject(argument: Option<&str>) -> ExitCode {
    let result = match argument {
        Some(READY) => wait_for_the_end(),
        _ => Err(become_distinct()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "subject of the offset proof");
            ExitCode::FAILURE
        }
    }
}

fn become_distinct() -> io::Error {
    if let Err(errno) = nix::sys::prctl::set_no_new_privs() {
        return errno.into();
    }
    let [first, second, third] = IDS;
    // Without the right to, the ids stay as they are: every field is compared all the same.
    let gids = [first, second, third].map(nix::unistd::Gid::from_raw);
    let uids = [first, second, third].map(nix::unistd::Uid::from_raw);
    let _ = nix::unistd::setresgid(gids[0], gids[1], gids[2]);
    let _ = nix::unistd::setresuid(uids[0], uids[1], uids[2]);
    Command::new("/proc/self/exe").arg(SUBJECT).arg(READY).current_dir("/").exec()
}

fn wait_for_the_end() -> io::Result<()> {
    let mut stdout = io::stdout();
    writeln!(stdout, "{READY}")?;
    stdout.flush()?;
    // The reader on the other side waits for the end of the file.
    let null = std::fs::File::options().write(true).open("/dev/null")?;
    nix::unistd::dup2_stdout(null)?;
    io::copy(&mut io::stdin(), &mut io::sink()).map(|_| ())
}

/// Whether this process was started to be the subject: the argument after the command.
#[must_use]
pub fn subject_argument() -> Option<Option<String>> {
    let mut arguments = env::args().skip(1);
    (arguments.next()? == SUBJECT).then(|| arguments.next())
}

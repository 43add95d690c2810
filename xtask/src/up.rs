//! `up`: the agent on this node, in the foreground; with `--demo`, pods for it to judge.

use std::{
    fs,
    io::{self, BufRead, BufReader},
    os::fd::AsFd,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::{
    libc,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
    },
};

use crate::{bpf, command, host::Facts, process, setup, test, workspace::Workspace};

/// Where the kernel keeps pins; below it, each run's folder has its own.
const PINS: &str = "/sys/fs/bpf";

/// How long the agent, and after it the demo, may take to stop before they are killed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Arguments of `up`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also run a private containerd with pods that are wrong in various ways.
    #[arg(long)]
    demo: bool,
    /// Where to keep state and findings.
    #[arg(long, default_value = "/var/lib/kestrel/dev")]
    dir: PathBuf,
    /// Arguments for the agent.
    #[arg(last = true)]
    agent: Vec<String>,
}

/// Builds, runs, and gives back the agent's exit code.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    Facts::gather()?.can_run()?;
    setup::run(workspace)?;
    bpf::build(workspace)?;
    let mut build = workspace.cargo("build");
    build.args(["--release", "-p", "kestrel-agent", "--bin", "kestrel-agent"]);
    if args.demo {
        test::build_triggers(workspace)?;
        build.args(["-p", "kestrel-tests", "--bin", "kestrel-lab"]);
    }
    command::run(&mut build)?;

    let run = Run::prepare(workspace, &args.dir)?;
    let lab = if args.demo { Some(Lab::start(&run)?) } else { None };
    let findings = run.dir.join("findings.jsonl");
    println!("findings as JSON lines: {}", findings.display());
    let mut defaults = vec![
        ("--state-dir", run.dir.join("state")),
        ("--findings-file", findings),
        ("--pin-dir", run.pins.clone()),
    ];
    if let Some(lab) = &lab {
        defaults.push(("--cri-socket", lab.socket.clone()));
    }
    let mut agent = process::bound_to_us(&run.bin.join("kestrel-agent"));
    agent.arg("run");
    for (flag, value) in defaults.into_iter().filter(|(flag, _)| !is_given(&args.agent, flag)) {
        agent.arg(flag).arg(value);
    }
    let mut agent = process::spawn(agent.args(&args.agent), &run.signals, false)?;
    process::note(&run.dir.join("agent.pid"), agent.id()).ok();
    let status = run.wait(&mut agent)?;

    if let Some(lab) = lab {
        lab.stop(&run)?;
    }
    run.finish()?;
    Ok(exit_code(status))
}

/// One run: its folder, and the signals that end it, held back from this process.
#[derive(Debug)]
struct Run {
    dir: PathBuf,
    pins: PathBuf,
    bin: PathBuf,
    signals: SigSet,
    inbox: SignalFd,
}

impl Run {
    /// Makes the folder, after ending what a killed run has left in it.
    fn prepare(workspace: &Workspace, dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        if let Some(pid) = process::noted(&dir.join("up.pid")) {
            bail!("Kestrel runs already in {} (process {pid}); --dir names another folder.", dir.display());
        }
        process::note(&dir.join("up.pid"), std::process::id())?;
        let bin = workspace.target.join("release");
        process::end_noted(&dir.join("agent.pid"))?;
        process::end_noted(&dir.join("lab.pid"))?;
        let signals: SigSet =
            [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCHLD].into_iter().collect();
        signals.thread_block()?;
        let inbox = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let run = Self { dir: dir.to_owned(), pins: pin_dir(dir), bin, signals, inbox };
        run.sweep()?;
        Ok(run)
    }

    /// Clears what a killed demo has left.
    fn sweep(&self) -> Result<()> {
        let (lab, dir) = (self.bin.join("kestrel-lab"), self.dir.join("lab"));
        if !dir.exists() || !lab.exists() {
            return Ok(());
        }
        command::run(Command::new(lab).arg("sweep").arg("--dir").arg(dir))
    }

    /// Waits until a child ends, passing on what asks this process to stop.
    fn wait(&self, child: &mut Child) -> Result<ExitStatus> {
        self.wait_until(child, None)
    }

    /// Waits for a child that was asked to stop; kills it when it takes too long.
    fn wait_for_stop(&self, child: &mut Child) -> Result<ExitStatus> {
        self.wait_until(child, Some(Instant::now() + PATIENCE))
    }

    fn wait_until(&self, child: &mut Child, mut deadline: Option<Instant>) -> Result<ExitStatus> {
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if deadline.is_some_and(|deadline| Instant::now() > deadline) {
                child.kill()?;
            }
            match self.next_signal()? {
                // The terminal has asked the child too.
                Some(Sender::Terminal) if deadline.is_none() => {}
                Some(_) => process::signal(child, Signal::SIGTERM)?,
                None => continue,
            }
            deadline.get_or_insert_with(|| Instant::now() + PATIENCE);
        }
    }

    /// The next signal that asks to stop; `None` when a child changed or a second went by.
    fn next_signal(&self) -> Result<Option<Sender>> {
        let mut inbox = [PollFd::new(self.inbox.as_fd(), PollFlags::POLLIN)];
        poll(&mut inbox, PollTimeout::from(1000u16))?;
        Ok(self.inbox.read_signal()?.and_then(|info| match (info.ssi_signo.cast_signed(), info.ssi_code) {
            (libc::SIGCHLD, _) => None,
            (_, libc::SI_KERNEL) => Some(Sender::Terminal),
            _ => Some(Sender::Process),
        }))
    }

    /// Removes what only a running agent needs.
    fn finish(&self) -> Result<()> {
        for name in ["agent.pid", "lab.pid", "up.pid"] {
            remove_file(&self.dir.join(name))?;
        }
        match fs::remove_dir_all(&self.pins) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.pins.display()))
            }
            _ => Ok(()),
        }
    }
}

/// Who asks to stop.
#[derive(Clone, Copy, Debug)]
enum Sender {
    /// The terminal, which asks every process in its foreground.
    Terminal,
    /// Another process, which asks this one only.
    Process,
}

/// The demo's containerd and pods.
#[derive(Debug)]
struct Lab {
    child: Child,
    socket: PathBuf,
}

impl Lab {
    /// Starts it and waits for its CRI socket; the pods follow.
    fn start(run: &Run) -> Result<Self> {
        let mut lab = Command::new(run.bin.join("kestrel-lab"));
        lab.args(["demo", "--die-with-parent", "--dir"]).arg(run.dir.join("lab"));
        lab.stdin(Stdio::null()).stdout(Stdio::piped());
        // Ctrl-C must not take it away under the agent.
        let mut child = process::spawn(&mut lab, &run.signals, true)?;
        process::note(&run.dir.join("lab.pid"), child.id()).ok();
        let mut lines = BufReader::new(child.stdout.take().context("its output is piped")?).lines();
        let first = lines.next().transpose()?.unwrap_or_default();
        let Some(socket) = first.strip_prefix("cri socket: ").map(PathBuf::from) else {
            bail!("the demo did not start ({})", child.wait()?);
        };
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                eprintln!("demo: {line}");
            }
        });
        Ok(Self { child, socket })
    }

    fn stop(mut self, run: &Run) -> Result<()> {
        process::signal(&self.child, Signal::SIGTERM)?;
        let status = run.wait_for_stop(&mut self.child)?;
        if !status.success() {
            eprintln!("demo: did not stop cleanly ({status}); clearing what it left");
            run.sweep()?;
        }
        Ok(())
    }
}

/// Names in the file system of BPF may not hold dots.
fn pin_dir(dir: &Path) -> PathBuf {
    let name = dir.to_string_lossy().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    Path::new(PINS).join(format!("kestrel-dev{name}"))
}

fn is_given(args: &[String], flag: &str) -> bool {
    args.iter().any(|arg| arg.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('=')))
}

/// As a shell has it: 128 and the signal's number for a killed program.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_of_the_user_takes_the_place_of_ours() {
        let args = ["--listen=1:2", "--state-dir", "x"].map(str::to_owned);
        assert!(is_given(&args, "--listen") && is_given(&args, "--state-dir"));
        assert!(!is_given(&args, "--list") && !is_given(&args, "--pin-dir"));
    }

    #[test]
    fn each_folder_has_its_pins() {
        assert_eq!(pin_dir(Path::new("/a.b/c")), Path::new("/sys/fs/bpf/kestrel-dev-a-b-c"));
    }

    #[test]
    fn exit_codes_are_those_of_a_shell() {
        assert_eq!(
            format!("{:?}", exit_code(ExitStatus::from_raw(3 << 8))),
            format!("{:?}", ExitCode::from(3))
        );
        assert_eq!(format!("{:?}", exit_code(ExitStatus::from_raw(9))), format!("{:?}", ExitCode::from(137)));
    }
}

//! A run's folder, and the signals that end it.

use std::{
    fs, io,
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
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

use crate::{command, process, workspace::Workspace};

/// Where the kernel keeps pins; below it, each run's folder has its own.
const PINS: &str = "/sys/fs/bpf";

/// How long each may take to stop before it is killed.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is written down, so that the next run can end what a killed one left. In the order in which
/// they are ended.
const NOTED: [&str; 3] = ["kestrel-agent.pid", "kestrel-collector.pid", "lab.pid"];

/// One run: its folder, and the signals that end it, held back from this process.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) dir: PathBuf,
    pub(super) pins: PathBuf,
    pub(super) bin: PathBuf,
    pub(super) signals: SigSet,
    inbox: SignalFd,
}

impl Run {
    /// Makes the folder, after ending what a killed run has left in it.
    pub(super) fn prepare(workspace: &Workspace, dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        if let Some(pid) = process::noted(&dir.join("up.pid")) {
            bail!("Kestrel runs already in {} (process {pid}); --dir names another folder.", dir.display());
        }
        process::note(&dir.join("up.pid"), std::process::id())?;
        let bin = workspace.target.join("release");
        for name in NOTED {
            process::end_noted(&dir.join(name))?;
        }
        let signals: SigSet =
            [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCHLD].into_iter().collect();
        signals.thread_block()?;
        let inbox = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let run = Self { dir: dir.to_owned(), pins: pin_dir(dir), bin, signals, inbox };
        run.sweep()?;
        Ok(run)
    }

    /// Clears what a killed demo has left.
    pub(super) fn sweep(&self) -> Result<()> {
        let (lab, dir) = (self.bin.join("kestrel-lab"), self.dir.join("lab"));
        if !dir.exists() || !lab.exists() {
            return Ok(());
        }
        command::run(Command::new(lab).arg("sweep").arg("--dir").arg(dir))
    }

    /// Waits until the first of these ends, or all are asked to.
    pub(super) fn wait_first(&self, children: &mut [(&'static str, &mut Child)]) -> Result<End> {
        loop {
            // What is asked comes first: a child that ended may have been asked by the same key.
            let asked = self.is_asked()?;
            if asked {
                return Ok(End::Asked);
            }
            for (name, child) in &mut *children {
                if let Some(status) = child.try_wait()? {
                    let asked = self.is_asked()?;
                    return Ok(if asked { End::Asked } else { End::Ended { name, status } });
                }
            }
        }
    }

    /// Asks a child to stop and waits for it; kills it when it takes too long, or when asked again.
    pub(super) fn stop(&self, name: &str, child: &mut Child) -> Result<ExitStatus> {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        process::signal(child, Signal::SIGTERM)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let asked_again = self.is_asked()?;
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if asked_again || Instant::now() > deadline {
                eprintln!("up: {name} does not stop; killing it");
                child.kill()?;
                return Ok(child.wait()?);
            }
        }
    }

    /// Whether a signal asks to stop; waits until one comes, a child changes, or some time has gone by.
    pub(super) fn is_asked(&self) -> Result<bool> {
        let mut inbox = [PollFd::new(self.inbox.as_fd(), PollFlags::POLLIN)];
        poll(&mut inbox, PollTimeout::from(200u16))?;
        let mut asked = false;
        while let Some(info) = self.inbox.read_signal()? {
            asked |= info.ssi_signo.cast_signed() != libc::SIGCHLD;
        }
        Ok(asked)
    }

    /// Removes what only a running agent needs.
    pub(super) fn finish(&self) -> Result<()> {
        for name in NOTED.into_iter().chain(["up.pid"]) {
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

/// Why a run ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// Somebody wants it.
    Asked,
    /// Something ended by itself.
    Ended {
        /// What.
        name: &'static str,
        /// How.
        status: ExitStatus,
    },
}

/// Names in the file system of BPF may not hold dots.
fn pin_dir(dir: &Path) -> PathBuf {
    let name = dir.to_string_lossy().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    Path::new(PINS).join(format!("kestrel-dev{name}"))
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
    fn each_folder_has_its_pins() {
        assert_eq!(pin_dir(Path::new("/a.b/c")), Path::new("/sys/fs/bpf/kestrel-dev-a-b-c"));
    }
}

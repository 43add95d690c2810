//! Processes that `up` starts, written down so that the next start can end what a killed one left.

use std::{
    fs, io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use nix::{
    sys::signal::{SigSet, Signal, kill},
    unistd::Pid,
};

/// A pid and when its process started, in the ticks of `/proc/PID/stat`: a later process may have the same pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    pid: i32,
    start: u64,
}

impl Identity {
    fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(Self { pid: pid.try_into().ok()?, start: start_time(&stat)? })
    }

    fn parse(text: &str) -> Option<Self> {
        let (pid, start) = text.trim().split_once(' ')?;
        Some(Self { pid: pid.parse().ok()?, start: start.parse().ok()? })
    }

    fn is_alive(self) -> bool {
        u32::try_from(self.pid).ok().and_then(Self::of) == Some(self)
    }
}

/// Field 22, counted behind the name, which may hold spaces and brackets; `None` for a zombie.
fn start_time(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// Writes down a process.
pub(crate) fn note(file: &Path, pid: u32) -> Result<()> {
    let identity = Identity::of(pid).context("a process ended at once")?;
    Ok(fs::write(file, format!("{} {}", identity.pid, identity.start))?)
}

/// The pid of a process written down, if it still runs.
pub(crate) fn noted(file: &Path) -> Option<i32> {
    let identity = Identity::parse(&fs::read_to_string(file).ok()?)?;
    identity.is_alive().then_some(identity.pid)
}

/// Ends a process written down by an earlier run: asks first, kills after ten seconds.
pub(crate) fn end_noted(file: &Path) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut signal = Some(Signal::SIGTERM);
    while let Some(pid) = noted(file) {
        if let Some(signal) = signal.take() {
            send(pid, signal)?;
        } else if Instant::now() > deadline {
            send(pid, Signal::SIGKILL)?;
        }
        thread::sleep(Duration::from_millis(20));
    }
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Sends a signal to a child that has not been waited for.
pub(crate) fn signal(child: &Child, signal: Signal) -> Result<()> {
    send(child.id().try_into()?, signal)
}

fn send(pid: i32, signal: Signal) -> Result<()> {
    match kill(Pid::from_raw(pid), signal) {
        Ok(()) | Err(nix::errno::Errno::ESRCH) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot send {signal} to {pid}")),
    }
}

/// A command that gets SIGTERM when this process ends, however it ends.
pub(crate) fn bound_to_us(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM"]).arg(program);
    command
}

/// Starts a command while `blocked` is blocked in this thread; the child shall have nothing blocked.
pub(crate) fn spawn(command: &mut Command, blocked: &SigSet, own_group: bool) -> Result<Child> {
    if own_group {
        command.process_group(0);
    }
    blocked.thread_unblock()?;
    let child = command.spawn();
    blocked.thread_block()?;
    child.with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_read_behind_any_name() {
        let stat = "7 (a) b) c) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 1 1";
        assert_eq!(start_time(stat), Some(12345));
        assert_eq!(start_time(&stat.replace(") S ", ") Z ")), None);
        assert_eq!(start_time("7 (a"), None);
    }

    #[test]
    fn a_noted_process_is_found_until_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        note(&file, child.id()).unwrap();
        assert_eq!(noted(&file), Some(child.id().cast_signed()));
        end_noted(&file).unwrap();
        child.wait().unwrap();
        assert!(!file.exists());
    }
}

//! A process that can be told from a later one with the same pid.

use std::{fmt, str::FromStr, time::Duration};

use anyhow::{Context, Error, Result};
use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use procfs::process::Process;

use super::poll;

/// A pid and when it started, in the clock ticks of `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pid: i32,
    start: u64,
}

impl Identity {
    /// The process that has this pid now.
    pub fn of(pid: u32) -> Result<Self> {
        let pid = i32::try_from(pid)?;
        Ok(Self { pid, start: Process::new(pid)?.stat()?.starttime })
    }

    /// This process.
    pub fn own() -> Result<Self> {
        Self::of(std::process::id())
    }

    /// Its pid.
    pub fn pid(self) -> i32 {
        self.pid
    }

    /// Whether it still runs. A zombie does not.
    pub fn is_alive(self) -> bool {
        Process::new(self.pid)
            .and_then(|process| process.stat())
            .is_ok_and(|stat| stat.starttime == self.start && !matches!(stat.state, 'Z' | 'X'))
    }

    /// Sends a signal, unless the process is gone.
    pub fn signal(self, signal: Signal) -> Result<()> {
        if !self.is_alive() {
            return Ok(());
        }
        match kill(Pid::from_raw(self.pid), signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("cannot send {signal} to {}", self.pid)),
        }
    }

    /// Asks the process to end, kills it after `patience`, and waits until it is gone.
    pub fn end(self, patience: Duration) -> Result<()> {
        self.signal(Signal::SIGTERM)?;
        let gone = || Ok(!self.is_alive());
        if poll::until("a process to end", patience, gone).is_ok() {
            return Ok(());
        }
        self.signal(Signal::SIGKILL)?;
        poll::until("a killed process to end", Duration::from_secs(10), gone)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.pid, self.start)
    }
}

impl FromStr for Identity {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (pid, start) = text.trim().split_once(' ').context("expected `pid starttime`")?;
        Ok(Self { pid: pid.parse()?, start: start.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_start_time_is_another_process() {
        let own = Identity::own().unwrap();
        assert!(own.is_alive());
        assert!(!Identity { start: own.start + 1, ..own }.is_alive());
        assert_eq!(own.to_string().parse::<Identity>().unwrap(), own);
    }
}

//! A daemon of ours in the background, with its log in a file.

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::run::Run;
use crate::process;

/// A collector with a long log has to read it first.
const READY: Duration = Duration::from_secs(60);
/// Last lines of a log that are shown when its daemon has failed.
const LINES: usize = 15;

#[derive(Debug)]
pub(super) struct Daemon {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts it with a configuration file.
    pub(super) fn start(
        run: &Run,
        name: &'static str,
        first: &[&str],
        config: &Path,
        more: &[String],
    ) -> Result<Self> {
        let args: Vec<_> =
            [config.to_string_lossy().into_owned()].into_iter().chain(more.iter().cloned()).collect();
        Self::start_plain(run, name, first, &args)
    }

    /// Starts it, away from the terminal: Ctrl-C there must not end it before its turn.
    pub(super) fn start_plain(
        run: &Run,
        name: &'static str,
        first: &[&str],
        more: &[String],
    ) -> Result<Self> {
        let log = run.dir.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("cannot make {}", log.display()))?;
        let mut command = process::bound_to_us(&run.bin.join(name));
        command.args(first).args(more).stdin(Stdio::null());
        // The agent's own live view is what the command line shows.
        command.stdout(Stdio::null()).stderr(file);
        let child = process::spawn(&mut command, &run.signals, true)?;
        process::note(&run.dir.join(format!("{name}.pid")), child.id()).ok();
        Ok(Self { name, child, log })
    }

    /// Waits until its `/readyz` says yes.
    pub(super) fn wait_ready(&mut self, run: &Run, address: &str) -> Result<()> {
        let deadline = Instant::now() + READY;
        while !is_ready(address) {
            if let Some(status) = self.child.try_wait()? {
                self.show_log();
                bail!("{} did not start ({status})", self.name);
            }
            if Instant::now() > deadline {
                self.show_log();
                bail!("{} is not ready after {READY:?}", self.name);
            }
            if run.is_asked()? {
                bail!("asked to stop before {} was ready", self.name);
            }
        }
        Ok(())
    }

    pub(super) const fn name(&self) -> &'static str {
        self.name
    }

    /// For [`Run::wait_first`].
    pub(super) fn entry(&mut self) -> (&'static str, &mut Child) {
        (self.name, &mut self.child)
    }

    /// Ends it, with time to finish what it does.
    pub(super) fn stop(&mut self, run: &Run) -> Result<ExitStatus> {
        run.stop(self.name, &mut self.child)
    }

    /// The end of its log.
    pub(super) fn show_log(&self) {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        for line in &lines[lines.len().saturating_sub(LINES)..] {
            eprintln!("{}: {line}", self.name);
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Only after a failure: else it has been waited for.
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn is_ready(address: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        write!(stream, "GET /readyz HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply)?;
        Ok(reply.split(' ').nth(1) == Some("200"))
    };
    ask().unwrap_or(false)
}

//! The demo's containerd and pods.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use anyhow::{Context, Result, bail};

use super::run::Run;
use crate::process;

/// The demo's containerd and pods.
#[derive(Debug)]
pub(super) struct Lab {
    child: Child,
    socket: PathBuf,
}

impl Lab {
    /// Starts it and waits for its CRI socket; the pods follow.
    pub(super) fn start(run: &Run) -> Result<Self> {
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

    /// Where its CRI listens.
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(super) fn stop(mut self, run: &Run) -> Result<()> {
        let status = run.stop("the demo", &mut self.child)?;
        if !status.success() {
            eprintln!("demo: did not stop cleanly ({status}); clearing what it left");
            run.sweep()?;
        }
        Ok(())
    }
}

//! Containers for the agent to watch: real ones of a real runtime.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use kestrel_tests::lab::{
    Lab,
    spec::{ContainerSpec, PodSpec},
};
use nix::{sys::stat::Mode, unistd::mkfifo};
use tempfile::TempDir;

use crate::{interrupt, progress};

/// Where containers find the gate's folder.
pub const GATE: &str = "/gate";

/// What one container is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// A name that no other has.
    pub name: String,
    /// What it runs, as a user who is not root.
    pub command: Vec<String>,
    /// A folder of the host for [`GATE`].
    pub gate: PathBuf,
}

/// Starts a runtime and these containers in it, each in a pod of its own; they go with the lab.
///
/// # Errors
/// When the runtime or a container does not start.
pub fn containers(wanted: &[Wanted]) -> Result<Lab> {
    let lab = Lab::start()?;
    for (started, Wanted { name, command, gate }) in wanted.iter().enumerate() {
        interrupt::check()?;
        let mut app = ContainerSpec::restricted("app", command.iter().map(String::as_str));
        app.mounts.push((gate.clone(), GATE.into()));
        lab.run(&PodSpec::of_deployment("bench", name, "5d4f8c7b9", "x2x7k").container(app))
            .with_context(|| format!("cannot start {name}"))?;
        if (started + 1).is_multiple_of(10) {
            progress(&format!("{} containers", started + 1));
        }
    }
    Ok(lab)
}

/// What holds containers back until it is opened; after that each starts a program once in a while,
/// evenly spread.
#[derive(Debug)]
pub struct Gate {
    dir: TempDir,
    open: Option<File>,
}

impl Gate {
    /// A closed one.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755))?;
        let fifo = dir.path().join("fifo");
        mkfifo(&fifo, Mode::S_IRUSR)?;
        fs::set_permissions(&fifo, Permissions::from_mode(0o644))?;
        Ok(Self { dir, open: None })
    }

    /// Lets the containers go.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(&mut self) -> Result<()> {
        // Both ways: opening does not wait for a reader, and readers do not wait any more.
        let fifo = OpenOptions::new().read(true).write(true).open(self.dir.path().join("fifo"))?;
        self.open = Some(fifo);
        Ok(())
    }

    /// The folder with the gate.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// `count` containers that wait at this gate and then each start a program every `every`.
    #[must_use]
    pub fn wanted(&self, count: usize, every: Duration) -> Vec<Wanted> {
        (0..count)
            .map(|index| Wanted {
                name: format!("bench-{index}"),
                command: command(every.mul_f64(index as f64 / count as f64), every),
                gate: self.dir().to_owned(),
            })
            .collect()
    }
}

fn command(offset: Duration, every: Duration) -> Vec<String> {
    let [offset, every] = [offset, every].map(|time| format!("/bin/sleep {:.3}", time.as_secs_f64()));
    // Opening the file waits for a writer.
    let script = format!(": < {GATE}/fifo; {offset}; while {every}; do :; done");
    ["/bin/sh", "-c", &script].map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn containers_take_turns() {
        let gate = Gate::new().unwrap();
        let wanted = gate.wanted(4, Duration::from_secs(2));
        let script = &wanted[3].command[2];
        assert_eq!(script, ": < /gate/fifo; /bin/sleep 1.500; while /bin/sleep 2.000; do :; done");
        assert_eq!(wanted[0].gate, gate.dir());
    }

    #[test]
    fn the_gate_holds_until_it_is_opened() {
        let mut gate = Gate::new().unwrap();
        let fifo = gate.dir().join("fifo");
        let mut waits = Command::new("/bin/sh").args(["-c", ": < \"$0\""]).arg(&fifo).spawn().unwrap();
        assert_eq!(waits.try_wait().unwrap(), None);
        gate.open().unwrap();
        assert!(waits.wait().unwrap().success());
    }
}

//! What a lab has started, on disk, so that another process can clear it after a crash.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result, bail};

use super::{identity::Identity, lock, sweep};

/// On a file system with execute and set-uid permission, which `/run` often is not.
pub(super) const BASE: &str = "/var/lib/kestrel-lab";

const LOCK: &str = "/run/kestrel-lab-sweep.lock";
const OWNER: &str = "owner";
const DAEMON: &str = "daemon";
const PODS: &str = "pods";
const CGROUPS: &str = "cgroups";
const LOGS: &str = "logs";

/// The folder of one lab.
#[derive(Debug)]
pub struct Ledger {
    dir: PathBuf,
}

impl Ledger {
    /// A new folder in the usual place, after clearing those of dead labs.
    pub fn create() -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self::create_in(&Path::new(BASE).join(format!("{}-{number}", process::id())))
    }

    /// A new folder at `dir`, after clearing those of dead labs, there and in the usual place.
    pub fn create_in(dir: &Path) -> Result<Self> {
        let _lock = lock::exclusive(LOCK)?;
        sweep::dead_labs()?;
        let ledger = Self { dir: dir.to_owned() };
        if ledger.owner_is_alive() {
            bail!("{} belongs to a lab that is running", dir.display());
        }
        sweep::lab(&ledger)?;
        fs::create_dir_all(dir.join(PODS))?;
        fs::create_dir_all(dir.join(LOGS))?;
        fs::write(dir.join(OWNER), Identity::own()?.to_string())?;
        Ok(ledger)
    }

    /// The ledger that is already at `dir`.
    pub(super) fn open(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// Clears every lab whose owner is dead, and the one at `dir` too, if its owner is dead.
    pub fn sweep(dir: Option<&Path>) -> Result<()> {
        let _lock = lock::exclusive(LOCK)?;
        sweep::dead_labs()?;
        if let Some(ledger) = dir.map(Self::open).filter(|ledger| !ledger.owner_is_alive()) {
            sweep::lab(&ledger)?;
        }
        Ok(())
    }

    /// The lab's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the CRI listens.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("containerd.sock")
    }

    /// Where a pod's container logs go.
    pub fn log_dir(&self, pod_uid: &str) -> PathBuf {
        self.dir.join(LOGS).join(pod_uid)
    }

    /// Whether the process that made the lab still runs.
    pub fn owner_is_alive(&self) -> bool {
        self.read(OWNER).is_some_and(Identity::is_alive)
    }

    /// The daemon, if one was started.
    pub fn daemon(&self) -> Option<Identity> {
        self.read(DAEMON)
    }

    /// Writes down the daemon's identity.
    pub fn note_daemon(&self, daemon: Identity) -> Result<()> {
        Ok(fs::write(self.dir.join(DAEMON), daemon.to_string())?)
    }

    /// Writes down a pod, before it is started.
    pub fn note_pod(&self, uid: &str) -> Result<()> {
        Ok(fs::create_dir_all(self.pod_dir(uid))?)
    }

    /// Writes down a control group outside of those of pods, and the folders above it that come with it.
    pub(super) fn note_cgroup(&self, name: &str, paths: &[String]) -> Result<()> {
        let dir = self.dir.join(CGROUPS);
        fs::create_dir_all(&dir)?;
        Ok(fs::write(dir.join(name), paths.join("\n"))?)
    }

    /// The control groups outside of those of pods, each before what is above it.
    pub(super) fn cgroups(&self) -> Result<Vec<String>> {
        let Ok(entries) = fs::read_dir(self.dir.join(CGROUPS)) else { return Ok(Vec::new()) };
        let texts = entries.map(|entry| Ok(fs::read_to_string(entry?.path())?));
        let texts = texts.collect::<Result<Vec<_>>>()?;
        Ok(texts.iter().flat_map(|text| text.lines()).map(str::to_owned).collect())
    }

    /// What a kubelet keeps of a pod: its volumes, and files that all its containers have.
    pub fn pod_dir(&self, uid: &str) -> PathBuf {
        self.dir.join(PODS).join(uid)
    }

    /// The uids of all pods that were ever started.
    pub fn pods(&self) -> Result<Vec<String>> {
        let entries = match fs::read_dir(self.dir.join(PODS)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).context("cannot list the lab's pods"),
        };
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn read(&self, name: &str) -> Option<Identity> {
        fs::read_to_string(self.dir.join(name)).ok()?.parse().ok()
    }
}

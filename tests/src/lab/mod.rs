//! The lab: a private containerd with pods in it, an agent beside it, and `/proc` as the oracle.
//!
//! A test that uses the kernel's hooks or containers starts with [`Lab::start`] (or, without containers,
//! [`lock::KernelLock`]), which makes such tests wait for one another, also across processes. Dropping the lab
//! ends all that it started.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use kestrel_tests::lab::{
//!     Lab,
//!     agent::Agent,
//!     proc::Credentials,
//!     spec::{ContainerSpec, PodSpec},
//! };
//!
//! # fn main() -> anyhow::Result<()> {
//! let lab = Lab::start()?;
//! let agent = Agent::start(Some(&lab.socket()))?;
//! let app = ContainerSpec { run_as_user: Some(0), ..ContainerSpec::restricted("app", ["/bin/sleep", "1000"]) };
//! let pod = lab.run(&PodSpec::new("shop", "cart").container(app))?;
//! assert_eq!(Credentials::of(pod.containers[0].pid)?.uid, [0; 4]);
//! agent.wait_finding("root is found", Duration::from_secs(5), |finding| finding["control"] == "run-as-non-root")?;
//! # Ok(())
//! # }
//! ```

pub mod agent;
pub mod artifact;
pub mod certificates;
pub mod cni;
pub mod collector;
pub mod containerd;
pub mod cri;
pub mod delivery;
pub mod findings;
pub mod fleet;
pub mod foreign;
pub mod forgetful;
pub mod http;
pub mod identity;
pub mod image;
pub mod island;
pub mod kubelet;
pub mod ledger;
pub mod liar;
pub mod lock;
pub mod manifest;
pub mod matrix;
pub mod oracle;
pub mod pods;
pub mod poll;
pub mod proc;
pub mod request;
pub mod slack;
pub mod spec;
pub mod sweep;
pub mod tally;
pub mod watch;

use std::path::{Path, PathBuf};

use anyhow::Result;

use self::{
    containerd::Containerd,
    cri::{Cri, Pod},
    kubelet::Folders,
    ledger::Ledger,
    lock::KernelLock,
    spec::PodSpec,
};

/// A containerd of our own, with the lab's images in it, and the right to use the kernel's hooks alone.
///
/// The fields are in the order in which they must go: the daemon's last pods, then the lock.
#[derive(Debug)]
pub struct Lab {
    cri: Cri,
    containerd: Containerd,
    _lock: Option<KernelLock>,
}

impl Lab {
    /// Waits for the tests before this one, clears what dead labs left, and starts a containerd.
    pub fn start() -> Result<Self> {
        let lock = KernelLock::acquire()?;
        Self::with(Ledger::create()?, Some(lock))
    }

    /// A lab in a given folder that shares the machine with others: for a demo, not for a test.
    pub fn start_shared(dir: Option<&Path>) -> Result<Self> {
        Self::with(dir.map_or_else(Ledger::create, Ledger::create_in)?, None)
    }

    fn with(ledger: Ledger, lock: Option<KernelLock>) -> Result<Self> {
        let containerd = Containerd::start(ledger)?;
        let cri = containerd.client()?;
        image::install(&containerd, &cri)?;
        Ok(Self { cri, containerd, _lock: lock })
    }

    /// Runs a pod and waits until its containers are started.
    pub fn run(&self, pod: &PodSpec) -> Result<Pod> {
        let ledger = self.containerd.ledger();
        ledger.note_pod(&pod.uid)?;
        kubelet::prepare(pod, &ledger.pod_dir(&pod.uid))?;
        self.cri.run_pod(pod, &self.folders(pod))
    }

    /// Ends a pod's container and runs it again, as a kubelet does.
    pub fn restart(&self, pod: &mut Pod, container: &str) -> Result<()> {
        let folders = self.folders(&pod.spec);
        self.cri.restart(pod, container, &folders)
    }

    fn folders(&self, pod: &PodSpec) -> Folders {
        let ledger = self.containerd.ledger();
        Folders { logs: ledger.log_dir(&pod.uid), pod: ledger.pod_dir(&pod.uid) }
    }

    /// Where the CRI listens.
    pub fn socket(&self) -> PathBuf {
        self.containerd.socket()
    }

    /// A folder for what a test writes; it goes with the lab.
    pub fn dir(&self) -> &Path {
        self.containerd.ledger().dir()
    }

    /// The CRI client.
    pub fn cri(&self) -> &Cri {
        &self.cri
    }

    /// The daemon.
    pub fn containerd(&self) -> &Containerd {
        &self.containerd
    }

    /// Stops the daemon; containers go on. CRI calls fail until [`Self::start_daemon`].
    pub fn stop_daemon(&mut self) -> Result<()> {
        self.containerd.stop()
    }

    /// Kills the daemon; containers go on. CRI calls fail until [`Self::start_daemon`].
    pub fn kill_daemon(&mut self) -> Result<()> {
        self.containerd.kill()
    }

    /// Starts the daemon again.
    pub fn start_daemon(&mut self) -> Result<()> {
        self.containerd.spawn()?;
        self.cri = self.containerd.client()?;
        Ok(())
    }

    /// What a pod's container has written to its standard output and error, in the CRI log format.
    pub fn logs(&self, pod: &PodSpec, container: &str) -> Result<String> {
        let path = self.containerd.ledger().log_dir(&pod.uid).join(format!("{container}.log"));
        Ok(std::fs::read_to_string(path)?)
    }
}

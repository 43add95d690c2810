//! A private containerd: own root, state, socket and images; nothing of the machine's own is touched.

use std::{
    env,
    fs::{self, File},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{
    cni,
    cri::Cri,
    identity::Identity,
    image::PAUSE,
    ledger::{BASE, Ledger},
    poll, sweep,
};

const READY: Duration = Duration::from_secs(20);
const STOP: Duration = Duration::from_secs(10);

/// The daemon and its folder. Dropping it clears all pods, the daemon and the folder.
#[derive(Debug)]
pub struct Containerd {
    ledger: Ledger,
    child: Option<Child>,
}

impl Containerd {
    /// Starts a daemon in the ledger's folder and waits until its CRI is ready.
    pub fn start(ledger: Ledger) -> Result<Self> {
        fs::write(ledger.dir().join("config.toml"), config(ledger.dir()))?;
        cni::install(&ledger.dir().join("cni"))?;
        // Made first, so that a failed start is cleared too.
        let mut daemon = Self { ledger, child: None };
        daemon.spawn()?;
        Ok(daemon)
    }

    /// Where the CRI listens.
    pub fn socket(&self) -> PathBuf {
        self.ledger.socket()
    }

    /// What the lab has written down.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// A client of its own.
    pub fn client(&self) -> Result<Cri> {
        Cri::connect(&self.socket())
    }

    /// The daemon's pid, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Stops the daemon; containers go on.
    pub fn stop(&mut self) -> Result<()> {
        self.signal(Signal::SIGTERM)
    }

    /// Kills the daemon; containers go on.
    pub fn kill(&mut self) -> Result<()> {
        self.signal(Signal::SIGKILL)
    }

    /// Starts the daemon again after [`Self::stop`] or [`Self::kill`].
    pub fn spawn(&mut self) -> Result<()> {
        ensure!(self.child.is_none(), "containerd runs already");
        let dir = self.ledger.dir();
        let log = File::options().create(true).append(true).open(dir.join("containerd.log"))?;
        let child = Command::new("containerd")
            .arg("--config")
            .arg(dir.join("config.toml"))
            // runc and iptables live in the system folders.
            .env("PATH", format!("{}:/usr/sbin:/sbin", env::var("PATH").unwrap_or_default()))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C in a terminal is for the lab, which needs the daemon in order to clear the pods.
            .process_group(0)
            .spawn()
            .context("cannot start containerd (`cargo xtask setup` installs it)")?;
        let pid = child.id();
        self.child = Some(child);
        self.ledger.note_daemon(Identity::of(pid)?)?;
        poll::until("containerd to be ready", READY, || {
            if let Some(status) = self.child.as_mut().context("just started")?.try_wait()? {
                anyhow::bail!("containerd ended ({status}): {}", self.log_tail());
            }
            Ok(self.ledger.socket().exists() && self.client().is_ok_and(|cri| cri.is_ready()))
        })
        .with_context(|| self.log_tail())
    }

    /// Runs `ctr` on this daemon, in the CRI's namespace.
    pub fn ctr<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Result<String> {
        let out = Command::new("ctr")
            .arg("--address")
            .arg(self.socket())
            .args(["--namespace", "k8s.io"])
            .args(args)
            .output()
            .context("cannot start ctr")?;
        ensure!(out.status.success(), "ctr: {}", String::from_utf8_lossy(&out.stderr).trim());
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        let Some(child) = &mut self.child else { return Ok(()) };
        kill(Pid::from_raw(child.id().try_into()?), signal)?;
        poll::until("containerd to end", STOP, || Ok(child.try_wait()?.is_some()))?;
        self.child = None;
        Ok(())
    }

    fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.ledger.dir().join("containerd.log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

impl Drop for Containerd {
    #[expect(clippy::print_stderr, reason = "a drop has no other way to say that it left something behind")]
    fn drop(&mut self) {
        if let Err(error) = sweep::lab(&self.ledger) {
            eprintln!("kestrel-lab: {error:#}; `kestrel-lab sweep` clears {BASE}");
        }
        if let Some(mut child) = self.child.take() {
            // Ended by the sweep; reaped here.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// As a node of Kubernetes has it, but for what a host may refuse to root: a lower OOM score, AppArmor, systemd.
fn config(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        r#"version = 2
root = "{dir}/root"
state = "{dir}/state"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing"]

[grpc]
address = "{dir}/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
disable_apparmor = true
restrict_oom_score_adj = true
disable_tcp_service = true
netns_mounts_under_state_dir = true
stream_server_address = "127.0.0.1"

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{dir}/cni"
conf_dir = "{dir}/cni"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
Root = "{dir}/runc"
SystemdCgroup = false
"#
    )
}

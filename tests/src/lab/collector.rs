//! A `kestrel-collector run` of its own.

use std::{
    ffi::OsString,
    fs::{self, File},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use super::{artifact, certificates, http, poll};

const READY: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(15);

/// What differs from the defaults.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where it keeps data; a folder of its own otherwise.
    pub data_dir: Option<PathBuf>,
    /// On a disk, rather than in memory: what is measured has to pay for its syncs.
    pub on_disk: bool,
    /// Words in front of the program.
    pub wrapper: Vec<OsString>,
    /// Where it is reached; loopback otherwise.
    pub address: Option<IpAddr>,
    /// Folder of its certificate; without TLS otherwise.
    pub certificates: Option<PathBuf>,
    /// Lines of its configuration file beyond the addresses and folders.
    pub config: String,
}

/// A collector. Dropping it kills it and removes its folder.
#[derive(Debug)]
pub struct Collector {
    child: Option<Child>,
    dir: TempDir,
    wrapper: Vec<OsString>,
    grpc: SocketAddr,
    http: SocketAddr,
}

impl Collector {
    /// Starts one and waits until it is ready.
    pub fn start(options: &Options) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("kestrel-collector-").tempdir_in(if options.on_disk {
            "/var/tmp"
        } else {
            "/run"
        })?;
        let address = options.address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let (grpc, http) = match options.address {
            None => (free(address)?, free(address)?),
            // Nobody else is there.
            Some(_) => (SocketAddr::new(address, 9480), SocketAddr::new(address, 9481)),
        };
        let data = options.data_dir.clone().unwrap_or_else(|| dir.path().join("data"));
        let tls =
            options.certificates.as_deref().map_or_else(|| "  tls: off\n".to_owned(), certificates::keys);
        let config = format!(
            "data_dir: {}\ngrpc:\n  listen: {grpc}\n{tls}http:\n  listen: {http}\n{}",
            data.display(),
            options.config
        );
        fs::write(dir.path().join("collector.yaml"), config)?;
        let mut collector = Self { child: None, dir, wrapper: options.wrapper.clone(), grpc, http };
        collector.launch()?;
        Ok(collector)
    }

    /// Starts it, and waits until it is ready.
    pub fn launch(&mut self) -> Result<()> {
        self.spawn()?;
        self.wait_ready()
    }

    /// Starts it, and does not wait.
    pub fn spawn(&mut self) -> Result<()> {
        let output = |name: &str| File::options().create(true).append(true).open(self.dir.path().join(name));
        let program = artifact::binary("kestrel-collector")?;
        let mut words = self.wrapper.iter().cloned().chain([program.into_os_string()]);
        let first = words.next().context("a program has a name")?;
        let child = Command::new(first)
            .args(words)
            .arg("run")
            .arg("--config")
            .arg(self.dir.path().join("collector.yaml"))
            .stdin(Stdio::null())
            .stdout(output("stdout")?)
            .stderr(output("stderr")?)
            .spawn()
            .context("cannot start the collector")?;
        self.child = Some(child);
        Ok(())
    }

    /// Waits until `/readyz` says yes.
    pub fn wait_ready(&mut self) -> Result<()> {
        poll::until("the collector to be ready", READY, || {
            if let Some(status) = self.child.as_mut().context("the collector was not started")?.try_wait()? {
                bail!("the collector ended ({status})");
            }
            Ok(http::get(self.http, "/readyz").is_ok_and(|(code, _)| code == 200))
        })
        .with_context(|| self.stderr())
    }

    /// What agents and clients connect to.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.grpc)
    }

    /// Its address for agents and clients.
    pub fn grpc(&self) -> SocketAddr {
        self.grpc
    }

    /// Its folder; the configuration file is in it.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its pid, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// What it has logged.
    pub fn stderr(&self) -> String {
        fs::read_to_string(self.dir.path().join("stderr")).unwrap_or_default()
    }

    /// A page of its HTTP endpoint: status code and body.
    pub fn get(&self, path: &str) -> Result<(u16, String)> {
        http::get(self.http, path)
    }

    /// Kills it.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGKILL)
    }

    /// Ends it with SIGTERM.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)
    }

    fn signal(&mut self, signal: Signal) -> Result<ExitStatus> {
        let child = self.child.as_mut().context("the collector does not run")?;
        kill(Pid::from_raw(child.id().try_into()?), signal)?;
        let status = poll::until_some("the collector to end", STOP, || Ok(child.try_wait()?))?;
        self.child = None;
        Ok(status)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Free now; taken by the collector a moment later.
fn free(address: IpAddr) -> Result<SocketAddr> {
    Ok(TcpListener::bind((address, 0))?.local_addr()?)
}

//! A real `kestrel-agent run` with pins, state and a port of its own.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use kestrel_agent::kernel::detach;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

const READY: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(5);

/// What differs from the defaults.
#[derive(Clone, Debug, Default)]
pub struct AgentOptions {
    /// Socket of the container runtime.
    pub cri_socket: Option<PathBuf>,
    /// Its configuration file.
    pub config: Option<String>,
    /// File to write the agent's pid to before it runs: `cgroup.procs` of its memory cgroup.
    pub cgroup_procs: Option<PathBuf>,
}

/// A running agent. Dropping it ends it and detaches its programs, which stay attached otherwise.
#[derive(Debug)]
pub struct Agent {
    child: Child,
    pins: PathBuf,
    listen: SocketAddr,
    dir: TempDir,
}

impl Agent {
    /// Starts it and waits until it is ready: all hooks attached, the first scan done.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn start(program: &Path, options: &AgentOptions) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        ensure!(program.is_file(), "{} is missing: run `cargo build --release`", program.display());
        let name = format!("kestrel-bench-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let pins = Path::new("/sys/fs/bpf").join(name);
        let dir = tempfile::tempdir()?;
        // Free now; taken again by the agent a moment later.
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = match &options.cgroup_procs {
            None => Command::new(program),
            // It joins before it runs, so that all its memory is charged there.
            Some(procs) => {
                let mut shell = Command::new("/bin/sh");
                shell.args(["-c", r#"echo $$ > "$0" && exec "$@""#]).arg(procs).arg(program);
                shell
            }
        };
        command.arg("run").arg("--state-dir").arg(dir.path().join("state"));
        command.arg("--findings-file").arg(dir.path().join("findings.jsonl"));
        command.arg("--pin-dir").arg(&pins).arg("--listen").arg(listen.to_string());
        if let Some(config) = &options.config {
            let file = dir.path().join("agent.yaml");
            fs::write(&file, config)?;
            command.arg("--config").arg(file);
        }
        if let Some(socket) = &options.cri_socket {
            command.arg("--cri-socket").arg(socket);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(dir.path().join("stderr"))?);
        let child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let mut agent = Self { child, pins, listen, dir };
        agent.wait_ready()?;
        Ok(agent)
    }

    /// Its pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The hooks it is attached to, sorted.
    ///
    /// # Errors
    /// When its pins cannot be read.
    pub fn hooks(&self) -> Result<Vec<String>> {
        Ok(super::pinned(&self.pins)?.1)
    }

    /// `/metrics`, as text.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn metrics(&self) -> Result<String> {
        let (code, body) = self.get("/metrics")?;
        ensure!(code == 200, "/metrics gave {code}");
        Ok(body)
    }

    /// Ends it as an orchestrator does and detaches its programs, whose ids it gives.
    ///
    /// # Errors
    /// When it does not end, or its pins cannot be removed.
    pub fn stop(mut self) -> Result<Vec<u32>> {
        let (programs, _) = super::pinned(&self.pins)?;
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM)?;
        let deadline = Instant::now() + STOP;
        while self.child.try_wait()?.is_none() {
            ensure!(Instant::now() < deadline, "the agent did not end in {STOP:?}");
            thread::sleep(PAUSE);
        }
        detach(&self.pins)?;
        Ok(programs)
    }

    fn wait_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + READY;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("the agent ended ({status}):\n{}", self.log());
            }
            if self.get("/readyz").is_ok_and(|(code, _)| code == 200) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the agent was not ready in {READY:?}:\n{}", self.log());
            thread::sleep(PAUSE);
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("stderr")).unwrap_or_default()
    }

    fn get(&self, path: &str) -> Result<(u16, String)> {
        let mut stream = TcpStream::connect_timeout(&self.listen, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.listen)?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply)?;
        let (head, body) = reply.split_once("\r\n\r\n").context("a reply without a header")?;
        let code = head.split(' ').nth(1).context("a reply without a status")?.parse()?;
        Ok((code, body.to_owned()))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if self.pins.exists()
            && let Err(error) = detach(&self.pins)
        {
            crate::complain(&anyhow::Error::from(error).context(self.pins.display().to_string()));
        }
    }
}

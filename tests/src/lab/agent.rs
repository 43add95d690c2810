//! A `kestrel-agent run` of its own.

use std::{
    ffi::OsString,
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use super::{artifact, http, poll};

/// What the machine's own kernel is set to is no matter of most tests.
const POLICY: &str = "controls:
  host-core-pattern: off
  host-lockdown: off
  host-lsm: off
  host-ptrace-scope: off
  host-unprivileged-bpf: off
  host-unprivileged-user-namespaces: off
";

const READY: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(15);

/// An agent with its own state, pins, findings file and port. Dropping it kills the agent and removes all of these.
#[derive(Debug)]
pub struct Agent {
    child: Option<Child>,
    wrapper: Vec<OsString>,
    args: Vec<OsString>,
    policy: String,
    dir: PathBuf,
    state: PathBuf,
    events: PathBuf,
    pins: PathBuf,
    listen: SocketAddr,
}

impl Agent {
    /// Starts an agent on this node and waits until it is ready.
    pub fn start(cri_socket: Option<&Path>) -> Result<Self> {
        let socket = cri_socket.map(|socket| ["--cri-socket".into(), socket.as_os_str().to_owned()]);
        Self::start_with(socket.into_iter().flatten())
    }

    /// As [`Self::start`], with these arguments added.
    pub fn start_with(args: impl IntoIterator<Item = OsString>) -> Result<Self> {
        let mut agent = Self::prepare(args)?;
        agent.launch()?;
        Ok(agent)
    }

    /// An agent that is yet to be started with [`Self::spawn`].
    pub fn prepare(args: impl IntoIterator<Item = OsString>) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("kestrel-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let dir = Path::new("/run").join(&name);
        let pins = Path::new("/sys/fs/bpf").join(&name);
        fs::create_dir_all(&dir)?;
        // Free now; taken again by the agent a moment later.
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        Ok(Self {
            child: None,
            wrapper: Vec::new(),
            args: args.into_iter().collect(),
            policy: POLICY.to_owned(),
            state: dir.join("state"),
            events: dir.join("findings.jsonl"),
            dir,
            pins,
            listen,
        })
    }

    /// Starts it through a program that becomes the agent, such as `setpriv` with its arguments.
    #[must_use]
    pub fn under<'a>(mut self, wrapper: impl IntoIterator<Item = &'a str>) -> Self {
        self.wrapper = wrapper.into_iter().map(Into::into).collect();
        self
    }

    /// Under this policy; else the controls of the node's kernel are off, and all else is the default.
    #[must_use]
    pub fn with_policy(mut self, policy: &str) -> Self {
        policy.clone_into(&mut self.policy);
        self
    }

    /// With its events in this file, which stays.
    #[must_use]
    pub fn with_events(mut self, file: &Path) -> Self {
        file.clone_into(&mut self.events);
        self
    }

    /// With its state in this folder, which stays.
    #[must_use]
    pub fn with_state(mut self, dir: &Path) -> Self {
        dir.clone_into(&mut self.state);
        self
    }

    /// Starts it and waits until it is ready.
    pub fn launch(&mut self) -> Result<()> {
        self.spawn()?;
        self.wait_ready()
    }

    /// Starts the process without waiting for it to be ready.
    pub fn spawn(&mut self) -> Result<()> {
        ensure!(self.child.is_none(), "the agent runs already");
        let output = |name| File::options().create(true).append(true).open(self.dir.join(name));
        let policy = self.dir.join("policy.yaml");
        fs::write(&policy, &self.policy)?;
        let mut argv = self.wrapper.clone();
        argv.push(artifact::binary("kestrel-agent")?.into());
        let child = Command::new(&argv[0])
            .args(&argv[1..])
            .arg("run")
            .arg("--state-dir")
            .arg(&self.state)
            .arg("--findings-file")
            .arg(self.findings_file())
            .arg("--pin-dir")
            .arg(&self.pins)
            .arg("--listen")
            .arg(self.listen.to_string())
            .arg("--policy")
            .arg(&policy)
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(output("stdout")?)
            .stderr(output("stderr")?)
            .spawn()
            .context("cannot start the agent")?;
        self.child = Some(child);
        Ok(())
    }

    /// Waits until `/readyz` says yes: all hooks attached, the first scan done.
    pub fn wait_ready(&mut self) -> Result<()> {
        poll::until("the agent to be ready", READY, || {
            if let Some(status) = self.child.as_mut().context("the agent was not started")?.try_wait()? {
                bail!("the agent ended ({status}):\n{}", self.stderr());
            }
            Ok(self.get("/readyz").is_ok_and(|(code, _)| code == 200))
        })
        .with_context(|| self.stderr())
    }

    /// Its pid, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Where its HTTP endpoint listens.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// The folder of its pinned links and maps.
    pub fn pins(&self) -> &Path {
        &self.pins
    }

    /// The folder of its state.
    pub fn state_dir(&self) -> PathBuf {
        self.state.clone()
    }

    /// Keeps its state there from the next start on.
    pub fn set_state_dir(&mut self, dir: PathBuf) {
        self.state = dir;
    }

    /// Where it appends findings.
    pub fn findings_file(&self) -> PathBuf {
        self.events.clone()
    }

    /// All findings so far, oldest first. A last line that is still being written is left out.
    pub fn findings(&self) -> Result<Vec<Value>> {
        let text = fs::read_to_string(self.findings_file()).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
    }

    /// All events of a type so far: `finding`, `loss`, `blind`, ….
    pub fn events(&self, kind: &str) -> Result<Vec<Value>> {
        Ok(self.findings()?.into_iter().filter(|event| event["type"] == kind).collect())
    }

    /// Waits for a finding that fits.
    pub fn wait_finding(
        &self,
        what: &str,
        limit: Duration,
        mut fits: impl FnMut(&Value) -> bool,
    ) -> Result<Value> {
        poll::until_some(what, limit, || Ok(self.findings()?.into_iter().find(&mut fits)))
    }

    /// What it has written to standard output.
    pub fn stdout(&self) -> String {
        fs::read_to_string(self.dir.join("stdout")).unwrap_or_default()
    }

    /// What it has logged.
    pub fn stderr(&self) -> String {
        fs::read_to_string(self.dir.join("stderr")).unwrap_or_default()
    }

    /// `/metrics`, as text.
    pub fn metrics(&self) -> Result<String> {
        let (code, body) = self.get("/metrics")?;
        ensure!(code == 200, "/metrics gave {code}");
        Ok(body)
    }

    /// The sum of a metric over its label sets. It is an error if there is none.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let text = self.metrics()?;
        ensure!(text.lines().any(|line| line.starts_with(name)), "there is no metric {name}");
        Ok(metric(&text, name))
    }

    /// One HTTP request: status code and body.
    pub fn get(&self, path: &str) -> Result<(u16, String)> {
        http::get(self.listen, path)
    }

    /// The sample of a metric that has this label.
    pub fn metric_of(&self, name: &str, label: &str) -> Result<f64> {
        metric_of(&self.metrics()?, name, label).with_context(|| format!("no {name} with {label}"))
    }

    /// Waits until it ends by itself.
    pub fn wait_end(&mut self) -> Result<ExitStatus> {
        let child = self.child.as_mut().context("the agent does not run")?;
        let status = poll::until_some("the agent to end by itself", READY, || Ok(child.try_wait()?))?;
        self.child = None;
        Ok(status)
    }

    /// Sends a signal that does not end it.
    pub fn send(&self, signal: Signal) -> Result<()> {
        let pid = self.pid().context("the agent does not run")?;
        Ok(kill(Pid::from_raw(pid.try_into()?), signal)?)
    }

    /// Ends it with SIGTERM and returns how it ended.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)
    }

    /// Kills it.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGKILL)
    }

    /// Ends it with a signal and returns how it ended.
    pub fn signal(&mut self, signal: Signal) -> Result<ExitStatus> {
        let child = self.child.as_mut().context("the agent does not run")?;
        kill(Pid::from_raw(child.id().try_into()?), signal)?;
        let status = poll::until_some("the agent to end", STOP, || Ok(child.try_wait()?))?;
        self.child = None;
        Ok(status)
    }

    /// Starts it again, with the same state and pins, and waits until it is ready.
    pub fn restart(&mut self) -> Result<()> {
        if self.child.is_some() {
            self.stop()?;
        }
        self.launch()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.pins);
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// The sum of a metric over its label sets, in the Prometheus text format.
pub fn metric(text: &str, name: &str) -> f64 {
    let samples = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value = if rest.starts_with('{') { rest.rsplit_once('}')?.1 } else { rest };
        value.starts_with(' ').then(|| value.split_whitespace().next()?.parse::<f64>().ok()).flatten()
    });
    samples.sum()
}

/// The sample that has this label, written as `key="value"`.
pub fn metric_of(text: &str, name: &str, label: &str) -> Option<f64> {
    text.lines().find_map(|line| {
        let (labels, value) = line.strip_prefix(name)?.strip_prefix('{')?.rsplit_once('}')?;
        let has = labels.split(',').any(|pair| pair == label);
        has.then(|| value.split_whitespace().next()?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_found_by_its_label() {
        let text = "a_total{x=\"1\",y=\"2\"} 2\na_total{x=\"11\"} 3\n";
        assert_eq!(metric_of(text, "a_total", "y=\"2\""), Some(2.0));
        assert_eq!(metric_of(text, "a_total", "x=\"11\""), Some(3.0));
        assert_eq!(metric_of(text, "a_total", "y=\"1\""), None);
    }

    #[test]
    fn a_metric_is_summed_over_its_labels_and_told_from_longer_names() {
        let text = "# TYPE a_total counter\na_total{x=\"1 }\"} 2\na_total 3 1700000000\na_total_more 7\n";
        assert!((metric(text, "a_total") - 5.0).abs() < f64::EPSILON);
    }
}

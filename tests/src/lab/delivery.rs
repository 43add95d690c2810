//! An agent that delivers to a collector.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{agent::Agent, certificates, poll};

/// How the agent is to deliver.
#[derive(Clone, Debug)]
pub struct Delivering<'a> {
    /// Of the collector.
    pub endpoint: &'a str,
    /// `off`, `containers` or `all`.
    pub processes: &'a str,
    /// Socket of the container runtime.
    pub cri_socket: Option<PathBuf>,
    /// Where the agent keeps its state; a folder of its own otherwise.
    pub state_dir: Option<PathBuf>,
    /// Folder of its certificate; without TLS otherwise.
    pub certificates: Option<&'a Path>,
    /// Its name.
    pub node: &'a str,
    /// More lines of the configuration file.
    pub config: &'a str,
}

impl<'a> Delivering<'a> {
    /// To that collector, with every process of the node.
    pub fn to(endpoint: &'a str) -> Self {
        Self {
            endpoint,
            processes: "all",
            cri_socket: None,
            state_dir: None,
            certificates: None,
            node: "node-1",
            config: "",
        }
    }

    /// Makes an agent that is yet to be started; its configuration file goes to `dir`.
    pub fn prepare(&self, dir: &Path) -> Result<Agent> {
        let Self { endpoint, processes, cri_socket, state_dir, certificates, node, config } = self;
        let tls = certificates.map_or_else(|| "  tls: off\n".to_owned(), certificates::keys);
        let file = dir.join("agent.yaml");
        let text = format!(
            "node_name: {node}\ncluster: test\nuplink:\n  endpoint: {endpoint}\n{tls}streams:\n  processes: {processes}\n{config}"
        );
        fs::write(&file, text)?;
        let mut args: Vec<OsString> = vec!["--config".into(), file.into()];
        if let Some(socket) = cri_socket {
            args.extend(["--cri-socket".into(), socket.into()]);
        }
        let mut agent = Agent::prepare(args)?;
        if let Some(dir) = state_dir {
            agent.set_state_dir(dir.clone());
        }
        Ok(agent)
    }

    /// Starts one, and waits until it is ready.
    pub fn start(&self, dir: &Path) -> Result<Agent> {
        let mut agent = self.prepare(dir)?;
        agent.restart()?;
        Ok(agent)
    }
}

/// Waits until the collector has acknowledged all that the agent held.
pub fn wait_delivered(agent: &Agent, limit: Duration) -> Result<()> {
    poll::until("the outbox to be empty", limit, || {
        let Ok((_, body)) = agent.get("/status") else { return Ok(false) };
        let status: Value = serde_json::from_str(&body)?;
        let lanes = status["delivery"]["lanes"].as_array().context("a status without delivery")?;
        let unnamed = &status["delivery"]["unnamed"];
        Ok(unnamed == 0 && lanes.iter().all(|lane| lane["events"] == 0))
    })
    .with_context(|| agent.get("/status").map(|(_, body)| body).unwrap_or_default())
}

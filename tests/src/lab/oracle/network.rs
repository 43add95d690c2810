//! Ports on which a container listens, those of the node that lead to it, and the parameters of its namespaces.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    net::SocketAddr,
    thread,
};

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, setns};
use procfs::{
    net::TcpState,
    process::{FDTarget, Process},
};
use serde_json::Value;

use super::{super::cri::ContainerInfo, Violations};

/// A parameter of the IPC namespace; no other that is not safe is set for the lab's pods, nor for its machine.
const MSGMAX: &str = "/proc/sys/kernel/msgmax";

/// What is wrong with the container's network and the parameters of its kernel.
pub(super) fn of(pids: &[u32], info: &ContainerInfo) -> Result<Violations> {
    let mut all = listening(pids, info)?;
    let ports = declared(info)?;
    if ports
        .as_array()
        .into_iter()
        .flatten()
        .any(|port| port["hostPort"].as_u64().is_some_and(|port| port != 0))
    {
        all.insert("host-ports", "FAIL");
    }
    if msgmax(info.pid)? != fs::read_to_string(MSGMAX)? {
        all.insert("sysctls", "FAIL");
    }
    Ok(all)
}

/// The parameter as a process of that IPC namespace reads it.
fn msgmax(pid: u32) -> Result<String> {
    let namespace = File::open(format!("/proc/{pid}/ns/ipc"))?;
    let read = move || -> Result<String> {
        setns(namespace, CloneFlags::CLONE_NEWIPC)?;
        Ok(fs::read_to_string(MSGMAX)?)
    };
    // The thread ends in the namespace, and nobody else is in it.
    thread::spawn(read).join().map_err(|_panic| anyhow::anyhow!("the reader of {MSGMAX} died"))?
}

/// Whether processes listen on a port that their pod does not declare, where others reach it.
fn listening(pids: &[u32], info: &ContainerInfo) -> Result<Violations> {
    let declared: BTreeSet<_> = declared(info)?
        .as_array()
        .into_iter()
        .flatten()
        .filter(|port| port["protocol"] == "TCP")
        .filter_map(|port| port["containerPort"].as_u64())
        .collect();
    for &pid in pids {
        let process = Process::new(pid.try_into()?)?;
        let sockets: BTreeSet<u64> = process
            .fd()?
            .filter_map(|fd| if let FDTarget::Socket(inode) = fd.ok()?.target { Some(inode) } else { None })
            .collect();
        let entries = process.tcp()?.into_iter().chain(process.tcp6().unwrap_or_default());
        let is_undeclared = |address: SocketAddr| {
            !address.ip().is_loopback() && !declared.contains(&u64::from(address.port()))
        };
        for entry in entries.filter(|entry| entry.state == TcpState::Listen && sockets.contains(&entry.inode))
        {
            if is_undeclared(entry.local_address) {
                return Ok(Violations::from([("undeclared-ports", "FAIL")]));
            }
        }
    }
    Ok(Violations::new())
}

/// What the pod declares of the container's ports.
fn declared(info: &ContainerInfo) -> Result<Value> {
    match info.annotations.get("io.kubernetes.container.ports") {
        Some(text) => serde_json::from_str(text).context("ports that are no JSON"),
        None => Ok(Value::Null),
    }
}

//! A network namespace at the end of a cable that can be cut.
//!
//! Cut, packets are dropped in silence, as by a broken switch: neither end is told.

use std::{
    ffi::OsStr,
    net::Ipv4Addr,
    process::{Command, Stdio},
    sync::atomic::{AtomicU8, Ordering},
};

use anyhow::{Context, Result, ensure};

/// Which way packets get lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// To the island and back.
    Both,
    /// To the island.
    Towards,
    /// From the island: what is sent arrives, and no answer comes.
    From,
}

/// A namespace with one address, and the cable to it. Dropping it removes both.
#[derive(Debug)]
pub struct Island {
    name: String,
    outside: String,
    inside: String,
    subnet: u8,
    process: u8,
}

impl Island {
    /// Makes one.
    pub fn new() -> Result<Self> {
        static COUNT: AtomicU8 = AtomicU8::new(0);
        let process = std::process::id();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // Names of links have 15 characters.
        let island = Self {
            name: format!("kestrel-{process}-{count}"),
            outside: format!("ko{:x}{count}", process & 0xff_ffff),
            inside: format!("ki{:x}{count}", process & 0xff_ffff),
            subnet: count % 64,
            process: u8::try_from(process % 256).unwrap_or(0),
        };
        let Self { name, outside, inside, .. } = &island;
        ip(&["netns", "add", name])?;
        ip(&["link", "add", outside, "type", "veth", "peer", "name", inside, "netns", name])?;
        ip(&["addr", "add", &format!("{}/30", island.shore()), "dev", outside])?;
        ip(&["link", "set", outside, "up"])?;
        ip(&["-n", name, "addr", "add", &format!("{}/30", island.address()), "dev", inside])?;
        ip(&["-n", name, "link", "set", inside, "up"])?;
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        Ok(island)
    }

    /// Its address, from the benchmark range (RFC 2544).
    pub fn address(&self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.process, self.subnet * 4 + 2)
    }

    /// The address of the other end of the cable.
    pub fn shore(&self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.process, self.subnet * 4 + 1)
    }

    /// Words to put in front of a program so that it runs there.
    pub fn wrapper(&self) -> [String; 2] {
        ["nsenter".to_owned(), format!("--net=/run/netns/{}", self.name)]
    }

    /// Loses packets from now on.
    pub fn cut(&self, cut: Cut) -> Result<()> {
        // A bucket that holds less than any packet.
        let drop_all = ["root", "tbf", "rate", "8bit", "burst", "1", "limit", "1"];
        if matches!(cut, Cut::Both | Cut::Towards) {
            tc([&["qdisc", "replace", "dev", &self.outside], &drop_all[..]].concat())?;
        }
        if matches!(cut, Cut::Both | Cut::From) {
            tc([&["-n", &self.name, "qdisc", "replace", "dev", &self.inside], &drop_all[..]].concat())?;
        }
        Ok(())
    }

    /// Repairs the cable.
    pub fn heal(&self) {
        // What is not cut cannot be repaired, which is no error.
        let _ = tc(["qdisc", "del", "dev", &self.outside, "root"]);
        let _ = tc(["-n", &self.name, "qdisc", "del", "dev", &self.inside, "root"]);
    }
}

impl Drop for Island {
    fn drop(&mut self) {
        let _ = ip(&["link", "del", &self.outside]);
        let _ = ip(&["netns", "del", &self.name]);
    }
}

fn ip(args: &[&str]) -> Result<()> {
    run("ip", args)
}

fn tc<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Result<()> {
    run("tc", args)
}

fn run<S: AsRef<OsStr>>(program: &str, args: impl IntoIterator<Item = S>) -> Result<()> {
    let mut command = Command::new(program);
    let output = command
        .args(args)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {program} (package iproute2)"))?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}", error.trim());
    Ok(())
}

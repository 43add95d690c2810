//! `suspect ACT [ARGUMENT…]`: does what rules look for, without harm.
//!
//! The kernel calls a program by the name of the link that it is started by, so it does this as any program.

mod file;
mod kernel;
mod memory;
mod network;
mod ring;
mod trace;

use std::{env, process::Command, thread, time::Duration};

use anyhow::{Context as _, Result, bail};
use nix::{
    sched::{CloneFlags, setns},
    unistd::{Uid, setresuid, setuid},
};

/// Older than rules take for a start.
const LATE: Duration = Duration::from_secs(6);

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let act = args.next().context("usage: suspect ACT [ARGUMENT…]")?;
    let mut next = || args.next().with_context(|| format!("{act} needs another argument"));
    match act.as_str() {
        "start" => {
            let program = next()?;
            Command::new(program).args(args).status()?;
        }
        "read" => file::read(&next()?)?,
        "read-late" => {
            thread::sleep(LATE);
            file::read(&next()?)?;
        }
        "write" => file::write(&next()?)?,
        "by-handle" => file::by_handle(&next()?, &next()?)?,
        "connect" => network::connect(&next()?)?,
        "knock" => network::knock(&next()?)?,
        "look-up" => network::look_up(&next()?, &next()?)?,
        "knock-unix" => network::knock_unix(&next()?)?,
        "stdio" => network::stdio(&next()?)?,
        "packet-socket" => network::packet_socket()?,
        "ring-open" => ring::open(&next()?)?,
        "ring-connect" => ring::connect(&next()?)?,
        "traceme" => trace::traceme()?,
        "attach" => trace::attach()?,
        "read-memory" => memory::read()?,
        "write-memory" => memory::write()?,
        "page-faults" => memory::page_faults()?,
        "load-module" => kernel::load_module(&next()?)?,
        "load-bpf" => kernel::load_bpf()?,
        "join-own-namespace" => setns(std::fs::File::open("/proc/self/ns/uts")?, CloneFlags::CLONE_NEWUTS)?,
        "become-root" => {
            // As an old daemon: what was given up for a while is taken back.
            setresuid(Uid::from_raw(1000), Uid::from_raw(1000), Uid::from_raw(0))?;
            setuid(Uid::from_raw(0))?;
        }
        other => bail!("{other} is nothing that it does"),
    }
    Ok(())
}

//! Installed set-uid root, it is root until SIGUSR1, and whoever started it from then on.
#![allow(clippy::print_stdout, reason = "the ids are what it is for")]

use anyhow::Result;
use nix::{
    sys::signal::{SigSet, Signal},
    unistd::{getresuid, getuid, pause, setresuid},
};

fn main() -> Result<()> {
    let mut wanted = SigSet::empty();
    wanted.add(Signal::SIGUSR1);
    // Blocked, so that one that comes early is not lost.
    wanted.thread_block()?;
    println!("{:?}", getresuid()?);
    wanted.wait()?;
    let own = getuid();
    setresuid(own, own, own)?;
    println!("{:?}", getresuid()?);
    loop {
        pause();
    }
}

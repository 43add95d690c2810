//! The cheapest system call: what a hook on every call costs.

use anyhow::Result;
use nix::unistd::getppid;

use super::Batch;

pub(super) struct Getppid;

impl Batch for Getppid {
    fn run(&mut self, times: u64) -> Result<()> {
        for _ in 0..times {
            std::hint::black_box(getppid());
        }
        Ok(())
    }
}

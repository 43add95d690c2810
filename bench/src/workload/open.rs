//! open, read and close of a small file that no rule wants.

use std::{fs::File, io::Read as _};

use anyhow::{Context as _, Result};

use super::Batch;

const PATH: &str = "/etc/passwd";

pub(super) struct Open;

impl Batch for Open {
    fn run(&mut self, times: u64) -> Result<()> {
        let mut bytes = [0; 64];
        for _ in 0..times {
            let mut file = File::open(PATH).context(PATH)?;
            std::hint::black_box(file.read(&mut bytes)?);
        }
        Ok(())
    }
}

//! A program started (`posix_spawn`, which is vfork and exec) and waited for.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempPath;

use super::{Batch, image};

const DYNAMIC: &str = "/bin/true";

pub(super) struct ForkExec {
    program: PathBuf,
    _file: Option<TempPath>,
}

impl ForkExec {
    /// A program as most are: with the dynamic loader and libc.
    pub(super) fn dynamic() -> Result<Self> {
        ensure!(Path::new(DYNAMIC).exists(), "{DYNAMIC} is not there");
        Ok(Self { program: DYNAMIC.into(), _file: None })
    }

    /// A program that does nothing but end.
    pub(super) fn tiny() -> Result<Self> {
        let file = image::write()?;
        Ok(Self { program: file.to_path_buf(), _file: Some(file) })
    }
}

impl Batch for ForkExec {
    fn run(&mut self, times: u64) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.env_clear();
        for _ in 0..times {
            let status = command.status().with_context(|| self.program.display().to_string())?;
            ensure!(status.success(), "{} ended with {status}", self.program.display());
        }
        Ok(())
    }
}

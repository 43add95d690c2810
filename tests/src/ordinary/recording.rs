//! `kestrel-agent record` over the work.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::lab::{Lab, poll};

/// A recorder that runs. Dropping it kills it.
#[derive(Debug)]
pub struct Recorder {
    child: Child,
    log: PathBuf,
}

impl Recorder {
    /// Records what Kestrel's own rules and the official ones want to see, and waits until it does.
    pub fn start(agent: &Path, recording: &Path, lab: &Lab, official: &[PathBuf]) -> Result<Self> {
        ensure!(!recording.exists(), "{} exists", recording.display());
        let config = lab.dir().join("record.yaml");
        let files: Vec<_> = official
            .iter()
            .map(|path| fs::canonicalize(path).with_context(|| path.display().to_string()))
            .collect::<Result<_>>()?;
        let files = serde_json::to_string(&files)?;
        let text = format!(
            "rules: {{builtin: on, files: {files}, matching: all}}\nstreams: {{rate: 0}}\nhttp: {{listen: off}}\n"
        );
        fs::write(&config, text)?;
        let log = lab.dir().join("record.log");
        // It ends with this process, however that ends.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM"])
            .arg(agent)
            .args(["record", "--config"])
            .arg(&config)
            .arg("--cri-socket")
            .arg(lab.socket())
            .arg(recording)
            .stdin(Stdio::null())
            .stdout(File::create(lab.dir().join("record.out"))?)
            .stderr(File::create(&log)?)
            .spawn()
            .with_context(|| agent.display().to_string())?;
        let mut recorder = Self { child, log };
        poll::until("the recorder to see something", Duration::from_secs(30), || {
            ensure!(recorder.child.try_wait()?.is_none(), "the recorder ended:\n{}", recorder.log()?);
            Ok(fs::metadata(recording).is_ok_and(|file| file.len() > 0))
        })?;
        Ok(recorder)
    }

    /// Ends it, and gives what it logged.
    pub fn stop(mut self) -> Result<String> {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM)?;
        let status = self.child.wait()?;
        let log = self.log()?;
        ensure!(status.success(), "the recorder failed ({status}):\n{log}");
        Ok(log)
    }

    fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(&self.log)?)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

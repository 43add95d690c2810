//! Processes that look like containers from outside: a mount namespace and a control group of their own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use kestrel_agent::{
    context::{ContainerId, ProcessId},
    kernel::Mounted,
};
use procfs::process::Process;

/// Above all of them, as a kubelet has it.
const PARENT: &str = "kubepods/besteffort";

/// One of them.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) process: ProcessId,
    pub(super) id: ContainerId,
    /// Below the hierarchy's root.
    pub(super) cgroup_path: Vec<u8>,
    child: Child,
    folder: PathBuf,
}

/// All of them; they go with it.
#[derive(Debug)]
pub(super) struct Simulated(Vec<Container>);

impl Simulated {
    pub(super) fn start(count: usize) -> Result<Self> {
        let root = Mounted::detect()?.root;
        let mut all = Self(Vec::with_capacity(count));
        for number in 0..count {
            all.0.push(container(&root, number)?);
        }
        Ok(all)
    }

    pub(super) fn containers(&self) -> impl Iterator<Item = &Container> {
        self.0.iter()
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        for container in &mut self.0 {
            let _ = container.child.kill();
            let _ = container.child.wait();
        }
        for container in &self.0 {
            let _ = fs::remove_dir(&container.folder);
            if let Some(pod) = container.folder.parent() {
                let _ = fs::remove_dir(pod);
            }
        }
    }
}

fn container(root: &Path, number: usize) -> Result<Container> {
    let path = format!("{PARENT}/pod00000000-0000-4000-8000-{number:012x}/{number:064x}");
    let folder = root.join(&path);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut child = Command::new("unshare")
        .args(["--mount", "sleep", "2147483647"])
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOSTNAME", "web-7c9d6b5f4d-mk8vq")
        .env("KUBERNETES_SERVICE_HOST", "10.96.0.1")
        .stdin(Stdio::null())
        .spawn()
        .context("cannot run unshare")?;
    let process = (|| {
        fs::write(folder.join("cgroup.procs"), child.id().to_string())?;
        let stat = Process::new(i32::try_from(child.id())?)?.stat()?;
        Ok(ProcessId { start_ticks: stat.starttime, tgid: child.id() })
    })();
    match process {
        Ok(process) => {
            let id = ContainerId::parse(format!("{number:064x}").as_bytes()).context("no id")?;
            Ok(Container { process, id, cgroup_path: format!("/{path}").into_bytes(), child, folder })
        }
        Err::<_, anyhow::Error>(error) => {
            let _ = child.kill();
            let _ = child.wait();
            let _ = fs::remove_dir(&folder);
            bail!("cannot make container {number}: {error:#}")
        }
    }
}

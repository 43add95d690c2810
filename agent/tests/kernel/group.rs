//! A cgroup of a test's own, in the hierarchy that containers live in.

use std::{
    fs,
    io::{PipeWriter, Write as _},
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Instant,
};

use kestrel_agent::kernel::Mounted;

use crate::loaded::DEADLINE;

/// Removed when it is dropped; what ran in it has to have ended.
pub(crate) struct Group {
    path: PathBuf,
}

impl Group {
    pub(crate) fn new() -> Self {
        static GROUPS: AtomicU32 = AtomicU32::new(0);
        let number = GROUPS.fetch_add(1, Ordering::Relaxed);
        let name = format!("kestrel-test-{}-{number}", std::process::id());
        let path = Mounted::detect().unwrap().root.join(name);
        fs::create_dir(&path).unwrap();
        Self { path }
    }

    /// Its id.
    pub(crate) fn id(&self) -> u64 {
        fs::metadata(&self.path).unwrap().ino()
    }

    /// Runs a shell's script in it, to its end.
    pub(crate) fn run(&self, script: &str) {
        assert!(self.start(script).wait().unwrap().success(), "{script}");
    }

    /// Starts a shell's script in it. The shell begins once it is there.
    pub(crate) fn start(&self, script: &str) -> Child {
        let (read, mut write): (_, PipeWriter) = std::io::pipe().unwrap();
        let child = Command::new("/bin/sh")
            .args(["-c", &format!("read go; {script}")])
            .stdin(Stdio::from(read))
            .spawn()
            .unwrap();
        fs::write(self.path.join("cgroup.procs"), child.id().to_string()).unwrap();
        write.write_all(b"go\n").unwrap();
        child
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let start = Instant::now();
        while let Err(error) = fs::remove_dir(&self.path) {
            assert!(start.elapsed() < DEADLINE, "{}: {error}", self.path.display());
            std::thread::yield_now();
        }
    }
}

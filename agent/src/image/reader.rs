//! Reads what is asked for.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::PathBuf,
    sync::Arc,
};

use nix::libc::{ESRCH, O_NOCTTY, O_NONBLOCK};

use super::{
    Answer, Parts, Question, Times, environment,
    file::{Hasher, is_of_this_machine},
};
use crate::{
    context::proc::is_there,
    pipeline::clock::boottime_ns,
    telemetry::{
        Telemetry,
        label::{ImageEnvironment, ImageHash},
    },
};

/// Reads files and environments of processes.
#[derive(Debug)]
pub struct Reader {
    proc: PathBuf,
    hasher: Hasher,
    telemetry: Arc<Telemetry>,
}

impl Reader {
    /// Counts what comes of it.
    #[must_use]
    pub fn new(telemetry: Arc<Telemetry>) -> Self {
        Self { proc: "/proc".into(), hasher: Hasher::new(), telemetry }
    }

    /// Reads what there still is. May take as long as the file system does.
    pub fn read(&mut self, question: &Question) -> Answer {
        let Question { id, file, parts } = question;
        let tgid = id.process.tgid;
        let looks_at_file = parts.has(Parts::HASH) || parts.has(Parts::TIMES);
        let is_here = looks_at_file && is_of_this_machine(&self.proc, tgid, file);
        let exe = (parts.has(Parts::HASH) && is_here).then(|| self.open(tgid, "exe"));
        let times = (parts.has(Parts::TIMES) && is_here).then(|| fs::metadata(self.path(tgid, "exe")));
        let environ = parts.has(Parts::ENVIRONMENT).then(|| self.open(tgid, "environ"));
        // What is open is of the image of now, and stays so.
        let read_ns = boottime_ns();
        let is_there = is_there(id.process);
        let hash = parts.has(Parts::HASH).then(|| match exe {
            _ if !is_there => Err(ImageHash::Gone),
            None => Err(ImageHash::Elsewhere),
            Some(Ok(mut exe)) => self.hasher.hash(&mut exe, file),
            Some(Err(error)) if is_gone(&error) => Err(ImageHash::Gone),
            Some(Err(_)) => Err(ImageHash::Failed),
        });
        let environment = environ.map(|environ| match environ.and_then(environment::read) {
            _ if !is_there => Err(ImageEnvironment::Gone),
            Ok((environment, true)) => Ok((environment, ImageEnvironment::Read)),
            Ok((environment, false)) => Ok((environment, ImageEnvironment::Cut)),
            Err(error) if is_gone(&error) => Err(ImageEnvironment::Gone),
            Err(_) => Err(ImageEnvironment::Failed),
        });
        let times = times.and_then(Result::ok).filter(|_| is_there).map(|file| Times {
            changed_ns: since_1970(file.ctime(), file.ctime_nsec()),
            modified_ns: since_1970(file.mtime(), file.mtime_nsec()),
        });
        let counters = &self.telemetry.images;
        if parts.has(Parts::TIMES) {
            let count = if times.is_some() { &counters.looked } else { &counters.not_looked };
            count.add(1);
        }
        if let Some(Ok((_, result)) | Err(result)) = &hash {
            counters.hashes.of(*result).add(1);
        }
        if let Some(Ok((_, result)) | Err(result)) = &environment {
            counters.environments.of(*result).add(1);
        }
        Answer {
            id: *id,
            parts: *parts,
            read_ns,
            hash: hash.and_then(Result::ok).map(|(hash, _)| hash),
            times,
            environment: environment.and_then(Result::ok).map(|(environment, _)| environment),
        }
    }

    /// A file that runs may be one that waits for whoever opens it.
    fn open(&self, tgid: u32, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).custom_flags(O_NONBLOCK | O_NOCTTY).open(self.path(tgid, name))
    }

    fn path(&self, tgid: u32, name: &str) -> PathBuf {
        self.proc.join(tgid.to_string()).join(name)
    }
}

/// Nanoseconds; 0 for what is before.
fn since_1970(seconds: i64, nanos: i64) -> u64 {
    let nanos = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    u64::try_from(nanos).unwrap_or_default()
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use agent_abi::record::FileRef;
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::{context::ProcessId, image::ImageId};

    const ALL: Parts = Parts::HASH.with(Parts::ENVIRONMENT).with(Parts::TIMES);

    /// `cat`, which waits for its input.
    fn child() -> Child {
        let mut command = Command::new("cat");
        command.env_clear().env("GREETING", "hello").stdin(Stdio::piped()).stdout(Stdio::piped());
        command.spawn().unwrap()
    }

    fn question(tgid: u32, parts: Parts) -> Question {
        let start_ticks = procfs::process::Process::new(i32::try_from(tgid).unwrap())
            .and_then(|process| process.stat())
            .map_or(1, |stat| stat.starttime);
        let id = ImageId { process: ProcessId { start_ticks, tgid }, exec_id: 1 };
        Question { id, file: FileRef { dev: 8 << 20, ..FileRef::default() }, parts }
    }

    #[test]
    fn a_process_has_the_hash_of_its_file_and_its_environment() {
        let telemetry = Arc::new(Telemetry::new(&[]));
        let mut reader = Reader::new(Arc::clone(&telemetry));
        let mut child = child();
        let asked = question(child.id(), ALL);
        let answer = reader.read(&asked);
        let program = fs::read_link(format!("/proc/{}/exe", child.id())).unwrap();
        assert_eq!(answer.hash, Some(Sha256::digest(fs::read(&program).unwrap()).into()));
        let since = |time: std::time::SystemTime| {
            u64::try_from(time.duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos()).unwrap()
        };
        let times = answer.times.unwrap();
        assert_eq!(times.modified_ns, since(program.metadata().unwrap().modified().unwrap()));
        assert!(times.changed_ns > 0 && times.changed_ns < since(std::time::SystemTime::now()));
        assert_eq!(answer.environment.as_deref(), Some(&b"GREETING=hello\0"[..]));
        assert!(answer.read_ns > 0 && !format!("{answer:?}").contains("hello"), "{answer:?}");

        let part = reader.read(&Question { parts: Parts::ENVIRONMENT, ..asked });
        assert!(part.hash.is_none() && part.times.is_none() && part.environment.is_some());
        let other = ImageId { process: ProcessId { start_ticks: 1, ..asked.id.process }, ..asked.id };
        let reused = reader.read(&Question { id: other, ..asked });
        assert_eq!((reused.hash, reused.environment), (None, None), "another process of that number");
        drop(child.stdin.take());
        child.wait().unwrap();
        let gone = reader.read(&asked);
        assert_eq!((gone.hash, gone.times, gone.environment), (None, None, None));
        let images = &telemetry.images;
        assert_eq!(
            (images.hashes.of(ImageHash::Read).get(), images.hashes.of(ImageHash::Gone).get()),
            (1, 2)
        );
        assert_eq!((images.looked.get(), images.not_looked.get()), (1, 2));
        let environments = &images.environments;
        assert_eq!(environments.of(ImageEnvironment::Read).get(), 2);
        assert_eq!(environments.of(ImageEnvironment::Gone).get(), 2);
    }

    #[test]
    fn a_file_that_is_not_of_this_machine_is_not_opened() {
        let telemetry = Arc::new(Telemetry::new(&[]));
        let mut reader = Reader::new(Arc::clone(&telemetry));
        let mut asked = question(std::process::id(), Parts::HASH);
        asked.file.dev = 0xf_fffe;
        assert_eq!(reader.read(&asked).hash, None);
        assert_eq!(telemetry.images.hashes.of(ImageHash::Elsewhere).get(), 1);
    }
}

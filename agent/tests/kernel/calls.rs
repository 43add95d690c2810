//! Calls that a test makes, and their records.

use std::{ffi::CString, thread, time::Instant};

use agent_abi::record::{self, Header, PathRef, Syscall};
use kestrel_agent::{
    decode::{Event, NamedPath, decode},
    syscall::{self, Family, Only, Wants},
};
use nix::libc;

use crate::{
    loaded::{DEADLINE, Loaded},
    shared::Shared,
    way::Way,
};

/// Rings with room for what a busy machine does beside the test.
const RINGS: [u32; 2] = [1 << 22, 1 << 24];

/// All calls on files, processes and the system.
fn all_calls() -> Wants {
    let mut wants = Wants::posture();
    for family in [Family::Files, Family::Processes, Family::System] {
        wants.add_family(family, Only::default());
    }
    wants
}

/// Programs that tell of them all.
pub(crate) fn shared_calls() -> Shared {
    Shared::new(RINGS, all_calls())
}

/// A path that a call named, kept.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) record: PathRef,
    /// As a consumer gets it.
    pub(crate) path: Vec<u8>,
}

/// What a record has beside the call itself.
#[derive(Clone, Debug)]
pub(crate) enum What {
    File { record: record::FileCall, path: Vec<u8> },
    Path { from: Named, to: Named },
    Plain { record: record::PlainCall },
}

/// A record, kept after the ring has moved on.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) name: &'static str,
    pub(crate) header: Header,
    pub(crate) call: Syscall,
    pub(crate) text: Vec<u8>,
    pub(crate) what: What,
}

impl Seen {
    fn new(event: &Event<'_>) -> Option<Self> {
        let (header, call, text, what) = match event {
            Event::File(file) => {
                let what = What::File { record: *file.record, path: file.path.to_vec() };
                (file.record.header, file.record.call, file.text, what)
            }
            Event::Path(paths) => {
                let what = What::Path { from: named(&paths.from), to: named(&paths.to) };
                (paths.record.header, paths.record.call, paths.text, what)
            }
            Event::Plain(plain) => {
                (plain.record.header, plain.record.call, plain.text, What::Plain { record: *plain.record })
            }
            _ => return None,
        };
        let name = syscall::name_of(&call).unwrap();
        Some(Self { name, header, call, text: text.to_vec(), what })
    }

    /// The file, of a call that has one.
    pub(crate) fn file(&self) -> (&record::FileCall, &[u8]) {
        let What::File { record, path } = &self.what else { panic!("{self:?} is no file") };
        (record, path)
    }

    /// The paths, of a call that has them.
    pub(crate) fn paths(&self) -> (&Named, &Named) {
        let What::Path { from, to } = &self.what else { panic!("{self:?} has no paths") };
        (from, to)
    }

    /// The rest, of a call that has neither.
    pub(crate) fn plain(&self) -> &record::PlainCall {
        let What::Plain { record } = &self.what else { panic!("{self:?} is not plain") };
        record
    }
}

fn named(named: &NamedPath<'_>) -> Named {
    let mut path = Vec::new();
    named.write_to(&mut path);
    Named { record: *named.record, path }
}

/// What a thread did.
pub(crate) struct Made<T> {
    pub(crate) value: T,
    /// How it was told.
    pub(crate) way: Way,
    /// The thread.
    pub(crate) tid: u32,
    /// Records of all tasks, in order.
    pub(crate) seen: Vec<Seen>,
}

impl<T> Made<T> {
    /// Those of the thread.
    pub(crate) fn own(&self) -> impl Iterator<Item = &Seen> {
        self.seen.iter().filter(|seen| seen.call.task.tid == self.tid)
    }

    /// The only record of a call of the thread's.
    pub(crate) fn one(&self, name: &str) -> &Seen {
        let found: Vec<_> = self.own().filter(|seen| seen.name == name).collect();
        assert_eq!(found.len(), 1, "{name}: {found:?}");
        found[0]
    }

    /// None of its calls of that name was told.
    pub(crate) fn assert_silent(&self, name: &str) {
        assert_eq!(self.own().filter(|seen| seen.name == name).count(), 0, "{name}");
    }
}

/// Runs `body` in a thread of its own, which may change its own namespaces, and gives it together
/// with all records that were made meanwhile.
pub(crate) fn made_by<T: Send>(loaded: &mut Loaded, body: impl FnOnce() -> T + Send) -> Made<T> {
    let run = || {
        let value = body();
        // One mark a ring, behind which nothing of the thread's is left.
        raw(libc::SYS_personality, &[MARK]);
        raw(libc::SYS_ptrace, &[MARK, MARK]);
        (value, gettid())
    };
    let (value, tid) = thread::scope(|scope| scope.spawn(run).join().unwrap());
    let mut seen = Vec::new();
    let (start, mut marks) = (Instant::now(), 0);
    while marks < 2 {
        assert!(start.elapsed() < DEADLINE, "the marks did not come");
        for ring in [&mut loaded.programs.critical, &mut loaded.programs.bulk] {
            let end = ring.produced();
            ring.drain(end, |bytes| {
                let Some(record) = Seen::new(&decode(bytes).unwrap()) else { return };
                if record.call.task.tid == tid && record.call.args[0] == MARK {
                    marks += 1;
                } else {
                    seen.push(record);
                }
            });
        }
        thread::yield_now();
    }
    seen.sort_by_key(|seen| seen.header.boottime_ns);
    Made { value, way: Way::of(loaded), tid, seen }
}

/// No persona and no request of `ptrace`.
const MARK: u64 = 0xffff_fff7;

/// Makes a call; errors are negative.
#[expect(unsafe_code, reason = "the calls themselves are what is tested")]
pub(crate) fn raw(number: i64, arguments: &[u64]) -> i64 {
    let mut all = [0; 6];
    all[..arguments.len()].copy_from_slice(arguments);
    let [a, b, c, d, e, f] = all;
    // SAFETY: tests pass addresses of memory that outlives the call, or none.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    match result {
        -1 => -i64::from(nix::errno::Errno::last_raw()),
        result => result,
    }
}

pub(crate) fn gettid() -> u32 {
    nix::unistd::gettid().as_raw().unsigned_abs()
}

/// `AT_FDCWD` as an argument.
pub(crate) const CWD: u64 = -100i64 as u64;

/// A name with its NUL.
pub(crate) fn c(name: impl Into<Vec<u8>>) -> CString {
    CString::new(name).unwrap()
}

/// Address of a name.
pub(crate) fn at(name: &CString) -> u64 {
    name.as_ptr() as u64
}

/// Address of bytes.
pub(crate) fn of<T: ?Sized>(bytes: &T) -> u64 {
    std::ptr::from_ref(bytes).cast::<u8>() as u64
}

/// A folder in a file system and a mount namespace of the calling thread's own, and its working
/// directory; gone with the thread.
pub(crate) fn enter_own_folder() -> Vec<u8> {
    let flags = libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_FILES | libc::CLONE_FS;
    assert_eq!(raw(libc::SYS_unshare, &[flags as u64]), 0);
    let private = libc::MS_REC | libc::MS_PRIVATE;
    let (none, root) = (c("none"), c("/"));
    assert_eq!(raw(libc::SYS_mount, &[at(&none), at(&root), 0, private, 0]), 0);
    let (folder, tmpfs) = (std::env::temp_dir(), c("tmpfs"));
    let folder = c(folder.canonicalize().unwrap().as_os_str().as_encoded_bytes());
    assert_eq!(raw(libc::SYS_mount, &[at(&none), at(&folder), at(&tmpfs), 0, 0]), 0);
    assert_eq!(raw(libc::SYS_chdir, &[at(&folder)]), 0);
    folder.into_bytes()
}

//! Threads that change what a call works on while it runs. A record may be wrong then, but says that
//! it may be.
//!
//! Who is right is known by the inode: the file that was asked for has one that no decoy has.

use std::{
    os::unix::fs::MetadataExt as _,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
};

use agent_abi::record::grade;
use kestrel_agent::decode::{Event, decode};
use nix::libc;

use crate::{
    calls::{at, c, made_by, raw, shared_calls},
    elf,
    loaded::{DEADLINE, assert_quiet_sums},
    way::OPEN_HOOKS,
};

const ROUNDS: usize = 20_000;
const EXECS: usize = 300;
const BATCHES: usize = 20;
/// Meetings of an open and the one who hinders it.
const ENOUGH: usize = 100;

/// Repeats `hinder` in a thread while `body` runs.
fn against<T>(hinder: impl Fn() + Sync, body: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let hindering = scope.spawn(|| {
            while !done.load(Relaxed) {
                hinder();
            }
        });
        let value = body();
        done.store(true, Relaxed);
        hindering.join().unwrap();
        value
    })
}

/// Opens by one thread whose descriptors another one changes.
#[derive(Debug, Default)]
struct Tally {
    opens: usize,
    told: usize,
    raced: usize,
    lies_marked: usize,
    lies_unmarked: usize,
}

/// Opens `wanted` while `hinder` works on the descriptor that the next open will probably have, until
/// enough of them met or both had their chance.
fn opens_against(wanted: &str, hinder: impl Fn(u64) + Sync) -> Tally {
    let mut loaded = shared_calls();
    let inode = std::fs::metadata(wanted).unwrap().ino();
    let file = c(wanted);
    let mut tally = Tally::default();
    let missed = loaded.missed(&OPEN_HOOKS);
    for _ in 0..BATCHES {
        let made = made_by(&mut loaded, || open_against(at(&file), &hinder));
        let opens = made.own().filter(|seen| seen.name == "open" && seen.call.args[0] == at(&file));
        for seen in opens {
            let (record, _) = seen.file();
            tally.add(record.file.grade, record.file.inode != inode);
        }
        tally.opens += ROUNDS;
        if made.way.opens_by_lsm {
            // Told before there is a descriptor, by the file itself: `Tally::add` saw no lie.
            assert_eq!(tally.raced + tally.lies_unmarked, 0, "{tally:?}");
            break;
        }
        if tally.raced + tally.lies_unmarked >= ENOUGH {
            break;
        }
    }
    let missed = loaded.missed(&OPEN_HOOKS) - missed;
    let untold = tally.opens.checked_sub(tally.told).map(|untold| untold as u64);
    assert!(untold.is_some_and(|untold| untold <= missed), "{tally:?}, and {missed} runs were missed");
    assert_quiet_sums(&loaded);
    tally
}

fn open_against(file: u64, hinder: &(impl Fn(u64) + Sync)) {
    let guess = AtomicU64::new(u64::MAX);
    // Shared with the one who hinders, and with nobody else.
    assert_eq!(raw(libc::SYS_unshare, &[libc::CLONE_FILES as u64]), 0);
    against(
        || match guess.load(Relaxed) {
            u64::MAX => thread::yield_now(),
            fd => hinder(fd),
        },
        || {
            for round in 0..ROUNDS {
                let fd = raw(libc::SYS_open, &[file, libc::O_RDONLY as u64]);
                assert!(fd >= 0, "{fd}");
                guess.store(fd.cast_unsigned(), Relaxed);
                raw(libc::SYS_close, &[fd.cast_unsigned()]);
                if round % 64 == 0 {
                    // What was put over a descriptor that was closed already.
                    raw(libc::SYS_close_range, &[3, u32::MAX.into(), 0]);
                }
            }
        },
    );
}

impl Tally {
    fn add(&mut self, grade: u32, is_lie: bool) {
        self.told += 1;
        match grade {
            grade::OBJECT => assert!(!is_lie),
            grade::FD => self.lies_unmarked += usize::from(is_lie),
            grade::FD_RACED => {
                self.raced += 1;
                self.lies_marked += usize::from(is_lie);
            }
            // The descriptor was closed.
            grade::NONE => self.raced += 1,
            other => panic!("grade {other}"),
        }
    }
}

/// Two files of the same name in two folders.
struct Twins {
    _folder: tempfile::TempDir,
    wanted: String,
    decoy: String,
    other: String,
}

impl Twins {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        for name in ["one", "two"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        let (wanted, decoy, other) = (at("one/file"), at("two/file"), at("two/other"));
        for path in [&wanted, &decoy, &other] {
            std::fs::write(path, path).unwrap();
        }
        Self { _folder: folder, wanted, decoy, other }
    }
}

/// Puts the file over the descriptor, so that this alone holds it.
fn put_over(path: &str, fd: u64) {
    let low = raw(libc::SYS_open, &[at(&c(path)), libc::O_RDONLY as u64]).cast_unsigned();
    // Out of the way of the next open.
    let high = raw(libc::SYS_fcntl, &[low, libc::F_DUPFD as u64, 500]).cast_unsigned();
    raw(libc::SYS_close, &[low]);
    raw(libc::SYS_dup2, &[high, fd]);
    raw(libc::SYS_close, &[high]);
}

#[test]
fn a_file_put_over_the_descriptor_is_marked() {
    let twins = Twins::new();
    let tally = opens_against(&twins.wanted, |fd| {
        put_over(&twins.decoy, fd);
    });
    println!("dup2 of a file of the same name: {tally:?}");
    assert_bounded(&tally);
}

#[test]
fn a_file_of_another_name_is_always_marked() {
    let twins = Twins::new();
    let tally = opens_against(&twins.wanted, |fd| {
        put_over(&twins.other, fd);
    });
    println!("dup2 of a file of another name: {tally:?}");
    assert_eq!(tally.lies_unmarked, 0);
}

#[test]
fn a_file_opened_in_place_of_the_first() {
    let twins = Twins::new();
    let tally = opens_against(&twins.wanted, |fd| {
        raw(libc::SYS_close, &[fd]);
        let decoy = raw(libc::SYS_open, &[at(&c(twins.decoy.as_str())), libc::O_RDONLY as u64]);
        raw(libc::SYS_close, &[decoy.cast_unsigned()]);
    });
    println!("close, and an open of the same name: {tally:?}");
    assert_bounded(&tally);
}

/// Nothing tells a file of the same name from the first, where it was opened the same way. How often
/// it is put there in time is bounded by how short that time is: up to 7 % where the other thread does
/// nothing else on a CPU of its own.
fn assert_bounded(tally: &Tally) {
    const PERCENT: usize = 25;
    assert!(tally.lies_unmarked * 100 <= tally.opens * PERCENT, "{tally:?}");
}

/// A path in memory of which another thread changes one byte.
struct Flipping(Vec<AtomicU64>);

impl Flipping {
    /// The two differ in the byte at `position`.
    fn new(path: &str) -> Self {
        let mut bytes = path.as_bytes().to_vec();
        bytes.resize((path.len() + 8) / 8 * 8, 0);
        Self(
            bytes
                .chunks(8)
                .map(|chunk| AtomicU64::new(u64::from_ne_bytes(chunk.try_into().unwrap())))
                .collect(),
        )
    }

    fn address(&self) -> u64 {
        self.0.as_ptr() as u64
    }

    fn flip(&self, position: usize, bit: u8) {
        let mut mask = [0; 8];
        mask[position % 8] = bit;
        self.0[position / 8].fetch_xor(u64::from_ne_bytes(mask), Relaxed);
    }
}

/// `p` and `q` differ in one bit.
const BIT: u8 = b'p' ^ b'q';

#[test]
fn a_name_that_changes_does_not_change_what_was_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let mut inodes = [0; 2];
    for (name, inode) in [("p", 0), ("q", 1)] {
        std::fs::write(path(name), name).unwrap();
        inodes[inode] = std::fs::metadata(path(name)).unwrap().ino();
    }
    let flipping = Flipping::new(&path("p"));
    let position = path("p").len() - 1;
    let mut loaded = shared_calls();
    let ready = AtomicBool::new(false);
    let made = made_by(&mut loaded, || {
        against(
            || {
                flipping.flip(position, BIT);
                ready.store(true, Relaxed);
            },
            || {
                while !ready.load(Relaxed) {
                    thread::yield_now();
                }
                // Memory is shared with the one who hinders, descriptors are not.
                assert_eq!(raw(libc::SYS_unshare, &[libc::CLONE_FILES as u64]), 0);
                let mut opened = Vec::new();
                for _ in 0..ROUNDS {
                    let fd = raw(libc::SYS_open, &[flipping.address(), libc::O_RDONLY as u64]);
                    // SAFETY: an open descriptor of this thread's own table.
                    #[expect(unsafe_code, reason = "made by a raw call")]
                    let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(i32::try_from(fd).unwrap()) };
                    opened.push(nix::sys::stat::fstat(borrowed).unwrap().st_ino);
                    raw(libc::SYS_close, &[fd.cast_unsigned()]);
                }
                opened
            },
        )
    });
    let told: Vec<_> = made.own().filter(|seen| seen.call.args[0] == flipping.address()).collect();
    assert_eq!(told.len(), ROUNDS);
    let mut of_each = [0; 2];
    for (seen, inode) in told.iter().zip(&made.value) {
        let (record, told) = seen.file();
        let grade = made.way.grade("open", &seen.call.args);
        assert_eq!((record.file.grade, record.file.inode), (grade, *inode));
        let name = usize::from(*inode == inodes[1]);
        assert!(told.ends_with([&b"/p"[..], b"/q"][name]));
        of_each[name] += 1;
    }
    println!("opens by a name that changes: {of_each:?} of each file, none told wrong");
    assert_quiet_sums(&loaded);
}

#[test]
fn names_read_after_the_call_are_marked_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let flipping = Flipping::new(&path("p"));
    let position = path("p").len() - 1;
    let to = c(path("to"));
    let mut loaded = shared_calls();
    let made = made_by(&mut loaded, || {
        against(
            || flipping.flip(position, BIT),
            || {
                let mut gone = Vec::new();
                for round in 0..ROUNDS / 10 {
                    std::fs::write(path("p"), "").unwrap();
                    std::fs::write(path("q"), "").unwrap();
                    let result = match round % 2 {
                        0 => raw(libc::SYS_unlink, &[flipping.address()]),
                        _ => raw(libc::SYS_rename, &[flipping.address(), at(&to)]),
                    };
                    assert_eq!(result, 0);
                    gone.push(if std::fs::exists(path("p")).unwrap() { b'q' } else { b'p' });
                }
                gone
            },
        )
    });
    let told: Vec<_> = made.own().filter(|seen| seen.call.args[0] == flipping.address()).collect();
    assert_eq!(told.len(), made.value.len());
    let mut lies = 0;
    for (seen, gone) in told.iter().zip(&made.value) {
        let (from, _) = seen.paths();
        assert_eq!(from.record.grade, grade::USER, "{seen:?}");
        lies += usize::from(from.path.last() != Some(gone));
    }
    println!("unlinks and renames by a name that changes: {lies} of {} told wrong, each marked", told.len());
    assert_quiet_sums(&loaded);
}

#[test]
fn an_executable_is_the_one_that_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    // Which of them ran their end says.
    elf::write(&path("p"), 1);
    elf::write(&path("q"), 2);
    let flipping = Flipping::new(&path("p"));
    let position = path("p").len() - 1;
    let mut loaded = shared_calls();
    let ends = against(
        || flipping.flip(position, BIT),
        || (0..EXECS).map(|_| elf::spawn(flipping.address())).collect::<Vec<_>>(),
    );
    let mut told = [0; 3];
    let start = std::time::Instant::now();
    while told.iter().sum::<usize>() < EXECS {
        assert!(start.elapsed() < DEADLINE, "{told:?}");
        let end = loaded.programs.critical.produced();
        loaded.programs.critical.drain(end, |bytes| {
            let Event::Exec(exec) = decode(bytes).unwrap() else { return };
            let Some((_, status)) = ends.iter().find(|(pid, _)| *pid == exec.record.state.task.tgid) else {
                return;
            };
            assert_eq!(exec.record.exe.grade, grade::OBJECT);
            assert!(exec.exe.ends_with([&b"/p"[..], b"/q"][*status as usize - 1]));
            told[*status as usize] += 1;
        });
    }
    println!("execs by a name that changes: {} and {} of each program, none told wrong", told[1], told[2]);
    assert_quiet_sums(&loaded);
}

//! Tables of calls: one row is one call and what its record has to say.

use std::ffi::CString;

use agent_abi::{
    interest::ABI_NATIVE,
    record::{PENDING, file_flag, grade, via},
};
use nix::{libc, sys::stat};

use crate::{
    calls::{Made, Seen, What, gettid, raw},
    loaded::{Loaded, assert_quiet_sums},
    way::Way,
};

/// An argument.
pub(crate) enum Arg {
    Number(u64),
    Name(CString),
    Bytes(Vec<u8>),
    /// What the last call of that name returned.
    Result(&'static str),
}

/// How a call ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Ok,
    /// With this error, where the kernel has the call.
    Fails(i32),
    /// As the kernel's version and configuration will have it.
    Any,
}

/// Where the descriptor of a file call stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fd {
    Result,
    Argument(usize),
}

/// What the record has to say beside the call itself.
#[derive(Clone, Debug)]
pub(crate) enum Expected {
    File {
        fd: Fd,
        path: Vec<u8>,
        flags: u32,
    },
    /// A file call with a bad or without a descriptor.
    NoFile,
    Path {
        from: Vec<u8>,
        to: Option<Vec<u8>>,
    },
    /// What names start at from now on.
    Arrived {
        at: Vec<u8>,
    },
    Plain {
        pid: i32,
        target: u32,
    },
}

pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) number: i64,
    pub(crate) arguments: Vec<Arg>,
    pub(crate) end: End,
    pub(crate) expected: Expected,
    pub(crate) text: Vec<u8>,
}

/// A row: the call as libc names it (or its number, where libc has none), its arguments, [`End`] and
/// [`Expected`], and the text, where there is one.
macro_rules! row {
    ($name:ident = $number:expr, [$($argument:expr),*], $end:expr, $expected:expr $(, $text:expr)?) => {
        $crate::row::Row {
            name: stringify!($name).trim_start_matches("SYS_"),
            number: $number,
            arguments: vec![$($crate::row::Arg::from($argument)),*],
            end: $end,
            expected: $expected,
            text: { let text: &[&[u8]] = &[$(AsRef::<[u8]>::as_ref(&$text))?]; text.concat() },
        }
    };
    ($name:ident, $($rest:tt)*) => {
        $crate::row::row!($name = nix::libc::$name, $($rest)*)
    };
}
pub(crate) use row;

impl From<u64> for Arg {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Arg {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<i32> for Arg {
    fn from(number: i32) -> Self {
        Self::Number(i64::from(number).cast_unsigned())
    }
}

impl From<&str> for Arg {
    fn from(name: &str) -> Self {
        Self::Name(CString::new(name).unwrap())
    }
}

impl From<Vec<u8>> for Arg {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

/// A call that was made.
pub(crate) struct Done {
    row: Row,
    arguments: [u64; 6],
    result: i64,
    file: Option<stat::FileStat>,
}

/// Makes the calls one after the other. What they leave open ends with the thread.
pub(crate) fn make(rows: Vec<Row>) -> Vec<Done> {
    let mut done: Vec<Done> = Vec::new();
    for row in rows {
        let mut arguments = [0; 6];
        for (value, argument) in arguments.iter_mut().zip(&row.arguments) {
            *value = match argument {
                Arg::Number(number) => *number,
                Arg::Name(name) => name.as_ptr() as u64,
                Arg::Bytes(bytes) => bytes.as_ptr() as u64,
                Arg::Result(name) => {
                    done.iter().rev().find(|done| done.row.name == *name).unwrap().result.cast_unsigned()
                }
            };
        }
        let parent = gettid();
        let result = raw(row.number, &arguments);
        if gettid() != parent {
            // The child of a row that makes one.
            raw(libc::SYS_exit, &[0]);
        }
        let fd = match row.expected {
            Expected::File { fd: Fd::Result, .. } => result,
            Expected::File { fd: Fd::Argument(position), .. } => arguments[position].cast_signed(),
            _ => -1,
        };
        let file = i32::try_from(fd).ok().filter(|&fd| fd >= 0).map(|fd| {
            // SAFETY: a descriptor of this thread's own table, which nobody closes.
            #[expect(unsafe_code, reason = "made by a raw call")]
            let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
            stat::fstat(fd).unwrap()
        });
        done.push(Done { row, arguments, result, file });
    }
    done
}

/// Every call was told, once, as it was made.
pub(crate) fn assert_told(loaded: &Loaded, made: &Made<Vec<Done>>) {
    // What is seen on its entry too has tests of its own.
    let returned = |seen: &&Seen| seen.call.via != via::SYS_ENTER;
    let mut left: Vec<&Seen> = made.own().filter(returned).collect();
    for done in &made.value {
        let Done { row, arguments, result, .. } = done;
        match row.end {
            End::Ok | End::Fails(_) if *result == -i64::from(libc::ENOSYS) => {
                println!("{}: this kernel does not have it", row.name);
            }
            End::Ok => assert!(*result >= 0, "{}: {result}", row.name),
            End::Fails(error) => assert_eq!(*result, -i64::from(error), "{}", row.name),
            End::Any => {}
        }
        let matches = |seen: &&Seen| seen.name == row.name && seen.call.args == *arguments;
        if *result == -i64::from(libc::ENOSYS)
            && !made.way.tells_of_absent(ABI_NATIVE, row.number.try_into().unwrap())
        {
            assert!(!left.iter().any(matches), "{} was told", row.name);
            continue;
        }
        let position = left.iter().position(matches);
        let seen = left.remove(position.unwrap_or_else(|| panic!("{} was not told: {left:?}", row.name)));
        assert!(!left.iter().any(matches), "{} was told twice", row.name);
        assert_as_made(done, seen, &made.way, made.tid);
    }
    assert_quiet_sums(loaded);
}

fn assert_as_made(done: &Done, seen: &Seen, way: &Way, tid: u32) {
    let Done { row, arguments, result, file } = done;
    let name = row.name;
    let by_lsm = *result >= 0 && way.is_by_lsm(name, arguments);
    let told = if by_lsm { (via::LSM, PENDING) } else { (way.exit(ABI_NATIVE, seen.call.number), *result) };
    assert_eq!((seen.call.via, seen.call.result), told, "{name}");
    assert_eq!(i64::from(seen.call.number), row.number, "{name}");
    assert_eq!(seen.call.abi, ABI_NATIVE, "{name}");
    assert_eq!((seen.call.task.tgid, seen.call.task.tid), (std::process::id(), tid), "{name}");
    assert_eq!(seen.text, row.text, "{name}: {}", String::from_utf8_lossy(&seen.text));
    match (&row.expected, &seen.what) {
        (Expected::File { fd, .. }, What::File { record, .. }) if matches!(fd, Fd::Result) && *result < 0 => {
            assert_eq!((record.file.grade, record.file.flags), (grade::NONE, file_flag::NOT_READ), "{name}");
        }
        (Expected::NoFile, What::File { record, path }) => {
            assert_eq!((record.file.grade, record.file.flags), (grade::NONE, file_flag::NOT_READ), "{name}");
            assert_eq!((path.as_slice(), record.file.inode), (&b""[..], 0), "{name}");
        }
        (Expected::File { path, flags, .. }, What::File { record, path: told }) => {
            let stat = file.as_ref().unwrap();
            assert_eq!(shown(told), shown(path), "{name}");
            assert_eq!(record.file.flags, *flags, "{name}");
            assert_eq!(record.file.grade, way.grade(name, arguments), "{name}");
            if by_lsm {
                assert_eq!(record.fd, -1, "{name}");
            }
            assert_eq!(record.file.inode, stat.st_ino, "{name}");
            assert_eq!(record.file.dev, kernel_dev(stat.st_dev), "{name}");
            assert_eq!((record.file.mode, record.file.uid), (stat.st_mode, stat.st_uid), "{name}");
        }
        (Expected::Path { from, to }, What::Path { from: told, to: told_to }) => {
            assert_eq!(shown(&told.path), shown(from), "{name}");
            assert_eq!((told.record.grade, told.record.flags), (grade::USER, 0), "{name}");
            assert_eq!(shown(&told_to.path), shown(to.as_deref().unwrap_or_default()), "{name}");
            let to_grade = if to.is_some() { grade::USER } else { grade::NONE };
            assert_eq!((told_to.record.grade, told_to.record.flags), (to_grade, 0), "{name}");
        }
        (Expected::Arrived { at }, What::Path { from, .. }) => {
            assert_eq!(shown(&from.path), shown(at), "{name}");
            assert_eq!((from.record.grade, from.record.flags), (grade::FD_RACED, 0), "{name}");
        }
        (Expected::Plain { pid, target }, What::Plain { record }) => {
            assert_eq!((record.target_pid, record.target.tgid), (*pid, *target), "{name}");
            assert_ne!(record.pid_ns, 0, "{name}");
        }
        (expected, what) => panic!("{name}: {what:?}, not {expected:?}"),
    }
}

fn shown(path: &[u8]) -> String {
    path.escape_ascii().to_string()
}

/// As the kernel encodes a device (include/linux/kdev_t.h).
pub(crate) fn kernel_dev(dev: u64) -> u32 {
    u32::try_from(stat::major(dev) << 20 | stat::minor(dev)).unwrap()
}

/// A table of a family has a row for each of its native calls.
pub(crate) fn assert_complete(family: kestrel_agent::syscall::Family, done: &[Done]) {
    let mut missing: Vec<_> = kestrel_agent::syscall::all()
        .filter(|call| call.family == family && call.native.is_some())
        .map(|call| call.name)
        .collect();
    missing.retain(|name| !done.iter().any(|done| done.row.name == *name));
    assert_eq!(missing, [""; 0]);
}

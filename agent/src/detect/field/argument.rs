//! `evt.arg.*` and `evt.rawarg.*`: arguments of calls under the names that Falco has for them.

use agent_abi::{interest::ABI_URING, uring::position};
use rules::{
    field::{Argument, Field, Reference},
    value::{Scalar, Value},
};

use super::{descriptor, event, number, path, signed, text};
use crate::{
    decode::Event,
    detect::{
        names::{self, Flags},
        subject::Subject,
    },
};

/// The names of all that are answered here.
pub(in crate::detect) const ARGUMENTS: &[&str] = &[
    "addr",
    "cap_effective",
    "cap_inheritable",
    "cap_permitted",
    "cmd",
    "comm",
    "cwd",
    "dev",
    "dir",
    "domain",
    "egid",
    "euid",
    "exe",
    "fd",
    "filename",
    "flags",
    "gid",
    "length",
    "linkpath",
    "loginuid",
    "mode",
    "name",
    "newfd",
    "newpath",
    "nstype",
    "oldfd",
    "oldpath",
    "option",
    "path",
    "pid",
    "prot",
    "proto",
    "ptid",
    "request",
    "res",
    "rgid",
    "ruid",
    "sgid",
    "sig",
    "status",
    "suid",
    "target",
    "target_fd",
    "tid",
    "trusted_exepath",
    "tty",
    "tuple",
    "type",
    "uargs",
    "uid",
];

/// What an argument is.
enum Given<'a> {
    Bytes(&'a [u8]),
    Number(u64),
    Signed(i64),
    /// A number that stands for names.
    Bits(Flags, u64),
    /// A number that stands for a name.
    OneOf(Flags, u64),
    Open(u64),
}

pub(super) fn value<'a>(of: &'a Subject<'_>, reference: &Reference) -> Value<'a> {
    let is_raw = reference.field() == Field::EvtRawarg;
    let name = match reference.argument() {
        Argument::Name(name) => &**name,
        // The first argument of a call that has returned is what it returned.
        Argument::Index(0) => "res",
        Argument::Index(_) | Argument::None => return Value::Missing,
    };
    let Some(given) = given(of, name) else { return Value::Missing };
    match given {
        Given::Bytes(bytes) => text(bytes),
        Given::Number(value) | Given::Bits(_, value) | Given::OneOf(_, value) | Given::Open(value)
            if is_raw =>
        {
            number(value)
        }
        Given::Signed(value) if is_raw => signed(value),
        Given::Number(value) => Value::One(Scalar::owned(value.to_string())),
        Given::Signed(value) if name == "res" && value < 0 => {
            event::error_name(value).map_or(Value::Missing, Value::text)
        }
        Given::Signed(value) => Value::One(Scalar::owned(value.to_string())),
        Given::OneOf(names, value) => match names::of(names, value) {
            Some(name) => Value::text(name),
            None => Value::One(Scalar::owned(value.to_string())),
        },
        Given::Open(value) => Value::text(of.room.flags.get(|out| names::write_open(value, out))),
        Given::Bits(flags, value) if name == "flags" => {
            Value::text(of.room.flags.get(|out| names::write(flags, value, out)))
        }
        Given::Bits(flags, value) => {
            let mut out = Vec::new();
            names::write(flags, value, &mut out);
            Value::One(Scalar::owned(out))
        }
    }
}

/// The mode that a call gives or sets.
pub(super) fn mode(of: &Subject<'_>) -> Option<u64> {
    let call = of.call()?;
    if call.abi == ABI_URING {
        return Some(call.args[usize::from(position::MODE)] & 0o7777);
    }
    let at = match of.kind.name() {
        "open" | "fchmodat" | "fchmodat2" | "mkdirat" | "mknodat" => 2,
        "openat" => 3,
        "creat" | "chmod" | "fchmod" | "mkdir" | "mknod" => 1,
        _ => return None,
    };
    Some(call.args[at] & 0o7777)
}

fn given<'a>(of: &'a Subject<'_>, name: &str) -> Option<Given<'a>> {
    let kind = of.kind.name();
    if name == "res" {
        return event::result(of).map(Given::Signed);
    }
    if name == "fd" {
        return descriptor::descriptor(of).map(Given::Signed);
    }
    match of.event {
        Event::Exec(exec) => return of_exec(of, exec, name),
        Event::Exit(exit) => return (name == "status").then(|| Given::Number(u64::from(exit.status))),
        Event::Credentials(it) => return of_credentials(kind, &it.record.args, name),
        _ => {}
    }
    let call = of.call()?;
    let arg = |at: usize| call.args[at];
    Some(match (kind, name) {
        (_, "mode") => Given::Bits(names::MODE, mode(of)?),
        ("open" | "openat" | "openat2" | "creat" | "open_by_handle_at", "flags") => {
            Given::Open(event::opened(of)?)
        }
        ("open" | "openat" | "openat2" | "creat", "name") => Given::Bytes(path::opened_name(of)?),
        ("symlink" | "symlinkat", "target") => Given::Bytes(path::text(of)?),
        ("symlink" | "symlinkat", "linkpath") => Given::Bytes(path::from(of)?),
        ("link" | "linkat" | "rename" | "renameat" | "renameat2", "oldpath") => Given::Bytes(path::from(of)?),
        ("link" | "linkat" | "rename" | "renameat" | "renameat2", "newpath") => Given::Bytes(path::to(of)?),
        ("unlinkat", "flags") => Given::Bits(names::UNLINK, arg(2)),
        ("linkat", "flags") => Given::Bits(names::AT, arg(4)),
        ("mount", "dev") => Given::Bytes(path::from_as_given(of)?),
        ("mount", "dir") => Given::Bytes(path::to(of)?),
        ("mount", "type") => Given::Bytes(path::text(of)?),
        ("mount", "flags") => Given::Bits(names::MOUNT, arg(3)),
        ("umount2" | "umount", "name") => Given::Bytes(path::from(of)?),
        (
            "chmod" | "fchmodat" | "fchmodat2" | "chown" | "lchown" | "fchownat" | "mkdir" | "mkdirat"
            | "unlink" | "unlinkat" | "rmdir" | "mknod" | "mknodat" | "chdir" | "chroot",
            "path" | "filename" | "name",
        ) => Given::Bytes(path::from(of)?),
        ("ptrace", "request") => Given::OneOf(names::PTRACE, arg(0)),
        ("ptrace", "pid") => Given::Signed(as_signed(arg(1))),
        ("bpf", "cmd") => Given::OneOf(names::BPF, arg(0)),
        ("socket", "domain") => Given::OneOf(names::FAMILY, arg(0)),
        // SOCK_NONBLOCK and SOCK_CLOEXEC lie above.
        ("socket", "type") => Given::Number(arg(1) & 0xf),
        ("socket", "proto") => Given::Number(arg(2)),
        ("kill", "sig") | ("tkill", "sig") => Given::OneOf(names::SIGNAL, arg(1)),
        ("tgkill", "sig") => Given::OneOf(names::SIGNAL, arg(2)),
        ("kill" | "tkill" | "tgkill" | "pidfd_open", "pid") => Given::Signed(as_signed(arg(0))),
        ("pidfd_getfd", "target_fd") => Given::Signed(as_signed(arg(1))),
        ("memfd_create", "name") => Given::Bytes(path::text(of)?),
        ("memfd_create", "flags") | ("finit_module", "flags") => {
            Given::Number(arg(if kind == "memfd_create" { 1 } else { 2 }))
        }
        ("finit_module" | "init_module", "uargs") => Given::Bytes(path::text(of)?),
        ("delete_module", "name") => Given::Bytes(path::text(of)?),
        ("mprotect" | "mmap" | "mmap2" | "pkey_mprotect", "prot") => Given::Number(arg(2)),
        ("mprotect" | "mmap" | "mmap2", "addr") => Given::Number(arg(0)),
        ("mprotect" | "mmap" | "mmap2", "length") => Given::Number(arg(1)),
        ("dup2" | "dup3", "oldfd") => Given::Signed(as_signed(arg(0))),
        ("dup2" | "dup3", "newfd") => Given::Signed(as_signed(arg(1))),
        ("connect" | "accept" | "accept4", "tuple") => Given::Bytes(descriptor::name(of)?),
        ("execve" | "execveat", "filename") => Given::Bytes(path::from(of)?),
        _ => return None,
    })
}

fn of_exec<'a>(of: &'a Subject<'_>, exec: &'a crate::decode::Exec<'_>, name: &str) -> Option<Given<'a>> {
    let state = &exec.record.state;
    Some(match name {
        "exe" => Given::Bytes(exec.argv.iter().next()?),
        "filename" => Given::Bytes(exec.filename),
        "comm" => Given::Bytes(crate::detect::subject::comm(state)),
        "trusted_exepath" => Given::Bytes(of.exe_path()?),
        "cwd" => Given::Bytes(exec.cwd),
        "pid" | "tid" => Given::Signed(state.task.tgid.into()),
        "ptid" => Given::Signed(state.parent.tgid.into()),
        "uid" => Given::Number(state.ids.euid.into()),
        "gid" => Given::Number(state.ids.egid.into()),
        "loginuid" => Given::Number(state.login_uid.into()),
        "tty" => Given::Number(state.tty.into()),
        "cap_effective" => Given::Number(state.caps.effective),
        "cap_permitted" => Given::Number(state.caps.permitted),
        "cap_inheritable" => Given::Number(state.caps.inheritable),
        _ => return None,
    })
}

fn of_credentials<'a>(kind: &str, args: &[u64; 3], name: &str) -> Option<Given<'a>> {
    let id = |at: usize| {
        // An id of -1 leaves what is; Falco prints it as such.
        Given::Signed(i64::from(as_signed(args[at]) as i32))
    };
    Some(match (kind, name) {
        ("setns", "nstype") => Given::Bits(names::CLONE, args[1]),
        ("unshare", "flags") => Given::Bits(names::CLONE, args[0]),
        ("setuid" | "setfsuid", "uid") | ("setgid" | "setfsgid", "gid") => id(0),
        ("setreuid" | "setresuid", "ruid") | ("setregid" | "setresgid", "rgid") => id(0),
        ("setreuid" | "setresuid", "euid") | ("setregid" | "setresgid", "egid") => id(1),
        ("setresuid", "suid") | ("setresgid", "sgid") => id(2),
        ("prctl", "option") => Given::Number(args[0]),
        _ => return None,
    })
}

/// A register as an `int`.
fn as_signed(value: u64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "the upper half of an int's register means nothing")]
    let low = value as u32;
    i64::from(low.cast_signed())
}

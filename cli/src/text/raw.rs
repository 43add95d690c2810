//! Calls, sockets, packets and what the kernel does: what was done, and how well that is known.

use std::fmt::Write as _;

use inert::{inert, push_inert};
use kestrel_proto::{
    raw,
    v1::{self, CallVia, Grade, record::Event},
};

use super::network;

/// A raw event in words.
#[derive(Default)]
pub(super) struct Said {
    /// `FILE`, `NET` or `SYSTEM`.
    pub(super) word: &'static str,
    /// The call.
    pub(super) subject: String,
    /// All else, but whose it is.
    pub(super) text: String,
}

/// `None`: no raw event.
pub(super) fn say(event: &Event) -> Option<Said> {
    let said = |word, subject, text| Some(Said { word, subject, text });
    match event {
        Event::File(it) => said("FILE", name(it.call.as_ref()), file(it)),
        Event::Path(it) => said("FILE", name(it.call.as_ref()), paths(it)),
        Event::Call(it) => said("SYSTEM", name(it.call.as_ref()), call(it)),
        Event::Socket(it) => {
            let text = network::call(it) + &outcome(it.call.as_ref());
            said("NET", name(it.call.as_ref()), text)
        }
        Event::SocketState(it) => said("NET", "state".to_owned(), network::state(it)),
        Event::Packet(it) => said("NET", network::subject(it), network::packet(it)),
        Event::UringDone(it) => said("SYSTEM", "io_uring done".to_owned(), done(it)),
        Event::OomKill(_) => said("SYSTEM", "oom kill".to_owned(), "killed for its memory".to_owned()),
        Event::AgentSignal(it) => said(
            "SYSTEM",
            "signal".to_owned(),
            format!("signal {} to the agent, code {}", it.signal, it.code),
        ),
        Event::Sysctl(it) => {
            let mut text = inert(&it.name) + " = ";
            push_quoted(&mut text, &it.value);
            said("SYSTEM", "sysctl".to_owned(), text)
        }
        _ => None,
    }
}

/// The cgroup in which it happened.
pub(super) fn cgroup(event: &Event) -> Option<u64> {
    let cgroup = match event {
        Event::SocketState(it) => it.cgroup,
        Event::Packet(it) => it.cgroup,
        event => raw::actor(event)?.cgroup,
    };
    (cgroup != 0).then_some(cgroup)
}

/// The call, by its number where it has no name.
fn name(call: Option<&v1::Call>) -> String {
    let Some(call) = call else { return "-".to_owned() };
    let mut name = inert(&call.name);
    if name.is_empty() {
        let _ = write!(name, "call {}", call.number);
    }
    name
}

fn file(file: &v1::FileEvent) -> String {
    let mut notes = grade(file.grade(), file.path_incomplete);
    notes.extend(match file.file_system() {
        v1::FileSystem::Unspecified => None,
        v1::FileSystem::Proc => Some("proc"),
        v1::FileSystem::Sysfs => Some("sysfs"),
        v1::FileSystem::Cgroup => Some("cgroupfs"),
        v1::FileSystem::Bpf => Some("bpffs"),
    });
    let is = |what: fn(&v1::File) -> bool| file.file.as_ref().is_some_and(what);
    for (holds, note) in [
        (is(|file| file.memfd), "memfd"),
        (is(|file| file.unlinked), "deleted"),
        (is(|file| file.upper_layer == Some(true)), "not of the image"),
        (file.other_mount_namespace, "another mount namespace's"),
    ] {
        if holds {
            notes.push(note);
        }
    }
    let mut text = path(&file.path, file.path_incomplete);
    note(&mut text, &notes);
    if let Some(open) = &file.open {
        for (holds, what) in [(open.read, "read"), (open.write, "write"), (open.execute, "execute")] {
            if holds {
                text.push(' ');
                text.push_str(what);
            }
        }
    }
    extra(&mut text, file.call.as_ref(), &file.text);
    text + &outcome(file.call.as_ref())
}

fn paths(paths: &v1::PathEvent) -> String {
    let source = paths.from.as_ref().filter(|from| {
        // What is mounted need not be a path.
        paths.call.as_ref().is_some_and(|call| call.name == "mount") && !from.name.is_empty()
    });
    let from =
        source.map(|from| v1::NamedPath { path: from.name.clone(), incomplete: false, ..from.clone() });
    let mut text = from.as_ref().or(paths.from.as_ref()).map_or_else(|| "-".to_owned(), named);
    if let Some(to) = &paths.to {
        text.push_str(" → ");
        text.push_str(&named(to));
    }
    extra(&mut text, paths.call.as_ref(), &paths.text);
    text + &outcome(paths.call.as_ref())
}

fn named(named: &v1::NamedPath) -> String {
    let mut text = path(&named.path, named.incomplete);
    if named.name_incomplete {
        text.push('…');
    }
    note(&mut text, &grade(named.grade(), named.incomplete));
    text
}

fn path(path: &[u8], is_incomplete: bool) -> String {
    if path.is_empty() && !is_incomplete {
        return "-".to_owned();
    }
    let mut text = if is_incomplete { "…".to_owned() } else { String::new() };
    push_name(&mut text, path);
    text
}

/// Inert, and in quotes where it could be taken for something else that the line says.
pub(super) fn push_name(text: &mut String, name: &[u8]) {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-:@+%~#[]{}$!?*&'".contains(byte);
    if name.iter().all(plain) {
        return push_inert(text, name);
    }
    push_quoted(text, name);
}

/// Inert, and in quotes, of which there are none in it.
pub(super) fn push_quoted(text: &mut String, name: &[u8]) {
    text.push('"');
    text.push_str(&inert(name).replace('"', "\\x22"));
    text.push('"');
}

/// How well a path or an address is known.
pub(super) fn grade(grade: Grade, is_incomplete: bool) -> Vec<&'static str> {
    let mut notes = match grade {
        Grade::Unspecified => vec![],
        Grade::Object => vec!["object"],
        Grade::Fd => vec!["fd"],
        Grade::FdRaced => vec!["fd, raced"],
        Grade::User => vec!["user"],
    };
    if is_incomplete {
        notes.push("front missing");
    }
    notes
}

pub(super) fn note(text: &mut String, notes: &[&str]) {
    if !notes.is_empty() {
        let _ = write!(text, " ({})", notes.join(", "));
    }
}

/// What calls have beside a path, where it is their point.
fn extra(text: &mut String, call: Option<&v1::Call>, given: &[u8]) {
    let name = call.map_or("", |call| call.name.as_str());
    let arg = |index: usize| call.and_then(|call| call.args.get(index)).copied().unwrap_or_default();
    let _ = match name {
        "chmod" | "fchmod" | "mkdir" | "mknod" => write!(text, " mode {:#o}", arg(1)),
        "fchmodat" | "fchmodat2" | "mkdirat" | "mknodat" => write!(text, " mode {:#o}", arg(2)),
        "mount" => write!(text, " flags {:#x}", arg(3)),
        _ => Ok(()),
    };
    if !given.is_empty() {
        text.push(' ');
        push_quoted(text, given);
    }
}

fn call(event: &v1::CallEvent) -> String {
    let mut text = String::new();
    if let Some(bpf) = &event.bpf {
        push_inert(&mut text, bpf.command.as_bytes());
        if let Some(kind) = bpf.r#type {
            let _ = write!(text, " type {kind}");
        }
        if !bpf.name.is_empty() {
            text.push(' ');
            push_quoted(&mut text, &bpf.name);
        }
        if let Some(kind) = bpf.attach_type {
            let _ = write!(text, " attach {kind}");
        }
    } else if let Some(flags) = event.clone_flags {
        let _ = write!(text, "flags {flags:#x}");
    } else {
        let args = event.call.as_ref().map_or(&[][..], |call| &call.args);
        let args: Vec<_> = args.iter().map(|arg| format!("{arg:#x}")).collect();
        let _ = write!(text, "({})", args.join(", "));
    }
    if !event.text.is_empty() {
        text.push(' ');
        push_quoted(&mut text, &event.text);
    }
    match &event.target {
        Some(target) => drop(write!(text, " on pid {}", target.tgid)),
        None if event.target_pid != 0 => drop(write!(text, " on {} of its own pids", event.target_pid)),
        None => {}
    }
    text + &outcome(event.call.as_ref())
}

fn done(done: &v1::UringDone) -> String {
    let operation = match &done.call {
        Some(call) => name(Some(call)),
        None => format!("request {:#x}", done.request),
    };
    format!("{operation}{}", result(done.result))
}

/// What became of it, unless all is well, and where it was seen, unless that is the usual place.
pub(super) fn outcome(call: Option<&v1::Call>) -> String {
    let Some(call) = call else { return String::new() };
    let mut text = match call.result {
        Some(value) if value < 0 => result(value),
        _ => String::new(),
    };
    let notes: &[&str] = match (call.via(), call.abi()) {
        (CallVia::Uring, _) => &["io_uring"],
        (CallVia::SysEnter, v1::CallAbi::Compat) => &["before the call", "32-bit"],
        (CallVia::SysEnter, _) => &["before the call"],
        (_, v1::CallAbi::Compat) => &["32-bit"],
        (_, v1::CallAbi::X32) => &["x32"],
        _ => &[],
    };
    note(&mut text, notes);
    text
}

fn result(value: i64) -> String {
    if value >= 0 { format!(" = {value}") } else { format!(" = {}", errno(value)) }
}

/// The errors that a defender meets (include/uapi/asm-generic/errno{-base,}.h), others by number.
fn errno(value: i64) -> String {
    let name = match -value {
        1 => "EPERM",
        2 => "ENOENT",
        3 => "ESRCH",
        4 => "EINTR",
        9 => "EBADF",
        11 => "EAGAIN",
        12 => "ENOMEM",
        13 => "EACCES",
        14 => "EFAULT",
        16 => "EBUSY",
        17 => "EEXIST",
        18 => "EXDEV",
        19 => "ENODEV",
        20 => "ENOTDIR",
        21 => "EISDIR",
        22 => "EINVAL",
        24 => "EMFILE",
        26 => "ETXTBSY",
        28 => "ENOSPC",
        30 => "EROFS",
        32 => "EPIPE",
        38 => "ENOSYS",
        39 => "ENOTEMPTY",
        40 => "ELOOP",
        95 => "EOPNOTSUPP",
        97 => "EAFNOSUPPORT",
        98 => "EADDRINUSE",
        99 => "EADDRNOTAVAIL",
        101 => "ENETUNREACH",
        103 => "ECONNABORTED",
        104 => "ECONNRESET",
        106 => "EISCONN",
        107 => "ENOTCONN",
        110 => "ETIMEDOUT",
        111 => "ECONNREFUSED",
        113 => "EHOSTUNREACH",
        114 => "EALREADY",
        115 => "EINPROGRESS",
        number => return format!("error {number}"),
    };
    name.to_owned()
}

//! `fs.path.*`: paths of calls on paths, and of files that a call works on.

use rules::{
    field::{Field, Reference},
    value::Value,
};

use super::text as present;
use crate::{
    decode::{Event, NamedPath},
    detect::subject::Subject,
};

/// Calls with two paths.
const TWO: &[&str] =
    &["rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "mount", "move_mount"];

pub(super) fn value<'a>(of: &'a Subject<'_>, reference: &Reference) -> Value<'a> {
    let two = TWO.contains(&of.kind.name());
    let is_link = of.kind.name().starts_with("symlink");
    let found = match reference.field() {
        Field::FsPathName if !two => one(of),
        Field::FsPathNameraw if !two => raw_from(of).or_else(|| opened_name(of)),
        Field::FsPathSource if is_link => text(of),
        Field::FsPathSource if two => from(of),
        Field::FsPathSourceraw if is_link => text(of),
        Field::FsPathSourceraw if two => raw_from(of),
        // The link is what a symlink makes.
        Field::FsPathTarget if is_link => from(of),
        Field::FsPathTarget if two => to(of),
        Field::FsPathTargetraw if is_link => raw_from(of),
        Field::FsPathTargetraw if two => raw_to(of),
        _ => None,
    };
    found.map_or(Value::Missing, present)
}

/// The one path that a call is about.
pub(super) fn one<'a>(of: &'a Subject<'_>) -> Option<&'a [u8]> {
    match of.event {
        Event::File(file) if !file.path.is_empty() => Some(file.path),
        Event::Path(_) => from(of),
        _ => None,
    }
}

/// The first path, absolute.
pub(super) fn from<'a>(of: &'a Subject<'_>) -> Option<&'a [u8]> {
    match of.event {
        Event::Path(path) => Some(of.room.from.get(|out| path.from.write_to(out))),
        _ => None,
    }
}

/// The second path, absolute.
pub(super) fn to<'a>(of: &'a Subject<'_>) -> Option<&'a [u8]> {
    match of.event {
        Event::Path(path) => Some(of.room.to.get(|out| path.to.write_to(out))),
        _ => None,
    }
}

/// The first path without what it starts at: a device that is mounted need not be a path.
pub(super) fn from_as_given<'a>(of: &'a Subject<'_>) -> Option<&'a [u8]> {
    raw(of, |path| path.0)
}

fn raw_from<'a>(of: &'a Subject<'_>) -> Option<&'a [u8]> {
    raw(of, |path| path.0)
}

fn raw_to<'a>(of: &'a Subject<'_>) -> Option<&'a [u8]> {
    raw(of, |path| path.1)
}

fn raw<'a>(
    of: &'a Subject<'_>,
    which: impl FnOnce((NamedPath<'a>, NamedPath<'a>)) -> NamedPath<'a>,
) -> Option<&'a [u8]> {
    match of.event {
        Event::Path(path) => Some(which((path.from, path.to)).name),
        _ => None,
    }
}

/// Bytes of the caller's that go with a call.
pub(super) fn text<'a>(of: &'a Subject<'_>) -> Option<&'a [u8]> {
    let text = match of.event {
        Event::File(file) => file.text,
        Event::Path(path) => path.text,
        Event::Plain(plain) => plain.text,
        _ => return None,
    };
    Some(until_nul(text))
}

/// The name that was given to an open, where rules ask for it: the kernel's table captures it then.
pub(super) fn opened_name<'a>(of: &'a Subject<'_>) -> Option<&'a [u8]> {
    match (of.event, of.kind.name()) {
        (Event::Path(path), "open" | "openat" | "openat2" | "creat") => Some(path.from.name),
        (Event::File(file), "open" | "openat" | "creat") => {
            Some(until_nul(file.text)).filter(|name| !name.is_empty())
        }
        _ => None,
    }
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

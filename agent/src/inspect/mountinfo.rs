//! Reads `/proc/PID/mountinfo` (proc_pid_mountinfo(5), fs/proc_namespace.c).

use std::{cmp::Ordering, collections::HashMap};

use super::{NotRead, Read};

/// Bytes that are read; an overlay of many layers has 3 KiB a line.
pub(super) const MAX_BYTES: usize = 8 << 20;
/// Mounts that are read.
pub(super) const MAX_MOUNTS: usize = 8192;
/// Bytes of a file system's type. The kernel's own are short; below FUSE, the mounter chooses.
const FILE_SYSTEM_BYTES: usize = 64;

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) id: u32,
    /// The mount that it is mounted on.
    pub(super) parent: u32,
    /// major << 20 | minor.
    pub(super) dev: u32,
    /// What is mounted, below the file system's root.
    pub(super) root: Vec<u8>,
    /// Where, below the process' root.
    pub(super) target: Vec<u8>,
    pub(super) read_only: bool,
    pub(super) no_exec: bool,
    pub(super) no_dev: bool,
    /// Peer group; 0: none.
    pub(super) shared: u32,
    /// Peer group that it receives from; 0: none.
    pub(super) master: u32,
    pub(super) file_system: String,
}

/// All lines; one that is not understood makes all of it so, since what it says is not known.
pub(super) fn parse(text: &[u8]) -> Read<Vec<Line>> {
    if text.len() > MAX_BYTES {
        return Err(NotRead::TooMuch);
    }
    let mut lines = Vec::new();
    for line in text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        if lines.len() == MAX_MOUNTS {
            return Err(NotRead::TooMuch);
        }
        lines.push(parse_line(line).ok_or(NotRead::NotUnderstood)?);
    }
    if lines.is_empty() { Err(NotRead::NotUnderstood) } else { Ok(lines) }
}

fn parse_line(line: &[u8]) -> Option<Line> {
    let mut fields = line.split(|&byte| byte == b' ');
    let id = number(fields.next()?)?;
    let parent = number(fields.next()?)?;
    let dev = str::from_utf8(fields.next()?).ok()?;
    let (major, minor) = dev.split_once(':')?;
    let (major, minor) = (number(major.as_bytes())?, number(minor.as_bytes())?);
    if major > 0xfff || minor > 0xf_ffff {
        return None;
    }
    let root = unescape(fields.next()?);
    // A bind of what was removed since (fs/d_path.c).
    let root = root.strip_suffix(b"//deleted").map(<[u8]>::to_vec).unwrap_or(root);
    let target = unescape(fields.next()?);
    let options = fields.next()?;
    let (mut shared, mut master) = (0, 0);
    loop {
        let field = fields.next()?;
        if field == b"-" {
            break;
        } else if let Some(group) = field.strip_prefix(b"shared:") {
            shared = number(group)?;
        } else if let Some(group) = field.strip_prefix(b"master:") {
            master = number(group)?;
        }
    }
    let file_system = fields.next()?;
    let _source = fields.next()?;
    let super_options = fields.next()?;
    let file_system = file_system.get(..FILE_SYSTEM_BYTES).unwrap_or(file_system);
    Some(Line {
        id,
        parent,
        dev: major << 20 | minor,
        root,
        target,
        read_only: has(options, b"ro") || has(super_options, b"ro"),
        no_exec: has(options, b"noexec"),
        no_dev: has(options, b"nodev"),
        shared,
        master,
        file_system: String::from_utf8_lossy(file_system).into_owned(),
    })
}

fn number(text: &[u8]) -> Option<u32> {
    str::from_utf8(text).ok()?.parse().ok()
}

fn has(options: &[u8], option: &[u8]) -> bool {
    options.split(|&byte| byte == b',').any(|one| one == option)
}

/// `\040`, `\011`, `\012`, `\134` as the bytes that they stand for.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let octal = |byte: &u8| (b'0'..=b'7').contains(byte).then(|| u32::from(byte - b'0'));
        let escaped = match after {
            [a, b, c, ..] if first == b'\\' => {
                octal(a).zip(octal(b)).zip(octal(c)).map(|((a, b), c)| a << 6 | b << 3 | c)
            }
            _ => None,
        };
        match escaped.and_then(|value| u8::try_from(value).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    bytes
}

/// Components of a path.
pub(super) fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').filter(|part| !part.is_empty())
}

/// What is left of `path` below `folder`: `/b` of `/a/b` below `/a`, nothing of `/a` itself. `None`: it is not
/// below.
pub(crate) fn below<'a>(path: &'a [u8], folder: &[u8]) -> Option<&'a [u8]> {
    let folder = folder.strip_suffix(b"/").unwrap_or(folder);
    let rest = path.strip_prefix(folder)?;
    match rest {
        b"/" => Some(b""),
        [] | [b'/', ..] => Some(rest),
        _ => None,
    }
}

/// For each mount, whether the path of its target leads to it, rather than to one that was mounted over it or
/// over a folder above it. The order of the list says nothing of that: since Linux 6.8 it is that of ids.
pub(super) fn visible(lines: &[Line]) -> Vec<bool> {
    let mut visible = vec![false; lines.len()];
    let by_id: HashMap<u32, usize> = lines.iter().enumerate().map(|(place, line)| (line.id, place)).collect();
    let mut children: HashMap<u32, Vec<usize>> = HashMap::new();
    let mut orphans = Vec::new();
    for (place, line) in lines.iter().enumerate() {
        if by_id.contains_key(&line.parent) && line.parent != line.id {
            children.entry(line.parent).or_default().push(place);
        } else {
            orphans.push(place);
        }
    }
    let mut queue = uncovered(lines, orphans);
    while let Some(place) = queue.pop() {
        let Some(line) = lines.get(place) else { continue };
        let below = uncovered(lines, children.remove(&line.id).unwrap_or_default());
        let is_covered =
            below.iter().any(|&child| lines.get(child).is_some_and(|child| child.target == line.target));
        if let Some(visible) = visible.get_mut(place) {
            *visible = !is_covered;
        }
        queue.extend(below);
    }
    visible
}

/// Of mounts on one and the same mount, those that no other of them covers. Of two on the same target, which
/// only old kernels have, the later one counts.
fn uncovered(lines: &[Line], mut places: Vec<usize>) -> Vec<usize> {
    let target = |place: &usize| lines.get(*place).map(|line| line.target.as_slice()).unwrap_or_default();
    places.sort_by(|a, b| match components(target(a)).cmp(components(target(b))) {
        Ordering::Equal => b.cmp(a),
        order => order,
    });
    let mut last: Option<usize> = None;
    places.retain(|place| {
        if last.is_some_and(|last| below(target(place), target(&last)).is_some()) {
            return false;
        }
        last = Some(*place);
        true
    });
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<Line> {
        parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn fields() {
        let all = lines(
            "36 35 98:0 /mnt1 /mnt\\0402\\134\\011 rw,noatime,nodev,noexec master:1 shared:7 propagate_from:2 \
             - fuse.sshfs /dev/root rw,errors=continue\n\
             37 36 254:1048575 /a//deleted / ro - ext4  rw\n",
        );
        let [first, second] = all.try_into().unwrap();
        assert_eq!((first.id, first.parent, first.dev), (36, 35, 98 << 20));
        assert_eq!((first.root.as_slice(), first.target.as_slice()), (&b"/mnt1"[..], &b"/mnt 2\\\t"[..]));
        assert_eq!((first.shared, first.master), (7, 1));
        assert!(!first.read_only && first.no_dev && first.no_exec);
        assert_eq!(first.file_system, "fuse.sshfs");
        assert_eq!(second.root, b"/a");
        assert_eq!(second.dev, 254 << 20 | 0xf_ffff);
        assert!(second.read_only && !second.no_dev);
    }

    #[test]
    fn escapes_that_are_none_stay() {
        for (text, bytes) in [("\\04", "\\04"), ("\\", "\\"), ("a\\0409", "a 9"), ("\\777", "\\777")] {
            assert_eq!(unescape(text.as_bytes()), bytes.as_bytes(), "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_nothing() {
        for text in [
            "",
            "x",
            "1 0 8:1 / / rw - ext4 /dev/sda1",
            "1 0 8:1 / / rw ext4 /dev/sda1 rw",
            "1 0 8 / / rw - ext4 x rw",
            "1 0 8:1048576 / / rw - ext4 x rw",
            "1 0 8:1 / / rw shared:x - ext4 x rw",
        ] {
            assert_eq!(parse(text.as_bytes()), Err(NotRead::NotUnderstood), "{text}");
        }
        let line = "1 0 8:1 / / rw - ext4 x rw\n";
        assert_eq!(parse(line.repeat(MAX_MOUNTS + 1).as_bytes()), Err(NotRead::TooMuch));
        assert_eq!(parse(&vec![b'x'; MAX_BYTES + 1]), Err(NotRead::TooMuch));
    }

    #[test]
    fn below_is_by_components() {
        assert_eq!(below(b"/a/b", b"/a"), Some(&b"/b"[..]));
        assert_eq!(below(b"/a", b"/a"), Some(&b""[..]));
        assert_eq!(below(b"/ab", b"/a"), None);
        assert_eq!(below(b"/ab", b"/"), Some(&b"/ab"[..]));
        assert_eq!(below(b"/", b"/"), Some(&b""[..]));
    }

    fn seen(text: &str) -> Vec<u32> {
        let lines = lines(text);
        let visible = visible(&lines);
        lines.iter().zip(visible).filter(|(_, visible)| *visible).map(|(line, _)| line.id).collect()
    }

    #[test]
    fn covered_mounts() {
        let text = |mounts: &[(u32, u32, &str)]| {
            mounts
                .iter()
                .map(|(id, parent, target)| format!("{id} {parent} 0:{id} / {target} rw - tmpfs x rw\n"))
                .collect::<String>()
        };
        // The same target again, whatever the order of the list.
        assert_eq!(seen(&text(&[(1, 0, "/"), (3, 2, "/a"), (2, 1, "/a")])), [1, 3]);
        // A folder above.
        assert_eq!(seen(&text(&[(1, 0, "/"), (2, 1, "/a/b"), (3, 1, "/a")])), [1, 3]);
        // Below a covered one.
        assert_eq!(seen(&text(&[(1, 0, "/"), (2, 1, "/a"), (4, 2, "/a/b"), (3, 2, "/a")])), [1, 3]);
        // On the one that covers.
        assert_eq!(seen(&text(&[(1, 0, "/"), (2, 1, "/a"), (3, 2, "/a"), (4, 3, "/a/b")])), [1, 3, 4]);
        // A root on the root.
        assert_eq!(seen(&text(&[(1, 0, "/"), (2, 1, "/a"), (3, 1, "/"), (4, 3, "/b")])), [3, 4]);
        // Names that only begin alike.
        assert_eq!(seen(&text(&[(1, 0, "/"), (2, 1, "/a"), (3, 1, "/a-b"), (4, 1, "/a-b/c")])), [1, 2, 3]);
        // No root, and a circle.
        assert_eq!(seen(&text(&[(2, 1, "/a"), (3, 1, "/b")])), [2, 3]);
        assert_eq!(seen(&text(&[(1, 2, "/a"), (2, 1, "/a/b"), (3, 3, "/")])), [3]);
    }
}

//! Names of the node's users and groups, as its own files have them.

use std::{fs, io, path::Path};

use hashbrown::HashMap;

/// Longest file that is read: a node with more users asks a directory for them.
const MAX_BYTES: u64 = 4 << 20;

/// A user of `/etc/passwd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: Box<str>,
    pub(super) home: Box<str>,
    pub(super) shell: Box<str>,
}

/// Users and groups by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users {
    users: HashMap<u32, User>,
    groups: HashMap<u32, Box<str>>,
}

impl Users {
    /// Reads `passwd` and `group` of a directory, which is `/etc` for the node's own. What cannot be
    /// read leaves numbers without names, and is said once.
    #[must_use]
    pub fn read(etc: &Path) -> Self {
        let text = |name: &str| {
            let path = etc.join(name);
            bounded(&path).unwrap_or_else(|error| {
                tracing::warn!(path = %path.display(), %error, "users or groups have no names in detections");
                String::new()
            })
        };
        Self::parse(&text("passwd"), &text("group"))
    }

    /// Of `passwd(5)` and `group(5)`. The first entry of a number counts, as for getpwuid(3).
    #[must_use]
    pub fn parse(passwd: &str, group: &str) -> Self {
        let mut found = Self::default();
        for line in passwd.lines() {
            let mut fields = line.split(':');
            let (name, id) = (fields.next().unwrap_or_default(), fields.nth(1));
            let Some(id) = id.and_then(|id| id.parse().ok()) else { continue };
            let (home, shell) = (fields.nth(2).unwrap_or_default(), fields.next().unwrap_or_default());
            let user = || User { name: name.into(), home: home.into(), shell: shell.into() };
            found.users.entry(id).or_insert_with(user);
        }
        for line in group.lines() {
            let mut fields = line.split(':');
            let (name, id) = (fields.next().unwrap_or_default(), fields.nth(1));
            let Some(id) = id.and_then(|id| id.parse().ok()) else { continue };
            found.groups.entry(id).or_insert_with(|| name.into());
        }
        found
    }

    pub(super) fn user(&self, id: u32) -> Option<&User> {
        self.users.get(&id)
    }

    pub(super) fn group(&self, id: u32) -> Option<&str> {
        self.groups.get(&id).map(AsRef::as_ref)
    }
}

fn bounded(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > MAX_BYTES {
        return Err(io::Error::other(format!("longer than {MAX_BYTES} bytes")));
    }
    Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_number_counts_and_rubbish_is_passed_over() {
        let users = Users::parse(
            "root:x:0:0:root:/root:/bin/bash\ntoor:x:0:0::/:/bin/sh\nbad\nworse:x:many:0\napp:x:1000:1000\n",
            "root:x:0:\nstaff:x:50:app\n:::\n",
        );
        let root = users.user(0).unwrap();
        assert_eq!((&*root.name, &*root.home, &*root.shell), ("root", "/root", "/bin/bash"));
        assert_eq!(&*users.user(1000).unwrap().home, "");
        assert_eq!((users.user(1), users.group(50)), (None, Some("staff")));
    }
}

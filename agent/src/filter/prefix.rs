//! Prefixes of paths, as the configuration has them and as the kernel looks them up.

use agent_abi::map::{PREFIX_BYTES, PREFIX_UNWANTED, PREFIX_WANTED};

/// A file or directory and all below it, or all paths that begin alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathPrefix {
    /// Ends in a slash, unless it stands for all that begins like it.
    key: Vec<u8>,
    is_wanted: bool,
}

impl PathPrefix {
    /// All files.
    #[must_use]
    pub fn all() -> Self {
        Self { key: b"/".to_vec(), is_wanted: true }
    }

    /// `/etc` is that file or directory and all below it, `/usr/lib/lib*` all that begins so, and a
    /// `!` in front leaves out.
    ///
    /// # Errors
    /// A sentence that says what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (path, is_wanted) = text.strip_prefix('!').map_or((text, true), |path| (path, false));
        let refused = || format!("expected an absolute path without . or .., got {text:?}");
        let names = path.strip_prefix('/').ok_or_else(refused)?;
        if path.bytes().any(|byte| byte == 0) {
            return Err(refused());
        }
        let names = names.strip_suffix('/').unwrap_or(names);
        if !names.is_empty() && names.split('/').any(|name| matches!(name, "" | "." | "..")) {
            return Err(refused());
        }
        let mut key = path.as_bytes().to_vec();
        match key.last() {
            Some(b'*') => drop(key.pop()),
            Some(b'/') => {}
            _ => key.push(b'/'),
        }
        if key.contains(&b'*') {
            return Err(format!("expected a * at the end only, got {text:?}"));
        }
        if key.len() > PREFIX_BYTES {
            return Err(format!("expected at most {} bytes, got {}", PREFIX_BYTES - 1, path.len()));
        }
        Ok(Self { key, is_wanted })
    }

    /// All paths that begin with `start`, or more of them where that is longer than a key. `None` if no path
    /// of the kernel's begins so, or all do.
    #[must_use]
    pub fn beginning(start: &[u8]) -> Option<Self> {
        let is_path = start.len() > 1 && start.starts_with(b"/") && !start.contains(&0);
        let key = start[..start.len().min(PREFIX_BYTES)].to_vec();
        is_path.then_some(Self { key, is_wanted: true })
    }

    /// Those of a configuration, and these whatever that leaves out.
    #[must_use]
    pub fn with(configured: &[Self], others: Vec<Self>) -> Vec<Self> {
        let mut all = configured.to_vec();
        // Where only some are left out, the others are wanted.
        if !configured.is_empty() && configured.iter().all(|prefix| !prefix.is_wanted) {
            all.push(Self::all());
        }
        all.retain(|prefix| {
            prefix.is_wanted || !others.iter().any(|other| prefix.key.starts_with(&other.key))
        });
        all.extend(others);
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Whether files are wanted, or left out though a shorter prefix wants them.
    #[must_use]
    pub const fn is_wanted(&self) -> bool {
        self.is_wanted
    }

    /// Whether it stands for the same paths.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.key == other.key
    }

    /// Whether an absolute path is among those it stands for.
    pub(crate) fn fits(&self, path: &[u8]) -> bool {
        path.starts_with(&self.key) || self.key.strip_suffix(b"/") == Some(path)
    }

    /// Bytes of its key.
    pub(crate) const fn len(&self) -> usize {
        self.key.len()
    }

    /// Bits and bytes of its key, and its value.
    pub(crate) fn entry(&self) -> (u32, [u8; PREFIX_BYTES], u32) {
        let mut bytes = [0; PREFIX_BYTES];
        let len = self.key.len().min(PREFIX_BYTES);
        bytes[..len].copy_from_slice(&self.key[..len]);
        let value = if self.is_wanted { PREFIX_WANTED } else { PREFIX_UNWANTED };
        // At most 252 bytes.
        (u32::try_from(len * 8).unwrap_or(0), bytes, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_directory_unless_a_star_says_else() {
        for (text, key, is_wanted) in [
            ("/", "/", true),
            ("/etc", "/etc/", true),
            ("/etc/", "/etc/", true),
            ("!/etc/ssl", "/etc/ssl/", false),
            ("/usr/lib/lib*", "/usr/lib/lib", true),
            ("/tmp/*", "/tmp/", true),
            ("/*", "/", true),
        ] {
            let expected = PathPrefix { key: key.as_bytes().to_vec(), is_wanted };
            assert_eq!(PathPrefix::parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_others_want_is_wanted_though_it_was_left_out() {
        let parsed = |texts: &[&str]| -> Vec<PathPrefix> {
            texts.iter().map(|text| PathPrefix::parse(text).unwrap()).collect()
        };
        let start = |text: &str| PathPrefix::beginning(text.as_bytes()).unwrap();
        let together = PathPrefix::with(&parsed(&["/etc", "!/etc/ssl", "!/etc/x"]), vec![start("/etc/ss")]);
        assert_eq!(together, parsed(&["/etc", "/etc/ss*", "!/etc/x"]));
        // A longer one counts without that.
        let deeper = PathPrefix::with(&parsed(&["!/etc/ssl"]), vec![start("/etc/ssl/private")]);
        assert_eq!(deeper, parsed(&["/", "!/etc/ssl", "/etc/ssl/private*"]));
        assert_eq!(PathPrefix::with(&[], Vec::new()), []);
        for nothing in ["", "/", "pipe:", "/a\0"] {
            assert_eq!(PathPrefix::beginning(nothing.as_bytes()), None, "{nothing:?}");
        }
        let long = format!("/{}", "x".repeat(PREFIX_BYTES));
        assert_eq!(start(&long).len(), PREFIX_BYTES);
    }

    #[test]
    fn what_no_path_of_the_kernel_looks_like_is_refused() {
        let long = format!("/{}", "x".repeat(PREFIX_BYTES - 1));
        for text in ["", "!", "etc", "/etc/../x", "/./x", "//x", "/a//b", "/a*b", "/a\0b", long.as_str()] {
            assert!(PathPrefix::parse(text).is_err(), "{text:?}");
        }
        assert!(PathPrefix::parse(&long[..PREFIX_BYTES - 1]).is_ok());
    }

    #[test]
    fn its_key_is_counted_in_bits() {
        let (bits, bytes, value) = PathPrefix::parse("!/a").unwrap().entry();
        assert_eq!((bits, &bytes[..4], value), (24, &b"/a/\0"[..], PREFIX_UNWANTED));
    }
}

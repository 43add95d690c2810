//! The paths of `pmatch`: whether one of them is a path or a parent of it.

use std::borrow::Cow;

use hashbrown::HashSet;

use super::glob::Glob;

/// Paths to look for. Those without wildcards cost one look-up for each folder of the path that is asked
/// for, however many they are.
#[derive(Debug, Clone, Default)]
pub(super) struct Paths {
    /// Components with one slash between.
    plain: HashSet<Box<[u8]>>,
    /// Patterns by component.
    patterns: Vec<Vec<Glob>>,
}

impl Paths {
    /// Takes paths; empty components and a slash at either end count for nothing.
    pub(super) fn new<'p>(paths: impl IntoIterator<Item = &'p [u8]>) -> Self {
        let mut all = Self::default();
        for path in paths {
            if path.iter().any(|byte| matches!(byte, b'*' | b'?' | b'[')) {
                all.patterns.push(components(path).map(|component| Glob::new(component, false)).collect());
            } else {
                all.plain.insert(normal(path).into());
            }
        }
        all
    }

    /// Whether one of them is the path or a parent of it.
    pub(super) fn contain(&self, path: &[u8]) -> bool {
        self.contain_plain(path) || self.patterns.iter().any(|pattern| is_prefix(pattern, path))
    }

    fn contain_plain(&self, path: &[u8]) -> bool {
        if self.plain.is_empty() {
            return false;
        }
        let path = normal(path);
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(place, _)| place);
        [0, path.len()].into_iter().chain(slashes).any(|end| {
            let parent = path.get(..end).unwrap_or_default();
            self.plain.contains(parent)
        })
    }
}

fn is_prefix(pattern: &[Glob], path: &[u8]) -> bool {
    let mut components = components(path);
    pattern.iter().all(|glob| components.next().is_some_and(|component| glob.matches(component)))
}

fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|component| !component.is_empty())
}

/// The components with one slash between; without a copy where nothing but a slash at the ends is too much.
fn normal(path: &[u8]) -> Cow<'_, [u8]> {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let path = path.strip_suffix(b"/").unwrap_or(path);
    let is_normal =
        !path.windows(2).any(|pair| pair == b"//") && !path.starts_with(b"/") && !path.ends_with(b"/");
    if is_normal { Cow::Borrowed(path) } else { Cow::Owned(components(path).collect::<Vec<_>>().join(&b'/')) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn contain(paths: &[&str], path: &str) -> bool {
        Paths::new(paths.iter().map(|path| path.as_bytes())).contain(path.as_bytes())
    }

    #[test]
    fn a_parent_matches_and_a_prefix_of_a_name_does_not() {
        let file = "/opt/dir/subdir/file.txt";
        for path in ["/opt/dir", "/opt/dir/subdir", "/opt/dir/", "opt", "/", file] {
            assert!(contain(&[path], file), "{path}");
        }
        for path in ["/opt/dir2", "/opt/di", "/opt/dir/subdir/file", "/opt/dir/subdir/file.txt/x"] {
            assert!(!contain(&[path], file), "{path}");
        }
        assert!(contain(&["/opt/dir3", "/opt/dir"], file));
        assert!(contain(&["/opt//dir"], "//opt/dir//x"));
        assert!(!contain(&[], file));
    }

    #[test]
    fn components_can_be_patterns() {
        let file = "/opt/dir/subdir/file.txt";
        for path in ["/opt/*", "/opt/*/subdir", "/opt/di?/subdir", "/opt/di[r]/subdir", "/opt/*/*"] {
            assert!(contain(&[path], file), "{path}");
        }
        for path in ["/opt/dii?/subdir", "/opt/di[!r]/subdir", "/opt/*/subdir2", "/opt/*/*/subsubdir"] {
            assert!(!contain(&[path], file), "{path}");
        }
    }

    fn naive(path: &str, of: &str) -> bool {
        let split =
            |path: &str| path.split('/').filter(|it| !it.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        split(of).starts_with(&split(path))
    }

    proptest! {
        #[test]
        fn a_match_is_the_naive_one(paths in prop::collection::vec("[ab/]{0,6}", 0..4), of in "[ab/]{0,8}") {
            let given: Vec<&str> = paths.iter().map(String::as_str).collect();
            prop_assert_eq!(contain(&given, &of), given.iter().any(|path| naive(path, &of)));
        }
    }
}

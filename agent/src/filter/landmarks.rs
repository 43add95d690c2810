//! Names by which files are wanted wherever they lie, as the kernel looks for them.

use agent_abi::landmark::{self, GROUPS, NAME_BYTES, NAMES, hash, place};

/// So many seeds are tried; of the most names there may be, one of thirteen thousand tells them apart.
const TRIES: u64 = 1 << 20;

/// Groups of names of folders and files. A path that has all the names of one is wanted, wherever they stand in
/// it, and with it those whose names have their lengths and begin like them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landmarks(landmark::Landmarks);

impl Default for Landmarks {
    fn default() -> Self {
        Self(landmark::Landmarks::NONE)
    }
}

impl Landmarks {
    /// `None` where there are more groups or names than the kernel looks for, or a group is empty.
    #[must_use]
    pub fn new<'g>(groups: impl IntoIterator<Item = &'g [Box<[u8]>]>) -> Option<Self> {
        let groups: Vec<Vec<Key>> =
            groups.into_iter().map(|group| group.iter().map(|name| Key::of(name)).collect()).collect();
        if groups.len() > GROUPS || groups.iter().any(Vec::is_empty) {
            return None;
        }
        let mut names: Vec<Key> = groups.iter().flatten().copied().collect();
        names.sort_unstable();
        names.dedup();
        if names.len() > NAMES {
            return None;
        }
        let mut table = landmark::Landmarks::NONE;
        if names.is_empty() {
            return Some(Self(table));
        }
        table.seed = (0..TRIES).map(seed).find(|seed| are_apart(&names, *seed))?;
        for name in &names {
            table.names[name.place(table.seed)] = name.hash(table.seed);
        }
        for (mask, group) in table.groups.iter_mut().zip(&groups) {
            *mask = group.iter().fold(0, |mask, name| mask | 1 << name.place(table.seed));
        }
        Some(Self(table))
    }

    /// As the kernel has them.
    pub(crate) const fn table(&self) -> &landmark::Landmarks {
        &self.0
    }
}

/// What is looked at of a name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    first: u64,
    len: u32,
}

impl Key {
    fn of(name: &[u8]) -> Self {
        let mut first = [0; NAME_BYTES];
        let begin = name.len().min(NAME_BYTES);
        first[..begin].copy_from_slice(&name[..begin]);
        // No name of a file is longer than 255 bytes.
        Self { first: u64::from_ne_bytes(first), len: u32::try_from(name.len()).unwrap_or(u32::MAX) }
    }

    const fn hash(self, seed: u64) -> u64 {
        hash(self.first, self.len, seed)
    }

    const fn place(self, seed: u64) -> usize {
        place(self.hash(seed))
    }
}

/// The odd numbers, mixed.
const fn seed(number: u64) -> u64 {
    (number.wrapping_mul(2) + 1).wrapping_mul(0xd134_2543_de82_ef95)
}

fn are_apart(names: &[Key], seed: u64) -> bool {
    let mut taken = 0_u64;
    names.iter().all(|name| {
        let bit = 1 << name.place(seed);
        let is_free = taken & bit == 0;
        taken |= bit;
        is_free
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the kernel does with a path.
    fn has(landmarks: &Landmarks, path: &str) -> bool {
        let table = landmarks.table();
        let mut noted = 0_u64;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let hash = Key::of(name.as_bytes()).hash(table.seed);
            noted |= u64::from(table.names[place(hash)] == hash) << place(hash);
        }
        table.groups.iter().any(|group| group & !noted == 0)
    }

    fn groups(texts: &[&str]) -> Vec<Vec<Box<[u8]>>> {
        let group = |text: &&str| text.split('/').map(|name| name.as_bytes().into()).collect();
        texts.iter().map(group).collect()
    }

    fn landmarks(texts: &[&str]) -> Option<Landmarks> {
        Landmarks::new(groups(texts).iter().map(Vec::as_slice))
    }

    #[test]
    fn a_path_with_all_names_of_a_group_has_it() {
        let some = landmarks(&[".ssh", "kubelet/pki", ".git-credentials"]).unwrap();
        for path in ["/root/.ssh/id_rsa", "/.ssh", "/host/var/lib/kubelet/pki/x", "/a/.git-credentials"] {
            assert!(has(&some, path), "{path}");
        }
        for path in
            ["/", "/root/.ssh2/x", "/root/ssh", "/var/lib/kubelet/pods/x", "/etc/pki/x", "/.git/config"]
        {
            assert!(!has(&some, path), "{path}");
        }
        assert!(!has(&Landmarks::default(), "/root/.ssh/id_rsa"));
        assert_eq!(landmarks(&[]), Some(Landmarks::default()));
    }

    #[test]
    fn more_than_the_kernel_looks_for_are_refused() {
        let names: Vec<String> = (0..=NAMES).map(|number| format!("name{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert!(landmarks(&names[..NAMES]).is_some());
        assert_eq!(landmarks(&names), None);
        assert_eq!(Landmarks::new([[].as_slice()]), None);
        let same = vec!["name"; GROUPS + 1];
        assert_eq!(landmarks(&same), None);
    }

    proptest! {
        #[test]
        fn no_path_with_the_names_is_missed_and_others_are(
            texts in prop::collection::vec("[a-c.]{1,10}(/[a-c.]{1,10}){0,2}", 0..10),
            path in "(/[a-c.]{1,10}){1,6}",
            chosen in any::<prop::sample::Index>(),
        ) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let Some(some) = landmarks(&texts) else { return Ok(()) };
            if !texts.is_empty() {
                let chosen = texts[chosen.index(texts.len())];
                let has_it = has(&some, &format!("{path}/{chosen}/x"));
                prop_assert!(has_it);
            }
            let key = |name: &str| { let Key { first, len } = Key::of(name.as_bytes()); (first, len) };
            let is_there = |name: &str| path.split('/').any(|part| key(part) == key(name));
            let expected = texts.iter().any(|group| group.split('/').all(is_there));
            prop_assert_eq!(has(&some, &path), expected);
        }
    }
}

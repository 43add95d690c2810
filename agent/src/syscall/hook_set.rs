//! The hooks that nobody has to want: what they cost is paid only where somebody does.

use agent_abi::hook::Hook;

/// A set of hooks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HookSet(u64);

const _: () = assert!(Hook::ALL.len() <= 64);

impl HookSet {
    /// Takes in a hook.
    pub fn insert(&mut self, hook: Hook) {
        self.0 |= 1 << hook as u64;
    }

    /// Whether a hook is in it.
    #[must_use]
    pub const fn contains(self, hook: Hook) -> bool {
        self.0 >> hook as u64 & 1 != 0
    }
}

impl FromIterator<Hook> for HookSet {
    fn from_iter<I: IntoIterator<Item = Hook>>(hooks: I) -> Self {
        let mut set = Self::default();
        for hook in hooks {
            set.insert(hook);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in_and_nothing_else() {
        let set: HookSet = [Hook::Fork, Hook::Packet, Hook::LsmConnect].into_iter().collect();
        let held: Vec<_> = Hook::ALL.into_iter().filter(|&hook| set.contains(hook)).collect();
        assert_eq!(held, [Hook::Fork, Hook::Packet, Hook::LsmConnect]);
    }
}

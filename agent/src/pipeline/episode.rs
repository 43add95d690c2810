//! Something that goes on for a while is told once.

use hashbrown::HashMap;

use crate::context::ContainerKey;

/// Subjects that are remembered. Beyond, the one that was quiet longest is forgotten, and would be
/// told anew.
const SUBJECTS: usize = 1024;

/// When each subject was last heard of. `None`: the host.
#[derive(Debug)]
pub(super) struct Episodes {
    quiet_ns: u64,
    last: HashMap<Option<ContainerKey>, u64>,
}

impl Episodes {
    /// An episode ends when nothing was heard for so long.
    pub(super) fn new(quiet_ns: u64) -> Self {
        Self { quiet_ns, last: HashMap::new() }
    }

    /// It goes on, or begins: then `true`.
    pub(super) fn begins(&mut self, subject: Option<ContainerKey>, now_ns: u64) -> bool {
        if self.last.len() >= SUBJECTS && !self.last.contains_key(&subject) {
            let oldest = self.last.iter().min_by_key(|(_, last)| **last).map(|(subject, _)| *subject);
            if let Some(oldest) = oldest {
                self.last.remove(&oldest);
            }
        }
        let before = self.last.insert(subject, now_ns);
        before.is_none_or(|before| now_ns.saturating_sub(before) >= self.quiet_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_once_and_again_after_a_quiet_time() {
        let key = |cgroup| Some(ContainerKey { hierarchy: 0, cgroup });
        let mut episodes = Episodes::new(100);
        let begins: Vec<_> = [0, 50, 149, 249].into_iter().map(|now| episodes.begins(key(1), now)).collect();
        assert_eq!(begins, [true, false, false, true]);
        assert!(episodes.begins(key(2), 250));
        for cgroup in 3..3 + SUBJECTS as u64 {
            episodes.begins(key(cgroup), 300);
        }
        assert_eq!(episodes.last.len(), SUBJECTS);
        assert!(episodes.begins(key(1), 301), "it was forgotten");
    }
}

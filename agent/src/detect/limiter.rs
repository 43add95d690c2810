//! Holds back matches that say the same again, and those of a rule that come too fast. What is held
//! back is counted, and told with the next match of the rule or once a while by itself.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, Hash, RandomState},
};

use hashbrown::HashSet;

use crate::time::SECOND;

/// Matches that are remembered, beyond which the oldest may be told again.
const REMEMBERED: usize = 8192;
/// How long what was held back waits for a match to be told with.
const SILENCE_NS: u64 = 10 * SECOND;

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Matches of one rule a second.
    pub rate: u32,
    /// Matches of one rule at once.
    pub burst: u32,
    /// A match by the same process on the same object is told again after so long, nanoseconds.
    pub repeat_after_ns: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rate: 10, burst: 100, repeat_after_ns: 60 * SECOND }
    }
}

/// What becomes of a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is told, with so many that were held back before.
    Tell(u64),
    /// It says what was told.
    Repeated,
    /// Its rule has matched too often.
    TooFast,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    /// Nanoseconds' worth of matches.
    tokens_ns: u64,
    filled_ns: u64,
    held: u64,
    /// Since when; meaningful while anything is held.
    held_since_ns: u64,
}

/// Of the rules of one set.
#[derive(Debug)]
pub(super) struct Limiter {
    limits: Limits,
    buckets: Vec<Bucket>,
    seen: HashSet<u64>,
    /// What was told, oldest first.
    order: VecDeque<(u64, u64)>,
    hasher: RandomState,
}

impl Limiter {
    pub(super) fn new(limits: Limits, rules: usize) -> Self {
        let full = Bucket { tokens_ns: u64::MAX, ..Bucket::default() };
        Self {
            limits,
            buckets: vec![full; rules],
            seen: HashSet::with_capacity(REMEMBERED),
            order: VecDeque::with_capacity(REMEMBERED),
            hasher: RandomState::new(),
        }
    }

    /// Decides on a match of a rule; `key` is what makes two of them the same.
    pub(super) fn decide(&mut self, rule: usize, key: impl Hash, now_ns: u64) -> Verdict {
        let Some(bucket) = self.buckets.get_mut(rule) else { return Verdict::Tell(0) };
        while let Some(&(told_ns, key)) = self.order.front()
            && (now_ns.saturating_sub(told_ns) >= self.limits.repeat_after_ns
                || self.order.len() == REMEMBERED)
        {
            self.order.pop_front();
            self.seen.remove(&key);
        }
        let key = self.hasher.hash_one((rule, key));
        let verdict = if self.seen.contains(&key) {
            Verdict::Repeated
        } else if bucket.take(self.limits, now_ns) {
            self.seen.insert(key);
            self.order.push_back((now_ns, key));
            return Verdict::Tell(std::mem::take(&mut bucket.held));
        } else {
            Verdict::TooFast
        };
        if bucket.held == 0 {
            bucket.held_since_ns = now_ns;
        }
        bucket.held += 1;
        verdict
    }

    /// Rules of which matches have been held back for a while, and how many.
    pub(super) fn overdue(&mut self, now_ns: u64, mut tell: impl FnMut(usize, u64)) {
        for (rule, bucket) in self.buckets.iter_mut().enumerate() {
            if bucket.held > 0 && now_ns.saturating_sub(bucket.held_since_ns) >= SILENCE_NS {
                tell(rule, std::mem::take(&mut bucket.held));
            }
        }
    }

    /// All that is held back: nothing follows.
    pub(super) fn rest(&mut self, mut tell: impl FnMut(usize, u64)) {
        for (rule, bucket) in self.buckets.iter_mut().enumerate().filter(|(_, bucket)| bucket.held > 0) {
            tell(rule, std::mem::take(&mut bucket.held));
        }
    }
}

impl Bucket {
    fn take(&mut self, limits: Limits, now_ns: u64) -> bool {
        // A rate of 0 lets everything pass.
        let Some(each) = SECOND.checked_div(limits.rate.into()) else { return true };
        let most = each.saturating_mul(limits.burst.max(1).into());
        let passed = now_ns.saturating_sub(self.filled_ns);
        self.tokens_ns = self.tokens_ns.saturating_add(passed).min(most);
        self.filled_ns = self.filled_ns.max(now_ns);
        let Some(left) = self.tokens_ns.checked_sub(each) else { return false };
        self.tokens_ns = left;
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits { rate: 10, burst: 3, repeat_after_ns: SECOND };

    #[test]
    fn the_same_is_told_once_a_while_with_what_was_held_back() {
        let mut limiter = Limiter::new(LIMITS, 1);
        assert_eq!(limiter.decide(0, "a", 1), Verdict::Tell(0));
        assert_eq!(limiter.decide(0, "a", 2), Verdict::Repeated);
        assert_eq!(limiter.decide(0, "a", 3), Verdict::Repeated);
        assert_eq!(limiter.decide(0, "b", 4), Verdict::Tell(2));
        assert_eq!(limiter.decide(0, "a", 1 + SECOND), Verdict::Tell(0));
    }

    #[test]
    fn a_rule_has_its_burst_and_then_its_rate() {
        let mut limiter = Limiter::new(LIMITS, 2);
        let told = |limiter: &mut Limiter, rule, from: u64, now| {
            (from..from + 10).filter(|n| matches!(limiter.decide(rule, n, now), Verdict::Tell(_))).count()
        };
        assert_eq!(told(&mut limiter, 0, 0, 1), 3);
        assert_eq!(told(&mut limiter, 1, 0, 1), 3, "each rule has its own");
        assert_eq!(told(&mut limiter, 0, 10, 1 + SECOND / 10), 1);
        let mut late = Vec::new();
        limiter.overdue(20 * SECOND, |rule, held| late.push((rule, held)));
        assert_eq!(late, [(0, 9), (1, 7)], "seven went with the fourth that was told");
        limiter.rest(|_, _| panic!("nothing is left"));
    }

    #[test]
    fn no_rate_is_no_limit() {
        let mut limiter = Limiter::new(Limits { rate: 0, ..LIMITS }, 1);
        assert!((0..1000).all(|n| matches!(limiter.decide(0, n, 1), Verdict::Tell(0))));
    }

    proptest! {
        #[test]
        fn what_is_told_and_what_is_held_back_is_what_matched(
            matches in proptest::collection::vec((0_usize..3, 0_u8..8, 0_u64..SECOND / 4), 0..400)
        ) {
            let mut limiter = Limiter::new(LIMITS, 3);
            let (mut now, mut told, mut held) = (0, 0_u64, 0);
            let total = matches.len() as u64;
            for (rule, key, later) in matches {
                now += later;
                if let Verdict::Tell(before) = limiter.decide(rule, key, now) {
                    told += 1;
                    held += before;
                }
                limiter.overdue(now, |_, more| held += more);
            }
            limiter.rest(|_, more| held += more);
            prop_assert_eq!(told + held, total);
        }
    }
}

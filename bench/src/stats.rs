//! Medians with exact intervals: order statistics and the binomial distribution, no assumption on
//! the shape of the noise.

use serde::Serialize;

/// Least probability that the true value lies in an interval.
pub const CONFIDENCE: f64 = 0.95;
/// Fewest samples that a two-sided interval of [`CONFIDENCE`] can be made of.
pub const FEWEST: usize = 6;

/// A median and where the true one lies with [`CONFIDENCE`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The median of the samples.
    pub median: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Estimate {
    /// Of these samples; `None` where they are fewer than [`FEWEST`] or one is not a number.
    #[must_use]
    pub fn of(samples: &[f64]) -> Option<Self> {
        let sorted = sorted(samples)?;
        let outside = outside(sorted.len())?;
        Some(Self { median: middle(&sorted), low: sorted[outside], high: sorted[sorted.len() - 1 - outside] })
    }

    /// Of the ratio of two measurements of the same rounds, pair by pair.
    #[must_use]
    pub fn of_ratios(of: &[f64], to: &[f64]) -> Option<Self> {
        let ratios: Vec<f64> = of.iter().zip(to).map(|(of, to)| of / to).collect();
        Self::of(&ratios)
    }
}

/// The median; `None` of nothing.
#[must_use]
pub fn median(samples: &[f64]) -> Option<f64> {
    let sorted = sorted(samples)?;
    (!sorted.is_empty()).then(|| middle(&sorted))
}

/// Rank (from 1) of the sample out of `samples` that is, with [`CONFIDENCE`] on one side, not below
/// the true quantile; `None` where no sample can be.
#[must_use]
pub fn upper_rank(samples: u64, quantile: f64) -> Option<u64> {
    let mut below = 0.0;
    for rank in 1..=samples {
        // P(fewer than `rank` samples lie below the quantile).
        below += binomial(samples, rank - 1, quantile);
        if below >= CONFIDENCE {
            return Some(rank);
        }
    }
    None
}

/// How many samples to leave out on each side, so that the rest spans an interval of
/// [`CONFIDENCE`] for the median.
fn outside(samples: usize) -> Option<usize> {
    let mut tail = 0.0;
    let mut outside = None;
    for left_out in 0..samples / 2 {
        tail += binomial(samples as u64, left_out as u64, 0.5);
        if 2.0 * tail > 1.0 - CONFIDENCE {
            break;
        }
        outside = Some(left_out);
    }
    outside
}

/// P(X = k) for n tries of probability p.
fn binomial(n: u64, k: u64, p: f64) -> f64 {
    let ways: f64 = (0..k).map(|i| ((n - i) as f64).ln() - ((k - i) as f64).ln()).sum();
    (ways + k as f64 * p.ln() + (n - k) as f64 * (1.0 - p).ln()).exp()
}

fn sorted(samples: &[f64]) -> Option<Vec<f64>> {
    if samples.iter().any(|sample| sample.is_nan()) {
        return None;
    }
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    Some(sorted)
}

fn middle(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) { f64::midpoint(sorted[half - 1], sorted[half]) } else { sorted[half] }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn intervals_are_those_of_the_tables() {
        // Conover, Practical Nonparametric Statistics: ranks of the 95 % interval of a median.
        for (samples, lower_rank) in [(6, 1), (10, 2), (20, 6), (21, 6), (25, 8), (40, 14)] {
            assert_eq!(outside(samples), Some(lower_rank - 1), "{samples} samples");
        }
        assert_eq!(outside(FEWEST - 1), None);
    }

    #[test]
    fn a_high_quantile_needs_enough_samples() {
        // 0.99^298 > 0.05 > 0.99^299.
        assert_eq!(upper_rank(298, 0.99), None);
        assert_eq!(upper_rank(299, 0.99), Some(299));
        assert!(upper_rank(1000, 0.5).unwrap() > 500);
    }

    #[test]
    fn nothing_is_made_of_what_is_not_a_number() {
        assert_eq!(Estimate::of(&[f64::NAN; 30]), None);
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0, 10.0]), Some(2.5));
    }

    proptest! {
        #[test]
        fn the_interval_holds_the_median_and_lies_in_the_samples(
            samples in prop::collection::vec(0.1..1e9f64, FEWEST..100),
        ) {
            let Estimate { median, low, high } = Estimate::of(&samples).unwrap();
            prop_assert!(low <= median && median <= high);
            prop_assert!(samples.contains(&low) && samples.contains(&high));
        }

        #[test]
        fn order_does_not_matter(
            samples in prop::collection::vec(0.1..1e9f64, FEWEST..50), seed: u64,
        ) {
            let mut shuffled = samples.clone();
            fastrand::Rng::with_seed(seed).shuffle(&mut shuffled);
            prop_assert_eq!(Estimate::of(&samples), Estimate::of(&shuffled));
        }

        #[test]
        fn a_scale_common_to_both_sides_of_a_round_cancels(
            base in 1.0..1e6f64,
            factor in 1.0..3.0f64,
            speeds in prop::collection::vec(0.1..10.0f64, FEWEST..50),
        ) {
            let to: Vec<f64> = speeds.iter().map(|speed| base * speed).collect();
            let of: Vec<f64> = to.iter().map(|time| time * factor).collect();
            let Estimate { median, low, high } = Estimate::of_ratios(&of, &to).unwrap();
            for end in [median, low, high] {
                prop_assert!((end - factor).abs() < 1e-9);
            }
        }
    }

    /// The exact interval covers the true median at least as often as it says.
    #[test]
    fn the_interval_covers() {
        let mut random = fastrand::Rng::with_seed(7);
        let covered = (0..4000)
            .filter(|_| {
                // Skewed noise: its true median is ln 2.
                let samples: Vec<f64> = (0..21).map(|_| -(1.0 - random.f64()).ln()).collect();
                let Estimate { low, high, .. } = Estimate::of(&samples).unwrap();
                (low..=high).contains(&std::f64::consts::LN_2)
            })
            .count();
        assert!(covered > 3800, "{covered} of 4000");
    }
}

//! A histogram as the agent exports it.

use crate::stats::upper_rank;

/// Counts per bucket, not cumulative, by upper bound in seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    buckets: Vec<(f64, u64)>,
}

/// A quantile between bounds of buckets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantile {
    /// It is above this, and not above `upper`.
    pub lower: f64,
    /// Upper bound of its bucket.
    pub upper: f64,
    /// Upper bound of the bucket in which the end of its interval lies; infinite where there are
    /// too few samples to tell.
    pub confident: f64,
}

impl Histogram {
    /// The histogram `name` without labels, out of OpenMetrics text.
    #[must_use]
    pub fn parse(text: &str, name: &str) -> Self {
        let mut before = 0;
        let lines = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?.strip_prefix("_bucket{le=\"")?;
            let (bound, value) = rest.split_once("\"} ")?;
            let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
            Some((bound, value.split(' ').next()?.parse::<u64>().ok()?))
        });
        let buckets = lines
            .map(|(bound, cumulative)| {
                let count = cumulative.saturating_sub(before);
                before = cumulative;
                (bound, count)
            })
            .collect();
        Self { buckets }
    }

    /// What came since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let earlier = earlier.buckets.iter().map(|&(_, count)| count).chain(std::iter::repeat(0));
        let since = self.buckets.iter().zip(earlier);
        Self { buckets: since.map(|(&(bound, now), then)| (bound, now.saturating_sub(then))).collect() }
    }

    /// Number of samples.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|&(_, count)| count).sum()
    }

    /// A quantile, `None` of nothing.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Option<Quantile> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = ((count as f64 * quantile).ceil() as u64).clamp(1, count);
        let (lower, upper) = self.bucket(rank)?;
        let confident = upper_rank(count, quantile)
            .and_then(|rank| self.bucket(rank))
            .map_or(f64::INFINITY, |(_, upper)| upper);
        Some(Quantile { lower, upper, confident })
    }

    /// Bounds of the bucket of the sample of that rank, from 1.
    fn bucket(&self, rank: u64) -> Option<(f64, f64)> {
        let mut seen = 0;
        let mut lower = 0.0;
        for &(upper, count) in &self.buckets {
            seen += count;
            if seen >= rank {
                return Some((lower, upper));
            }
            lower = upper;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(counts: [u64; 4]) -> String {
        let [a, b, c, d] = counts;
        format!(
            "# TYPE x_seconds histogram\nx_seconds_sum 1.5\nx_seconds_count {d}\n\
             x_seconds_bucket{{le=\"0.001\"}} {a}\nx_seconds_bucket{{le=\"0.01\"}} {b}\n\
             x_seconds_bucket{{le=\"0.05\"}} {c}\nx_seconds_bucket{{le=\"+Inf\"}} {d}\nother_bucket{{le=\"1\"}} 9\n"
        )
    }

    #[test]
    fn quantiles_are_named_by_their_buckets() {
        let before = Histogram::parse(&page([5, 5, 5, 5]), "x_seconds");
        let after = Histogram::parse(&page([905, 1000, 1005, 1005]), "x_seconds");
        let since = after.since(&before);
        assert_eq!(since.count(), 1000);
        let median = since.quantile(0.5).unwrap();
        assert_eq!((median.lower, median.upper, median.confident), (0.0, 0.001, 0.001));
        // Rank 990 of 1000 lies in the second bucket; that its interval ends there is not sure.
        let high = since.quantile(0.99).unwrap();
        assert_eq!((high.lower, high.upper, high.confident), (0.001, 0.01, 0.05));
    }

    #[test]
    fn too_few_samples_do_not_tell() {
        let few = Histogram::parse(&page([10, 10, 10, 10]), "x_seconds");
        assert_eq!(few.quantile(0.99).unwrap().confident, f64::INFINITY);
        assert_eq!(Histogram::parse("", "x_seconds").quantile(0.5), None);
    }
}

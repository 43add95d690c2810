//! From exec in the kernel to its verdict, by the agent's own histogram.

use anyhow::{Result, bail};

use crate::{
    bars,
    condition::Agent,
    histogram::Histogram,
    report::{Measure, Unit},
    stats::Estimate,
};

/// Name of the histogram.
const METRIC: &str = "kestrel_verdict_latency_seconds";

/// What the agent has counted until now.
///
/// # Errors
/// When it does not answer.
pub fn so_far(agent: &Agent) -> Result<Histogram> {
    Ok(Histogram::parse(&agent.metrics()?, METRIC))
}

/// p50 and p99 of what was counted between two looks.
///
/// # Errors
/// When nothing was.
pub fn between(before: &Histogram, after: &Histogram) -> Result<Vec<Measure>> {
    let since = after.since(before);
    let mut measures = Vec::new();
    for (what, share) in [("exec to verdict, p50", 0.5), ("exec to verdict, p99", 0.99)] {
        let Some(quantile) = since.quantile(share) else {
            bail!("the agent has judged nothing: {METRIC} has no new samples");
        };
        // A bucket tells no more than its bounds: the upper one stands for all in it.
        let value = Estimate { median: quantile.upper, low: quantile.lower, high: quantile.confident };
        let measure = Measure::new(what, value, Unit::Seconds).note(format!(
            "{} verdicts; upper bound of the bucket from {:.2} ms",
            since.count(),
            quantile.lower * 1e3
        ));
        measures.push(if share > 0.9 { measure.held_against(bars::VERDICT_P99) } else { measure });
    }
    Ok(measures)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(fast: u64, slow: u64) -> Histogram {
        let text = format!(
            "{METRIC}_bucket{{le=\"0.025\"}} {fast}\n{METRIC}_bucket{{le=\"0.05\"}} {fast}\n\
             {METRIC}_bucket{{le=\"+Inf\"}} {}\n",
            fast + slow
        );
        Histogram::parse(&text, METRIC)
    }

    #[test]
    fn a_bucket_that_ends_at_the_bar_is_not_below_it() {
        let measures = between(&histogram(0, 0), &histogram(2000, 1)).unwrap();
        assert_eq!(measures[0].value.median, 0.025);
        assert_eq!(measures[1].pass, Some(true));
        assert_eq!(between(&histogram(0, 0), &histogram(900, 100)).unwrap()[1].pass, Some(false));
        assert_eq!(between(&histogram(0, 0), &histogram(50, 0)).unwrap()[1].pass, Some(false), "too few");
    }

    #[test]
    fn nothing_judged_is_an_error() {
        assert!(between(&histogram(5, 0), &histogram(5, 0)).is_err());
    }
}

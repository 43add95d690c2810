//! What was measured, for people and for machines.

use std::fmt::{self, Write as _};

use serde::Serialize;

use crate::{bars::Limit, machine::Machine, overhead::Overhead, stats::Estimate};

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// Seed of the order of the conditions.
    pub seed: u64,
    /// What stood for the agent.
    pub subject: String,
    /// Workloads under the conditions.
    pub overhead: Vec<Overhead>,
    /// All other numbers.
    pub measures: Vec<Measure>,
}

/// One number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measure {
    /// What, in words.
    pub what: String,
    /// The number and its interval; without one the ends are the number.
    pub value: Estimate,
    /// Its unit.
    pub unit: Unit,
    /// What it must reach.
    pub bar: Option<Limit>,
    /// Whether it does.
    pub pass: Option<bool>,
    /// What to know when reading it.
    pub note: String,
}

/// Unit of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
    /// Nanoseconds.
    Nanoseconds,
    /// Of two measurements.
    Ratio,
    /// Share of one CPU.
    Cpu,
    /// Records per second.
    PerSecond,
    /// A number of things.
    Count,
}

impl Measure {
    /// Without a bar.
    #[must_use]
    pub fn new(what: &str, value: Estimate, unit: Unit) -> Self {
        Self { what: what.to_owned(), value, unit, bar: None, pass: None, note: String::new() }
    }

    /// A number without an interval.
    #[must_use]
    pub fn exact(what: &str, value: f64, unit: Unit) -> Self {
        Self::new(what, Estimate { median: value, low: value, high: value }, unit)
    }

    /// Held against a bar.
    #[must_use]
    pub fn held_against(mut self, bar: Limit) -> Self {
        self.bar = Some(bar);
        self.pass = Some(bar.holds(self.value.low, self.value.high));
        self
    }

    /// With a note.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

impl Report {
    /// Whether no bar was missed.
    #[must_use]
    pub fn passed(&self) -> bool {
        let overhead = self.overhead.iter().filter_map(|row| row.pass);
        overhead.chain(self.measures.iter().filter_map(|measure| measure.pass)).all(|pass| pass)
    }

    /// For people.
    #[must_use]
    pub fn table(&self) -> String {
        let mut out = String::new();
        // Writing to a String does not fail.
        let _ = self.write_table(&mut out);
        out
    }

    fn write_table(&self, out: &mut String) -> fmt::Result {
        let Self { machine, seed, subject, overhead, measures } = self;
        let Machine { kernel, cpu, cpus, load, other_links } = machine;
        writeln!(
            out,
            "Linux {kernel}, {cpus} CPUs ({cpu}), load {load:.2}, {other_links} BPF links of others"
        )?;
        if let Some(row) = overhead.first() {
            let pairs = row.pairs;
            writeln!(
                out,
                "\nOverhead, {pairs} rounds (seed {seed}); agent: {subject}; ratios: median [95 % interval]"
            )?;
            let mut lines = vec![
                ["", "nothing", "floor", "agent", "floor/nothing", "agent/floor", "agent/nothing", "bar", ""]
                    .map(str::to_owned),
            ];
            lines.extend(overhead.iter().map(overhead_line));
            write_columns(out, &lines)?;
        }
        if !measures.is_empty() {
            writeln!(out)?;
            let mut lines = vec![["", "", "95 % interval", "bar", "", ""].map(str::to_owned)];
            lines.extend(measures.iter().map(measure_line));
            write_columns(out, &lines)?;
        }
        Ok(())
    }
}

fn overhead_line(row: &Overhead) -> [String; 9] {
    let Overhead { workload, nothing_ns, floor_ns, agent_ns, .. } = row;
    let bar =
        row.bar.map(|bar| format!("{} × {}", limit(bar, |value| format!("{value}")), row.than.unwrap_or("")));
    [
        (*workload).to_owned(),
        nanoseconds(*nothing_ns),
        nanoseconds(*floor_ns),
        nanoseconds(*agent_ns),
        ratio(row.floor_to_nothing),
        ratio(row.agent_to_floor),
        ratio(row.agent_to_nothing),
        bar.unwrap_or_default(),
        verdict(row.pass),
    ]
}

fn measure_line(measure: &Measure) -> [String; 6] {
    let Measure { what, value: Estimate { median, low, high }, unit, bar, pass, note } = measure;
    let interval =
        if low == high { String::new() } else { format!("[{}, {}]", unit.show(*low), unit.show(*high)) };
    [
        what.clone(),
        unit.show(*median),
        interval,
        bar.map(|bar| limit(bar, |value| unit.show(value))).unwrap_or_default(),
        verdict(*pass),
        note.clone(),
    ]
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::Bytes if value < 1e4 => format!("{value:.0} B"),
            Self::Bytes => format!("{:.1} MB", value / 1e6),
            Self::Seconds if value.is_infinite() => "over the last bucket".to_owned(),
            Self::Seconds => format!("{:.2} ms", value * 1e3),
            Self::Nanoseconds if value < 100.0 => format!("{value:.1} ns"),
            Self::Nanoseconds => nanoseconds(value),
            Self::Ratio => format!("{value:.3}"),
            Self::Cpu => format!("{:.2} %", value * 1e2),
            Self::PerSecond => format!("{:.2} M/s", value / 1e6),
            Self::Count => format!("{value}"),
        }
    }
}

fn nanoseconds(value: f64) -> String {
    if value < 1e4 { format!("{value:.0} ns") } else { format!("{:.1} µs", value / 1e3) }
}

fn ratio(estimate: Option<Estimate>) -> String {
    let show = |Estimate { median, low, high }| format!("{median:.3} [{low:.3}, {high:.3}]");
    estimate.map_or_else(|| "too few rounds".to_owned(), show)
}

fn limit(limit: Limit, show: impl Fn(f64) -> String) -> String {
    match limit {
        Limit::Below(value) => format!("< {}", show(value)),
        Limit::AtMost(value) => format!("≤ {}", show(value)),
        Limit::AtLeast(value) => format!("≥ {}", show(value)),
    }
}

fn verdict(pass: Option<bool>) -> String {
    pass.map_or("", |pass| if pass { "PASS" } else { "FAIL" }).to_owned()
}

fn write_columns<const N: usize>(out: &mut String, lines: &[[String; N]]) -> fmt::Result {
    let mut widths = [0; N];
    for line in lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    for line in lines {
        let mut text = String::new();
        for (&width, cell) in widths.iter().zip(line) {
            write!(text, "{cell:<width$}  ")?;
        }
        writeln!(out, "{}", text.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            machine: Machine {
                kernel: "6.12.0".to_owned(),
                cpu: "Some CPU".to_owned(),
                cpus: 2,
                load: 0.1,
                other_links: 0,
            },
            seed: 1,
            subject: "process".to_owned(),
            overhead: vec![Overhead {
                workload: "getppid",
                pairs: 21,
                nothing_ns: 200.0,
                floor_ns: 290.0,
                agent_ns: 300.0,
                floor_to_nothing: Estimate::of(&[1.45; 21]),
                agent_to_floor: Estimate::of(&[1.03; 21]),
                agent_to_nothing: None,
                bar: Some(Limit::AtMost(1.1)),
                than: Some("floor"),
                pass: Some(true),
            }],
            measures: vec![
                Measure::exact("anonymous memory", 12.34e6, Unit::Bytes).held_against(Limit::Below(40e6)),
                Measure::new("records", Estimate { median: 9e5, low: 8e5, high: 1e6 }, Unit::PerSecond)
                    .held_against(Limit::AtLeast(1e6))
                    .note("one core"),
            ],
        }
    }

    #[test]
    fn the_table_is_for_people() {
        let expected = "\
Linux 6.12.0, 2 CPUs (Some CPU), load 0.10, 0 BPF links of others

Overhead, 21 rounds (seed 1); agent: process; ratios: median [95 % interval]
         nothing  floor   agent   floor/nothing         agent/floor           agent/nothing   bar
getppid  200 ns   290 ns  300 ns  1.450 [1.450, 1.450]  1.030 [1.030, 1.030]  too few rounds  ≤ 1.1 × floor  PASS

                            95 % interval         bar
anonymous memory  12.3 MB                         < 40.0 MB   PASS
records           0.90 M/s  [0.80 M/s, 1.00 M/s]  ≥ 1.00 M/s  FAIL  one core
";
        assert_eq!(report().table(), expected);
    }

    #[test]
    fn one_missed_bar_fails_the_run() {
        let mut report = report();
        assert!(!report.passed());
        report.measures.pop();
        assert!(report.passed());
    }

    #[test]
    fn json_has_the_limits_by_name() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["overhead"][0]["bar"]["at_most"], 1.1);
        assert_eq!(json["measures"][1]["value"]["low"], 8e5);
        assert_eq!(json["measures"][1]["unit"], "per_second");
    }
}

//! How many instructions the kernel's verifier walks for each program, held against committed figures: a
//! program that grows too complex for it does not load, first on the oldest kernels.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

use anyhow::{Context, Result};

/// The figures, from the root of the workspace.
pub(super) const FILE: &str = "agent-ebpf/verified.txt";
/// Percent by which a program may grow before its figure must be taken over.
const TOLERANCE: i64 = 10;
/// The row that says which release was measured.
const RELEASE: &str = "release";
const NONE: &str = "-";

const HEADER: &str = "\
# Instructions that the verifier walked for each program, by series of kernels. A growth of more than a tenth
# fails `cargo xtask vm-test`; `cargo xtask vm-test --write` takes what it counts over. Linux tells since 5.16.
";

/// Counts of one kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) release: String,
    pub(super) programs: BTreeMap<String, u32>,
}

/// Counts by series, in the order of their versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    columns: BTreeMap<Vec<u32>, Column>,
}

impl Figures {
    /// Those that are committed; none where there is no file.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let path = root.join(FILE);
        if !path.exists() {
            return Ok(Self::default());
        }
        Self::parse(&fs::read_to_string(path)?).with_context(|| format!("cannot read {FILE}"))
    }

    pub(super) fn write(&self, root: &Path) -> Result<()> {
        Ok(fs::write(root.join(FILE), format!("{HEADER}{}", self.render(|cell| cell.to_string())))?)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// Puts in what a kernel said in one of its machines; nothing where it said nothing.
    pub(super) fn add(&mut self, series: &str, release: &str, programs: &BTreeMap<String, u32>) {
        if programs.is_empty() {
            return;
        }
        let column = self.columns.entry(key(series)).or_default();
        release.clone_into(&mut column.release);
        // A program that both tiers load may differ by what the loader has told it.
        for (program, &count) in programs {
            let known = column.programs.entry(program.clone()).or_default();
            *known = count.max(*known);
        }
    }

    /// Takes over every column of other figures.
    pub(super) fn update(&mut self, others: &Self) {
        self.columns.extend(others.columns.clone());
    }

    /// What is not as the committed figures have it.
    pub(super) fn problems(&self, committed: &Self) -> Vec<String> {
        let mut problems = Vec::new();
        for (series, column) in &self.columns {
            let Column { release, programs } = column;
            let Some(expected) = committed.columns.get(series) else {
                problems.push(format!("{FILE} has no figures for {}", name(series)));
                continue;
            };
            for (program, &count) in programs {
                match expected.programs.get(program) {
                    None => problems.push(format!("{FILE} has no figure for {program} on {}", name(series))),
                    Some(&figure) if growth(figure, count) > TOLERANCE => problems.push(format!(
                        "the verifier walks {count} instructions of {program} on {release}, {} % more than {figure}",
                        growth(figure, count)
                    )),
                    Some(_) => {}
                }
            }
            for program in expected.programs.keys().filter(|program| !programs.contains_key(*program)) {
                problems.push(format!("{program} of {FILE} was not loaded on {release}"));
            }
        }
        problems
    }

    /// For people, with the change against the committed figures.
    pub(super) fn table(&self, committed: &Self) -> String {
        let change = |series: &[u32], program: &str, count: u32| {
            let figure = committed.columns.get(series)?.programs.get(program)?;
            Some(growth(*figure, count)).filter(|growth| *growth != 0)
        };
        self.render(|cell| match change(cell.series, cell.program, cell.count) {
            Some(growth) => format!("{} ({growth:+} %)", cell.count),
            None => cell.count.to_string(),
        })
    }

    fn parse(text: &str) -> Result<Self> {
        let mut lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let series: Vec<_> = lines.next().context("it has no heading")?.split_whitespace().skip(1).collect();
        let mut columns = vec![Column::default(); series.len()];
        for line in lines {
            let mut words = line.split_whitespace();
            let program = words.next().unwrap_or_default();
            for column in &mut columns {
                match words.next().with_context(|| format!("the row of {program} is short"))? {
                    NONE => {}
                    release if program == RELEASE => column.release = release.to_owned(),
                    count => {
                        let count = count.parse().with_context(|| format!("{count} is not a count"))?;
                        column.programs.insert(program.to_owned(), count);
                    }
                }
            }
        }
        Ok(Self { columns: series.into_iter().map(key).zip(columns).collect() })
    }

    fn render(&self, show: impl Fn(Cell<'_>) -> String) -> String {
        let programs: BTreeSet<_> = self.columns.values().flat_map(|column| column.programs.keys()).collect();
        let mut rows = vec![vec!["program".to_owned()], vec![RELEASE.to_owned()]];
        rows.extend(programs.iter().map(|program| vec![(*program).clone()]));
        for (series, column) in &self.columns {
            rows[0].push(name(series));
            rows[1].push(column.release.clone());
            for (row, program) in rows[2..].iter_mut().zip(&programs) {
                let cell = |&count| show(Cell { series, program, count });
                row.push(column.programs.get(*program).map_or_else(|| NONE.to_owned(), cell));
            }
        }
        aligned(&rows)
    }
}

struct Cell<'a> {
    series: &'a [u32],
    program: &'a str,
    count: u32,
}

impl std::fmt::Display for Cell<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.count.fmt(f)
    }
}

/// Percent.
fn growth(figure: u32, count: u32) -> i64 {
    (i64::from(count) - i64::from(figure)) * 100 / i64::from(figure.max(1))
}

/// By number 6.12 is newer than 6.6.
fn key(series: &str) -> Vec<u32> {
    series.split('.').filter_map(|part| part.parse().ok()).collect()
}

fn name(series: &[u32]) -> String {
    series.iter().map(u32::to_string).collect::<Vec<_>>().join(".")
}

fn aligned(rows: &[Vec<String>]) -> String {
    let width = |index| rows.iter().filter_map(|row| row.get(index)).map(String::len).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (index, cell) in row.iter().enumerate() {
            // Writing to a String does not fail.
            let _ = write!(line, "{cell:<width$}  ", width = width(index));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
program   6.1       6.12
release   6.1.0-53  6.12.117+deb12
open      1000      -
sys_exit  100       100
";

    fn counted(programs: &[(&str, u32)]) -> Figures {
        let programs = programs.iter().map(|&(program, count)| (program.to_owned(), count)).collect();
        let mut figures = Figures::default();
        figures.add("6.1", "6.1.0-56", &programs);
        figures
    }

    #[test]
    fn the_file_is_what_was_written() {
        let figures = Figures::parse(&format!("{HEADER}{TEXT}")).unwrap();
        assert_eq!(figures.render(|cell| cell.to_string()), TEXT);
        let dir = tempfile::tempdir().unwrap();
        assert!(Figures::read(dir.path()).unwrap().is_empty());
        fs::create_dir(dir.path().join("agent-ebpf")).unwrap();
        figures.write(dir.path()).unwrap();
        assert_eq!(Figures::read(dir.path()).unwrap(), figures);
    }

    #[test]
    fn a_growth_beyond_a_tenth_is_a_problem() {
        let committed = Figures::parse(TEXT).unwrap();
        assert_eq!(counted(&[("open", 1100), ("sys_exit", 50)]).problems(&committed), [""; 0]);
        assert_eq!(
            counted(&[("open", 1110), ("sys_exit", 100)]).problems(&committed),
            ["the verifier walks 1110 instructions of open on 6.1.0-56, 11 % more than 1000"]
        );
    }

    #[test]
    fn programs_come_and_go_with_a_word() {
        let committed = Figures::parse(TEXT).unwrap();
        assert_eq!(
            counted(&[("open", 1000), ("net", 5)]).problems(&committed),
            [
                "agent-ebpf/verified.txt has no figure for net on 6.1",
                "sys_exit of agent-ebpf/verified.txt was not loaded on 6.1.0-56"
            ]
        );
        let none = Figures::default();
        assert_eq!(
            counted(&[("net", 5)]).problems(&none),
            ["agent-ebpf/verified.txt has no figures for 6.1"]
        );
        // 5.10 tells none.
        assert_eq!(counted(&[]).problems(&committed), [""; 0]);
    }

    #[test]
    fn the_table_shows_the_change() {
        let committed = Figures::parse(TEXT).unwrap();
        assert_eq!(
            counted(&[("open", 1050), ("sys_exit", 90), ("net", 5)]).table(&committed),
            "program   6.1\nrelease   6.1.0-56\nnet       5\nopen      1050 (+5 %)\nsys_exit  90 (-10 %)\n"
        );
    }

    #[test]
    fn of_two_machines_of_a_kernel_each_program_has_the_larger_figure() {
        let mut figures = counted(&[("open", 7), ("sys_exit", 5)]);
        figures.add("6.1", "6.1.0-56", &BTreeMap::from([("open".to_owned(), 6), ("fexit".to_owned(), 9)]));
        assert_eq!(figures, counted(&[("open", 7), ("sys_exit", 5), ("fexit", 9)]));
    }

    #[test]
    fn other_kernels_keep_their_figures() {
        let mut figures = Figures::parse(TEXT).unwrap();
        figures.update(&counted(&[("open", 7)]));
        assert_eq!(
            figures.render(|cell| cell.to_string()),
            "program   6.1       6.12\nrelease   6.1.0-56  6.12.117+deb12\nopen      7         -\nsys_exit  -         100\n"
        );
    }

    #[test]
    fn a_file_that_is_no_table_is_refused() {
        for text in ["", "program 6.1\nopen", "program 6.1\nopen many"] {
            assert!(Figures::parse(text).is_err(), "{text}");
        }
    }
}

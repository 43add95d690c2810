//! How text looks on a terminal: width, colour, columns.

use std::os::fd::AsFd;

use inert::{columns_of, fit};

use crate::args::Color;

/// Space between two columns.
pub const GAP: &str = "  ";

/// How the output looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Colours.
    pub color: bool,
    /// Columns of the terminal; lines end there. `None`: as long as they are, up to
    /// [`Look::WIDEST`].
    pub columns: Option<usize>,
}

impl Look {
    /// Longest line where there is no terminal that bounds it.
    pub const WIDEST: usize = 400;

    /// As flags and environment ask for.
    #[must_use]
    pub fn of_environment(color: Color, is_terminal: bool, columns: Option<usize>) -> Self {
        let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let color = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => is_terminal && !is_plain,
        };
        Self { color, columns: columns.filter(|_| is_terminal) }
    }

    /// Longest line.
    #[must_use]
    pub fn width(self) -> usize {
        self.columns.unwrap_or(Self::WIDEST)
    }
}

/// Columns of the terminal behind a file, if it is one.
#[must_use]
pub fn terminal_columns(file: impl AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(file).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

/// Colours by what they mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Paint {
    /// None.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// Not important.
    Dim,
    /// Exempt.
    Calm,
    /// Look at it.
    Warn,
    /// Wrong.
    Bad,
    /// Very wrong.
    Worst,
}

impl Paint {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "\x1b[32m",
            Self::Dim => "\x1b[2m",
            Self::Calm => "\x1b[36m",
            Self::Warn => "\x1b[33m",
            Self::Bad => "\x1b[31m",
            Self::Worst => "\x1b[1;31m",
        }
    }
}

/// One cell of a line: inert text and its colour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// Text, already inert.
    pub text: String,
    /// Colour.
    pub paint: Paint,
}

impl Cell {
    /// With a colour.
    #[must_use]
    pub fn painted(text: impl Into<String>, paint: Paint) -> Self {
        Self { text: text.into(), paint }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), paint: Paint::Plain }
    }
}

/// Columns that a text takes.
#[must_use]
pub fn width(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// Appends a cell that is `columns` wide, and the gap after it.
pub fn cell(line: &mut String, cell: &Cell, columns: usize, look: Look) {
    let used = last_cell(line, cell, columns, look);
    line.extend(std::iter::repeat_n(' ', columns.saturating_sub(used)));
    line.push_str(GAP);
}

/// Appends a cell that nothing follows. Returns the columns it took.
pub fn last_cell(line: &mut String, cell: &Cell, columns: usize, look: Look) -> usize {
    let fitted = fit(&cell.text, columns);
    let paint = if look.color { cell.paint.code() } else { "" };
    line.push_str(paint);
    line.push_str(&fitted);
    if !paint.is_empty() {
        line.push_str("\x1b[0m");
    }
    width(&fitted)
}

/// Namespace, pod and container in so many columns: the longest gives way to the others.
#[must_use]
pub fn place(parts: [&str; 3], columns: usize) -> String {
    let mut parts = parts.map(inert::inert);
    while parts.iter().map(|part| width(part)).sum::<usize>() + 2 > columns {
        let Some(widest) = parts.iter_mut().max_by_key(|part| width(part)) else { break };
        if width(widest) <= 1 {
            break;
        }
        *widest = fit(widest, width(widest) - 1);
    }
    fit(&parts.join("/"), columns)
}

/// A table whose columns are as wide as what is in them; the last one takes what is left.
#[derive(Clone, Debug)]
pub struct Table {
    rows: Vec<Vec<Cell>>,
    head: Vec<&'static str>,
}

impl Table {
    /// With these names of columns.
    #[must_use]
    pub fn new(head: &[&'static str]) -> Self {
        Self { rows: Vec::new(), head: head.to_vec() }
    }

    /// One more row, a cell for each column.
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// All lines.
    #[must_use]
    pub fn lines(&self, look: Look) -> Vec<String> {
        let widths = self.widths(look);
        let head = self.head.iter().map(|&name| Cell::from(name)).collect();
        let line = |cells: &Vec<Cell>| {
            let mut line = String::new();
            for (index, (content, &columns)) in cells.iter().zip(&widths).enumerate() {
                if index + 1 == widths.len() {
                    last_cell(&mut line, content, columns, look);
                } else {
                    cell(&mut line, content, columns, look);
                }
            }
            line.truncate(line.trim_end().len());
            line
        };
        std::iter::once(&head).chain(&self.rows).map(line).collect()
    }

    /// The widest column but the last gives way until the last has a third of the line.
    fn widths(&self, look: Look) -> Vec<usize> {
        let last = self.head.len().saturating_sub(1);
        let mut widths: Vec<usize> = self.head.iter().map(|name| width(name)).collect();
        for row in &self.rows {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = (*widest).max(width(&cell.text));
            }
        }
        let gaps = GAP.len() * last;
        let room = look.width().saturating_sub(gaps);
        let wanted = widths.get(last).copied().unwrap_or_default();
        let kept = wanted.min(room / 3);
        while widths[..last].iter().sum::<usize>() + kept > room {
            let Some(widest) = widths[..last].iter_mut().max() else { break };
            if *widest <= 4 {
                break;
            }
            *widest -= 1;
        }
        let left = room.saturating_sub(widths[..last].iter().sum());
        if let Some(last) = widths.get_mut(last) {
            *last = left;
        }
        widths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Look = Look { color: false, columns: None };

    #[test]
    fn a_table_fits_the_terminal() {
        let mut table = Table::new(&["NAME", "WHAT"]);
        table.row(vec!["a".into(), "short".into()]);
        table.row(vec!["b".repeat(50).into(), "long ".repeat(30).into()]);
        assert_eq!(table.lines(PLAIN)[1], format!("a{}  short", " ".repeat(49)));
        for columns in [20, 40, 80, 200] {
            for line in table.lines(Look { color: false, columns: Some(columns) }) {
                assert!(width(&line) <= columns, "{line}");
            }
        }
    }

    #[test]
    fn colours_are_asked_for() {
        assert!(Look::of_environment(Color::Always, false, None).color);
        assert!(!Look::of_environment(Color::Never, true, None).color);
        assert!(!Look::of_environment(Color::Auto, false, Some(80)).color);
        let mut line = String::new();
        last_cell(&mut line, &Cell::painted("FAIL", Paint::Bad), 8, Look { color: true, columns: None });
        assert_eq!(line, "\x1b[31mFAIL\x1b[0m");
    }

    #[test]
    fn the_longest_name_gives_way() {
        assert_eq!(place(["shop", "cart", "app"], 40), "shop/cart/app");
        assert_eq!(place(["shop", "a-very-long-name", "app"], 16), "shop/a-very…/app");
        assert_eq!(place(["s\x1b", "p", "c"], 40), "s\\x1b/p/c");
    }
}

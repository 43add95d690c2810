//! Files of rules, and where in them a value stands.

use std::{ops::Range, sync::Arc};

/// The widest snippet of a line, in characters; a longer line is cut on both sides of the place.
const SNIPPET_WIDTH: usize = 160;

/// A file that is being loaded.
#[derive(Debug)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) content: String,
    /// The byte each line begins with.
    lines: Vec<usize>,
}

impl File {
    pub(super) fn new(name: &str, content: &str) -> Self {
        let lines = std::iter::once(0).chain(content.match_indices('\n').map(|(i, _)| i + 1)).collect();
        Self { name: name.to_owned(), content: content.to_owned(), lines }
    }

    /// The line and the column of a byte, both from 1; a column is a character.
    pub(super) fn place(&self, offset: usize) -> (usize, usize) {
        let offset = self.boundary(offset);
        let line = self.lines.partition_point(|start| *start <= offset);
        (line, 1 + self.content[self.lines[line - 1]..offset].chars().count())
    }

    /// The line of a byte, with a caret below it.
    pub(super) fn snippet(&self, offset: usize) -> String {
        let offset = self.boundary(offset);
        let line = self.lines.partition_point(|start| *start <= offset);
        let before = &self.content[self.lines[line - 1]..offset];
        let after = self.content[offset..].lines().next().unwrap_or_default();
        let visible = |c: char| if c.is_control() { ' ' } else { c };
        // Control characters of a hostile file do not reach a terminal.
        let mut left: Vec<char> = before.chars().rev().take(SNIPPET_WIDTH / 2).map(visible).collect();
        left.reverse();
        let right: String = after.chars().take(SNIPPET_WIDTH / 2).map(visible).collect();
        let cut_left =
            if left.iter().map(|c| c.len_utf8()).sum::<usize>() < before.len() { "..." } else { "" };
        let cut_right = if right.len() < after.len() { "..." } else { "" };
        let caret = " ".repeat(cut_left.len() + left.len());
        let left: String = left.into_iter().collect();
        format!("{cut_left}{left}{right}{cut_right}\n{caret}^\n")
    }

    /// The byte itself, or the beginning of the character it is in.
    fn boundary(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.content.len());
        while !self.content.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }
}

/// How a value is written in YAML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notation {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Block,
}

/// A value of a file.
#[derive(Debug)]
pub(super) struct Scalar {
    pub(super) file: Arc<File>,
    pub(super) value: String,
    pub(super) notation: Notation,
    /// The bytes of the file that it was read from.
    pub(super) span: Range<usize>,
}

impl Scalar {
    /// The byte of the file that became byte `at` of the value. YAML folds and cuts only blanks, so the
    /// others keep their order.
    pub(super) fn offset(&self, at: usize) -> usize {
        let raw = self.file.content.get(self.span.clone()).unwrap_or_default().as_bytes();
        let is_solid = |b: &u8| !b.is_ascii_whitespace();
        let (before, after) = self.value.as_bytes().split_at(at.min(self.value.len()));
        let preceding = before.iter().filter(|b| is_solid(b)).count();
        let at_end = !after.iter().any(is_solid);
        let mut seen = 0;
        let mut end_of_last = match self.notation {
            Notation::Plain | Notation::Block => 0,
            Notation::SingleQuoted | Notation::DoubleQuoted => 1,
        };
        let mut position = end_of_last;
        while position < raw.len() {
            let (length, solid) = self.notation.unit(&raw[position..]);
            if solid > 0 && seen + solid > preceding {
                return self.span.start + if at_end { end_of_last } else { position };
            }
            seen += solid;
            position += length;
            if solid > 0 {
                end_of_last = position;
            }
        }
        self.span.start + end_of_last
    }
}

impl Notation {
    /// How many bytes of a file make the next part of a value, and how many of the value that is, blanks aside.
    fn unit(self, raw: &[u8]) -> (usize, usize) {
        match (self, raw) {
            (Self::SingleQuoted, [b'\'', b'\'', ..]) => (2, 1),
            (Self::DoubleQuoted, [b'\\', escape, rest @ ..]) => {
                let digits = match escape {
                    b'x' => 2,
                    b'u' => 4,
                    b'U' => 8,
                    b'"' | b'\\' | b'/' => return (2, 1),
                    // Blanks, and a line that goes on.
                    _ => return (2, 0),
                };
                let code = rest.get(..digits).and_then(|digits| std::str::from_utf8(digits).ok());
                let c = code.and_then(|code| u32::from_str_radix(code, 16).ok()).and_then(char::from_u32);
                (2 + digits, c.filter(|c| !c.is_ascii_whitespace()).map_or(0, char::len_utf8))
            }
            (_, [byte, ..]) => (1, usize::from(!byte.is_ascii_whitespace())),
            (_, []) => (1, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(content: &str, value: &str, notation: Notation, span: Range<usize>) -> Scalar {
        let file = Arc::new(File::new("f", content));
        Scalar { file, value: value.into(), notation, span }
    }

    #[test]
    fn a_folded_value_leads_back_to_its_lines() {
        let content = "a: >\n  one\n  two  three\n";
        let folded = scalar(content, "one two  three\n", Notation::Block, 7..24);
        assert_eq!(folded.offset(4), content.find("two").unwrap());
        assert_eq!(folded.offset(9), content.find("three").unwrap());
        assert_eq!(folded.offset(15), content.find("three").unwrap() + 5);
    }

    #[test]
    fn quotes_are_counted() {
        let content = "a: 'it''s so'";
        let quoted = scalar(content, "it's so", Notation::SingleQuoted, 3..13);
        assert_eq!(quoted.offset(0), 4);
        assert_eq!(quoted.offset(5), content.find("so").unwrap());
        assert_eq!(quoted.offset(7), content.find("so").unwrap() + 2);
    }

    #[test]
    fn escapes_are_counted() {
        let content = r#"a: "x\"\n\u00e9\\ so""#;
        let escaped = scalar(content, "x\"\né\\ so", Notation::DoubleQuoted, 3..content.len());
        assert_eq!(escaped.offset(1), 5);
        assert_eq!(escaped.offset(3), content.find(r"\u").unwrap());
        assert_eq!(escaped.offset(5), content.find(r"\\").unwrap());
        assert_eq!(escaped.offset(7), content.find("so").unwrap());
    }

    #[test]
    fn a_snippet_has_its_caret_below_the_place() {
        let file = File::new("f", &format!("one\n  äb\tc\n{}x{}", "y".repeat(300), "z".repeat(300)));
        let c = file.content.find('c').unwrap();
        assert_eq!(file.snippet(c), "  äb c\n     ^\n");
        assert_eq!(file.place(c), (2, 6));
        let long = file.snippet(file.content.find('x').unwrap());
        let (line, caret) = long.trim_end().split_once('\n').unwrap();
        assert_eq!(line.find('x'), caret.find('^'));
        assert!(line.starts_with("...") && line.ends_with("..."));
        assert_eq!(file.snippet(usize::MAX).lines().count(), 2);
    }
}

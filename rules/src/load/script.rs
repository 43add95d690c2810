//! The text of a condition that was put together from several places, each still known.

use std::{ops::Range, sync::Arc};

use super::source::{File, Scalar};

/// Text with the place each part of it comes from.
#[derive(Debug, Clone, Default)]
pub(super) struct Script {
    text: String,
    /// In the order of the text, each from its beginning to that of the next.
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
struct Part {
    start: usize,
    scalar: Arc<Scalar>,
    /// The byte of the scalar it begins with.
    from: usize,
    /// Whether it is the scalar's own text, or stands for what is there.
    is_verbatim: bool,
}

impl Script {
    /// All of a value.
    pub(super) fn of(scalar: &Arc<Scalar>) -> Self {
        let part = Part { start: 0, scalar: scalar.clone(), from: 0, is_verbatim: true };
        Self { text: scalar.value.clone(), parts: vec![part] }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The place of a byte of the text.
    pub(super) fn place(&self, at: usize) -> Option<(&Arc<File>, usize)> {
        let index = self.parts.partition_point(|part| part.start <= at).checked_sub(1)?;
        let part = &self.parts[index];
        let within = if part.is_verbatim { at - part.start } else { 0 };
        Some((&part.scalar.file, part.scalar.offset(part.from + within)))
    }

    /// `more` at the end, as the scalar's own text from its byte `from`.
    pub(super) fn push_verbatim(&mut self, more: &str, scalar: &Arc<Scalar>, from: usize) {
        self.push(more, scalar, from, true);
    }

    /// `more` at the end, which stands for a scalar.
    pub(super) fn push_for(&mut self, more: &str, scalar: &Arc<Scalar>) {
        self.push(more, scalar, 0, false);
    }

    fn push(&mut self, more: &str, scalar: &Arc<Scalar>, from: usize, is_verbatim: bool) {
        self.parts.push(Part { start: self.text.len(), scalar: scalar.clone(), from, is_verbatim });
        self.text.push_str(more);
    }

    /// `more` at the end, which belongs to what precedes it.
    pub(super) fn push_filler(&mut self, more: &str) {
        self.text.push_str(more);
    }

    /// Another script at the end.
    pub(super) fn append(&mut self, other: &Self) {
        self.copy(other, 0..other.text.len());
    }

    /// A range of another script at the end.
    pub(super) fn copy(&mut self, other: &Self, range: Range<usize>) {
        let first = other.parts.partition_point(|part| part.start <= range.start).saturating_sub(1);
        for part in other.parts[first..].iter().take_while(|part| part.start < range.end) {
            let cut = range.start.saturating_sub(part.start);
            let from = if part.is_verbatim { part.from + cut } else { part.from };
            let start = self.text.len() + part.start.max(range.start) - range.start;
            self.parts.push(Part { start, scalar: part.scalar.clone(), from, is_verbatim: part.is_verbatim });
        }
        self.text.push_str(&other.text[range]);
    }

    /// Takes a comma, with the blanks after it, from the end.
    pub(super) fn pop_comma(&mut self) {
        let blankless = self.text.trim_end_matches(|c: char| c.is_ascii_whitespace());
        let Some(rest) = blankless.strip_suffix(',') else { return };
        let length = rest.len();
        self.text.truncate(length);
        while self.parts.last().is_some_and(|part| part.start >= length) {
            self.parts.pop();
        }
    }

    /// Without the blanks on both ends.
    pub(super) fn trimmed(&self) -> Self {
        let start = self.text.len() - self.text.trim_start().len();
        let mut trimmed = Self::default();
        trimmed.copy(self, start..start + self.text.trim().len());
        trimmed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::source::Notation;

    fn scalar(content: &str, value: &str) -> Arc<Scalar> {
        let file = Arc::new(File::new("f", content));
        let start = content.find(value).unwrap();
        let span = start..start + value.len();
        Arc::new(Scalar { file, value: value.into(), notation: Notation::Plain, span })
    }

    fn offset(script: &Script, word: &str) -> usize {
        script.place(script.text().find(word).unwrap()).unwrap().1
    }

    #[test]
    fn every_part_knows_its_place() {
        let first = scalar("condition: x in (names) and y", "x in (names) and y");
        let whole = Script::of(&first);
        let mut script = Script::default();
        script.push_filler("(");
        script.copy(&whole, 0..6);
        let list = scalar("items: [one, two]", "one, two");
        script.append(&Script::of(&list));
        script.copy(&whole, 11..18);
        script.push_filler(")");
        let second = scalar("   condition: or z", "or z");
        script.push_filler(" ");
        script.append(&Script::of(&second));
        assert_eq!(script.text(), "(x in (one, two) and y) or z");
        assert_eq!(offset(&script, "x"), 11);
        assert_eq!(offset(&script, "two"), 13);
        assert_eq!(offset(&script, "y"), 28);
        assert_eq!(offset(&script, "z"), 17);
        assert!(script.place(0).is_none());
    }
}

//! The tokens of a condition. Each is asked for where it may stand; there is no token stream, because the
//! same characters are a number, a name or a value depending on what precedes them.

use super::error::{ParseError, ParseErrorKind};

/// A position in a condition and what can be read there.
#[derive(Debug, Clone)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    position: usize,
}

/// What separates tokens.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{8}' | '\u{b}' | '\u{c}')
}

/// What a value without quotes cannot hold.
fn ends_bare(c: char) -> bool {
    matches!(c, '(' | ')' | '"' | '\'' | '=' | ',') || is_blank(c)
}

/// Bytes of the name at the beginning of `text`: a letter, then letters, digits and underscores.
fn name_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    if !bytes.first().is_some_and(u8::is_ascii_alphabetic) {
        return 0;
    }
    bytes.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count()
}

impl<'a> Lexer<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, position: 0 }
    }

    pub(super) const fn position(&self) -> usize {
        self.position
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.position..]
    }

    pub(super) fn at_end(&self) -> bool {
        self.position == self.text.len()
    }

    /// The last characters that were read, for a message.
    pub(super) fn read_last(&self) -> &'a str {
        let read = &self.text[..self.read_end()];
        let start = read.rfind(is_blank).map_or(0, |i| i + 1);
        &read[start..]
    }

    /// The end of what was read, without the blanks after it.
    pub(super) fn read_end(&self) -> usize {
        self.text[..self.position].trim_end_matches(is_blank).len()
    }

    fn take(&mut self, length: usize) -> &'a str {
        let taken = &self.rest()[..length];
        self.position += length;
        taken
    }

    fn take_if_any(&mut self, length: usize) -> Option<&'a str> {
        (length > 0).then(|| self.take(length))
    }

    pub(super) fn blank(&mut self) -> bool {
        let rest = self.rest();
        let length = rest.len() - rest.trim_start_matches(is_blank).len();
        self.take(length);
        length > 0
    }

    pub(super) fn literal(&mut self, literal: &str) -> bool {
        let found = self.rest().starts_with(literal);
        if found {
            self.position += literal.len();
        }
        found
    }

    /// `word`, with a blank after it.
    pub(super) fn word_and_blank(&mut self, word: &str) -> bool {
        let before = self.position;
        if self.literal(word) && self.blank() {
            return true;
        }
        self.position = before;
        false
    }

    /// `word(`: nothing may stand between the two.
    pub(super) fn opening(&mut self, word: &str) -> bool {
        let opens = self.rest().strip_prefix(word).is_some_and(|rest| rest.starts_with('('));
        if opens {
            self.position += word.len() + 1;
        }
        opens
    }

    pub(super) fn identifier(&mut self) -> Option<&'a str> {
        self.take_if_any(name_length(self.rest()))
    }

    /// A dotted name of two components or more.
    pub(super) fn field_name(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        let mut end = name_length(rest);
        let first = end;
        while end > 0 && rest[end..].starts_with('.') {
            match name_length(&rest[end + 1..]) {
                0 => break,
                length => end += 1 + length,
            }
        }
        if end > first { Some(self.take(end)) } else { None }
    }

    pub(super) fn number(&mut self) -> Option<&'a str> {
        let bytes = self.rest().as_bytes();
        let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
        if bytes.len() > 2 && bytes[0] == b'0' && bytes[1].eq_ignore_ascii_case(&b'x') {
            let hex = bytes[2..].iter().take_while(|b| b.is_ascii_hexdigit()).count();
            if hex > 0 {
                return Some(self.take(2 + hex));
            }
        }
        let mut end = usize::from(bytes.first().is_some_and(|b| matches!(b, b'+' | b'-')));
        let whole = digits(end);
        if whole == 0 {
            return None;
        }
        end += whole;
        if bytes.get(end) == Some(&b'.') {
            end += 1 + digits(end + 1);
        }
        let signed_exponent = matches!(bytes.get(end), Some(b'e' | b'E'))
            && matches!(bytes.get(end + 1), Some(b'+' | b'-'))
            && digits(end + 2) > 0;
        if signed_exponent {
            end += 2 + digits(end + 2);
        }
        Some(self.take(end))
    }

    pub(super) fn bare(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        self.take_if_any(rest.find(ends_bare).unwrap_or(rest.len()))
    }

    pub(super) fn bare_argument(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        let end = rest.find(|c| matches!(c, '[' | ']' | '"' | '\'') || is_blank(c));
        self.take_if_any(end.unwrap_or(rest.len()))
    }

    /// A text in single or double quotes, with escapes resolved; none when no quote stands here.
    pub(super) fn quoted(&mut self) -> Result<Option<String>, ParseError> {
        let start = self.position;
        let mut characters = self.rest().char_indices();
        let Some((_, quote @ ('"' | '\''))) = characters.next() else { return Ok(None) };
        let mut value = String::new();
        while let Some((at, c)) = characters.next() {
            if c == quote {
                self.position = start + at + 1;
                return Ok(Some(value));
            }
            if c != '\\' {
                value.push(c);
                continue;
            }
            let Some((_, escaped)) = characters.next() else { break };
            value.push(match escaped {
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                // A backslash before a blank stands for itself and takes the blank: old rules rely on it.
                ' ' | '\\' => '\\',
                '/' => '/',
                '"' | '\'' if escaped == quote => quote,
                other => return Err(ParseError { at: start + at, kind: ParseErrorKind::Escape(other) }),
            });
        }
        Err(ParseError { at: start, kind: ParseErrorKind::UnclosedQuote })
    }

    /// Whether `and` or `or` stands here as a word of its own.
    pub(super) fn at_connective(&self) -> bool {
        let rest = self.rest();
        let word = &rest[..name_length(rest)];
        let after = rest[word.len()..].chars().next();
        matches!(word, "and" | "or") && after.is_none_or(|c| is_blank(c) || c == '(')
    }
}

/// Whether `text` can name a macro: Falco's identifier, `[a-zA-Z]+[a-zA-Z0-9_]*`.
#[must_use]
pub fn is_identifier(text: &str) -> bool {
    let length = name_length(text);
    length > 0 && length == text.len()
}

/// Whether `text` reads as one value without quotes, and so can name a list: `[^()"'[:space:]=,]+`.
#[must_use]
pub fn is_bare(text: &str) -> bool {
    !text.is_empty() && !text.contains(ends_bare)
}

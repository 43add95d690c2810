//! JSON that is inert on a terminal: hostile characters in strings become `\u` escapes, and nothing is
//! lost.

use std::io::{self, Write};

use serde_json::ser::Formatter;

use super::is_hostile;

/// Writes compact JSON with hostile characters as escapes.
#[derive(Clone, Copy, Debug)]
pub struct InertFormatter;

impl Formatter for InertFormatter {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(is_hostile) {
            out.write_all(&rest.as_bytes()[..at])?;
            let mut chars = rest[at..].chars();
            let mut units = [0; 2];
            if let Some(char) = chars.next() {
                for unit in char.encode_utf16(&mut units) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
            rest = chars.as_str();
        }
        out.write_all(rest.as_bytes())
    }
}

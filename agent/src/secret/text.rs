//! Words within an argument.

use std::ops::Range;

/// The words of a text, apart by white space outside of quotes.
pub(super) fn words(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        at += text[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let start = at;
        let mut quote = None;
        while let Some(&byte) = text.get(at) {
            match quote {
                None if byte.is_ascii_whitespace() => break,
                None if matches!(byte, b'"' | b'\'') => quote = Some(byte),
                Some(open) if byte == open => quote = None,
                _ => {}
            }
            // What is escaped belongs to the word.
            at += if byte == b'\\' && quote != Some(b'\'') { 2 } else { 1 };
        }
        at = at.min(text.len());
        (start < at).then_some(start..at)
    })
}

/// A word without the quotes around it.
pub(super) fn unquoted(word: &[u8]) -> &[u8] {
    match word {
        [open @ (b'"' | b'\''), inner @ .., close] if open == close => inner,
        _ => word,
    }
}

/// Place of `needle` in `text`, from `from` on.
pub(super) fn position(text: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    text.get(from..)?.windows(needle.len()).position(|window| window == needle).map(|at| from + at)
}

/// The end of what begins at `from` and has only bytes that `is_part`.
pub(super) fn end_of(text: &[u8], from: usize, is_part: impl Fn(u8) -> bool) -> usize {
    text[from..].iter().position(|&byte| !is_part(byte)).map_or(text.len(), |len| from + len)
}

//! The POSIX syntax of RE2 in that of the crate `regex`. What POSIX has not (`\d`, `\b`, `(?:…)`, lazy
//! repetitions) is refused as RE2 refuses it.

/// A part may be repeated so often.
const REPEAT: u32 = 1000;
/// So many repetitions may follow each other; each but the first is a group around what is before.
const STACKED: u8 = 32;
/// Classes of POSIX.
const CLASSES: &[&str] = &[
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

/// Where the part of the output begins that a repetition would repeat, and how often it is repeated already.
#[derive(Clone, Copy)]
struct Atom {
    start: usize,
    repetitions: u8,
}

/// The same pattern for the crate `regex`.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn translate(pattern: &str) -> Result<String, &'static str> {
    let mut out = String::with_capacity(pattern.len());
    let mut last: Option<Atom> = None;
    let mut open = Vec::new();
    let mut rest = pattern;
    while let Some(next) = rest.chars().next() {
        let after = rest.get(next.len_utf8()..).unwrap_or_default();
        let start = out.len();
        rest = after;
        match next {
            '*' | '+' | '?' => repeat(&mut out, &mut last, &next.to_string())?,
            '{' => match count(after) {
                Some((count, remaining)) => {
                    if !is_small(count) {
                        return Err("invalid repetition size");
                    }
                    repeat(&mut out, &mut last, &format!("{{{count}}}"))?;
                    rest = remaining;
                }
                None => {
                    out.push_str(r"\{");
                    last = Some(Atom { start, repetitions: 0 });
                }
            },
            '(' => {
                if after.starts_with('?') {
                    return Err("missing argument to repetition operator");
                }
                open.push(start);
                out.push_str("(?:");
                last = None;
            }
            ')' => {
                let start = open.pop().ok_or("unexpected )")?;
                out.push(')');
                last = Some(Atom { start, repetitions: 0 });
            }
            '|' => {
                out.push('|');
                last = None;
            }
            '[' => {
                rest = set(after, &mut out)?;
                last = Some(Atom { start, repetitions: 0 });
            }
            '\\' => {
                rest = escape(after, &mut out)?;
                last = Some(Atom { start, repetitions: 0 });
            }
            '}' | ']' => {
                out.push('\\');
                out.push(next);
                last = Some(Atom { start, repetitions: 0 });
            }
            other => {
                out.push(other);
                last = Some(Atom { start, repetitions: 0 });
            }
        }
    }
    if open.is_empty() { Ok(out) } else { Err("missing )") }
}

/// A second repetition repeats the first: `a+?` is `(a+)?`, not lazy.
fn repeat(out: &mut String, last: &mut Option<Atom>, operator: &str) -> Result<(), &'static str> {
    let atom = last.as_mut().ok_or("missing argument to repetition operator")?;
    if atom.repetitions == STACKED {
        return Err("bad repetition operator");
    }
    if atom.repetitions > 0 {
        out.insert_str(atom.start, "(?:");
        out.push(')');
    }
    out.push_str(operator);
    atom.repetitions += 1;
    Ok(())
}

/// What is in the braces of `{n}`, `{n,}` or `{n,m}`, and what follows. Any other brace is itself.
fn count(after: &str) -> Option<(&str, &str)> {
    let (inner, remaining) = after.split_once('}')?;
    let (low, high) = inner.split_once(',').unwrap_or((inner, inner));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    (!low.is_empty() && digits(low) && digits(high)).then_some((inner, remaining))
}

/// Whether a part is to be repeated so often at most as RE2 allows.
fn is_small(count: &str) -> bool {
    count
        .split(',')
        .filter(|digits| !digits.is_empty())
        .all(|digits| digits.parse::<u32>().is_ok_and(|times| times <= REPEAT))
}

/// One escape after its backslash; returns what follows.
fn escape<'p>(after: &'p str, out: &mut String) -> Result<&'p str, &'static str> {
    let escaped = after.chars().next().ok_or("trailing \\")?;
    let rest = after.get(escaped.len_utf8()..).unwrap_or_default();
    match escaped {
        'a' | 'f' | 'n' | 'r' | 't' | 'v' => {
            out.push('\\');
            out.push(escaped);
            Ok(rest)
        }
        '0'..='7' => {
            let digits = after.bytes().take(3).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
            if digits == 1 && escaped != '0' {
                return Err("invalid escape sequence");
            }
            let code = after.get(..digits).and_then(|digits| u32::from_str_radix(digits, 8).ok());
            push_code(code.ok_or("invalid escape sequence")?, out)?;
            Ok(after.get(digits..).unwrap_or_default())
        }
        'x' => {
            let (digits, rest) = match rest.strip_prefix('{') {
                Some(braced) => braced.split_once('}').ok_or("invalid escape sequence")?,
                None => (rest.get(..2).ok_or("invalid escape sequence")?, rest.get(2..).unwrap_or_default()),
            };
            push_code(u32::from_str_radix(digits, 16).map_err(|_| "invalid escape sequence")?, out)?;
            Ok(rest)
        }
        other if other.is_ascii() && !other.is_ascii_alphanumeric() => {
            push_char(other, out);
            Ok(rest)
        }
        _ => Err("invalid escape sequence"),
    }
}

fn push_code(code: u32, out: &mut String) -> Result<(), &'static str> {
    push_char(char::from_u32(code).ok_or("invalid escape sequence")?, out);
    Ok(())
}

/// A character as itself, in and out of sets.
fn push_char(character: char, out: &mut String) {
    out.push_str(&format!(r"\x{{{:x}}}", u32::from(character)));
}

/// A set after its bracket; returns what follows.
fn set<'p>(after: &'p str, out: &mut String) -> Result<&'p str, &'static str> {
    out.push('[');
    let mut rest = match after.strip_prefix('^') {
        Some(rest) => {
            out.push('^');
            rest
        }
        None => after,
    };
    let mut first = true;
    loop {
        let remaining = rest.get(1..).unwrap_or_default();
        if rest.starts_with(']') && !first {
            out.push(']');
            return Ok(remaining);
        }
        if rest.starts_with('-') && !first && !remaining.starts_with(']') {
            return Err("invalid character class range");
        }
        rest = match class(rest)? {
            Some((class, after)) => {
                out.push_str(class);
                after
            }
            None => range(rest, out)?,
        };
        first = false;
    }
}

/// A class by its name, `[:alpha:]`, and what follows it.
fn class(rest: &str) -> Result<Option<(&str, &str)>, &'static str> {
    let Some(end) = rest.strip_prefix("[:").and_then(|after| after.find(":]")) else {
        return Ok(None);
    };
    let (class, after) = rest.split_at(end + 4);
    let name = rest.get(2..end + 2).unwrap_or_default();
    if !CLASSES.contains(&name.strip_prefix('^').unwrap_or(name)) {
        return Err("invalid character class range");
    }
    Ok(Some((class, after)))
}

/// One character of a set, or two with a dash between; returns what follows.
fn range<'p>(rest: &'p str, out: &mut String) -> Result<&'p str, &'static str> {
    let rest = member(rest, out)?;
    match rest.strip_prefix('-') {
        Some(after) if !after.is_empty() && !after.starts_with(']') => {
            out.push('-');
            member(after, out)
        }
        _ => Ok(rest),
    }
}

fn member<'p>(rest: &'p str, out: &mut String) -> Result<&'p str, &'static str> {
    let next = rest.chars().next().ok_or("missing ]")?;
    let after = rest.get(next.len_utf8()..).unwrap_or_default();
    if next == '\\' {
        return escape(after, out);
    }
    push_char(next, out);
    Ok(after)
}

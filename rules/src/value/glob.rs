//! Patterns of `glob` and `iglob`, as `fnmatch(3)` without flags reads them: `*` and `?` match slashes and
//! leading dots, too.

/// A compiled pattern. A match takes time in the product of both lengths at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob {
    tokens: Vec<Token>,
    fold: bool,
    plain: Plain,
}

/// What stands in a pattern as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Plain {
    /// Before the first token that is no byte.
    start: Box<[u8]>,
    /// After the last.
    end: Box<[u8]>,
    /// The longest run of bytes.
    longest: Box<[u8]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// `*`
    Any,
    /// `?`
    One,
    /// A byte; a small letter where case does not count.
    Byte(u8),
    /// `[…]`, as a bit for each byte.
    Set([u64; 4]),
}

/// Whether a text is what a pattern of `glob` stands for. For a pattern that is used once.
#[must_use]
pub fn is_glob_match(pattern: &[u8], text: &[u8]) -> bool {
    Glob::new(pattern, false).matches(text)
}

impl Glob {
    /// Compiles a pattern; each text is one. With `fold`, case does not count.
    pub(super) fn new(pattern: &[u8], fold: bool) -> Self {
        let mut tokens = Vec::with_capacity(pattern.len());
        let mut rest = pattern;
        while let [first, after @ ..] = rest {
            rest = after;
            let token = match first {
                b'*' => Token::Any,
                b'?' => Token::One,
                b'[' => match set(after, fold) {
                    Some((bits, after)) => {
                        rest = after;
                        Token::Set(bits)
                    }
                    None => Token::Byte(b'['),
                },
                b'\\' => match after {
                    [escaped, after @ ..] => {
                        rest = after;
                        Token::Byte(folded(*escaped, fold))
                    }
                    // fnmatch takes nothing for a pattern that ends in an escape; no text has this byte alone.
                    [] => Token::Set([0; 4]),
                },
                byte => Token::Byte(folded(*byte, fold)),
            };
            if !(token == Token::Any && tokens.last() == Some(&Token::Any)) {
                tokens.push(token);
            }
        }
        let plain = if fold { Plain::default() } else { Plain::of(&tokens) };
        Self { tokens, fold, plain }
    }

    /// How every text that fits begins, as far as that is said by letters; nothing where case does not count.
    pub(super) fn start(&self) -> &[u8] {
        &self.plain.start
    }

    /// How it ends.
    pub(super) fn end(&self) -> &[u8] {
        &self.plain.end
    }

    /// What it has somewhere.
    pub(super) fn longest(&self) -> &[u8] {
        &self.plain.longest
    }

    /// Whether the whole text fits.
    pub(super) fn matches(&self, text: &[u8]) -> bool {
        let (mut token, mut place) = (0, 0);
        // Where to go on when the rest does not fit: after the last `*`, one byte further.
        let mut again: Option<(usize, usize)> = None;
        loop {
            let fits = match (self.tokens.get(token), text.get(place)) {
                (None, None) => return true,
                (Some(Token::Any), _) => {
                    token += 1;
                    again = Some((token, place));
                    continue;
                }
                (Some(Token::One), Some(_)) => true,
                (Some(Token::Byte(byte)), Some(found)) => *byte == folded(*found, self.fold),
                (Some(Token::Set(bits)), Some(found)) => has(bits, *found),
                (None, Some(_)) | (Some(_), None) => false,
            };
            if fits {
                token += 1;
                place += 1;
                continue;
            }
            match &mut again {
                Some((after, from)) if *from < text.len() => {
                    *from += 1;
                    (token, place) = (*after, *from);
                }
                _ => return false,
            }
        }
    }
}

impl Plain {
    fn of(tokens: &[Token]) -> Self {
        let byte = |token: &Token| match token {
            Token::Byte(byte) => Some(*byte),
            Token::Any | Token::One | Token::Set(_) => None,
        };
        let runs = tokens.split(|token| byte(token).is_none());
        let run = |tokens: Option<&[Token]>| tokens.unwrap_or_default().iter().filter_map(byte).collect();
        Self {
            start: run(runs.clone().next()),
            end: run(runs.clone().next_back()),
            longest: run(runs.max_by_key(|run| run.len())),
        }
    }
}

fn folded(byte: u8, fold: bool) -> u8 {
    if fold { byte.to_ascii_lowercase() } else { byte }
}

fn has(bits: &[u64; 4], byte: u8) -> bool {
    bits.get(usize::from(byte / 64)).is_some_and(|word| word & (1 << (byte % 64)) != 0)
}

/// Reads a set after its `[`: its bits and what follows its `]`. `None` when it is not closed: then `[` is
/// itself.
fn set(pattern: &[u8], fold: bool) -> Option<([u64; 4], &[u8])> {
    let mut bits = [0_u64; 4];
    let (negated, mut rest) = match pattern {
        [b'!' | b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut first = true;
    loop {
        let (byte, after) = match rest {
            [b']', after @ ..] if !first => {
                rest = after;
                break;
            }
            [b'[', b':', after @ ..] => {
                if let Some((class, after)) = class(after) {
                    (0..=u8::MAX).filter(class).for_each(|byte| add(&mut bits, byte));
                    rest = after;
                    first = false;
                    continue;
                }
                (b'[', rest.get(1..)?)
            }
            // A byte by itself as a collating symbol or as a class of equals.
            [b'[', b'.', byte, b'.', b']', after @ ..]
            | [b'[', b'=', byte, b'=', b']', after @ ..]
            | [b'\\', byte, after @ ..]
            | [byte, after @ ..] => (*byte, after),
            [] => return None,
        };
        first = false;
        rest = after;
        if let [b'-', end, after @ ..] = rest
            && *end != b']'
        {
            let (end, after) = match (end, after) {
                (b'\\', [end, after @ ..]) => (*end, after),
                (end, after) => (*end, after),
            };
            let range = folded(byte, fold)..=folded(end, fold);
            (0..=u8::MAX)
                .filter(|byte| range.contains(&folded(*byte, fold)))
                .for_each(|byte| add(&mut bits, byte));
            rest = after;
        } else {
            (0..=u8::MAX)
                .filter(|other| folded(*other, fold) == folded(byte, fold))
                .for_each(|byte| add(&mut bits, byte));
        }
    }
    if negated {
        bits = bits.map(|word| !word);
    }
    Some((bits, rest))
}

fn add(bits: &mut [u64; 4], byte: u8) {
    if let Some(word) = bits.get_mut(usize::from(byte / 64)) {
        *word |= 1 << (byte % 64);
    }
}

/// Whether a byte is of a class.
type Class = fn(&u8) -> bool;

/// Reads the name of a class after its `[:`.
fn class(pattern: &[u8]) -> Option<(Class, &[u8])> {
    const CLASSES: &[(&[u8], Class)] = &[
        (b"alnum:]", u8::is_ascii_alphanumeric),
        (b"alpha:]", u8::is_ascii_alphabetic),
        (b"blank:]", |byte| matches!(byte, b' ' | b'\t')),
        (b"cntrl:]", u8::is_ascii_control),
        (b"digit:]", u8::is_ascii_digit),
        (b"graph:]", u8::is_ascii_graphic),
        (b"lower:]", u8::is_ascii_lowercase),
        (b"print:]", |byte| byte.is_ascii_graphic() || *byte == b' '),
        (b"punct:]", u8::is_ascii_punctuation),
        (b"space:]", |byte| byte.is_ascii_whitespace() || *byte == 0x0b),
        (b"upper:]", u8::is_ascii_uppercase),
        (b"xdigit:]", u8::is_ascii_hexdigit),
    ];
    CLASSES.iter().find_map(|(name, holds)| Some((*holds, pattern.strip_prefix(*name)?)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fits(pattern: &str, text: &str) -> bool {
        Glob::new(pattern.as_bytes(), false).matches(text.as_bytes())
    }

    #[test]
    fn patterns_are_those_of_fnmatch() {
        let cases = [
            ("*", "", true),
            ("*", "/a/.b", true),
            ("", "", true),
            ("", "a", false),
            ("/etc/*.conf", "/etc/x/y.conf", true),
            ("/etc/*.conf", "/etc/x.cfg", false),
            ("di?", "dir", true),
            ("di?", "di", false),
            ("di[r]", "dir", true),
            ("di[!r]", "dir", false),
            ("di[^r]", "dix", true),
            ("[a-c]x", "bx", true),
            ("[a-c]x", "dx", false),
            ("[]a]", "]", true),
            ("[a-]", "-", true),
            ("[", "[", true),
            ("[ab", "[ab", true),
            ("[[:digit:]]*", "7up", true),
            ("[[:digit:]]*", "up7", false),
            ("[[=a=]]", "a", true),
            ("[[.a.]-c]", "b", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("a\\", "a\\", false),
            ("[\\]]", "]", true),
            ("**a**", "bab", true),
            ("*a*b*c", "xxaxxbxxc", true),
            ("*a*b*c", "xxaxxbxx", false),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn case_counts_unless_told() {
        let folded = |pattern: &str, text: &str| Glob::new(pattern.as_bytes(), true).matches(text.as_bytes());
        assert!(folded("*CRIP*", "script") && folded("[A-C]*", "bash") && !folded("*X*", "script"));
        assert!(!folded("[[:upper:]]", "a"), "a class is not folded");
        assert!(!fits("*CRIP*", "script"));
    }

    #[test]
    fn many_stars_take_bounded_time() {
        let pattern = "*a".repeat(200);
        let text = "a".repeat(20_000) + "b";
        assert!(!fits(&pattern, &text));
    }

    /// The definition, in as few words as possible.
    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', after @ ..], _) => (0..=text.len()).any(|skip| naive(after, &text[skip..])),
            ([b'?', after @ ..], [_, rest @ ..]) => naive(after, rest),
            ([byte, after @ ..], [found, rest @ ..]) => byte == found && naive(after, rest),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn a_match_is_the_naive_one(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            prop_assert_eq!(fits(&pattern, &text), naive(pattern.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn no_pattern_panics(pattern in any::<Vec<u8>>(), text in any::<Vec<u8>>(), fold in any::<bool>()) {
            Glob::new(&pattern, fold).matches(&text);
        }
    }
}

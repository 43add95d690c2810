//! Regular expressions of `regex`: those of RE2 with POSIX syntax, which the whole text must fit. Like RE2, the
//! crate `regex` takes time linear in the text.

use regex::{Error, Regex, RegexBuilder};

use super::posix::translate;

/// What the compiled form of one expression may take, in bytes: the first of these that is enough. RE2's
/// default is four times the last.
const SIZES: [usize; 4] = [16 << 10, 64 << 10, 256 << 10, 2 << 20];
/// Its cache while matching.
const CACHE: usize = 256 << 10;
/// So many characters of a pattern an error shows.
const SHOWN: usize = 80;
/// Parentheses may be nested so deep.
const DEPTH: u32 = 100;

/// Why a pattern is no regular expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid regex pattern: {0}")]
pub struct PatternError(String);

/// A compiled expression.
#[derive(Debug, Clone)]
pub(super) struct Expression {
    regex: Regex,
    size: usize,
}

impl Expression {
    /// Compiles a pattern.
    pub(super) fn new(pattern: &str) -> Result<Self, PatternError> {
        let wrong = |what: &str| {
            let shown: String = pattern.chars().take(SHOWN).collect();
            PatternError(format!("{what}: {shown}"))
        };
        let whole = format!(r"\A(?:{})\z", translate(pattern).map_err(wrong)?);
        let mut refused = None;
        for size in SIZES {
            let regex = RegexBuilder::new(&whole)
                .multi_line(true)
                .size_limit(size)
                .dfa_size_limit(CACHE)
                .nest_limit(DEPTH)
                .build();
            match regex {
                Ok(regex) => return Ok(Self { regex, size }),
                Err(error @ Error::CompiledTooBig(_)) => refused = Some(error),
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        let reason = match refused {
            Some(Error::CompiledTooBig(_)) => "too large",
            _ => "not a regular expression, or nested too deep",
        };
        Err(wrong(reason))
    }

    /// How many bytes its compiled form takes at most.
    pub(super) const fn size(&self) -> usize {
        self.size
    }

    /// Whether the whole text fits. What is not UTF-8 counts as U+FFFD.
    pub(super) fn matches(&self, text: &[u8]) -> bool {
        match std::str::from_utf8(text) {
            Ok(text) => self.regex.is_match(text),
            Err(_) => self.regex.is_match(&String::from_utf8_lossy(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fits(pattern: &str, text: &str) -> bool {
        Expression::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}")).matches(text.as_bytes())
    }

    #[test]
    fn the_whole_text_must_fit() {
        assert!(fits("my.*", "myexe") && fits(".*exe", "myexe"));
        assert!(!fits("my", "myexe") && !fits("exe", "myexe"));
        assert!(fits("a|b", "b") && !fits("a|b", "ab"));
        assert!(fits("^abc$", "abc"));
    }

    #[test]
    fn the_syntax_is_that_of_posix() {
        let cases = [
            ("[[:digit:]]+", "42", true),
            ("[]a]+", "]a", true),
            ("[^]]", "]", false),
            ("[a&&b]", "&", true),
            ("[[a]", "[", true),
            ("[a-c-]+", "b-", true),
            ("[+--]", "-", true),
            ("[[:a]+", "[:a", true),
            ("a{2,3}", "aaa", true),
            ("a{2,3}", "a", false),
            ("a{,2}", "a{,2}", true),
            ("a{", "a{", true),
            ("a]", "a]", true),
            ("a+?", "", true),
            ("(ab)+*", "abab", true),
            (r"a\_\ b", "a_ b", true),
            (r"a\.b", "a.b", true),
            (r"a\.b", "axb", false),
            (r"\x41\x{42}\103", "ABC", true),
            (r"/usr/(s?bin)/[^/]+", "/usr/sbin/x", true),
            ("a b#c", "a b#c", true),
            (".", "é", true),
            ("a~b&", "a~b&", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn what_posix_has_not_is_refused() {
        for pattern in [
            r"\d+",
            r"\bword",
            r"(?:a)",
            r"(?i)a",
            "*a",
            "a|*",
            "(",
            ")",
            "[",
            "[a",
            r"\",
            r"\1",
            "[[:x:]]",
            "a{1001}",
            "[a-b-c]",
            "[b-a]",
            "a{2000}{2000}",
        ] {
            assert!(Expression::new(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn text_need_not_be_utf_8() {
        let any = Expression::new("a.b").unwrap();
        assert!(any.matches(b"a\xffb"));
        assert!(!any.matches(b"a\nb"));
    }

    #[test]
    fn a_catastrophic_pattern_takes_linear_time() {
        let text = "a".repeat(50_000) + "!";
        assert!(!fits("(a|a)*(a*)*b", &text));
    }

    proptest! {
        #[test]
        fn no_pattern_panics(pattern in r"[-ab()\[\]{}*+?|\\.^$:,0-9xdé]{0,24}", text in "[ab]{0,8}") {
            if let Ok(expression) = Expression::new(&pattern) {
                expression.matches(text.as_bytes());
            }
        }

        #[test]
        fn a_text_of_letters_is_itself(pattern in "[a-z /_]{0,12}", text in "[a-z /_]{0,12}") {
            prop_assert!(fits(&pattern, &pattern));
            prop_assert_eq!(fits(&pattern, &text), pattern == text);
        }
    }
}

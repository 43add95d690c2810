//! What transformers make of values.

use std::borrow::Cow;

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// Padding may be there or not, and the last bits may be anything.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// ASCII letters in small.
#[must_use]
pub fn to_lower(text: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if text.iter().any(u8::is_ascii_uppercase) { Cow::Owned(text.to_ascii_lowercase()) } else { text }
}

/// ASCII letters in capital.
#[must_use]
pub fn to_upper(text: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if text.iter().any(u8::is_ascii_lowercase) { Cow::Owned(text.to_ascii_uppercase()) } else { text }
}

/// What base64 says; nothing when it is none.
#[must_use]
pub fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}

/// What follows the last slash.
#[must_use]
pub fn basename(path: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let start = memchr::memrchr(b'/', &path).map_or(0, |slash| slash + 1);
    match path {
        Cow::Borrowed(path) => Cow::Borrowed(path.get(start..).unwrap_or_default()),
        Cow::Owned(mut path) => Cow::Owned(path.split_off(start)),
    }
}

/// The options of a command line by `getopt(3)`'s option string: each letter, followed by its value where it
/// takes one; `?` for a letter that is none, an empty text where a value is missing. It ends at `--` and at
/// the first word that is no option; long options are left out.
#[must_use]
pub fn getopt<'a>(words: &[&'a [u8]], options: &[u8]) -> Vec<Cow<'a, [u8]>> {
    let mut found = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let letters = match word {
            [b'-', b'-'] => break,
            [b'-', b'-', ..] => continue,
            [b'-', letters @ ..] if !letters.is_empty() => letters,
            _ => break,
        };
        for (place, letter) in letters.iter().enumerate() {
            let Some(takes_value) = option(options, *letter) else {
                found.push(Cow::Borrowed(b"?".as_slice()));
                continue;
            };
            let name = letters.get(place..=place).unwrap_or_default();
            if !takes_value {
                found.push(Cow::Borrowed(name));
                continue;
            }
            let attached = letters.get(place + 1..).filter(|rest| !rest.is_empty());
            match attached.or_else(|| words.next().copied()) {
                Some(value) => found.extend([Cow::Borrowed(name), Cow::Borrowed(value)]),
                None => found.push(Cow::Borrowed(b"".as_slice())),
            }
            break;
        }
    }
    found
}

/// Whether a letter is an option, and if so, whether it takes a value.
fn option(options: &[u8], letter: u8) -> Option<bool> {
    let place = options.iter().position(|option| *option == letter && letter != b':')?;
    Some(options.get(place + 1) == Some(&b':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_change_their_case() {
        assert_eq!(&*to_lower(Cow::Borrowed(b"NoT \xc3\x89")), b"not \xc3\x89");
        assert_eq!(&*to_upper(Cow::Borrowed(b"eXcItED_1")), b"EXCITED_1");
        assert!(matches!(to_lower(Cow::Borrowed(b"small")), Cow::Borrowed(_)));
    }

    #[test]
    fn base64_is_decoded_with_and_without_padding() {
        let cases: [(&str, Option<&str>); 6] = [
            ("aGVsbG8=", Some("hello")),
            ("aGVsbG8", Some("hello")),
            ("d29ybGQgIQ==", Some("world !")),
            ("", Some("")),
            ("!!!", None),
            ("a", None),
        ];
        for (text, expected) in cases {
            assert_eq!(from_base64(text.as_bytes()).as_deref(), expected.map(str::as_bytes), "{text}");
        }
    }

    #[test]
    fn the_last_component_is_the_basename() {
        let cases =
            [("/home/x/hello.txt", "hello.txt"), ("/", ""), ("/hello/", ""), ("hello", "hello"), ("", "")];
        for (path, expected) in cases {
            assert_eq!(&*basename(Cow::Borrowed(path.as_bytes())), expected.as_bytes(), "{path}");
            assert_eq!(&*basename(Cow::Owned(path.into())), expected.as_bytes(), "{path}");
        }
    }

    #[test]
    fn options_are_those_of_getopt() {
        let options = |words: &[&str], string: &str| -> Vec<String> {
            let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
            let found = getopt(&words, string.as_bytes());
            found.iter().map(|it| String::from_utf8(it.to_vec()).unwrap()).collect()
        };
        assert_eq!(options(&["-n", "-t", "5", "x", "-n"], "nt:"), ["n", "t", "5"]);
        assert_eq!(options(&["-nt5"], "nt:"), ["n", "t", "5"]);
        assert_eq!(options(&["-x", "--exec", "-n"], "n"), ["?", "n"]);
        assert_eq!(options(&["-n", "--", "-n"], "n"), ["n"]);
        assert_eq!(options(&["-t"], "t:"), [""]);
        assert_eq!(options(&["-:"], "t:"), ["?"]);
        assert_eq!(options(&["-"], "t:"), Vec::<String>::new());
    }
}

//! Values of keys that say that they are secret: `key=value`, `key: value`.

use std::ops::Range;

use super::{BY_NAME, Found, text::end_of};

/// Finds them. In a script a value ends with its word; elsewhere that of a key at the front is all
/// the rest.
pub(super) fn find(text: &[u8], is_script: bool, found: &mut Found) {
    let mut at = 0;
    while let Some(place) =
        text.get(at..).and_then(|rest| rest.iter().position(|byte| matches!(byte, b'=' | b':')))
    {
        let separator = at + place;
        at = separator + 1;
        if let Some(end) = value(text, separator, is_script, found) {
            at = end;
        }
    }
}

/// The value behind a separator, if its key is secret: its end.
fn value(text: &[u8], separator: usize, is_script: bool, found: &mut Found) -> Option<usize> {
    let is_colon = text[separator] == b':';
    // `scheme://`, `module::name`.
    if is_colon && (matches!(text.get(separator + 1), Some(b':')) || text[..separator].ends_with(b":")) {
        return None;
    }
    if text[separator..].starts_with(b"://") {
        return None;
    }
    let is_between = |byte: &u8| matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b'\\');
    let between = text[..separator].iter().rev().take_while(|byte| is_between(byte)).count();
    let key_end = separator - between;
    let is_key = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let key_start = key_end - text[..key_end].iter().rev().take_while(|byte| is_key(byte)).count();
    let key = &text[key_start..key_end];
    let before = key_start.checked_sub(1).map(|before| text[before]);
    if !is_secret(key) || (is_colon && before == Some(b'/')) {
        return None;
    }
    let has_space = text[key_end..separator].iter().any(u8::is_ascii_whitespace);
    let mut start = separator + 1;
    if is_colon || has_space {
        start = end_of(text, start, |byte| matches!(byte, b' ' | b'\t'));
    }
    // A volume, as containers have them: `token:/run/token`.
    if is_colon && text.get(separator + 1) == Some(&b'/') {
        return None;
    }
    let key = Key { at: key_start, end: key_end, name: key, before, is_colon, is_script };
    let value = extent(text, start, &key);
    let end = value.end;
    found.add(value, BY_NAME);
    Some(end)
}

struct Key<'a> {
    at: usize,
    end: usize,
    name: &'a [u8],
    before: Option<u8>,
    is_colon: bool,
    is_script: bool,
}

/// The value that begins at `start`, without quotes of its own.
fn extent(text: &[u8], start: usize, key: &Key<'_>) -> Range<usize> {
    let is_quote = |byte: u8| matches!(byte, b'"' | b'\'' | b'`');
    if key.at == 0 && !key.is_script {
        return start..text.len();
    }
    // Quoted by itself, maybe within quotes.
    let escapes = text[start..].iter().take_while(|&&byte| byte == b'\\').count();
    if let Some(&quote) = text.get(start + escapes).filter(|&&byte| is_quote(byte)) {
        let start = start + escapes + 1;
        return start..closing(text, start, quote, escapes);
    }
    let enclosing = key.before.filter(|&before| is_quote(before) && text.get(key.end) != Some(&before));
    if let Some(quote) = enclosing {
        return start..end_of(text, start, |byte| byte != quote);
    }
    if key.is_colon && is_header(key.name) {
        return start..end_of(text, start, |byte| byte != b'\n' && !is_quote(byte));
    }
    let in_query = matches!(key.before, Some(b'?' | b'&'));
    let mut at = start;
    while let Some(&byte) = text.get(at) {
        if byte.is_ascii_whitespace() || (in_query && byte == b'&') {
            break;
        }
        at += if byte == b'\\' { 2 } else { 1 };
    }
    start..at.min(text.len())
}

/// The end of a quoted value: the closing quote has as many backslashes before it as the
/// opening one.
fn closing(text: &[u8], from: usize, quote: u8, escapes: usize) -> usize {
    let mut backslashes = 0;
    for (place, &byte) in text[from..].iter().enumerate() {
        match byte {
            b'\\' => backslashes += 1,
            _ if byte == quote && backslashes == escapes => return from + place - escapes,
            _ => backslashes = 0,
        }
    }
    text.len()
}

/// A header whose value has several words.
fn is_header(key: &[u8]) -> bool {
    let key = key.to_ascii_lowercase();
    key.ends_with(b"authorization") || key.ends_with(b"cookie")
}

/// Ends of keys whose values are secret, without what parts their words.
const ENDS: [&[u8]; 25] = [
    b"password",
    b"passwd",
    b"passphrase",
    b"passcode",
    b"secret",
    b"secretkey",
    b"secretaccesskey",
    b"token",
    b"apikey",
    b"accesskey",
    b"privatekey",
    b"authkey",
    b"accountkey",
    b"sharedkey",
    b"signingkey",
    b"encryptionkey",
    b"masterkey",
    b"sessionkey",
    b"credential",
    b"credentials",
    b"authorization",
    b"cookie",
    b"connectionstring",
    b"amzsignature",
    b"userpwd",
];

/// Last words of such keys.
const WORDS: [&[u8]; 21] = [
    b"pass",
    b"pwd",
    b"pw",
    b"psk",
    b"jwt",
    b"creds",
    b"bearer",
    b"otp",
    b"passin",
    b"passout",
    b"storepass",
    b"keypass",
    b"userpass",
    b"dbpass",
    b"rootpass",
    b"adminpass",
    b"proxypass",
    b"requirepass",
    b"masterauth",
    b"sig",
    b"auth",
];

/// Whether the value of this key is secret. A key that says more of a secret (`password-file`,
/// `token-ttl`) is not.
pub(super) fn is_secret(key: &[u8]) -> bool {
    // The shell's own, of directories.
    if matches!(key, b"PWD" | b"OLDPWD") {
        return false;
    }
    let joined: Vec<u8> =
        key.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase).collect();
    if ENDS.iter().any(|end| joined.ends_with(end)) {
        return true;
    }
    let last = key.rsplit(|byte| !byte.is_ascii_alphanumeric()).next().unwrap_or_default();
    WORDS.iter().any(|word| last.eq_ignore_ascii_case(word))
}

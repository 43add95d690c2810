//! Passwords before a host: `scheme://user:password@host`, `user:password@host`.

use super::{
    BY_URL, Found,
    text::{end_of, position},
};

/// What stands before a colon and an `@` and is no user.
const NO_USERS: [&[u8]; 9] =
    [b"npm", b"git", b"pkg", b"link", b"workspace", b"patch", b"file", b"mailto", b"sip"];

/// Most URLs of one argument that are looked at: each costs a look at the rest of its word.
const URLS: usize = 64;

pub(super) fn find(text: &[u8], is_cut: bool, found: &mut Found) {
    let (mut at, mut urls) = (0, 0);
    while let Some(place) = position(text, b"://", at) {
        at = place + 3;
        urls += 1;
        if urls > URLS {
            found.add(at..text.len(), BY_URL);
            break;
        }
        in_authority(text, at, is_cut, found);
    }
    let mut at = 0;
    while at < text.len() {
        let end = end_of(text, at, |byte| !is_end(byte));
        without_scheme(text, at, end, found);
        // What follows a name of a flag or a variable begins anew.
        if let Some(value) = text[at..end].iter().position(|&byte| byte == b'=') {
            without_scheme(text, at + value + 1, end, found);
        }
        at = end + 1;
    }
}

const fn is_end(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'`')
}

fn in_authority(text: &[u8], start: usize, is_cut: bool, found: &mut Found) {
    let word_end = end_of(text, start, |byte| !is_end(byte));
    let authority_end =
        end_of(text, start, |byte| !is_end(byte) && !matches!(byte, b'/' | b'?' | b'#')).min(word_end);
    let authority = &text[start..authority_end];
    let colon = |part: &[u8]| part.iter().position(|&byte| byte == b':').map(|at| start + at + 1);
    if let Some(at) = authority.iter().rposition(|&byte| byte == b'@') {
        if let Some(password) = colon(&authority[..at]) {
            found.add(password..start + at, BY_URL);
        }
        return;
    }
    // A password with a slash in it; behind a host there would be a port.
    let Some(password) = colon(authority).filter(|_| !authority.starts_with(b"[")) else { return };
    let is_port = text[password..authority_end].iter().all(u8::is_ascii_digit);
    match text[password..word_end].iter().rposition(|&byte| byte == b'@') {
        Some(at) if !is_port => found.add(password..password + at, BY_URL),
        None if !is_port || is_cut && authority_end == text.len() => found.add(password..word_end, BY_URL),
        _ => {}
    }
}

fn without_scheme(text: &[u8], start: usize, end: usize, found: &mut Found) {
    let word = &text[start..end];
    let is_user = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'%' | b'+');
    let colon = end_of(word, 0, is_user);
    if colon == 0 || word.get(colon) != Some(&b':') || NO_USERS.contains(&&word[..colon]) {
        return;
    }
    let rest = &word[colon + 1..];
    // Up to a slash: what follows is a path.
    let rest = &rest[..end_of(rest, 0, |byte| byte != b'/')];
    let Some(at) = rest.iter().rposition(|&byte| byte == b'@').filter(|&at| at > 0) else { return };
    // An image's tag and digest.
    let host = &rest[at + 1..];
    if !host.is_empty() && !host.starts_with(b"sha256:") && !host.starts_with(b"sha512:") {
        found.add(start + colon + 1..start + colon + 1 + at, BY_URL);
    }
}

//! Long words that look random. Digests, UUIDs and ids in hex have one case and stay.

use super::{BY_CHANCE, Found, text::end_of};

/// Shortest word that is looked at.
const WORD: usize = 24;
/// Shortest piece of one that can look random.
const PIECE: usize = 16;
/// An AWS secret key, which may have slashes in it.
const AWS_SECRET: usize = 40;

pub(super) fn find(text: &[u8], found: &mut Found) {
    let mut at = 0;
    while at < text.len() {
        let end = end_of(text, at, is_part);
        if end - at >= WORD {
            run(text, at, end, found);
        }
        at = end + 1;
    }
}

const fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'_' | b'=' | b'-')
}

fn run(text: &[u8], start: usize, end: usize, found: &mut Found) {
    let run = &text[start..end];
    let before = &text[..start];
    // A path from the root, of the home or from here; not what follows a scheme.
    let is_path = run.starts_with(b"/") && !run.starts_with(b"//");
    // Fingerprints and public keys of SSH.
    let is_public = before.ends_with(b"SHA256:") || run.starts_with(b"AAAA");
    if is_path || is_public {
        return;
    }
    // Behind an equals sign a value begins, which may be a path.
    if let Some(name) = run.iter().position(|&byte| byte == b'=').filter(|&at| at + 1 < run.len()) {
        let value = start + name + end_of(&run[name..], 0, |byte| byte == b'=');
        if end - value >= WORD {
            self::run(text, value, end, found);
        }
        if name >= WORD {
            self::run(text, start, start + name, found);
        }
        return;
    }
    if run.len() == AWS_SECRET && is_mixed(run, 30) && !run.contains(&b'-') && !run.contains(&b'_') {
        found.add(start..end, BY_CHANCE);
        return;
    }
    let is_url = before.ends_with(b".") || run.starts_with(b"//");
    let is_base64 = run.contains(&b'+') || run.ends_with(b"=");
    let mut at = start;
    for segment in run.split(|&byte| byte == b'/') {
        let segment_end = at + segment.len();
        if is_random(segment) && (segment.len() >= WORD || !is_url) {
            let is_whole = is_base64 || !is_url;
            found.add(if is_whole { start..end } else { at..segment_end }, BY_CHANCE);
        }
        at = segment_end + 1;
    }
}

fn is_random(word: &[u8]) -> bool {
    // Integrity digests of packages.
    if [&b"sha256-"[..], b"sha384-", b"sha512-"].iter().any(|digest| word.starts_with(digest)) {
        return false;
    }
    word.split(|byte| !byte.is_ascii_alphanumeric()).any(|piece| piece.len() >= PIECE && is_mixed(piece, 42))
}

/// Whether letters of both cases and digits follow each other as they do by chance: how many of a
/// hundred neighbours are of different kinds. By chance it is 62; in words and names it is below 40.
fn is_mixed(piece: &[u8], least: usize) -> bool {
    let kind = |byte: u8| match byte {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    let mut counts = [0; 4];
    piece.iter().for_each(|&byte| counts[kind(byte)] += 1);
    let changes = piece.windows(2).filter(|pair| kind(pair[0]) != kind(pair[1])).count();
    let [lower, upper, digits, _] = counts;
    lower >= 2 && upper >= 2 && digits >= 1 && changes * 100 >= least * piece.len()
}

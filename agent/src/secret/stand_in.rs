//! What stands where a secret would and is none: references, paths, switches, addresses.

use super::{BY_CHANCE, BY_NAME, BY_OPTION, BY_URL, Found, random, text::unquoted};

/// Whether `text[range]`, known by `known_by`, only stands in for a secret.
pub(super) fn stands_in(text: &[u8], range: &std::ops::Range<usize>, known_by: &'static str) -> bool {
    let Some(value) = text.get(range.clone()) else { return true };
    let value = unquoted(value.trim_ascii());
    if value.is_empty() || is_masked(value) || is_reference(value) {
        return true;
    }
    match known_by {
        // Without a host it may as well be a port of a strange kind; `jdbc:oracle:thin:@host` has no user.
        BY_URL => text.get(range.end) != Some(&b'@') || value.ends_with(b":"),
        // A flag after one that only sounds as if it took a secret.
        BY_OPTION if value.starts_with(b"--") => true,
        BY_NAME | BY_OPTION => is_word(value) || is_number(value) || is_path(value) || is_address(value),
        _ => false,
    }
}

/// `****`, `xxxx`, `[redacted]`.
fn is_masked(value: &[u8]) -> bool {
    let inner = value.strip_prefix(b"[").and_then(|value| value.strip_suffix(b"]")).unwrap_or(value);
    let is_one_of = |marks: &[u8]| inner.len() >= 3 && inner.iter().all(|byte| marks.contains(byte));
    inner.eq_ignore_ascii_case(b"redacted") || is_one_of(b"*") || is_one_of(b"xX")
}

/// Where a secret is kept, for programs that fetch it from there.
const STORES: [&[u8]; 16] = [
    b"vault:",
    b"secret:",
    b"secretref:",
    b"arn:aws:",
    b"op://",
    b"sm://",
    b"gcp-sm:",
    b"awssm:",
    b"ref+",
    b"env:",
    b"file:",
    b"fd:",
    b"k8s:",
    b"keyring:",
    b"keychain:",
    b"projects/",
];

/// `${VAR}`, `$(cat /run/x)`, `Bearer $TOKEN`, `{{ .Values.x }}`, `vault:…`: nothing is left without them.
fn is_reference(value: &[u8]) -> bool {
    let lower = value.to_ascii_lowercase();
    if STORES.iter().any(|store| lower.starts_with(store)) {
        return true;
    }
    let mut rest = value;
    for scheme in [&b"bearer "[..], b"basic ", b"token ", b"pass:"] {
        if lower.starts_with(scheme) {
            rest = value.get(scheme.len()..).unwrap_or_default();
        }
    }
    let mut is_any = false;
    while let Some((&byte, after)) = rest.split_first() {
        rest = match without_reference(rest) {
            Some(after) => {
                is_any = true;
                after
            }
            None if byte.is_ascii_alphanumeric() || !byte.is_ascii() => return false,
            None => after,
        };
    }
    is_any
}

/// What follows the reference that `text` begins with. One without an end, as in a word of a script, goes to
/// the end of the text.
fn without_reference(text: &[u8]) -> Option<&[u8]> {
    const FORMS: [(&[u8], &[u8]); 7] = [
        (b"${", b"}"),
        (b"$(", b")"),
        (b"`", b"`"),
        (b"{{", b"}}"),
        (b"%(", b")s"),
        (b"<", b">"),
        (b"@@", b"@@"),
    ];
    for (open, close) in FORMS {
        if let Some(inner) = text.strip_prefix(open) {
            let end = inner.windows(close.len()).position(|window| window == close);
            return Some(end.and_then(|end| inner.get(end + close.len()..)).unwrap_or_default());
        }
    }
    // A variable of a shell: its letters are of one case.
    let name = text.strip_prefix(b"$")?;
    let first = name.first().filter(|first| first.is_ascii_alphabetic() || **first == b'_')?;
    let is_part = |byte: &u8| match byte {
        b'_' | b'0'..=b'9' => true,
        _ if first.is_ascii_lowercase() => byte.is_ascii_lowercase(),
        _ => byte.is_ascii_uppercase(),
    };
    name.get(name.iter().take_while(|byte| is_part(byte)).count()..)
}

/// Switches, and ways to identify oneself.
const WORDS: [&[u8]; 40] = [
    b"true",
    b"false",
    b"yes",
    b"no",
    b"on",
    b"off",
    b"none",
    b"null",
    b"nil",
    b"undefined",
    b"default",
    b"enabled",
    b"disabled",
    b"enable",
    b"disable",
    b"required",
    b"require",
    b"optional",
    b"auto",
    b"never",
    b"always",
    b"basic",
    b"digest",
    b"bearer",
    b"token",
    b"jwt",
    b"oauth",
    b"oauth2",
    b"oidc",
    b"ldap",
    b"kerberos",
    b"md5",
    b"trust",
    b"peer",
    b"scram-sha-256",
    b"plain",
    b"login",
    b"prompt",
    b"stdin",
    b"changed",
];

fn is_word(value: &[u8]) -> bool {
    WORDS.iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// A count or a time, such as `5` or `15m`. Numbers of four digits are PINs.
fn is_number(value: &[u8]) -> bool {
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let unit = value.get(digits..).unwrap_or_default();
    let is_time = [&b"ms"[..], b"s", b"m", b"h", b"d"].contains(&unit);
    digits > 0 && (is_time || (unit.is_empty() && digits < 4))
}

/// A file that has it, rather than a secret that happens to begin with a slash.
fn is_path(value: &[u8]) -> bool {
    let is_rooted = [&b"/"[..], b"./", b"../", b"~/"].iter().any(|root| value.starts_with(root));
    let inner = value.get(1..).unwrap_or_default();
    let mut found = Found::default();
    // From the root of a path nothing is taken for random.
    inner.split(|&byte| byte == b'/').for_each(|part| random::find(part, &mut found));
    is_rooted && found.0.iter().all(|(_, known_by)| *known_by != BY_CHANCE)
}

/// Where to ask. A password in it is found by itself.
fn is_address(value: &[u8]) -> bool {
    let scheme = value.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'+').count();
    scheme > 0 && value.get(scheme..).is_some_and(|rest| rest.starts_with(b"://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_and_secrets() {
        for value in [
            "$TOKEN",
            "${TOKEN}",
            "$token",
            "$(cat /run/secrets/x)",
            "$(cat",
            "Bearer $TOKEN",
            "Basic ${A}:${B}",
            "{{ .Values.password }}",
            "<password>",
            "`cat x`",
            "vault:secret/data/x#y",
            "file:/run/x",
            "%(password)s",
        ] {
            assert!(is_reference(value.as_bytes()), "{value}");
        }
        for value in ["$3cret", "$Ecret", "hunter2", "a${TOKEN}", "$TOKENa", "!!!", "Bearer abc", "päss"] {
            assert!(!is_reference(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn paths_and_base64_that_begins_with_a_slash() {
        assert!(is_path(b"/run/secrets/db"));
        assert!(is_path(b"./token"));
        assert!(!is_path(b"/kQ3v8ZtYw1LmPq9RsX2nBc7DfGh4JkT6uVa0WeSx5="));
        assert!(!is_path(b"run"));
    }
}

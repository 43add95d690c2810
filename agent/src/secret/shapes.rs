//! Secrets that are known by their shape, wherever they stand.

use super::{
    Found,
    text::{end_of, position},
};

/// A prefix, how many bytes follow it at least, which bytes those are beside letters and digits, and its name.
struct Shape(&'static [u8], usize, &'static [u8], &'static str);

const SHAPES: [Shape; 40] = [
    // AWS key ids.
    Shape(b"AKIA", 16, b"", "AWS access key"),
    Shape(b"ASIA", 16, b"", "AWS access key"),
    Shape(b"ABIA", 16, b"", "AWS access key"),
    Shape(b"ACCA", 16, b"", "AWS access key"),
    // GitHub, GitLab.
    Shape(b"ghp_", 20, b"_", "GitHub token"),
    Shape(b"gho_", 20, b"_", "GitHub token"),
    Shape(b"ghu_", 20, b"_", "GitHub token"),
    Shape(b"ghs_", 20, b"_", "GitHub token"),
    Shape(b"ghr_", 20, b"_", "GitHub token"),
    Shape(b"github_pat_", 20, b"_", "GitHub token"),
    Shape(b"glpat-", 16, b"_-.", "GitLab token"),
    Shape(b"gldt-", 16, b"_-.", "GitLab token"),
    Shape(b"glrt-", 16, b"_-.", "GitLab token"),
    // Slack, Discord.
    Shape(b"xoxb-", 8, b"-", "Slack token"),
    Shape(b"xoxp-", 8, b"-", "Slack token"),
    Shape(b"xoxa-", 8, b"-", "Slack token"),
    Shape(b"xoxr-", 8, b"-", "Slack token"),
    Shape(b"xoxs-", 8, b"-", "Slack token"),
    Shape(b"xoxe-", 8, b"-", "Slack token"),
    Shape(b"xoxe.", 8, b"-.", "Slack token"),
    Shape(b"xapp-", 8, b"-", "Slack token"),
    Shape(b"hooks.slack.com/services/", 4, b"/_-", "Slack webhook"),
    Shape(b"discord.com/api/webhooks/", 4, b"/_-", "Discord webhook"),
    // Others.
    Shape(b"AIza", 30, b"_-", "Google API key"),
    Shape(b"ya29.", 20, b"_-.", "Google API key"),
    Shape(b"sk_live_", 12, b"_", "Stripe key"),
    Shape(b"sk_test_", 12, b"_", "Stripe key"),
    Shape(b"rk_live_", 12, b"_", "Stripe key"),
    Shape(b"rk_test_", 12, b"_", "Stripe key"),
    Shape(b"sk-", 20, b"_-", "API key"),
    Shape(b"npm_", 30, b"", "npm token"),
    Shape(b"pypi-AgEI", 20, b"_-", "PyPI token"),
    Shape(b"dop_v1_", 30, b"", "DigitalOcean token"),
    Shape(b"dckr_pat_", 16, b"_-", "Docker Hub token"),
    Shape(b"hvs.", 20, b"_-.", "Vault token"),
    Shape(b"hvb.", 20, b"_-.", "Vault token"),
    Shape(b"glsa_", 20, b"_", "Grafana token"),
    Shape(b"shpat_", 20, b"", "Shopify token"),
    Shape(b"SG.", 30, b"_-.", "SendGrid key"),
    Shape(b"AGE-SECRET-KEY-1", 16, b"", "age key"),
];

/// What is left of a secret whose end was cut off.
const CUT: usize = 1;

pub(super) fn find(text: &[u8], is_cut: bool, found: &mut Found) {
    let mut at = 0;
    while at < text.len() {
        let is_start = at == 0 || !(text[at - 1].is_ascii_alphanumeric() || text[at - 1] == b'_');
        match is_start.then(|| shape_at(text, at, is_cut)).flatten() {
            Some((end, name)) => {
                found.add(at..end, name);
                at = end;
            }
            None => at += 1,
        }
    }
    private_keys(text, found);
    bearers(text, found);
}

/// The end of a secret that begins here, and its name.
fn shape_at(text: &[u8], at: usize, is_cut: bool) -> Option<(usize, &'static str)> {
    let rest = &text[at..];
    if rest.starts_with(b"eyJ") {
        return web_token(text, at, is_cut).map(|end| (end, "JSON web token"));
    }
    SHAPES.iter().find_map(|&Shape(prefix, least, beside, name)| {
        if !rest.starts_with(prefix) {
            return None;
        }
        let from = at + prefix.len();
        let end = end_of(text, from, |byte| byte.is_ascii_alphanumeric() || beside.contains(&byte));
        let least = if is_cut && end == text.len() { CUT } else { least };
        (end - from >= least).then_some((end, name))
    })
}

/// A JSON web token, or the first part of one.
fn web_token(text: &[u8], at: usize, is_cut: bool) -> Option<usize> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'=');
    let first = end_of(text, at, is_part);
    let end = end_of(text, at, |byte| is_part(byte) || byte == b'.');
    let is_whole = end > first + 1 && first - at >= 8;
    (is_whole || first - at >= 24 || (is_cut && end == text.len())).then_some(end)
}

fn private_keys(text: &[u8], found: &mut Found) {
    let mut at = 0;
    while let Some(begin) = position(text, b"-----BEGIN ", at) {
        let label_end = position(text, b"-----", begin + 5).unwrap_or(text.len());
        at = label_end;
        if position(&text[..label_end], b"PRIVATE KEY", begin).is_some() {
            let end = position(text, b"-----END ", label_end).unwrap_or(text.len());
            found.add((label_end + 5).min(end)..end, "private key");
            at = end;
        }
    }
}

/// `Bearer …`, whatever stands before it.
fn bearers(text: &[u8], found: &mut Found) {
    const LEAST: usize = 8;
    for at in 0..text.len().saturating_sub(7) {
        if text[at..at + 7].eq_ignore_ascii_case(b"bearer ")
            && (at == 0 || !text[at - 1].is_ascii_alphanumeric())
        {
            let start = end_of(text, at + 7, |byte| byte == b' ');
            let end =
                end_of(text, start, |byte| !byte.is_ascii_whitespace() && !matches!(byte, b'"' | b'\''));
            if end - start >= LEAST {
                found.add(start..end, "bearer token");
            }
        }
    }
}

//! Secrets in arguments: what looks like one never leaves the node. [`MARK`] stands in its place.
//!
//! | looked for | for example |
//! |---|---|
//! | values of keys that say so | `--password=…`, `TOKEN=…`, `"secret": "…"`, `Authorization: …` |
//! | the word after such a flag | `--password …`, `-storepass …` |
//! | what some programs take without a name | `mysql -p…`, `curl -u user:…` |
//! | passwords before a host | `https://user:…@host` |
//! | shapes that are known | AWS, GitHub, Slack, Stripe, JWT, private keys |
//! | long words that look random | 24 letters and digits of both cases, mixed |
//!
//! Where it cannot tell it takes too much rather than too little; but hex digests, UUIDs, container
//! ids and paths stay.

mod keys;
mod programs;
mod random;
mod shapes;
mod text;
mod url;

use std::ops::Range;

use bytes::Bytes;

use self::programs::Programs;

/// Stands in for what was taken out.
pub const MARK: &[u8] = b"[redacted]";

/// Arguments without their secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redacted {
    /// The arguments.
    pub arguments: Vec<Bytes>,
    /// In how many of them something was replaced.
    pub count: u32,
}

/// Takes out what looks like a secret; `truncated`: the last argument may have lost its end.
#[must_use]
pub fn arguments<'a>(arguments: impl Iterator<Item = &'a [u8]>, truncated: bool) -> Redacted {
    let mut redacted = Redacted::default();
    let mut programs = Programs::default();
    let mut arguments = arguments.peekable();
    while let Some(argument) = arguments.next() {
        let is_cut = truncated && arguments.peek().is_none();
        let found = secrets(argument, &mut programs, is_cut);
        redacted.count += u32::from(!found.0.is_empty());
        redacted.arguments.push(found.replaced(argument));
    }
    redacted
}

fn secrets(argument: &[u8], programs: &mut Programs, is_cut: bool) -> Found {
    let mut found = Found::default();
    if argument.is_empty() {
        programs.empty();
        return found;
    }
    let is_script = programs.words(argument, &mut found);
    keys::find(argument, is_script, &mut found);
    url::find(argument, is_cut, &mut found);
    shapes::find(argument, is_cut, &mut found);
    random::find(argument, &mut found);
    found
}

/// Places of secrets in one argument.
#[derive(Debug, Default)]
struct Found(Vec<Range<usize>>);

impl Found {
    fn add(&mut self, range: Range<usize>) {
        if !range.is_empty() {
            self.0.push(range);
        }
    }

    /// The argument with a mark for each place.
    fn replaced(mut self, argument: &[u8]) -> Bytes {
        if self.0.is_empty() {
            return Bytes::copy_from_slice(argument);
        }
        self.0.sort_unstable_by_key(|range| range.start);
        let mut out = Vec::with_capacity(argument.len());
        let mut at = 0;
        for Range { start, end } in self.0 {
            if start > at || (start == at && at == 0) {
                out.extend_from_slice(&argument[at..start]);
                out.extend_from_slice(MARK);
            }
            // One that overlaps or touches another goes under the same mark.
            at = at.max(end);
        }
        out.extend_from_slice(&argument[at..]);
        out.into()
    }
}

#[cfg(test)]
mod tests;

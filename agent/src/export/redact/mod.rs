//! Secrets in arguments: what looks like one ([`crate::secret`]) never leaves the node. [`MARK`] stands in its
//! place.
//!
//! Where it cannot tell it takes too much rather than too little; but hex digests, UUIDs, container
//! ids and paths stay.

use std::ops::Range;

use bytes::Bytes;

use crate::secret;

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
    secret::each_argument(arguments, truncated, |argument, found| {
        redacted.count += u32::from(!found.is_empty());
        redacted.arguments.push(replaced(argument, found));
    });
    redacted
}

/// A variable of an environment, `NAME=value`, without its secret.
#[must_use]
pub fn variable(variable: &[u8]) -> Bytes {
    let (name, value) = variable.split_at(variable.iter().position(|&byte| byte == b'=').unwrap_or(0));
    if value.get(1..).and_then(|value| secret::in_variable(name, value)).is_some() {
        return [name, b"=", MARK].concat().into();
    }
    // What only stands in for a secret in a report is taken out here.
    arguments(std::iter::once(variable), false).arguments.into_iter().next().unwrap_or_default()
}

/// The argument with a mark for each place.
fn replaced(argument: &[u8], mut found: secret::Found) -> Bytes {
    if found.is_empty() {
        return Bytes::copy_from_slice(argument);
    }
    found.sort();
    let mut out = Vec::with_capacity(argument.len());
    let mut at = 0;
    for Range { start, end } in found.places() {
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

#[cfg(test)]
mod tests;

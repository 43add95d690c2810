//! Which known word a mistyped one may have meant.

/// Words within two edits of `typed`, closest first.
#[must_use]
pub fn near<'a>(typed: &str, known: &[&'a str]) -> Vec<&'a str> {
    let mut close: Vec<_> = known
        .iter()
        .map(|&key| (strsim::osa_distance(typed, key), key))
        // Two edits turn any short word into any other.
        .filter(|&(distance, key)| distance <= 2 && distance < key.len().min(typed.len()))
        .collect();
    close.sort_unstable();
    close.into_iter().map(|(_, key)| key).collect()
}

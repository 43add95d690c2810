//! When images were built, remembered by their references.

use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;
use serde_json::Value;
use tokio::time::Instant;

use crate::time;

/// Longest JSON that is read; a configuration with a long history has some 100 KiB.
const INFO_BYTES: usize = 1 << 20;
/// Most images that are remembered. With one more all are forgotten, and asked for again.
const IMAGES: usize = 512;
/// How long the runtime is not asked after it failed to answer: it would hold up every name.
const PAUSE: std::time::Duration = std::time::Duration::from_secs(60);
/// Images from before this were given a time that means none, as builds that can be repeated do (1970, 1980):
/// 2013-01-01, before there were any.
const FIRST: i64 = 1_356_998_400;

/// What is known of images; shared by all calls.
#[derive(Clone, Debug, Default)]
pub(super) struct Images(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    created: HashMap<String, Option<i64>>,
    paused_until: Option<Instant>,
}

impl Images {
    /// When an image was built, if the runtime was asked before: `None`: it is to be asked.
    pub(super) fn get(&self, reference: &str) -> Option<Option<i64>> {
        let known = self.known();
        let is_paused = known.paused_until.is_some_and(|until| Instant::now() < until);
        known.created.get(reference).copied().or_else(|| is_paused.then_some(None))
    }

    /// The runtime answered.
    pub(super) fn answered(&self, reference: &str, created: Option<i64>) {
        let mut known = self.known();
        if known.created.len() >= IMAGES {
            known.created.clear();
        }
        known.created.insert(reference.to_owned(), created);
    }

    /// It did not.
    pub(super) fn failed(&self) {
        self.known().paused_until = Some(Instant::now() + PAUSE);
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When an image was built, in seconds since 1970, by the verbose status of containerd and CRI-O, which hold the
/// image's configuration (config.md of the OCI image spec). `None`: it does not say.
pub(super) fn created(info: Option<&String>) -> Option<i64> {
    let text = info.filter(|text| text.len() <= INFO_BYTES)?;
    let info = serde_json::from_str::<Value>(text).ok()?;
    let created = time::parse_rfc3339(info.pointer("/imageSpec/created")?.as_str()?)?;
    Some(created).filter(|&created| created >= FIRST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_an_image_says() {
        let at = |text: &str| created(Some(&text.to_owned()));
        let text =
            r#"{"chainID":"sha256:x","imageSpec":{"created":"2024-02-29T12:34:56.789Z","os":"linux"}}"#;
        assert_eq!(at(text), Some(1_709_210_096));
        for text in [
            "",
            "{}",
            "[",
            r#"{"imageSpec":{}}"#,
            r#"{"imageSpec":{"created":7}}"#,
            r#"{"imageSpec":{"created":"yesterday"}}"#,
            r#"{"imageSpec":{"created":"0001-01-01T00:00:00Z"}}"#,
            r#"{"imageSpec":{"created":"1970-01-01T00:00:00Z"}}"#,
            r#"{"imageSpec":{"created":"1980-01-01T00:00:01Z"}}"#,
        ] {
            assert_eq!(at(text), None, "{text}");
        }
        assert_eq!(created(None), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_known_is_bounded_and_failures_pass() {
        let images = Images::default();
        for n in 0..10_000 {
            images.answered(&n.to_string(), Some(n));
            assert_eq!(images.get(&n.to_string()), Some(Some(n)));
            assert!(images.known().created.len() <= IMAGES);
        }
        assert_eq!(images.get("other"), None);
        images.failed();
        assert_eq!(images.get("other"), Some(None));
        assert_eq!(images.get("9999"), Some(Some(9999)));
        tokio::time::advance(PAUSE).await;
        assert_eq!(images.get("other"), None);
    }
}

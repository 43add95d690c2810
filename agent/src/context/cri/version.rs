//! Which runtime it is.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::{Settings, answer::bounded, client::Client};

/// Longest name or version.
const TEXT_BYTES: usize = 128;
/// Until it is asked again: an upgrade shows by then.
const KNOWN: Duration = Duration::from_secs(5 * 60);
/// The same while it does not answer.
const NOT_KNOWN: Duration = Duration::from_secs(10);

/// Name and version of the container runtime, in its own words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeVersion {
    /// `containerd`, `cri-o`.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl RuntimeVersion {
    /// `None`: the answer names nothing.
    pub(super) fn of(name: &str, version: &str) -> Option<Self> {
        let [name, version] = [name, version].map(|text| bounded(text, TEXT_BYTES));
        (!name.is_empty()).then_some(Self { name, version })
    }
}

/// Asks from time to time, and tells what is new. Never ends.
pub async fn watch_version(settings: Settings, mut tell: impl FnMut(RuntimeVersion)) {
    let client = Client::new(&settings);
    let mut known = None;
    loop {
        let pause = match client.version().await {
            Ok(version) => {
                if known.as_ref() != Some(&version) {
                    tell(version.clone());
                    known = Some(version);
                }
                KNOWN
            }
            Err(error) => {
                tracing::debug!(%error, "the runtime does not tell its version");
                NOT_KNOWN
            }
        };
        sleep(pause).await;
    }
}

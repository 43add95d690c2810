//! The reference data: what Falco itself answered. It is not part of the project; where it is absent, the
//! tests that compare with it have nothing to compare.

use std::path::{Path, PathBuf};

/// The folder of the data: `KESTREL_FALCO_REFERENCE`, or `shared/reference/falco` beside the repository.
fn folder() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("KESTREL_FALCO_REFERENCE") {
        return Some(PathBuf::from(named));
    }
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/reference/falco");
    beside.is_dir().then_some(beside)
}

/// A file of the data as it is.
pub(crate) fn bytes(name: &str) -> Option<Vec<u8>> {
    let path = folder()?.join(name);
    Some(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// A file of the data.
pub(crate) fn text(name: &str) -> Option<String> {
    bytes(name).map(|bytes| String::from_utf8(bytes).unwrap())
}

/// A file of the data in JSON.
pub(crate) fn json(name: &str) -> Option<serde_json::Value> {
    text(name).map(|text| serde_json::from_str(&text).unwrap())
}

//! `docs/rules/` says what the tables say.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// The page that is written by hand; the test of the rules that come with Kestrel holds it.
const WRITTEN: &str = "coverage.md";

/// The pages of a folder that are made.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).expect("docs/rules can be read");
    entries
        .map(|entry| entry.expect("docs/rules can be read").file_name())
        .map(|name| name.into_string().expect("names are UTF-8"))
        .filter(|name| name != WRITTEN)
        .collect()
}

#[test]
fn the_docs_are_those_of_the_tables() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rules");
    let files: BTreeMap<String, String> =
        rules::docs::pages().into_iter().map(|(name, text)| (name.to_owned(), text)).collect();
    if std::env::var_os("KESTREL_WRITE_DOCS").is_some() {
        fs::create_dir_all(&folder).expect("docs/rules can be written");
        for name in names(&folder).iter().filter(|name| !files.contains_key(*name)) {
            fs::remove_file(folder.join(name)).expect("docs/rules can be written");
        }
        for (name, text) in &files {
            fs::write(folder.join(name), text).expect("docs/rules can be written");
        }
    }
    const AGAIN: &str = "after a deliberate change run this test with KESTREL_WRITE_DOCS=1";
    assert_eq!(names(&folder), files.keys().cloned().collect(), "{AGAIN}");
    for (name, text) in &files {
        let kept = fs::read_to_string(folder.join(name)).expect("docs/rules can be read");
        assert_eq!(&kept, text, "{name}: {AGAIN}");
    }
}

//! `docs/controls/` says what the table says.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// What the folder is to hold, by file name.
fn files() -> BTreeMap<String, String> {
    let pages =
        controls::CONTROLS.iter().map(|control| (format!("{}.md", control.slug), controls::page(control)));
    pages.chain([("README.md".to_owned(), controls::table())]).collect()
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).expect("docs/controls can be read");
    entries
        .map(|entry| entry.expect("docs/controls can be read").file_name())
        .map(|name| name.into_string().expect("names are UTF-8"))
        .collect()
}

#[test]
fn the_docs_are_those_of_the_table() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/controls");
    let files = files();
    if std::env::var_os("KESTREL_WRITE_DOCS").is_some() {
        fs::create_dir_all(&folder).expect("docs/controls can be written");
        for name in names(&folder).iter().filter(|name| !files.contains_key(*name)) {
            fs::remove_file(folder.join(name)).expect("docs/controls can be written");
        }
        for (name, text) in &files {
            fs::write(folder.join(name), text).expect("docs/controls can be written");
        }
    }
    const AGAIN: &str = "after a deliberate change run this test with KESTREL_WRITE_DOCS=1";
    assert_eq!(names(&folder), files.keys().cloned().collect(), "{AGAIN}");
    for (name, text) in &files {
        let kept = fs::read_to_string(folder.join(name)).expect("docs/controls can be read");
        assert_eq!(&kept, text, "{name}: {AGAIN}");
    }
}

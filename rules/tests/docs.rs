//! `docs/rules/` says what the tables say.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use rules::load::{Config, Loader};

/// The pages that are written by hand. The test of the rules that come with Kestrel holds the first, and a test below
/// the second.
const WRITTEN: [&str; 2] = ["coverage.md", "several-events.md"];

/// The pages of a folder that are made.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).expect("docs/rules can be read");
    entries
        .map(|entry| entry.expect("docs/rules can be read").file_name())
        .map(|name| name.into_string().expect("names are UTF-8"))
        .filter(|name| !WRITTEN.contains(&name.as_str()))
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

#[test]
fn links_lead_somewhere() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rules");
    for name in names(&folder).iter().map(String::as_str).chain(WRITTEN) {
        let text = fs::read_to_string(folder.join(name)).expect("docs/rules can be read");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            let is_there = target.is_empty() || target.contains("://") || folder.join(target).exists();
            assert!(is_there, "{name}: {target} is not there");
        }
    }
}

#[test]
fn rules_over_several_events_are_written_as_the_page_says() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rules/several-events.md");
    let text = fs::read_to_string(page).expect("docs/rules can be read");
    let examples: Vec<_> =
        text.split("```yaml").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples.len(), 2);
    for example in examples {
        let mut loader = Loader::new(Config::default());
        let report = loader.load("several-events.md", example);
        assert!(report.successful && report.warnings.is_empty(), "{report}");
        assert!(loader.rules().rules().iter().all(|rule| rule.before.is_some()));
    }
}

//! A file of rules, and one that changes it: whatever they are, they are refused with an error at a place in a
//! file, or they are taken, and the report can be read.
//!
//! `cargo +nightly fuzz run rules`
#![no_main]

use libfuzzer_sys::fuzz_target;
use rules::load::{Config, Loader};

fuzz_target!(|files: (&str, &str)| {
    let config = Config { resolved_names: files.0.len() % 2 == 0, ..Config::default() };
    let mut loader = Loader::new(config);
    for (name, content) in [("first.yaml", files.0), ("second.yaml", files.1)] {
        let before = loader.rules().rules().len();
        let report = loader.load(name, content);
        assert_eq!(report.successful, report.errors.is_empty());
        if !report.successful {
            assert_eq!(loader.rules().rules().len(), before);
        }
        let contexts = report.errors.iter().map(|error| &error.context);
        for context in contexts.chain(report.warnings.iter().map(|warning| &warning.context)) {
            let position = &context.locations.last().expect("a way to a place has an end").position;
            assert!(position.line > 0 && position.column > 0);
            assert_eq!(context.snippet.lines().count(), 2);
        }
        serde_json::to_string(&report).expect("a report is plain data");
    }
});

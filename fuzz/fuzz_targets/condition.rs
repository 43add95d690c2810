//! Text of a condition: whatever it is, it is refused at a place in it, or it is read, and what it prints reads
//! as the same and can be checked.
//!
//! `cargo +nightly fuzz run condition`
#![no_main]

use libfuzzer_sys::fuzz_target;
use rules::{
    condition::{ParseErrorKind, parse},
    eval::Condition,
};

fuzz_target!(|text: &str| {
    let tree = match parse(text) {
        Ok(tree) => tree,
        Err(error) => {
            assert!(text.is_char_boundary(error.at));
            return;
        }
    };
    let printed = tree.to_string();
    match parse(&printed) {
        Ok(again) => assert_eq!(again.to_string(), printed),
        // Printing writes parentheses that the text may have done without.
        Err(error) => {
            assert!(matches!(error.kind, ParseErrorKind::Depth(_) | ParseErrorKind::Length(..)), "{printed}")
        }
    }
    let _ = Condition::check(&tree);
});

//! What people and programs read: YAML documents, made from the JSON of the same thing.
//!
//! Names and order are those of the JSON. A text that is more than a simple word is in double quotes
//! with hostile characters as YAML's escapes: nothing is lost, and the document is inert on a terminal.
//! No writer of YAML has that, which is why this is one.

use std::{fmt, fmt::Write as _, io};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

/// Words that some reader takes for something else than text.
const TAKEN: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];

/// The document that says what a line of JSON says, with its mark `---` and without its last line end.
///
/// # Errors
/// When the line is not JSON: a mistake in this program.
pub fn document(json: &[u8]) -> io::Result<String> {
    let tree: Tree = serde_json::from_slice(json)?;
    let mut text = "---".to_owned();
    tree.write(&mut text, 0, false);
    Ok(text)
}

/// Any JSON, in its order.
enum Tree {
    /// `null`, flags and numbers, as they are written.
    Bare(String),
    Text(String),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

impl Tree {
    /// Behind a key or a dash; `in_list`: the first key of a map stands on the line of the dash.
    fn write(&self, text: &mut String, depth: usize, in_list: bool) {
        match self {
            Self::Bare(word) => {
                text.push(' ');
                text.push_str(word);
            }
            Self::Text(words) => {
                text.push(' ');
                scalar(text, words);
            }
            Self::List(all) if all.is_empty() => text.push_str(" []"),
            Self::Map(all) if all.is_empty() => text.push_str(" {}"),
            Self::List(all) => {
                for one in all {
                    line(text, depth);
                    text.push('-');
                    one.write(text, depth + 1, true);
                }
            }
            Self::Map(all) => {
                for (index, (key, value)) in all.iter().enumerate() {
                    if index == 0 && in_list {
                        text.push(' ');
                    } else {
                        line(text, depth);
                    }
                    scalar(text, key);
                    text.push(':');
                    value.write(text, depth + 1, false);
                }
            }
        }
    }
}

fn line(text: &mut String, depth: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", depth));
}

fn scalar(text: &mut String, words: &str) {
    let is_word = words.starts_with(|first: char| first.is_ascii_alphabetic())
        && words.chars().all(|char| char.is_ascii_alphanumeric() || char == '-' || char == '_')
        && !TAKEN.contains(&words.to_ascii_lowercase().as_str());
    if is_word {
        text.push_str(words);
        return;
    }
    text.push('"');
    for char in words.chars() {
        // Writing to a string does not fail.
        let _ = match char {
            '"' | '\\' => write!(text, "\\{char}"),
            '\n' => text.write_str("\\n"),
            char if !inert::is_hostile(char) => text.write_char(char),
            char => match u32::from(char) {
                code @ ..=0xff => write!(text, "\\x{code:02x}"),
                code @ ..=0xffff => write!(text, "\\u{code:04x}"),
                code => write!(text, "\\U{code:08x}"),
            },
        };
    }
    text.push('"');
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Tree;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("JSON")
            }

            fn visit_unit<E>(self) -> Result<Tree, E> {
                Ok(Tree::Bare("null".to_owned()))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
                Ok(Tree::Bare(value.to_string()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
                Ok(Tree::Bare(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
                Ok(Tree::Bare(value.to_string()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
                // With a point, so that it stays one.
                Ok(Tree::Bare(format!("{value:?}")))
            }

            fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
                Ok(Tree::Text(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = seq.next_element()? {
                    all.push(one);
                }
                Ok(Tree::List(all))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
                let mut all = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    all.push(entry);
                }
                Ok(Tree::Map(all))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_as_the_json_that_it_was_made_of() {
        let hostile = "\u{202e}\u{e0041}\x1b[2J\x07\r\n: # \"'\\ é 鷹 \u{85}\u{2028}";
        let value = serde_json::json!({
            "words": ["fail", "run-as-non-root", "no", "Y", "NULL", "", "~", "1", "0x1f", "1e3", ".inf", "12:30:45",
                "2027-01-15", "- a", "a: b", "#c", "---", "<<", "=", "*", "&a", "!t", hostile],
            "numbers": [0, -7, 18_446_744_073_709_551_615_u64, 1.5, 2.0],
            "rest": [true, null, [], {}, [[1], [2, {"a": 1, "b": [3]}]]],
            "nested": {"a": {"b": {"c": [{"d": {"e": "f"}, "g": []}]}}},
            hostile: hostile,
        });
        let text = document(&serde_json::to_vec(&value).unwrap()).unwrap();
        assert!(!text.chars().any(|char| char != '\n' && inert::is_hostile(char)), "{text}");
        let read: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(read, value, "{text}");
    }

    #[test]
    fn it_looks_like_yaml() {
        let text = document(
            br#"{"type":"workload","controls":[{"control":"seccomp","count":2},{"control":"no"}],"a":{"b":[]}}"#,
        );
        let expected = "---\ntype: workload\ncontrols:\n  - control: seccomp\n    count: 2\n  - control: \"no\"\na:\n  b: []";
        assert_eq!(text.unwrap(), expected);
    }
}

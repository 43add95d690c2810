//! YAML with the place of every value, within bounds.

use std::{collections::HashMap, sync::Arc};

use granit_parser::{Event, Parser, ScalarStyle, Span, options};
use thiserror::Error;

use super::source::{File, Notation, Scalar};

/// The most values a file may have, those that aliases repeat included. The official rules have 3,000.
pub(super) const MAX_NODES: usize = 1_000_000;

/// How deep sequences and mappings may nest. Rules need seven.
pub(super) const MAX_NESTING: usize = 32;

/// A value and where it begins.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) offset: usize,
    pub(super) value: Value,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    Scalar(Arc<Scalar>),
    Sequence(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
}

/// A file that is no YAML, and where.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub(super) struct YamlError {
    pub(super) offset: usize,
    pub(super) message: String,
}

impl Node {
    pub(super) fn scalar(&self) -> Option<&Arc<Scalar>> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            Value::Sequence(_) | Value::Mapping(_) => None,
        }
    }

    pub(super) fn sequence(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Sequence(items) => Some(items),
            Value::Scalar(_) | Value::Mapping(_) => None,
        }
    }

    pub(super) fn mapping(&self) -> Option<&[(Node, Node)]> {
        match &self.value {
            Value::Mapping(entries) => Some(entries),
            Value::Scalar(_) | Value::Sequence(_) => None,
        }
    }

    /// Whether it is nothing: no value, `~` or `null`.
    pub(super) fn is_null(&self) -> bool {
        self.scalar().is_some_and(|scalar| {
            scalar.notation == Notation::Plain
                && matches!(scalar.value.as_str(), "" | "~" | "null" | "Null" | "NULL")
        })
    }

    /// The value of a key of a mapping; the first, if there are more.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        let is_key = |node: &Node| node.scalar().is_some_and(|scalar| scalar.value == key);
        self.mapping()?.iter().find(|(name, _)| is_key(name)).map(|(_, value)| value)
    }
}

/// The documents of a file.
///
/// # Errors
/// When it is no YAML, has more than [`MAX_NODES`] values or nests deeper than [`MAX_NESTING`].
pub(super) fn documents(file: &Arc<File>) -> Result<Vec<Node>, YamlError> {
    let options = options! { flow_nesting_limit: MAX_NESTING, block_nesting_limit: MAX_NESTING };
    let mut tree = Tree { file, open: Vec::new(), documents: Vec::new(), anchors: HashMap::new(), nodes: 0 };
    for event in Parser::new_from_str_with_options(&file.content, options) {
        let (event, span) = event.map_err(|error| YamlError {
            offset: error.marker().byte_offset().unwrap_or(0),
            message: error.info(),
        })?;
        tree.add(event, span)?;
    }
    Ok(tree.documents)
}

/// A sequence or mapping whose end has not come yet.
struct Open {
    offset: usize,
    anchor: usize,
    /// What of the count of values was there before it.
    nodes_before: usize,
    is_mapping: bool,
    children: Vec<Node>,
}

struct Tree<'a> {
    file: &'a Arc<File>,
    open: Vec<Open>,
    documents: Vec<Node>,
    /// Anchored values, and how many values each is.
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

impl Tree<'_> {
    fn add(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        let range = span.byte_range().unwrap_or(0..0);
        let offset = range.start;
        match event {
            Event::Scalar(value, style, anchor, _) => {
                let notation = match style {
                    ScalarStyle::Plain => Notation::Plain,
                    ScalarStyle::SingleQuoted => Notation::SingleQuoted,
                    ScalarStyle::DoubleQuoted => Notation::DoubleQuoted,
                    ScalarStyle::Literal | ScalarStyle::Folded => Notation::Block,
                };
                self.count(1, offset)?;
                let scalar =
                    Scalar { file: self.file.clone(), value: value.into_owned(), notation, span: range };
                self.place(Node { offset, value: Value::Scalar(Arc::new(scalar)) }, anchor, 1);
            }
            Event::SequenceStart(_, anchor, _) => self.begin(offset, anchor, false)?,
            Event::MappingStart(_, anchor, _) => self.begin(offset, anchor, true)?,
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => {
                let (node, nodes) = self.anchors.get(&anchor).ok_or_else(|| YamlError {
                    offset,
                    message: "an alias within the value it refers to".to_owned(),
                })?;
                let (node, nodes) = (node.clone(), *nodes);
                self.count(nodes, offset)?;
                self.place(node, 0, nodes);
            }
            // Presentation, and what only stands between documents.
            _ => {}
        }
        Ok(())
    }

    fn count(&mut self, more: usize, offset: usize) -> Result<(), YamlError> {
        self.nodes += more;
        if self.nodes > MAX_NODES {
            return Err(YamlError { offset, message: format!("more than {MAX_NODES} values") });
        }
        Ok(())
    }

    fn begin(&mut self, offset: usize, anchor: usize, is_mapping: bool) -> Result<(), YamlError> {
        self.count(1, offset)?;
        if self.open.len() == MAX_NESTING {
            return Err(YamlError { offset, message: format!("values nest deeper than {MAX_NESTING}") });
        }
        let nodes_before = self.nodes - 1;
        self.open.push(Open { offset, anchor, nodes_before, is_mapping, children: Vec::new() });
        Ok(())
    }

    fn end(&mut self) {
        let Some(open) = self.open.pop() else { return };
        let value = if open.is_mapping {
            let mut children = open.children.into_iter();
            let mut entries = Vec::new();
            while let (Some(key), Some(value)) = (children.next(), children.next()) {
                entries.push((key, value));
            }
            Value::Mapping(entries)
        } else {
            Value::Sequence(open.children)
        };
        let nodes = self.nodes - open.nodes_before;
        self.place(Node { offset: open.offset, value }, open.anchor, nodes);
    }

    fn place(&mut self, node: Node, anchor: usize, nodes: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), nodes));
        }
        match self.open.last_mut() {
            Some(open) => open.children.push(node),
            None => self.documents.push(node),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str) -> Result<Vec<Node>, YamlError> {
        documents(&Arc::new(File::new("f", content)))
    }

    #[test]
    fn values_know_where_they_stand() {
        let documents = read("- a: 1\n  b: [x, 'y']\n---\n- c\n").unwrap();
        assert_eq!(documents.len(), 2);
        let items = documents[0].sequence().unwrap();
        let b = items[0].get("b").unwrap().sequence().unwrap();
        assert_eq!((b[1].offset, b[1].scalar().unwrap().value.as_str()), (16, "y"));
        assert!(items[0].get("c").is_none());
    }

    #[test]
    fn nothing_is_null() {
        let documents = read("a:\nb: ~\nc: ''\nd: \"~\"\n").unwrap();
        let is_null = |key: &str| documents[0].get(key).unwrap().is_null();
        assert_eq!(["a", "b", "c", "d"].map(is_null), [true, true, false, false]);
    }

    #[test]
    fn aliases_that_multiply_are_refused() {
        let mut bomb = String::from("- &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..12 {
            let row = vec![format!("*a{}", i - 1); 10].join(", ");
            bomb.push_str(&format!("- &a{i} [{row}]\n"));
        }
        assert!(read(&bomb).unwrap_err().message.starts_with("more than"));
        assert!(read("- &a [*a]\n").is_err());
    }

    #[test]
    fn nesting_is_bounded() {
        assert!(read(&format!("- {}{}", "[".repeat(30), "]".repeat(30))).is_ok());
        assert!(read(&"[".repeat(100_000)).is_err());
        assert!(read(&format!("{}x", "- ".repeat(10_000))).is_err());
    }
}

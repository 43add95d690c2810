//! Lists: references resolved, and put as text into conditions.

use std::ops::Range;

use super::{
    collect::{Collector, Table},
    exception::push_quoted,
    item::List,
    report::Failure,
    script::Script,
};
use crate::condition::MAX_LENGTH;

/// How many lists may have a name that conditions cannot refer to by rights. Falco finds them all the same.
const MAX_INVALID_NAMES: usize = 16;

/// How deep lists may refer to lists.
const MAX_REFERENCES: usize = 64;

/// The most text that all lists together may become, and all conditions with lists put in. Falco has no limit.
const MAX_TOTAL: usize = 8 << 20;

/// Lists ready to be put into conditions.
#[derive(Debug)]
pub(super) struct Lists<'a> {
    lists: &'a Table<List>,
    /// Per list, the text its name stands for.
    texts: Vec<Text>,
    /// Per list, whether something refers to it.
    used: Vec<bool>,
    /// Lists with a delimiter in their name.
    irregular: Vec<usize>,
    /// How much text conditions have become so far.
    substituted: usize,
}

#[derive(Debug)]
enum Text {
    Unresolved,
    /// A list that is being resolved refers to itself through another.
    InProgress,
    Resolved(Script),
}

impl<'a> Lists<'a> {
    /// Resolves all lists.
    pub(super) fn new(collector: &'a Collector) -> Result<Self, Failure> {
        let lists = &collector.lists;
        let count = lists.items().len();
        let texts = (0..count).map(|_| Text::Unresolved).collect();
        let mut resolved =
            Self { lists, texts, used: vec![false; count], irregular: Vec::new(), substituted: 0 };
        let mut total = 0;
        for index in 0..count {
            resolved.resolve(index, 0, &mut total)?;
            let list = &lists.items()[index];
            if list.name.contains(is_delimiter) {
                resolved.irregular.push(index);
            }
            if resolved.irregular.len() > MAX_INVALID_NAMES {
                let message = format!("more than {MAX_INVALID_NAMES} lists have an invalid name");
                return Err(Failure::item(message, &list.trail));
            }
        }
        Ok(resolved)
    }

    fn resolve(&mut self, index: usize, depth: usize, total: &mut usize) -> Result<(), Failure> {
        if !matches!(self.texts[index], Text::Unresolved) {
            return Ok(());
        }
        let list = &self.lists.items()[index];
        if depth == MAX_REFERENCES {
            return Err(Failure::item(
                format!("lists refer to lists deeper than {MAX_REFERENCES}"),
                &list.trail,
            ));
        }
        self.texts[index] = Text::InProgress;
        let mut text = Script::default();
        for item in &list.items {
            let referred = self.lists.index(&item.value).filter(|referred| *referred != index);
            if let Some(referred) = referred {
                self.used[referred] = true;
                self.resolve(referred, depth + 1, total)?;
            }
            let resolved = referred.and_then(|referred| match &self.texts[referred] {
                Text::Resolved(text) => Some(text),
                Text::Unresolved | Text::InProgress => None,
            });
            let is_empty = resolved.map_or(item.value.as_str(), Script::text).is_empty();
            if !is_empty && !text.text().is_empty() {
                text.push_filler(", ");
            }
            match resolved {
                Some(resolved) => text.append(resolved),
                None => push_quoted(&mut text, item),
            }
            if text.text().len() > MAX_LENGTH {
                return Err(Failure::item(format!("the list has more than {MAX_LENGTH} bytes"), &list.trail));
            }
        }
        *total += text.text().len();
        if *total > MAX_TOTAL {
            return Err(Failure::item(format!("all lists have more than {MAX_TOTAL} bytes"), &list.trail));
        }
        self.texts[index] = Text::Resolved(text);
        Ok(())
    }

    /// The condition with the names of lists replaced by what is in them. None when it becomes too long.
    pub(super) fn substitute(&mut self, condition: &Script) -> Option<Script> {
        let mut script = condition.clone();
        for index in self.irregular.clone() {
            script = self.substitute_irregular(&script, index)?;
        }
        let script = self.substitute_tokens(&script)?;
        self.substituted += script.text().len();
        (self.substituted <= MAX_TOTAL).then_some(script)
    }

    /// Replaces names that are all of what stands between two delimiters.
    fn substitute_tokens(&mut self, condition: &Script) -> Option<Script> {
        let text = condition.text();
        let mut out = Script::default();
        let mut copied = 0;
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            let length = rest.find(is_delimiter).unwrap_or(rest.len());
            if let Some(index) = self.lists.index(&rest[..length]) {
                copied = self.put_in(index, condition, copied..at, at + length, &mut out)?;
            }
            // The delimiter is skipped with what it ends.
            let delimiter = rest[length..].chars().next().map_or(0, char::len_utf8);
            at = copied.max(at + length + delimiter);
        }
        out.copy(condition, copied..text.len());
        Some(out)
    }

    /// Replaces one name that has delimiters in it.
    fn substitute_irregular(&mut self, condition: &Script, index: usize) -> Option<Script> {
        let text = condition.text();
        let name = &self.lists.items()[index].name;
        let mut out = Script::default();
        let mut copied = 0;
        for (at, _) in text.match_indices(name.as_str()) {
            let end = at + name.len();
            let begins = text[..at].chars().next_back().is_none_or(is_delimiter);
            if begins && text[end..].chars().next().is_none_or(is_delimiter) && at >= copied {
                copied = self.put_in(index, condition, copied..at, end, &mut out)?;
            }
        }
        out.copy(condition, copied..text.len());
        Some(out)
    }

    /// Copies what precedes a name, and puts the list in for it. Gives where the text goes on; none when it
    /// has become too long.
    fn put_in(
        &mut self,
        index: usize,
        condition: &Script,
        before: Range<usize>,
        name_end: usize,
        out: &mut Script,
    ) -> Option<usize> {
        self.used[index] = true;
        out.copy(condition, before);
        let is_empty = match &self.texts[index] {
            Text::Resolved(replacement) => {
                out.append(replacement);
                replacement.text().is_empty()
            }
            Text::Unresolved | Text::InProgress => true,
        };
        if out.text().len() > MAX_LENGTH {
            return None;
        }
        Some(if is_empty { without_comma(condition.text(), name_end, out) } else { name_end })
    }

    /// Lists that nothing refers to.
    pub(super) fn unused(&self) -> impl Iterator<Item = &'a List> {
        self.lists.items().iter().zip(&self.used).filter(|(_, used)| !**used).map(|(list, _)| list)
    }
}

/// What ends the name of a list in a condition (Falco 0.44, `rule_loader_compiler.cpp`).
const fn is_delimiter(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '(' | ')' | ',' | '=')
}

/// An empty list takes one comma beside it along: that before it, or else that after it. Gives where the text
/// goes on.
fn without_comma(text: &str, name_end: usize, out: &mut Script) -> usize {
    let is_blank = |c: char| c.is_ascii_whitespace();
    if out.text().trim_end_matches(is_blank).ends_with(',') {
        out.pop_comma();
        return name_end;
    }
    let after = &text[name_end..];
    let trimmed = after.trim_start_matches(is_blank);
    if trimmed.starts_with(',') { name_end + after.len() - trimmed.len() + 1 } else { name_end }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::load::{
        item::Order,
        report::Trail,
        source::{File, Notation, Scalar},
    };

    fn scalar(file: &Arc<File>, value: &str) -> Arc<Scalar> {
        let (value, notation) = (value.to_owned(), Notation::Plain);
        Arc::new(Scalar { file: file.clone(), value, notation, span: 0..0 })
    }

    fn substituted(lists: &[(&str, &[&str])], condition: &str) -> String {
        let file = Arc::new(File::new("f", condition));
        let mut collector = Collector::default();
        for (name, items) in lists {
            collector.define_list(List {
                name: (*name).to_owned(),
                items: items.iter().map(|item| scalar(&file, item)).collect(),
                trail: Trail::new(&file),
                order: Order::default(),
            });
        }
        let condition = scalar(&file, condition);
        let mut lists = Lists::new(&collector).unwrap_or_else(|failure| panic!("{}", failure.message));
        lists.substitute(&Script::of(&condition)).unwrap().text().to_owned()
    }

    #[test]
    fn a_name_between_delimiters_is_replaced() {
        let lists: &[(&str, &[&str])] = &[("shells", &["bash", "my sh"])];
        assert_eq!(substituted(lists, "x in (shells)"), "x in (bash, \"my sh\")");
        assert_eq!(substituted(lists, "x in (a,shells , b)"), "x in (a,bash, \"my sh\" , b)");
        assert_eq!(substituted(lists, "shells_x or x.shells = 1"), "shells_x or x.shells = 1");
        assert_eq!(substituted(lists, "shells"), "bash, \"my sh\"");
    }

    #[test]
    fn a_name_with_blanks_is_found() {
        let lists: &[(&str, &[&str])] = &[("my list", &["a", "b"]), ("list", &["c"])];
        assert_eq!(substituted(lists, "x in (my list, list, my listing)"), "x in (a, b, c, my listing)");
    }

    #[test]
    fn lists_nest() {
        let lists: &[(&str, &[&str])] =
            &[("c", &["z"]), ("b", &["c", "y"]), ("a", &["b", "x", "d"]), ("d", &["w"])];
        assert_eq!(substituted(lists, "f in (a)"), "f in (z, y, x, w)");
    }

    #[test]
    fn lists_that_refer_to_each_other_keep_the_name() {
        assert_eq!(substituted(&[("a", &["b", "1"]), ("b", &["a", "2"])], "f in (a)"), "f in (a, 2, 1)");
        assert_eq!(substituted(&[("a", &["a", "1"])], "f in (a)"), "f in (a, 1)");
    }

    #[test]
    fn an_empty_list_takes_a_comma_along() {
        let lists: &[(&str, &[&str])] = &[("none", &[])];
        for (condition, expected) in [
            ("f in (a, none)", "f in (a)"),
            ("f in (none, b)", "f in ( b)"),
            ("f in (a, none, b)", "f in (a, b)"),
            ("f in (none)", "f in ()"),
            ("f in (none, none, b)", "f in (  b)"),
        ] {
            assert_eq!(substituted(lists, condition), expected, "{condition}");
        }
    }

    #[test]
    fn lists_that_explode_are_refused() {
        let file = Arc::new(File::new("f", ""));
        let mut collector = Collector::default();
        for i in 0..60_usize {
            let item = if i == 0 { "x".to_owned() } else { format!("l{}", i - 1) };
            let items = vec![scalar(&file, &item); 4];
            let (name, trail) = (format!("l{i}"), Trail::new(&file));
            collector.define_list(List { name, items, trail, order: Order::default() });
        }
        assert!(Lists::new(&collector).unwrap_err().message.contains("more than"));
    }
}

//! The Pod Security levels of each container, and the fields of the standards below them.

use std::{cmp::Reverse, collections::HashSet};

use inert::inert;
use kestrel_proto::v1;

use super::{answers, bounded, left_out, node, stale, words, wrap};
use crate::{
    look::{Cell, GAP, Look, Paint, cell, last_cell, place, width},
    posture::{
        matrix::level,
        standards::{Field, Levels},
    },
    text::{count, paint_of, short_id, verdict},
};

const HEAD: [&str; 5] = ["LEVEL", "FIELD", "VERDICT", "CONTROL", "OBSERVED, DECLARED"];
/// Before a field that makes the difference, and before the others.
const MARKS: [&str; 2] = ["> ", "  "];
/// Columns of the longest level and the longest verdict.
const LEVEL: usize = "restricted".len();
const VERDICT: usize = HEAD[2].len();
/// A field and a control are cut down to that, and no further.
const SHORTEST: usize = 8;
/// A text with less room than that stands below its row.
const TEXT: usize = 24;
/// Where it begins there.
const BELOW: usize = 6;

/// All as lines. With `is_wide` every control has a row, and what passes its texts.
#[must_use]
pub fn lines(all: &[Levels], sandboxes_left_out: u64, is_wide: bool, look: Look) -> Vec<String> {
    let look = if is_wide { look } else { bounded(look) };
    let clusters: HashSet<_> = all.iter().map(|levels| &levels.cluster).collect();
    let rows: Vec<_> = all.iter().map(|levels| rows(&levels.fields, is_wide)).collect();
    let columns = Columns::of(rows.iter().flatten(), look);
    let mut lines = Vec::new();
    for (levels, rows) in all.iter().zip(&rows) {
        title(&mut lines, levels, clusters.len() > 1, look);
        lines.push(columns.head(look));
        for row in rows {
            columns.row(&mut lines, row, look);
        }
        lines.push(String::new());
    }
    if !all.is_empty() {
        let weaker = all.iter().filter(|levels| levels.is_weaker).count();
        lines.push(format!("weaker than declared: {weaker} of {}", count(all.len() as u64, "container")));
    }
    lines.extend(left_out(sandboxes_left_out));
    lines
}

/// Which container, its levels, and what makes the difference between them.
fn title(lines: &mut Vec<String>, levels: &Levels, with_cluster: bool, look: Look) {
    let Levels { cluster, node: on, stale: is_stale, container, declared, observed, is_weaker, fields } =
        levels;
    let name = match &container.names {
        None => format!("container {} (name PENDING)", short_id(&container.id)),
        Some(names) => {
            let container = if names.sandbox { "(sandbox)" } else { &names.container };
            place([&names.namespace, &names.pod, container], 80)
        }
    };
    let paint = if *is_stale { Paint::Dim } else { Paint::Plain };
    let bad = if *is_weaker { Paint::Bad } else { Paint::Plain };
    let mut title = vec![Cell::painted(name, paint)];
    title.extend([Cell::from("on"), format!("{}:", node(cluster, on, with_cluster)).into()]);
    title.extend(["declared".into(), of_level(*declared, Paint::Plain), "·".into()]);
    title.extend(["observed".into(), of_level(*observed, bad)]);
    lines.extend(wrap(&title, 0, look));
    if *is_weaker {
        lines.extend(wrap(&difference(fields), 2, look));
    }
    if let Some(stale) = stale(is_stale.then_some(on)) {
        lines.extend(wrap(&[Cell::painted(stale, Paint::Warn)], 2, look));
    }
}

fn of_level(of: v1::PodSecurity, paint: Paint) -> Cell {
    level(of).map_or_else(|| Cell::painted("UNKNOWN", Paint::Warn), |word| Cell::painted(word, paint))
}

/// The fields for want of which less is kept than is declared.
fn difference(fields: &[Field]) -> Vec<Cell> {
    let mut said = vec![Cell::painted("WEAKER", Paint::Bad)];
    let weakening: Vec<_> = fields.iter().filter(|field| field.weakens).collect();
    if weakening.is_empty() {
        said.extend(words("than declared, by a field that this kestrel does not know"));
        return said;
    }
    said.push("than declared:".into());
    let last = weakening.len() - 1;
    for (index, field) in weakening.into_iter().enumerate() {
        let end = if index == last { "" } else { "," };
        let text = format!("{} {} {}{end}", verdict(field.verdict), field.level.as_str(), field.name);
        said.push(Cell::painted(text, paint_of(field.verdict)));
    }
    said
}

/// A row of the table.
struct Row {
    /// It makes the difference.
    is_marked: bool,
    level: &'static str,
    field: &'static str,
    verdict: v1::Verdict,
    controls: String,
    text: String,
}

/// A field that passes has one row, another one a row for each control that does not.
fn rows(fields: &[Field], is_wide: bool) -> Vec<Row> {
    let mut rows = Vec::new();
    for field in fields {
        if field.verdict == v1::Verdict::Pass && !is_wide {
            let slugs: Vec<_> = field.controls.iter().map(|said| inert(&said.control)).collect();
            rows.push(Row { controls: slugs.join(", "), ..Row::of(field) });
            continue;
        }
        let mut shown: Vec<_> =
            field.controls.iter().filter(|said| is_wide || said.verdict() != v1::Verdict::Pass).collect();
        shown.sort_by_key(|said| Reverse(said.verdict()));
        for (index, said) in shown.into_iter().enumerate() {
            let row = Row { controls: inert(&said.control), text: text(said), ..Row::of(field) };
            rows.push(match index {
                0 => row,
                _ => Row { is_marked: false, level: "", field: "", verdict: said.verdict(), ..row },
            });
        }
    }
    rows
}

impl Row {
    fn of(field: &Field) -> Self {
        Self {
            is_marked: field.weakens,
            level: field.level.as_str(),
            field: field.name,
            verdict: field.verdict,
            controls: String::new(),
            text: String::new(),
        }
    }
}

/// What is known of why, inert.
fn text(said: &v1::ControlPosture) -> String {
    let v1::ControlPosture { unknown_reason, exemption, observed, declared, .. } = said;
    let mut parts = Vec::new();
    if !unknown_reason.is_empty() {
        parts.push(inert(unknown_reason));
    }
    parts.extend(observed.as_ref().map(inert));
    parts.extend(declared.as_ref().map(|declared| format!("declared {}", inert(declared))));
    parts.extend(exemption.as_ref().map(|exemption| format!("exempt by {}", answers(exemption))));
    parts.join("; ")
}

/// How wide the columns are.
struct Columns {
    field: usize,
    control: usize,
    /// Where controls begin.
    front: usize,
    /// Where texts begin; `None`: below their rows.
    text: Option<usize>,
}

impl Columns {
    fn of<'a>(rows: impl Iterator<Item = &'a Row> + Clone, look: Look) -> Self {
        let others = MARKS[0].len() + LEVEL + VERDICT + 3 * GAP.len();
        let field = rows.clone().map(|row| width(row.field)).max().unwrap_or_default();
        let field = field.min(look.width().saturating_sub(others + SHORTEST)).max(SHORTEST);
        // A row without a text has that column's room for its controls.
        let with_text = rows.filter(|row| !row.text.is_empty()).map(|row| width(&row.controls));
        let control = with_text.max().unwrap_or_default().max(HEAD[3].len());
        let front = others + field;
        let text = front + control + GAP.len();
        Self { field, control, front, text: (text + TEXT <= look.width()).then_some(text) }
    }

    fn head(&self, look: Look) -> String {
        let mut line = MARKS[1].to_owned();
        let [level, field, verdict, control, text] = HEAD.map(Cell::from);
        self.front(&mut line, [&level, &field, &verdict], look);
        if self.text.is_some() {
            cell(&mut line, &control, self.control, look);
            line.push_str(&text.text);
        } else {
            line.push_str(&control.text);
        }
        line
    }

    fn row(&self, lines: &mut Vec<String>, row: &Row, look: Look) {
        let Row { is_marked, level, field, verdict: says, controls, text } = row;
        let mut line = String::new();
        let mark = if *is_marked { MARKS[0] } else { MARKS[1] };
        last_cell(&mut line, &Cell::painted(mark, Paint::Bad), mark.len(), look);
        let says = Cell::painted(verdict(*says), paint_of(*says));
        self.front(&mut line, [&(*level).into(), &(*field).into(), &says], look);
        let controls = Cell::from(controls.as_str());
        let mut texts = wrap(&words(text), self.text.unwrap_or(BELOW), look).into_iter();
        match self.text.and_then(|_| texts.next()) {
            Some(beside) => {
                cell(&mut line, &controls, self.control, look);
                line.push_str(beside.trim_start());
            }
            None => {
                let left = look.width().saturating_sub(self.front).max(SHORTEST);
                last_cell(&mut line, &controls, left, look);
            }
        }
        lines.push(line);
        lines.extend(texts);
    }

    /// Level, field and verdict.
    fn front(&self, line: &mut String, cells: [&Cell; 3], look: Look) {
        for (content, columns) in cells.into_iter().zip([LEVEL, self.field, VERDICT]) {
            cell(line, content, columns, look);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(says: v1::Verdict) -> Levels {
        let said = |control: &controls::Control| v1::ControlPosture {
            control: control.slug.to_owned(),
            verdict: says.into(),
            observed: Some("what\x1b[2J is ".repeat(12)),
            declared: Some("#".repeat(150)),
            exemption: Some(v1::Exemption { owner: "o\n".to_owned(), ..Default::default() }),
            ..Default::default()
        };
        let names = v1::ContainerNames {
            namespace: "a-rather-long-namespace".to_owned(),
            pod: "a-rather-long-name-of-a-pod".repeat(3),
            container: "app".to_owned(),
            ..Default::default()
        };
        Levels::of(&v1::InventoryResponse {
            node: "a-rather-long-name-of-a-node".to_owned(),
            stale: true,
            container: Some(v1::ContainerPosture {
                container: Some(v1::Container { names: Some(names), ..Default::default() }),
                controls: controls::CONTROLS.iter().map(said).collect(),
                declared_level: v1::PodSecurity::Restricted.into(),
                observed_level: v1::PodSecurity::Privileged.into(),
            }),
            ..Default::default()
        })
    }

    #[test]
    fn it_fits_the_terminal_and_no_text_is_cut() {
        let controls = controls::CONTROLS.iter().filter(|control| control.pss.is_some()).count();
        for says in [v1::Verdict::Pass, v1::Verdict::Fail, v1::Verdict::Drift, v1::Verdict::Unknown] {
            for (columns, is_wide) in
                [44, 60, 80, 100, 200].into_iter().flat_map(|of| [(of, false), (of, true)])
            {
                let look = Look { color: false, columns: Some(columns) };
                let lines = lines(&[levels(says)], 2, is_wide, look);
                for line in &lines {
                    assert!(width(line) <= columns, "{columns}: {line}");
                    assert!(!line.contains(['\x1b', '\n']), "{line:?}");
                }
                let told = lines.iter().map(|line| line.matches('#').count()).sum::<usize>();
                let controls = if is_wide || says != v1::Verdict::Pass { controls } else { 0 };
                assert_eq!(told, 150 * controls, "{columns} {says:?}: {lines:#?}");
            }
        }
    }

    #[test]
    fn the_difference_is_said_and_marked() {
        let look = Look { color: true, columns: Some(200) };
        let page = lines(&[levels(v1::Verdict::Fail)], 0, false, look).join("\n");
        assert!(page.contains("declared restricted · observed \x1b[31mprivileged\x1b[0m"), "{page}");
        assert!(page.contains("\x1b[31mWEAKER\x1b[0m than declared: \x1b[31mFAIL baseline"), "{page}");
        assert!(page.contains("\x1b[31m> \x1b[0mbaseline    Host Namespaces"), "{page}");
        assert!(page.ends_with("weaker than declared: 1 of 1 container"), "{page}");
        let page = lines(&[levels(v1::Verdict::Pass)], 0, false, look).join("\n");
        assert!(page.contains("by a field that this kestrel does not know"), "{page}");
    }
}

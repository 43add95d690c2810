//! Links that nearly every machine has, in conditions on names that the kernel resolved.
//!
//! Falco's `fd.name` is the name that a program gave; Kestrel's has no link left in it, so that none hides a file.
//! `fd.name startswith /var/run/secrets` would never hold. Where a condition names such a link it also means what the
//! link leads to, and holds for a file that was opened by that very name.

use crate::condition::{
    Operator,
    ast::{Comparison, Expr, ExprKind, Field, List, Operand, Right, Span, Text},
};

/// Where a link leads.
#[derive(Debug, Clone, Copy)]
enum Leads {
    /// To this folder: it is the same one.
    To(&'static str),
    /// To this folder, where the distribution has merged them; elsewhere it is a folder of its own.
    Mostly(&'static str),
    /// To something below this folder.
    Below(&'static str),
    /// Anywhere.
    Anywhere,
}

/// Filesystem Hierarchy Standard 3.0 (5.9, 5.13), file-hierarchy(7), proc(5). Of two that fit the first counts.
const LINKS: [(&str, Leads); 22] = [
    ("/var/run", Leads::To("/run")),
    ("/var/lock", Leads::To("/run/lock")),
    ("/bin", Leads::Mostly("/usr/bin")),
    ("/sbin", Leads::Mostly("/usr/sbin")),
    ("/lib", Leads::Mostly("/usr/lib")),
    ("/lib32", Leads::Mostly("/usr/lib32")),
    ("/lib64", Leads::Mostly("/usr/lib64")),
    ("/libx32", Leads::Mostly("/usr/libx32")),
    ("/proc/self/exe", Leads::Anywhere),
    ("/proc/self/fd", Leads::Anywhere),
    ("/proc/self/root", Leads::Anywhere),
    ("/proc/self/cwd", Leads::Anywhere),
    ("/proc/self", Leads::Below("/proc")),
    ("/proc/thread-self/exe", Leads::Anywhere),
    ("/proc/thread-self/fd", Leads::Anywhere),
    ("/proc/thread-self/root", Leads::Anywhere),
    ("/proc/thread-self/cwd", Leads::Anywhere),
    ("/proc/thread-self", Leads::Below("/proc")),
    ("/dev/fd", Leads::Anywhere),
    ("/dev/stdin", Leads::Anywhere),
    ("/dev/stdout", Leads::Anywhere),
    ("/dev/stderr", Leads::Anywhere),
];

/// Fields with a resolved name, and those with the given one.
const NAMES: [(&str, &str); 4] = [
    ("fd.name", "fd.nameraw"),
    ("fs.path.name", "fs.path.nameraw"),
    ("fs.path.source", "fs.path.sourceraw"),
    ("fs.path.target", "fs.path.targetraw"),
];

/// The folder of a resolved name.
const FOLDER: (&str, &str) = ("fd.directory", "fd.nameraw");

/// A condition that also means what the links in it lead to.
pub(super) fn follow(expr: Expr) -> Expr {
    within(expr, true)
}

/// `wanted`: that it holds makes the whole more likely to hold.
fn within(expr: Expr, wanted: bool) -> Expr {
    let Expr { kind, span } = expr;
    let each = |parts: Vec<Expr>| parts.into_iter().map(|part| within(part, wanted)).collect();
    let kind = match kind {
        ExprKind::And(parts) => ExprKind::And(each(parts)),
        ExprKind::Or(parts) => ExprKind::Or(each(parts)),
        ExprKind::Not(inner) => ExprKind::Not(Box::new(within(*inner, !wanted))),
        ExprKind::Compare(comparison) => of_comparison(comparison, span, wanted),
        kind @ (ExprKind::Macro(_) | ExprKind::Exists(_)) => kind,
    };
    Expr { kind, span }
}

fn of_comparison(comparison: Box<Comparison>, span: Span, wanted: bool) -> ExprKind {
    let is_unequal = comparison.operator == Operator::NotEqual;
    let more = others(&comparison, span, wanted != is_unequal);
    if more.is_empty() {
        return ExprKind::Compare(comparison);
    }
    let mut all = vec![Expr { kind: ExprKind::Compare(comparison), span }];
    if is_unequal {
        all.extend(more.into_iter().map(|other| Expr { kind: ExprKind::Not(Box::new(other)), span }));
        ExprKind::And(all)
    } else {
        all.extend(more);
        ExprKind::Or(all)
    }
}

/// What a comparison of a name means beside what it says.
fn others(comparison: &Comparison, span: Span, wanted: bool) -> Vec<Expr> {
    let (Operand::Field(field), None) = (&comparison.left, comparison.modifier) else { return Vec::new() };
    if field.argument.is_some() {
        return Vec::new();
    }
    let operator = match comparison.operator {
        Operator::NotEqual => Operator::Equal,
        operator @ (Operator::Equal
        | Operator::In
        | Operator::PMatch
        | Operator::StartsWith
        | Operator::Contains
        | Operator::Glob) => operator,
        _ => return Vec::new(),
    };
    let texts: &[Text] = match &comparison.right {
        Right::Value(text) => std::slice::from_ref(text),
        Right::List(list) => &list.items,
        Right::Operand(_) => return Vec::new(),
    };
    let known = texts.iter().filter_map(|text| Some((link_of(&text.value)?, text.value.as_str())));
    let mut by_link: Vec<(usize, Vec<&str>)> = Vec::new();
    for (link, name) in known {
        match by_link.iter_mut().find(|(other, _)| *other == link) {
            Some((_, names)) => names.push(name),
            None => by_link.push((link, vec![name])),
        }
    }
    let leaves = Leaves { comparison, operator, span };
    by_link
        .into_iter()
        .flat_map(|(link, names)| leaves.of(&field.name, LINKS[link], &names, wanted))
        .collect()
}

/// Makes comparisons like one that was written.
struct Leaves<'a> {
    comparison: &'a Comparison,
    operator: Operator,
    span: Span,
}

impl Leaves<'_> {
    /// What names that begin with a link mean beside what they say.
    fn of(&self, field: &str, (link, leads): (&str, Leads), names: &[&str], wanted: bool) -> Vec<Expr> {
        let moved = |target: &str| -> Vec<String> {
            names.iter().map(|name| format!("{target}{}", name.strip_prefix(link).unwrap_or(name))).collect()
        };
        if field == FOLDER.0 {
            let in_folder = |target| self.leaf(FOLDER.0, self.operator, moved(target));
            return match leads {
                Leads::To(target) => vec![in_folder(target)],
                Leads::Mostly(target) if self.operator != Operator::Contains => {
                    let given = self.leaf(FOLDER.1, Operator::StartsWith, vec![format!("{link}/")]);
                    vec![self.both(in_folder(target), given)]
                }
                Leads::Mostly(_) | Leads::Below(_) | Leads::Anywhere => Vec::new(),
            };
        }
        let Some((resolved, given)) = NAMES.iter().find(|(name, _)| *name == field) else {
            return Vec::new();
        };
        let by_name = self.leaf(given, self.operator, names.iter().map(|name| (*name).to_owned()).collect());
        let below = |folder| self.leaf(resolved, Operator::StartsWith, vec![folder]);
        match leads {
            Leads::To(target) => {
                let there = self.leaf(resolved, self.operator, moved(target));
                // The rest of a name may have links in it, too; with the beginning of one that is of no matter.
                if matches!(self.operator, Operator::StartsWith | Operator::Contains | Operator::PMatch) {
                    vec![there]
                } else {
                    vec![there, self.both(below(self.folder(target, &moved(target))), by_name)]
                }
            }
            // The name of the link is in that of the folder.
            Leads::Mostly(_) if self.operator == Operator::Contains => Vec::new(),
            Leads::Mostly(target) => vec![self.both(below(self.folder(target, &moved(target))), by_name)],
            Leads::Below(target) => vec![self.both(below(format!("{target}/")), by_name)],
            // What is excluded so would be whatever somebody reaches by it.
            Leads::Anywhere if wanted => vec![by_name],
            Leads::Anywhere => Vec::new(),
        }
    }

    /// What the resolved name of each of these files begins with.
    fn folder(&self, target: &str, moved: &[String]) -> String {
        match (self.operator, moved) {
            (Operator::StartsWith, [name]) => name.clone(),
            (Operator::Equal | Operator::In, [name]) => {
                name.rsplit_once('/').map_or_else(|| name.clone(), |(folder, _)| format!("{folder}/"))
            }
            _ => format!("{target}/"),
        }
    }

    fn leaf(&self, name: &str, operator: Operator, values: Vec<String>) -> Expr {
        let span = self.span;
        let mut texts: Vec<_> = values.into_iter().map(|value| Text { value, span }).collect();
        let right = match operator {
            Operator::In | Operator::PMatch => Right::List(List { items: texts, span }),
            _ => Right::Value(texts.swap_remove(0)),
        };
        let field = Field { name: name.to_owned(), argument: None, span: self.comparison.left.span() };
        let operator_span = self.comparison.operator_span;
        let left = Operand::Field(field);
        let comparison = Comparison { left, operator, modifier: None, right, operator_span };
        Expr { kind: ExprKind::Compare(Box::new(comparison)), span }
    }

    fn both(&self, one: Expr, other: Expr) -> Expr {
        Expr { kind: ExprKind::And(vec![one, other]), span: self.span }
    }
}

/// The place of the link that a name begins with.
fn link_of(name: &str) -> Option<usize> {
    LINKS.iter().position(|(link, _)| {
        name.strip_prefix(link).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

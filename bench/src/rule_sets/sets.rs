//! The rules that are measured.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use rules::{
    condition::ast::{Expr, ExprKind, Operand, Right},
    eval::{Checker, Condition},
    load::{Config, Loader, RuleSet},
};

/// A set of rules by name.
pub(super) struct Set {
    pub(super) name: &'static str,
    rules: RuleSet,
}

/// The official rules, if they are beside the repository.
#[must_use]
pub fn official() -> Option<PathBuf> {
    let path = repository().join("../shared/reference/falco/falco_rules.yaml");
    path.is_file().then_some(path)
}

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

impl Set {
    pub(super) fn official(path: &Path) -> Result<Self> {
        Self::load("official stable rules", &[path.to_owned()])
    }

    pub(super) fn default_rules() -> Result<Self> {
        let folder = repository().join("rules/default");
        let entries = folder.read_dir().with_context(|| format!("{}", folder.display()))?;
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|path| path.extension().is_some_and(|end| end == "yaml"));
        files.sort();
        Self::load("all default rules", &files)
    }

    fn load(name: &'static str, files: &[PathBuf]) -> Result<Self> {
        let mut loader = Loader::new(Config::default());
        for path in files {
            let text = fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
            let report = loader.load(&path.to_string_lossy(), &text);
            ensure!(report.successful, "{report}");
        }
        Ok(Self { name, rules: loader.rules().clone() })
    }

    pub(super) fn conditions(&self) -> Vec<&Condition> {
        self.rules.active().flat_map(rules::load::CompiledRule::conditions).collect()
    }
}

/// So many conditions: those of the sets again and again, each time with other texts in them.
pub(super) fn copies(sets: &[&Set], count: usize) -> Result<Vec<Condition>> {
    let originals: Vec<&Expr> =
        sets.iter().flat_map(|set| set.rules.active().map(|rule| &rule.expr)).collect();
    if originals.is_empty() {
        bail!("there are no rules");
    }
    let mut checker = Checker::default();
    let mut conditions = Vec::with_capacity(count);
    for place in 0..count {
        let (round, place) = (place / originals.len(), place % originals.len());
        let Some(original) = originals.get(place) else { break };
        let mut expr = (*original).clone();
        if round > 0 {
            change(&mut expr, round);
        }
        conditions.push(checker.check(&expr)?);
    }
    Ok(conditions)
}

/// Fields whose texts are changed: those that name programs and files.
const CHANGED: &[&str] = &[
    "proc.name",
    "proc.pname",
    "proc.args",
    "proc.cmdline",
    "proc.exepath",
    "fd.name",
    "fd.directory",
    "fd.filename",
    "container.image.repository",
];

/// Puts a number behind texts that programs and files are compared with.
fn change(expr: &mut Expr, number: usize) {
    match &mut expr.kind {
        ExprKind::And(parts) | ExprKind::Or(parts) => parts.iter_mut().for_each(|part| change(part, number)),
        ExprKind::Not(inner) => change(inner, number),
        ExprKind::Compare(comparison) => {
            let is_changed =
                matches!(&comparison.left, Operand::Field(field) if CHANGED.contains(&field.name.as_str()));
            if !is_changed {
                return;
            }
            match &mut comparison.right {
                Right::Value(text) => text.value.push_str(&number.to_string()),
                Right::List(list) => {
                    list.items.iter_mut().for_each(|text| text.value.push_str(&number.to_string()));
                }
                Right::Operand(_) => {}
            }
        }
        ExprKind::Exists(_) | ExprKind::Macro(_) => {}
    }
}

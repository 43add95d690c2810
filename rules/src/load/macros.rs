//! Macros: read, ordered, and put into the conditions that name them.

use super::{
    collect::{Collector, Table},
    item::Macro,
    lists::Lists,
    report::{ErrorCode, Failure, Trail},
    script::Script,
};
use crate::condition::{
    ast::{Expr, ExprKind, Right, Span},
    parse,
};

/// The most parts a condition may have, macros expanded; values of lists count. Official rules stay below
/// 1,000.
const MAX_PARTS: usize = 100_000;

/// The most parts of all conditions together.
const MAX_TOTAL_PARTS: usize = 500_000;

/// How deep a condition may nest, macros expanded; naming a macro is a level. Evaluation may recurse on it.
const MAX_LEVELS: usize = 200;

/// A condition as it is written, and its text.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) expr: Expr,
    pub(super) script: Script,
    pub(super) trail: Trail,
}

impl Written {
    /// Reads a condition after lists have been put in.
    pub(super) fn read(condition: &Script, lists: &mut Lists<'_>, trail: &Trail) -> Result<Self, Failure> {
        let Some(script) = lists.substitute(condition) else {
            let message = "the condition becomes too long with its lists";
            return Err(Failure::new(ErrorCode::CompileCondition, message, trail));
        };
        match parse(script.text()) {
            Ok(expr) => Ok(Self { expr, script, trail: trail.clone() }),
            Err(error) => {
                let at = place(&script, trail, error.at);
                Err(Failure::new(ErrorCode::CompileCondition, error.to_string(), &at))
            }
        }
    }

    /// The way to a place in it.
    pub(super) fn trail_to(&self, span: Span) -> Trail {
        place(&self.script, &self.trail, span.start)
    }
}

fn place(script: &Script, trail: &Trail, at: usize) -> Trail {
    match script.place(at) {
        Some((file, offset)) => trail.to_file("condition expression", "", file, offset),
        None => trail.clone(),
    }
}

/// How large a condition is.
#[derive(Debug, Clone, Copy)]
struct Size {
    parts: usize,
    levels: usize,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Unknown,
    /// Being measured: to meet it again is a loop.
    InProgress,
    Measured(Size),
}

/// All macros.
#[derive(Debug)]
pub(super) struct Macros<'a> {
    macros: &'a Table<Macro>,
    written: Vec<Written>,
    states: Vec<State>,
    used: Vec<bool>,
    /// How many parts all conditions have so far.
    total: usize,
}

impl<'a> Macros<'a> {
    /// Reads all macros and checks what they refer to.
    pub(super) fn new(collector: &'a Collector, lists: &mut Lists<'_>) -> Result<Self, Failure> {
        let macros = &collector.macros;
        let read = |item: &Macro| Written::read(&item.condition, lists, &item.condition_trail);
        let written: Vec<_> = macros.items().iter().map(read).collect::<Result<_, _>>()?;
        let count = written.len();
        let mut all =
            Self { macros, written, states: vec![State::Unknown; count], used: vec![false; count], total: 0 };
        for index in 0..count {
            all.measure_macro(index, 0)?;
        }
        Ok(all)
    }

    /// The macro of a name, as it is written.
    pub(super) fn written(&self, name: &str) -> Option<&Written> {
        self.macros.index(name).and_then(|index| self.written.get(index))
    }

    /// Macros that nothing refers to.
    pub(super) fn unused(&self) -> impl Iterator<Item = &'a Macro> {
        self.macros.items().iter().zip(&self.used).filter(|(_, used)| !**used).map(|(item, _)| item)
    }

    /// The condition with the macros it names put in.
    pub(super) fn expand(&mut self, condition: &Written) -> Result<Expr, Failure> {
        let size = self.measure(&condition.expr, condition, usize::MAX, 0)?;
        self.total += size.parts;
        let message = match (size.parts, self.total) {
            (MAX_PARTS.., _) => format!("the condition has more than {MAX_PARTS} parts with its macros"),
            (_, MAX_TOTAL_PARTS..) => format!("all conditions have more than {MAX_TOTAL_PARTS} parts"),
            _ => return Ok(self.expanded(&condition.expr)),
        };
        Err(Failure::new(ErrorCode::CompileCondition, message, &condition.trail))
    }

    fn expanded(&self, expr: &Expr) -> Expr {
        let all = |parts: &[Expr]| parts.iter().map(|part| self.expanded(part)).collect();
        let kind = match &expr.kind {
            ExprKind::And(parts) => ExprKind::And(all(parts)),
            ExprKind::Or(parts) => ExprKind::Or(all(parts)),
            ExprKind::Not(inner) => ExprKind::Not(Box::new(self.expanded(inner))),
            ExprKind::Macro(name) => match self.written(name) {
                Some(written) => return self.expanded(&written.expr),
                None => ExprKind::Macro(name.clone()),
            },
            leaf @ (ExprKind::Exists(_) | ExprKind::Compare(_)) => leaf.clone(),
        };
        Expr { kind, span: expr.span }
    }

    fn measure_macro(&mut self, index: usize, level: usize) -> Result<Size, Failure> {
        if let State::Measured(size) = self.states[index] {
            return Ok(size);
        }
        self.states[index] = State::InProgress;
        // Taken out for the time, since what it names is measured on the way.
        let written =
            std::mem::replace(&mut self.written[index], Written::nothing(&self.macros.items()[index]));
        let size = self.measure(&written.expr, &written, self.macros.items()[index].order.changed, level);
        self.written[index] = written;
        let size = size?;
        self.states[index] = State::Measured(size);
        Ok(size)
    }

    /// The size of an expression of a condition that sees macros defined before `before`.
    fn measure(
        &mut self,
        expr: &Expr,
        within: &Written,
        before: usize,
        level: usize,
    ) -> Result<Size, Failure> {
        if level > MAX_LEVELS {
            let message = format!("exceeded max depth limit of {MAX_LEVELS} with macros");
            return Err(Failure::new(ErrorCode::CompileCondition, message, &within.trail_to(expr.span)));
        }
        let mut size = Size { parts: 1, levels: 1 };
        let mut add = |part: Size| {
            size = Size {
                parts: size.parts.saturating_add(part.parts),
                levels: size.levels.max(part.levels + 1),
            };
        };
        match &expr.kind {
            ExprKind::And(parts) | ExprKind::Or(parts) => {
                for part in parts {
                    add(self.measure(part, within, before, level + 1)?);
                }
            }
            ExprKind::Not(inner) => add(self.measure(inner, within, before, level + 1)?),
            ExprKind::Macro(name) => add(self.measure_named(name, expr, within, before, level)?),
            ExprKind::Exists(_) => {}
            ExprKind::Compare(comparison) => {
                if let Right::List(list) = &comparison.right {
                    size.parts += list.items.len();
                }
            }
        }
        if level + size.levels > MAX_LEVELS {
            let message = format!("exceeded max depth limit of {MAX_LEVELS} with macros");
            return Err(Failure::new(ErrorCode::CompileCondition, message, &within.trail_to(expr.span)));
        }
        Ok(size)
    }

    fn measure_named(
        &mut self,
        name: &str,
        expr: &Expr,
        within: &Written,
        before: usize,
        level: usize,
    ) -> Result<Size, Failure> {
        let visible =
            self.macros.index(name).filter(|index| self.macros.items()[*index].order.defined < before);
        let Some(index) = visible else {
            let message = format!("Undefined macro '{name}' used in filter.");
            return Err(Failure::item(message, &within.trail_to(expr.span)));
        };
        if matches!(self.states[index], State::InProgress) {
            let message = format!("reference loop in macro '{name}'");
            return Err(Failure::item(message, &within.trail_to(expr.span)));
        }
        self.used[index] = true;
        self.measure_macro(index, level + 1)
    }
}

impl Written {
    /// What stands for a macro while it is away.
    fn nothing(item: &Macro) -> Self {
        let expr = Expr { kind: ExprKind::Macro(item.name.clone()), span: Span::default() };
        Self { expr, script: Script::default(), trail: item.condition_trail.clone() }
    }
}

//! Checking many conditions, that have parts in common.

use std::sync::Arc;

use hashbrown::HashMap;

use super::{CheckError, Condition, Problem, check::Check, depth::Depth};
use crate::{
    condition::{
        Modifier, Operator,
        ast::{Expr, Text},
    },
    field::Kind,
    value::Test,
};

/// All expressions of `regex` that are compiled together may take so many bytes.
const MAX_EXPRESSIONS: usize = 64 << 20;

/// What a test is made of.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    operator: Operator,
    modifier: Option<Modifier>,
    kind: Kind,
    list: bool,
    values: Vec<Box<str>>,
}

/// Checks conditions. What stands in many of them, as a macro's comparisons do, is compiled once and shared.
#[derive(Debug, Default)]
pub struct Checker {
    tests: HashMap<Key, Arc<Test>>,
    /// What the expressions take.
    cost: usize,
}

impl Checker {
    /// Checks a condition in which no macro is left.
    ///
    /// # Errors
    ///
    /// For what Falco refuses when it loads: fields and events that are not there, operators a field does not
    /// take, values that are none of its kind, transformers where they do not fit. The first one is told. Also
    /// when all expressions so far are too large together.
    pub fn check(&mut self, expr: &Expr) -> Result<Condition, CheckError> {
        let mut references = Vec::new();
        let check = &mut Check { references: &mut references, checker: self };
        let (root, events) = *check.expr(expr, Depth::default())?;
        Ok(Condition { root, events, references })
    }

    /// The test for such values, compiled if there is none.
    pub(super) fn test(
        &mut self,
        operator: Operator,
        modifier: Option<Modifier>,
        (kind, list): (Kind, bool),
        values: &[&Text],
    ) -> Result<Arc<Test>, Problem> {
        let texts = || values.iter().map(|text| text.value.as_str());
        let key = Key { operator, modifier, kind, list, values: texts().map(Box::from).collect() };
        if let Some(test) = self.tests.get(&key) {
            return Ok(Arc::clone(test));
        }
        let test = Test::new(operator, modifier, kind, list, texts())?;
        self.cost = self.cost.saturating_add(test.cost());
        if self.cost > MAX_EXPRESSIONS {
            return Err(Problem::Expressions);
        }
        let test = Arc::new(test);
        self.tests.insert(key, Arc::clone(&test));
        Ok(test)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::parse;

    #[test]
    fn expressions_have_a_limit_together_and_count_once() {
        let mut checker = Checker::default();
        let mut check =
            |pattern: &str| checker.check(&parse(&format!("proc.name regex '{pattern}'")).unwrap());
        for _ in 0..10_000 {
            check("a{500}").unwrap();
        }
        let refused = (1..).find_map(|number| check(&format!("a{{900}}b{number}")).err());
        assert_eq!(refused.map(|error| error.problem), Some(Problem::Expressions));
    }
}

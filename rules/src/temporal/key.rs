//! What tells events of one rule apart.

use std::hash::{BuildHasher, Hash, Hasher};

use hashbrown::DefaultHashBuilder;

use crate::{eval::Fields, field::Reference, value::Value};

/// A rule and the values of its fields, or the process that began. 128 bits with seeds of their own stand for
/// them: nobody can make two that are alike, and none takes more room than another.
pub(super) type Key = [u64; 2];

/// Makes keys.
#[derive(Debug, Clone, Default)]
pub(super) struct Keys([DefaultHashBuilder; 2]);

impl Keys {
    fn of(&self, what: impl Hash) -> Key {
        self.0.each_ref().map(|builder| builder.hash_one(&what))
    }

    /// Of a process.
    pub(super) fn process(&self, rule: u64, id: u64) -> Key {
        self.of((rule, 'p', id))
    }

    /// Of values; `None` where one is missing.
    pub(super) fn values<F: Fields + ?Sized>(
        &self,
        rule: u64,
        fields: &[Reference],
        event: &F,
    ) -> Option<Key> {
        let mut hashers = self.0.each_ref().map(|builder| builder.build_hasher());
        for hasher in &mut hashers {
            (rule, 'v').hash(hasher);
            for field in fields {
                hash(&event.field(field), hasher)?;
            }
        }
        Some(hashers.map(|hasher| hasher.finish()))
    }
}

fn hash(value: &Value<'_>, hasher: &mut impl Hasher) -> Option<()> {
    let scalars = match value {
        Value::Missing | Value::Pending => return None,
        Value::One(_) | Value::Many(_) => value.scalars(),
    };
    scalars.len().hash(hasher);
    for scalar in scalars {
        scalar.to_text().hash(hasher);
    }
    Some(())
}

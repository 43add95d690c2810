//! Values of an item as what they are to be.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    report::{Failure, Trail},
    source::Scalar,
    yaml::Node,
};

/// What the words of YAML 1.1 for truth say (yaml-cpp's `convert.cpp`); they are not mixed in case.
fn truth(word: &str) -> Option<bool> {
    let lower = word.to_ascii_lowercase();
    let (_, tail) = word.split_at_checked(1)?;
    let is_uniform = word == lower || word == word.to_ascii_uppercase() || tail == tail.to_ascii_lowercase();
    match lower.as_str() {
        "y" | "yes" | "true" | "on" if is_uniform => Some(true),
        "n" | "no" | "false" | "off" if is_uniform => Some(false),
        _ => None,
    }
}

/// A mapping and the way to it.
pub(super) struct Fields<'a> {
    pub(super) node: &'a Node,
    pub(super) trail: &'a Trail,
}

impl<'a> Fields<'a> {
    /// The value of a key; what has none, or nothing for it, fails.
    pub(super) fn scalar(&self, key: &str) -> Result<&'a Arc<Scalar>, Failure> {
        let missing = || Failure::shape(format!("Item has no mapping for key '{key}'"), self.trail);
        let node = self.node.get(key).ok_or_else(missing)?;
        if node.is_null() {
            return Err(Failure::shape(format!("Mapping for key '{key}' is empty"), &self.trail_to(key)));
        }
        let scalar = node
            .scalar()
            .ok_or_else(|| Failure::shape("Value is not a scalar value", &self.trail_to(key)))?;
        if scalar.value.is_empty() {
            return Err(Failure::shape("Value must be non-empty", &self.trail_to(key)));
        }
        Ok(scalar)
    }

    pub(super) fn text(&self, key: &str) -> Result<String, Failure> {
        self.scalar(key).map(|scalar| scalar.value.clone())
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.node.get(key).is_some()
    }

    /// A truth; none when the key is not there.
    pub(super) fn truth(&self, key: &str) -> Result<Option<bool>, Failure> {
        self.decoded(key, truth)
    }

    /// A number; none when the key is not there.
    pub(super) fn number(&self, key: &str) -> Result<Option<u32>, Failure> {
        self.decoded(key, |text| text.parse().ok())
    }

    fn decoded<T>(&self, key: &str, decode: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Failure> {
        if !self.has(key) {
            return Ok(None);
        }
        let decoded = decode(&self.scalar(key)?.value);
        match decoded {
            Some(value) => Ok(Some(value)),
            None => Err(Failure::shape("Can't decode YAML scalar value", &self.trail_to(key))),
        }
    }

    /// The values of a sequence.
    pub(super) fn scalars(&self, key: &str) -> Result<Vec<Arc<Scalar>>, Failure> {
        let missing = || Failure::shape(format!("Item has no mapping for key '{key}'"), self.trail);
        let node = self.node.get(key).ok_or_else(missing)?;
        let trail = self.trail_to(key);
        let items = node.sequence().ok_or_else(|| Failure::shape("Value is not a sequence", &trail))?;
        let scalar = |item: &Node| match item.scalar() {
            Some(scalar) if !item.is_null() => Ok(scalar.clone()),
            _ => Err(Failure::shape("sequence value is not scalar", &trail.to("list item", "", item.offset))),
        };
        items.iter().map(scalar).collect()
    }

    pub(super) fn tags(&self) -> Result<BTreeSet<String>, Failure> {
        if self.has("tags") {
            Ok(self.scalars("tags")?.iter().map(|tag| tag.value.clone()).collect())
        } else {
            Ok(BTreeSet::new())
        }
    }

    /// The way to the value of a key.
    pub(super) fn trail_to(&self, key: &str) -> Trail {
        self.trail_as("value for", key, key)
    }

    /// The way to the value of a key under another name.
    pub(super) fn trail_as(&self, item_type: &'static str, name: &str, key: &str) -> Trail {
        let offset = self.node.get(key).map_or(self.node.offset, |node| node.offset);
        self.trail.to(item_type, name, offset)
    }
}

#[cfg(test)]
mod tests {
    use super::truth;

    #[test]
    fn truth_has_many_words() {
        for word in ["true", "True", "TRUE", "yes", "On", "y"] {
            assert_eq!(truth(word), Some(true), "{word}");
        }
        for word in ["false", "No", "OFF", "n"] {
            assert_eq!(truth(word), Some(false), "{word}");
        }
        for word in ["tRue", "1", "", "maybe", "é"] {
            assert_eq!(truth(word), None, "{word}");
        }
    }
}

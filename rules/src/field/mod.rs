//! Fields: the values of an event that rules can ask for.

mod event_argument;
mod event_type;
mod kind;
mod reference;
mod table;

use std::{collections::HashMap, sync::LazyLock};

pub use event_type::{EventSet, EventType};
pub use kind::Kind;
pub use reference::{Argument, FieldError, Reference};
pub use table::Field;

/// What is known of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Definition {
    /// Which one.
    pub field: Field,
    /// Its name in rules, without an argument.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// Which argument it takes.
    pub parameter: Parameter,
    /// What is special about it.
    pub traits: Traits,
    /// What it says, in few words.
    pub meaning: &'static str,
}

impl Definition {
    /// The first part of its name, as Falco groups fields: `proc`, `evt`, `fs.path`.
    #[must_use]
    pub fn class(&self) -> &'static str {
        if self.name.starts_with("fs.path.") {
            return "fs.path";
        }
        self.name.split_once('.').map_or(self.name, |(class, _)| class)
    }
}

/// The argument a field takes, in brackets or after a dot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parameter {
    /// None.
    None,
    /// A number, or none.
    Index,
    /// A name, or none.
    Name,
    /// A number or a name, or none.
    IndexOrName,
    /// A name, always.
    NeedsName,
    /// A number or a name, always.
    NeedsIndexOrName,
    /// A name after a dot, always.
    Part,
    /// A type of events, always.
    EventType,
    /// A number, or the name of an argument of events, always.
    EventArgument,
    /// The name of an argument of events, always.
    RawArgument,
    /// A time in nanoseconds since the epoch, always.
    Time,
    /// `src` or `dst`, or none.
    Side,
}

impl Parameter {
    /// Whether the field means nothing without it.
    #[must_use]
    pub const fn is_required(self) -> bool {
        !matches!(self, Self::None | Self::Index | Self::Name | Self::IndexOrName | Self::Side)
    }

    /// Whether a number fits.
    #[must_use]
    pub const fn takes_index(self) -> bool {
        matches!(
            self,
            Self::Index | Self::IndexOrName | Self::NeedsIndexOrName | Self::EventArgument | Self::Time
        )
    }

    /// Whether a name fits.
    #[must_use]
    pub const fn takes_name(self) -> bool {
        !matches!(self, Self::None | Self::Index | Self::Time)
    }
}

/// What is special about a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traits(u16);

impl Traits {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// It has a list of values.
    pub const LIST: Self = Self(1);
    /// Without an argument it stands for each ancestor: a comparison holds when it does for one.
    pub const ANCESTORS: Self = Self(1 << 1);
    /// It stands for both ends of a connection, or for all names of one: a comparison holds when it does for
    /// one of them, `!=` for all.
    pub const ENDS: Self = Self(1 << 2);
    /// It takes no transformer and is not compared with another field.
    pub const FIXED: Self = Self(1 << 3);
    /// It can be compared, not printed.
    pub const FILTER: Self = Self(1 << 4);
    /// Falco lists it and says that it goes away.
    pub const DEPRECATED: Self = Self(1 << 5);
    /// Falco 0.44 takes it and no longer lists it.
    pub const UNLISTED: Self = Self(1 << 6);
    /// Falco does not have it.
    pub const OWN: Self = Self(1 << 7);

    /// These and those.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of those are among these.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

static BY_NAME: LazyLock<HashMap<&str, Field>> =
    LazyLock::new(|| table::TABLE.iter().map(|definition| (definition.name, definition.field)).collect());

impl Field {
    /// The field of this name, without an argument.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        BY_NAME.get(name).copied()
    }

    /// What is known of it.
    #[must_use]
    pub const fn definition(self) -> &'static Definition {
        // The table is made by the macro that makes the enum, one entry for each.
        &table::TABLE[self as usize]
    }

    /// Every field, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        table::TABLE.iter().map(|definition| definition.field)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn falco_lists_268() {
        let mut classes = BTreeMap::new();
        for field in Field::all().map(Field::definition) {
            if !field.traits.has(Traits::OWN) && !field.traits.has(Traits::UNLISTED) {
                *classes.entry(field.class()).or_insert(0) += 1;
            }
        }
        let expected = [
            ("container", 29),
            ("evt", 53),
            ("fd", 46),
            ("fdlist", 6),
            ("fs.path", 6),
            ("group", 2),
            ("k8s", 29),
            ("proc", 73),
            ("syscall", 1),
            ("thread", 17),
            ("user", 6),
        ];
        assert_eq!(classes, expected.into_iter().collect());
        assert_eq!(classes.values().sum::<i32>(), 268);
    }

    #[test]
    fn each_name_leads_to_its_entry() {
        for (place, field) in Field::all().enumerate() {
            assert_eq!(field as usize, place);
            assert_eq!(field.definition().field, field);
            assert_eq!(Field::find(field.definition().name), Some(field), "names are there once");
        }
        assert_eq!(Field::find("proc.nam"), None);
    }

    #[test]
    fn names_of_ours_are_marked() {
        let own = Field::all().filter(|field| field.definition().traits.has(Traits::OWN));
        let names: Vec<&str> = own.map(|field| field.definition().name).collect();
        assert!(names.contains(&"proc.no_new_privs") && names.contains(&"container.posture"));
        assert!(!names.contains(&"proc.name"));
    }
}

//! The file as written. Mappings keep their order, and values their places.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};
use settings::{Key, Spanned, sections};

use crate::posture::RawExemption;

/// A list in which each item keeps its place.
pub(super) type List<T> = Option<Vec<Spanned<T>>>;

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping of policy keys")]
pub(super) struct RawPolicy {
    pub(super) profiles: List<String>,
    pub(super) custom: Key<Entries<Spanned<RawProfile>>>,
    pub(super) controls: Option<Entries<Spanned<RawSetting>>>,
    pub(super) allow: Option<RawAllow>,
    pub(super) exemptions: List<RawExemption>,
    pub(super) default_exemptions: Key<String>,
}

/// An entry of `custom`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping of inherits and controls")]
pub(super) struct RawProfile {
    pub(super) inherits: List<String>,
    pub(super) controls: Option<Entries<Spanned<RawSetting>>>,
}

sections! {
    /// `allow`.
    RawAllow {
        capabilities: Vec<Spanned<String>>,
        registries: Vec<Spanned<String>>,
        ports: Vec<Spanned<usize>>,
        image_age: String,
        open_files: usize
    }
}

/// What is said of a control.
#[derive(Debug)]
pub(super) enum RawSetting {
    /// `on`, `off`, or some other word.
    Word(String),
    /// `{severity: …}`.
    Severity(Spanned<String>),
}

impl<'de> Deserialize<'de> for RawSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Mapping {
            severity: Spanned<String>,
        }

        struct OfControl;

        impl<'de> Visitor<'de> for OfControl {
            type Value = RawSetting;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("on, off or {severity: …}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RawSetting, E> {
                Ok(RawSetting::Word(text.to_owned()))
            }

            // Refused like any other word, with its place.
            fn visit_bool<E: de::Error>(self, is_true: bool) -> Result<RawSetting, E> {
                Ok(RawSetting::Word(is_true.to_string()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawSetting, A::Error> {
                let Mapping { severity } = Mapping::deserialize(MapAccessDeserializer::new(map))?;
                Ok(RawSetting::Severity(severity))
            }
        }

        deserializer.deserialize_any(OfControl)
    }
}

/// A mapping in the order in which it is written.
#[derive(Debug)]
pub(super) struct Entries<T>(pub(super) Vec<(String, T)>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for InOrder<T> {
            type Value = Entries<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a mapping of names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(InOrder(PhantomData))
    }
}

//! What programs read: one JSON object a line, made from a message by its descriptor.
//!
//! Names are those of the proto files, in snake case, with these rules:
//! - enums are words in lower case without their type: `fail`, `outbox_full`; unspecified ones are
//!   left out, as are texts that are empty and messages that are absent. Lists, numbers and flags
//!   are always there, but for those that are optional and not known;
//! - `*_unix_ns` are RFC 3339 texts in UTC under the name without that end (`first_seen`), and
//!   `wall_unix_ns` is `time`;
//! - a cursor is the text that `--after` takes; an epoch is 16 hex digits;
//! - bytes (paths, arguments) are inert text: `\x1b` for a hostile byte, `\\` for a backslash;
//! - in other texts hostile characters are `\u` escapes of JSON: nothing is lost, and the line is
//!   inert on a terminal.
//!
//! An event is one flat object with `type`, and what the event is about under that same name.

use std::{io, sync::LazyLock};

use inert::{inert, json::InertFormatter};
use kestrel_proto::v1;
use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, ReflectMessage as _, Value,
};
use serde::{
    Serialize, Serializer,
    ser::{Error as _, SerializeMap, SerializeSeq as _},
};

use crate::time;

static POOL: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(kestrel_proto::DESCRIPTORS).ok());

/// A message of `kestrel.v1` as a line, without its end.
///
/// # Errors
/// When `name` is not the message's: a mistake in this program.
pub fn line(name: &str, message: &impl Message) -> io::Result<Vec<u8>> {
    write(&Plain(&dynamic(name, message)?))
}

/// An event as a line, without its end.
///
/// # Errors
/// As [`line`].
pub fn event(envelope: &v1::Envelope) -> io::Result<Vec<u8>> {
    write(&Event(&dynamic("Envelope", envelope)?))
}

/// Events that were missed as a line, without its end.
///
/// # Errors
/// As [`line`].
pub fn missed(missed: &v1::Missed) -> io::Result<Vec<u8>> {
    write(&Typed("missed", &dynamic("Missed", missed)?))
}

/// A cursor as `--after` takes it.
#[must_use]
pub fn cursor(cursor: &v1::Cursor) -> String {
    format!("{}:{}", cursor.frame, cursor.index)
}

/// What [`cursor`] made.
///
/// # Errors
/// A sentence that says what would do.
pub fn parse_cursor(text: &str) -> Result<v1::Cursor, String> {
    let parts =
        text.split_once(':').and_then(|(frame, index)| Some((frame.parse().ok()?, index.parse().ok()?)));
    parts
        .map(|(frame, index)| v1::Cursor { frame, index })
        .ok_or_else(|| format!("`{text}` is not a cursor like 1042:7, which `tail -o json` shows as .cursor"))
}

/// Something that is no message as a line.
///
/// # Errors
/// When it cannot be JSON.
pub fn write(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, InertFormatter))?;
    Ok(out)
}

/// A message of `kestrel.v1` as a part of something that is none, by the same rules.
///
/// # Errors
/// As [`line`].
pub fn part(name: &str, message: &impl Message) -> io::Result<Part> {
    Ok(Part(dynamic(name, message)?))
}

/// What [`part`] made.
#[derive(Clone, Debug)]
pub struct Part(DynamicMessage);

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Plain(&self.0).serialize(serializer)
    }
}

fn dynamic(name: &str, message: &impl Message) -> io::Result<DynamicMessage> {
    let descriptor = POOL.as_ref().and_then(|pool| pool.get_message_by_name(&format!("kestrel.v1.{name}")));
    let descriptor = descriptor.ok_or_else(|| io::Error::other(format!("no message {name}")))?;
    DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice()).map_err(io::Error::other)
}

/// A message by the rules above.
struct Plain<'a>(&'a DynamicMessage);

impl Serialize for Plain<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.descriptor().full_name() == "kestrel.v1.Cursor" {
            let cursor_of =
                v1::Cursor::decode(self.0.encode_to_vec().as_slice()).map_err(S::Error::custom)?;
            return serializer.serialize_str(&cursor(&cursor_of));
        }
        let mut map = serializer.serialize_map(None)?;
        fields(&mut map, self.0, |_| true)?;
        map.end()
    }
}

/// A message under a `type`.
struct Typed<'a>(&'static str, &'a DynamicMessage);

impl Serialize for Typed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", self.0)?;
        fields(&mut map, self.1, |_| true)?;
        map.end()
    }
}

/// An envelope whose record is spread out in it.
struct Event<'a>(&'a DynamicMessage);

impl Serialize for Event<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = self.0.get_field_by_name("record");
        let record = record.as_deref().and_then(Value::as_message);
        let event = record.and_then(|record| {
            let mut fields = record.descriptor().fields().collect::<Vec<_>>().into_iter();
            let field = fields.find(|field| field.containing_oneof().is_some() && record.has_field(field))?;
            Some((record, field))
        });
        // The envelope's `node` is the node's name.
        let kind = event.as_ref().map_or("unknown", |(_, field)| match field.name() {
            "node" => "node_status",
            name => name,
        });
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", kind)?;
        if let Some(record) = record {
            fields(&mut map, record, |field| field.containing_oneof().is_none())?;
        }
        fields(&mut map, self.0, |field| field.name() != "record")?;
        if let Some((record, field)) = &event {
            map.serialize_entry(kind, &Field(field, &record.get_field(field)))?;
        }
        map.end()
    }
}

fn fields<M: SerializeMap>(
    map: &mut M,
    message: &DynamicMessage,
    wanted: impl Fn(&FieldDescriptor) -> bool,
) -> Result<(), M::Error> {
    for field in message.descriptor().fields().filter(wanted) {
        if field.supports_presence() && !message.has_field(&field) {
            continue;
        }
        let value = message.get_field(&field);
        if !field.supports_presence() && says_nothing(&field, &value) {
            continue;
        }
        map.serialize_entry(name(&field), &Field(&field, &value))?;
    }
    Ok(())
}

fn name(field: &FieldDescriptor) -> &str {
    match field.name().strip_suffix("_unix_ns") {
        Some("wall") => "time",
        Some(name) => name,
        None => field.name(),
    }
}

fn is_time(field: &FieldDescriptor) -> bool {
    field.name().ends_with("_unix_ns")
}

fn says_nothing(field: &FieldDescriptor, value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::EnumNumber(number) => *number == 0,
        Value::I64(number) => *number == 0 && is_time(field),
        _ => false,
    }
}

/// A value of a field.
struct Field<'a>(&'a FieldDescriptor, &'a Value);

impl Serialize for Field<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(field, value) = self;
        match value {
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::I32(value) => serializer.serialize_i32(*value),
            Value::I64(value) if is_time(field) => serializer.serialize_str(&time::rfc3339(*value)),
            Value::I64(value) => serializer.serialize_i64(*value),
            Value::U32(value) => serializer.serialize_u32(*value),
            // Random, and larger than what many readers keep apart.
            Value::U64(value) if matches!(field.kind(), Kind::Fixed64) => {
                serializer.serialize_str(&format!("{value:016x}"))
            }
            Value::U64(value) => serializer.serialize_u64(*value),
            Value::F32(value) => serializer.serialize_f32(*value),
            Value::F64(value) => serializer.serialize_f64(*value),
            Value::String(text) => serializer.serialize_str(text),
            Value::Bytes(bytes) => serializer.serialize_str(&inert(bytes)),
            Value::EnumNumber(number) => match field.kind() {
                Kind::Enum(descriptor) => serializer.serialize_str(&word(&descriptor, *number)),
                _ => serializer.serialize_i32(*number),
            },
            Value::Message(message) => Plain(message).serialize(serializer),
            Value::List(values) => {
                let mut list = serializer.serialize_seq(Some(values.len()))?;
                for value in values {
                    list.serialize_element(&Field(field, value))?;
                }
                list.end()
            }
            Value::Map(_) => Err(S::Error::custom("the schema has no maps")),
        }
    }
}

/// `VERDICT_FAIL` is `fail`; a number that this program does not know stays one.
fn word(descriptor: &EnumDescriptor, number: i32) -> String {
    let Some(value) = descriptor.get_value(number) else { return number.to_string() };
    let mut prefix = String::new();
    for char in descriptor.name().chars() {
        if char.is_ascii_uppercase() && !prefix.is_empty() {
            prefix.push('_');
        }
        prefix.push(char.to_ascii_uppercase());
    }
    let name = value.name();
    let rest = name.strip_prefix(&prefix).and_then(|rest| rest.strip_prefix('_')).unwrap_or(name);
    rest.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_follows_the_rules() {
        let gap = v1::Gap {
            epoch: 0xab,
            lane: v1::Lane::Findings.into(),
            from_sequence: 1,
            to_sequence: 2,
            reason: v1::GapReason::OutboxFull.into(),
            ..Default::default()
        };
        assert_eq!(
            String::from_utf8(line("Gap", &gap).unwrap()).unwrap(),
            "{\"epoch\":\"00000000000000ab\",\"lane\":\"findings\",\"from_sequence\":1,\"to_sequence\":2,\
             \"reason\":\"outbox_full\",\"from_boottime_ns\":0,\"to_boottime_ns\":0}"
        );
        let missed = v1::Missed { from: Some(v1::Cursor { frame: 7, index: 2 }), ..Default::default() };
        assert_eq!(super::missed(&missed).unwrap(), br#"{"type":"missed","from":"7:2"}"#);
    }

    #[test]
    fn hostile_text_does_nothing() {
        let process = v1::Process {
            exe: b"/tmp/\x1b]0;\xff".to_vec().into(),
            container_id: Some("\u{202e}\u{e0001}\x1b".to_owned()),
            ..Default::default()
        };
        let text = String::from_utf8(line("Process", &process).unwrap()).unwrap();
        assert!(!text.chars().any(inert::is_hostile), "{text}");
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed["exe"], r"/tmp/\x1b]0;\xff");
        assert_eq!(parsed["container_id"], "\u{202e}\u{e0001}\x1b");
    }

    #[test]
    fn cursors_are_read_as_they_are_shown() {
        let there = v1::Cursor { frame: u64::MAX, index: 3 };
        assert_eq!(parse_cursor(&cursor(&there)), Ok(there));
        for wrong in ["", "7", "7:", "a:b", "-1:0"] {
            assert!(parse_cursor(wrong).is_err());
        }
    }
}

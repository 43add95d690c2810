//! Events that are given as Falco's fields, as a JSON object: for tests of rules, and for events that
//! another engine recorded.

mod derived;
mod fixture;

use std::net::IpAddr;

use serde_json::{Map, Value as Json};

pub use fixture::Fixture;

use crate::{
    eval::{Fields, Lineage},
    field::{EventType, Kind, Reference},
    value::{Scalar, Value},
};

/// An event as a JSON object of field names. A field that is `null` or is not there is missing. Fields that
/// follow from others need not be there: `proc.aname[2]` follows from `proc.aname`, which is a text with
/// blanks between the names or an array; `fd.net` and its kin from the addresses.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JsonEvent {
    fields: Map<String, Json>,
}

impl JsonEvent {
    /// An event of these fields.
    #[must_use]
    pub const fn new(fields: Map<String, Json>) -> Self {
        Self { fields }
    }

    /// Its type, if it has one and the table knows it.
    #[must_use]
    pub fn event_type(&self) -> Option<EventType> {
        self.string("evt.type").and_then(EventType::find)
    }

    /// When it happened, in nanoseconds since 1970: its `evt.rawtime`, or an `evt.time` that is a number.
    #[must_use]
    pub fn time_ns(&self) -> Option<u64> {
        ["evt.rawtime", "evt.time"].into_iter().find_map(|name| self.json(name)?.as_u64())
    }

    /// What stands under a name.
    fn json(&self, name: &str) -> Option<&Json> {
        self.fields.get(name).filter(|json| !json.is_null())
    }

    fn string(&self, name: &str) -> Option<&str> {
        self.json(name).and_then(Json::as_str)
    }
}

impl Fields for JsonEvent {
    fn field(&self, reference: &Reference) -> Value<'_> {
        if let Some(value) = derived::split(self, reference) {
            return value;
        }
        match self.json(reference.text()) {
            Some(Json::Array(items)) => {
                Value::Many(items.iter().filter_map(|item| scalar(item, reference.kind())).collect())
            }
            Some(json) => match scalar(json, reference.kind()) {
                Some(scalar) => Value::One(scalar),
                None => derived::value(self, reference),
            },
            None => derived::value(self, reference),
        }
    }
}

/// By pid alone: two processes that had the same one are not told apart.
impl Lineage for JsonEvent {
    fn lineage(&self, take: &mut dyn FnMut(u64)) {
        for name in ["proc.pid", "proc.apid"] {
            let Ok(reference) = Reference::parse(name, None) else { continue };
            for scalar in self.field(&reference).scalars() {
                match scalar {
                    Scalar::Int(pid) => take(pid.cast_unsigned()),
                    Scalar::UInt(pid) => take(*pid),
                    _ => {}
                }
            }
        }
    }
}

/// A JSON value as one of a kind; nothing when it is none.
fn scalar(json: &Json, kind: Kind) -> Option<Scalar<'_>> {
    match kind {
        Kind::Text | Kind::Bytes | Kind::Dynamic => match json {
            Json::String(text) => Some(Scalar::from(text.as_str())),
            Json::Number(number) => Some(Scalar::owned(number.to_string())),
            Json::Bool(value) => Some(Scalar::text(if *value { "true" } else { "false" })),
            Json::Null | Json::Array(_) | Json::Object(_) => None,
        },
        Kind::Bool => json.as_bool().map(Scalar::Bool),
        Kind::Double => json.as_f64().map(Scalar::Double),
        Kind::Address | Kind::Network => address(json).map(Scalar::Address),
        Kind::Int16 | Kind::Int32 | Kind::Int64 => json.as_i64().map(Scalar::Int),
        Kind::UInt32 | Kind::UInt64 | Kind::RelTime | Kind::AbsTime | Kind::Port => {
            json.as_u64().map(Scalar::UInt)
        }
    }
}

fn address(json: &Json) -> Option<IpAddr> {
    json.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(fields: Json) -> JsonEvent {
        match fields {
            Json::Object(fields) => JsonEvent::new(fields),
            other => panic!("{other} is no object"),
        }
    }

    fn text(event: &JsonEvent, name: &str, argument: Option<&str>) -> Option<Vec<String>> {
        let reference = Reference::parse(name, argument).unwrap();
        let value = event.field(&reference);
        let words =
            value.scalars().iter().map(|it| String::from_utf8(it.to_text().into_owned()).unwrap()).collect();
        (value != Value::Missing).then_some(words)
    }

    #[test]
    fn fields_have_the_kinds_of_the_table() {
        let event = event(json!({
            "proc.pid": 7, "proc.exe_ino.mtime": 10_887_059_683_854_775_808_u64, "evt.time": 17, "fd.sip": "10.0.0.1",
            "evt.is_open_read": true, "user.loginuid": -1, "proc.name": "cat", "proc.tty": "none", "fd.name": null
        }));
        let field = |name| event.field(&Reference::parse(name, None).unwrap());
        assert_eq!(field("proc.pid"), Value::One(Scalar::Int(7)));
        assert_eq!(field("proc.exe_ino.mtime"), Value::One(Scalar::UInt(10_887_059_683_854_775_808)));
        assert_eq!(field("evt.time"), Value::One(Scalar::owned("17")));
        assert_eq!(field("fd.sip"), Value::One(Scalar::Address("10.0.0.1".parse().unwrap())));
        assert_eq!(field("evt.is_open_read"), Value::One(Scalar::Bool(true)));
        assert_eq!(field("user.loginuid"), Value::One(Scalar::Int(-1)));
        assert_eq!(field("proc.name"), Value::text("cat"));
        for missing in ["proc.tty", "fd.name", "fd.num"] {
            assert_eq!(field(missing), Value::Missing, "{missing}");
        }
    }

    #[test]
    fn ancestors_are_counted_from_the_parent() {
        let event =
            event(json!({ "proc.name": "cat", "proc.aname": "sh bash init", "proc.aname[3]": "systemd" }));
        assert_eq!(text(&event, "proc.aname", None), Some(vec!["sh".into(), "bash".into(), "init".into()]));
        for (index, name) in [("0", "cat"), ("1", "sh"), ("2", "bash"), ("3", "systemd")] {
            assert_eq!(text(&event, "proc.aname", Some(index)), Some(vec![name.into()]), "{index}");
        }
        assert_eq!(text(&event, "proc.aname", Some("4")), None);
    }

    #[test]
    fn ancestors_can_be_an_array() {
        let event = event(json!({ "proc.aexe": ["a b", "c"] }));
        assert_eq!(text(&event, "proc.aexe", None), Some(vec!["a b".into(), "c".into()]));
        assert_eq!(text(&event, "proc.aexe", Some("1")), Some(vec!["a b".into()]));
    }

    #[test]
    fn both_ends_of_a_connection_are_there() {
        let event = event(json!({
            "fd.sip": "11.0.0.1", "fd.lip": "11.0.0.1", "fd.cip": "192.0.2.2", "fd.sport": 443, "fd.cport": 5000,
            "fd.snet": "<IPNET>"
        }));
        let both = Some(vec!["192.0.2.2".to_owned(), "11.0.0.1".to_owned()]);
        assert_eq!(text(&event, "fd.ip", None), both);
        assert_eq!(text(&event, "fd.net", None), both);
        assert_eq!(text(&event, "fd.snet", None), Some(vec!["11.0.0.1".into()]));
        assert_eq!(text(&event, "fd.rnet", None), None);
        assert_eq!(text(&event, "fd.port", None), Some(vec!["5000".into(), "443".into()]));
        assert_eq!(text(&self::event(json!({})), "fd.ip", None), None);
    }

    #[test]
    fn parts_follow_from_the_whole() {
        let event = event(json!({
            "proc.args": "-c id x", "proc.env": "HOME=/root TERM=xterm", "evt.type": "openat", "evt.rawres": -2,
            "evt.res": "ENOENT"
        }));
        assert_eq!(text(&event, "proc.args", Some("1")), Some(vec!["id".into()]));
        assert_eq!(text(&event, "proc.args", Some("3")), None);
        assert_eq!(text(&event, "proc.env", Some("TERM")), Some(vec!["xterm".into()]));
        assert_eq!(text(&event, "proc.env", Some("TER")), None);
        assert_eq!(text(&event, "evt.type.is.openat", None), Some(vec!["1".into()]));
        assert_eq!(text(&event, "evt.type.is.open", None), Some(vec!["0".into()]));
        assert_eq!(text(&event, "evt.arg.res", None), Some(vec!["ENOENT".into()]));
        assert_eq!(text(&event, "evt.rawarg.res", None), Some(vec!["-2".into()]));
        assert_eq!(text(&event, "evt.arg", Some("0")), Some(vec!["ENOENT".into()]));
        assert_eq!(text(&event, "evt.rawtime", None), None);
        assert_eq!(text(&event, "evt.failed", None), Some(vec!["true".into()]));
        assert_eq!(text(&event, "syscall.type", None), Some(vec!["openat".into()]));
        assert_eq!(text(&event, "thread.ismain", None), None);
    }

    #[test]
    fn an_end_of_a_process_is_no_call() {
        let event = event(json!({ "evt.type": "procexit", "proc.pid": 5, "thread.tid": 5, "evt.time": 17 }));
        assert_eq!(text(&event, "syscall.type", None), None);
        assert_eq!(text(&event, "evt.failed", None), None);
        assert_eq!(text(&event, "thread.ismain", None), Some(vec!["true".into()]));
        assert_eq!(text(&event, "evt.rawtime", None), Some(vec!["17".into()]));
        assert_eq!(text(&event, "evt.arg", Some("0")), Some(vec![String::new()]), "there, and blank");
    }

    #[test]
    fn the_name_of_a_connection_has_its_ports() {
        let event = event(json!({ "fd.name": "11.0.0.1:35854->11.0.0.1:443", "fd.sport": 443 }));
        assert_eq!(text(&event, "fd.cport", None), Some(vec!["35854".into()]));
        assert_eq!(text(&event, "fd.port", None), Some(vec!["443".into(), "35854".into()]));
        assert_eq!(text(&self::event(json!({ "fd.name": "/a->b" })), "fd.cport", None), None);
    }
}

//! Fields that follow from others.

use std::net::IpAddr;

use serde_json::Value as Json;

use super::{JsonEvent, address, scalar};
use crate::{
    field::{Argument, Field, Kind, Reference, Traits},
    value::{Scalar, Value},
};

/// Types of events that are no system calls.
const NO_CALLS: &[&str] = &[
    "asyncevent",
    "container",
    "container_removed",
    "cpu_hotplug",
    "drop",
    "page_fault",
    "pluginevent",
    "procexit",
    "procinfo",
    "signaldeliver",
    "switch",
];

/// Ancestors that stand in one text, with blanks between.
pub(super) fn split<'e>(event: &'e JsonEvent, reference: &Reference) -> Option<Value<'e>> {
    if !reference.is_each_ancestor() || reference.kind() != Kind::Text {
        return None;
    }
    let text = event.string(reference.text())?;
    Some(Value::Many(words(text).map(Scalar::from).collect()))
}

/// What follows from other fields, if anything does.
pub(super) fn value<'e>(event: &'e JsonEvent, reference: &Reference) -> Value<'e> {
    let definition = reference.definition();
    match (definition.field, reference.argument()) {
        (field, Argument::Index(index)) if definition.traits.has(Traits::ANCESTORS) => {
            ancestor(event, field, *index).into()
        }
        (Field::ProcArgs, Argument::Index(index)) => {
            let place = usize::try_from(*index).unwrap_or(usize::MAX);
            let word = event.string("proc.args").and_then(|args| words(args).nth(place));
            word.map(Scalar::from).into()
        }
        (Field::ProcEnv, Argument::Name(name)) => {
            let variables = event.string("proc.env").map(words);
            let value = variables.and_then(|mut all| {
                all.find_map(|variable| variable.strip_prefix(&**name)?.strip_prefix('='))
            });
            value.map(Scalar::from).into()
        }
        (Field::EvtTypeIs, Argument::Name(name)) => {
            event.string("evt.type").map(|found| Scalar::UInt(u64::from(found == &**name))).into()
        }
        (Field::EvtArg, Argument::Name(name)) if &**name == "res" => result(event).into(),
        (Field::EvtArg, Argument::Index(0)) => first(event).into(),
        (Field::EvtRawarg, Argument::Name(name)) if &**name == "res" => {
            event.json("evt.rawres").and_then(Json::as_i64).map(Scalar::Int).into()
        }
        (Field::FdIp | Field::FdNet, _) => {
            let addresses = ["fd.cip", "fd.sip", "fd.lip", "fd.rip"].map(|name| of(event, name));
            ends(addresses.into_iter().flatten().map(Scalar::Address))
        }
        (Field::FdPort | Field::FdProto, _) => {
            let ports = ["fd.cport", "fd.sport", "fd.lport", "fd.rport"];
            let ports = ports.iter().filter_map(|name| event.json(name)?.as_u64());
            ends(ports.chain(client_port(event)).map(Scalar::UInt))
        }
        (Field::FdCnet, _) => of(event, "fd.cip").map(Scalar::Address).into(),
        (Field::FdSnet, _) => of(event, "fd.sip").map(Scalar::Address).into(),
        (Field::FdLnet, _) => of(event, "fd.lip").map(Scalar::Address).into(),
        (Field::FdRnet, _) => of(event, "fd.rip").map(Scalar::Address).into(),
        (Field::FdCport, _) => client_port(event).map(Scalar::UInt).into(),
        (Field::SyscallType, _) => {
            event.string("evt.type").filter(|name| !NO_CALLS.contains(name)).map(Scalar::from).into()
        }
        (Field::EvtDir, _) => event.string("evt.type").map(|_| Scalar::from("<")).into(),
        (Field::EvtCount, _) => event.string("evt.type").map(|_| Scalar::UInt(1)).into(),
        (Field::EvtFailed, _) => failed(event).map(Scalar::Bool).into(),
        (Field::EvtCountError, _) => failed(event).map(|failed| Scalar::UInt(failed.into())).into(),
        (Field::EvtRawtime, _) => event.json("evt.time").and_then(Json::as_u64).map(Scalar::UInt).into(),
        (Field::ThreadIsmain, _) => same(event, "proc.pid", "thread.tid").into(),
        (Field::ProcIsSidLeader, _) => same(event, "proc.sid", "proc.vpid").into(),
        (Field::ProcIsVpgidLeader, _) => same(event, "proc.vpgid", "proc.vpid").into(),
        _ => Value::Missing,
    }
}

/// An ancestor by its distance; the process itself is 0.
fn ancestor(event: &JsonEvent, field: Field, index: u64) -> Option<Scalar<'_>> {
    let itself = match field {
        Field::ProcAname => "proc.name",
        Field::ProcAexe => "proc.exe",
        Field::ProcAexepath => "proc.exepath",
        Field::ProcAcmdline => "proc.cmdline",
        Field::ProcAargs => "proc.args",
        Field::ProcApid => "proc.pid",
        _ => return None,
    };
    let definition = field.definition();
    let Some(place) = index.checked_sub(1) else {
        return scalar(event.json(itself)?, definition.kind);
    };
    let place = usize::try_from(place).ok()?;
    match event.json(definition.name)? {
        Json::Array(items) => scalar(items.get(place)?, definition.kind),
        Json::String(text) => words(text).nth(place).map(Scalar::from),
        _ => None,
    }
}

/// The result of the call as an argument shows it: the number, or the name of the error.
fn result(event: &JsonEvent) -> Option<Scalar<'_>> {
    let number = event.json("evt.rawres")?.as_i64()?;
    match event.string("evt.res") {
        Some(error) if number < 0 => Some(Scalar::from(error)),
        _ => Some(Scalar::owned(number.to_string())),
    }
}

/// The first argument: calls have what they returned there. Other events have one as well; where it is not
/// recorded it is blank.
fn first(event: &JsonEvent) -> Option<Scalar<'_>> {
    let descriptor = event.json("evt.arg.fd").and_then(|json| scalar(json, Kind::Text));
    let blank = event.string("evt.type").map(|_| Scalar::from(""));
    descriptor.or_else(|| result(event)).or(blank)
}

fn failed(event: &JsonEvent) -> Option<bool> {
    Some(event.json("evt.rawres")?.as_i64()? < 0)
}

fn same<'e>(event: &JsonEvent, one: &str, other: &str) -> Option<Scalar<'e>> {
    Some(Scalar::Bool(event.json(one)? == event.json(other)?))
}

/// The client's port of a connection, whose name is `client:port->server:port`.
fn client_port(event: &JsonEvent) -> Option<u64> {
    let (client, _) = event.string("fd.name")?.split_once("->")?;
    client.rsplit_once(':')?.1.parse().ok()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ').filter(|word| !word.is_empty())
}

fn of(event: &JsonEvent, name: &str) -> Option<IpAddr> {
    event.json(name).and_then(address)
}

/// Each end once.
fn ends<'e>(found: impl Iterator<Item = Scalar<'e>>) -> Value<'e> {
    let mut ends: Vec<Scalar<'e>> = Vec::new();
    for end in found {
        if !ends.contains(&end) {
            ends.push(end);
        }
    }
    if ends.is_empty() { Value::Missing } else { Value::Many(ends) }
}

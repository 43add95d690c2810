//! A detection as JSON.

use kestrel_proto::{
    detection::{priority_name, tactics, technique_url, techniques},
    v1::{self, detection::Object},
};
use serde::Serialize;

use super::TEXT;
use crate::{
    alert::{
        notice::Notice,
        text::{address, rfc3339, shown},
    },
    state::Detected,
};

/// A detection, or the first of `count`.
#[derive(Serialize)]
pub(super) struct Detection {
    rule: String,
    priority: &'static str,
    tags: Vec<String>,
    techniques: Vec<Technique>,
    tactics: Vec<&'static str>,
    event_type: Option<String>,
    output: String,
    first: String,
    last: String,
    count: u64,
    follows: bool,
    held_back: u64,
    pending_names: bool,
    namespace: Option<String>,
    workload_kind: Option<String>,
    workload: Option<String>,
    pod: Option<String>,
    container: Option<String>,
    container_id: Option<String>,
    image: Option<String>,
    process: Option<Process>,
    ancestors: Vec<Ancestor>,
    file: Option<String>,
    peer: Option<String>,
    fields: Vec<Field>,
}

#[derive(Serialize)]
struct Technique {
    id: String,
    url: String,
}

#[derive(Serialize)]
struct Process {
    pid: Option<u32>,
    exe: String,
    comm: String,
    argv: Vec<String>,
    uid: Option<u32>,
    euid: Option<u32>,
}

#[derive(Serialize)]
struct Ancestor {
    pid: u32,
    comm: String,
    exe: String,
}

#[derive(Serialize)]
struct Field {
    name: String,
    value: Option<String>,
}

pub(super) fn of(notice: &Notice, detected: &Detected) -> Detection {
    let said = |text: &str| (!text.is_empty()).then(|| shown(text, TEXT));
    let body = &detected.detection;
    let names = detected.names();
    let owner = names.and_then(|names| names.workload.as_ref());
    let technique = |id: &str| Technique { id: id.to_owned(), url: technique_url(id) };
    let ancestor = |ancestor: &v1::Ancestor| Ancestor {
        pid: ancestor.pid,
        comm: shown(&ancestor.comm, TEXT),
        exe: shown(&ancestor.exe, TEXT),
    };
    let field = |field: &v1::DetectionField| Field {
        name: shown(&field.name, TEXT),
        value: field.value.as_ref().map(|value| shown(value, TEXT)),
    };
    let (file, peer) = match &body.object {
        Some(Object::Path(path)) => (Some(shown(path, TEXT)), None),
        Some(Object::Peer(peer)) => (None, Some(shown(address(peer), TEXT))),
        None => (None, None),
    };
    Detection {
        rule: shown(&body.rule, TEXT),
        priority: priority_name(detected.urgency()),
        tags: body.tags.iter().map(|tag| shown(tag, TEXT)).collect(),
        techniques: techniques(&body.tags).map(technique).collect(),
        tactics: tactics(&body.tags).collect(),
        event_type: said(&body.event_type),
        output: shown(&body.output, TEXT),
        first: rfc3339(detected.wall_unix_ns),
        last: rfc3339(notice.until_unix_ns),
        count: notice.count,
        follows: notice.follows,
        held_back: notice.held_back,
        pending_names: body.pending_names,
        namespace: names.and_then(|names| said(&names.namespace)),
        workload_kind: owner.and_then(|owner| said(&owner.kind)),
        workload: owner.and_then(|owner| said(&owner.name)),
        pod: names.and_then(|names| said(&names.pod)),
        container: names.and_then(|names| said(&names.container)),
        container_id: detected.container.as_ref().and_then(|container| said(&container.id)),
        image: names.and_then(|names| said(&names.image)),
        process: detected.process.as_ref().map(process),
        ancestors: body.ancestors.iter().map(ancestor).collect(),
        file,
        peer,
        fields: body.fields.iter().map(field).collect(),
    }
}

fn process(body: &v1::Process) -> Process {
    Process {
        pid: body.id.as_ref().map(|id| id.tgid),
        exe: shown(&body.exe, TEXT),
        comm: shown(&body.comm, TEXT),
        argv: body.argv.iter().map(|word| shown(word, TEXT)).collect(),
        uid: body.state.as_ref().map(|state| state.uid),
        euid: body.state.as_ref().map(|state| state.euid),
    }
}

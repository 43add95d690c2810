//! A detection with what it refers to, as much of it as is told.

use std::collections::HashMap;

use bytes::Bytes;
use kestrel_proto::{
    detection::urgency,
    v1::{self, Priority, detection::Object},
};
use prost::Message;

/// Longest texts that are kept; a message shows less.
const OUTPUT: usize = 2048;
const PATH: usize = 1024;
const NAME: usize = 256;
/// Most of each list.
const TAGS: usize = 16;
const FIELDS: usize = 16;
const ANCESTORS: usize = 8;
const ARGUMENTS: usize = 16;

/// A detection, its process and its container. It stands in the journals of the channels, too.
#[derive(Clone, PartialEq, Message)]
pub struct Detected {
    /// When it happened, the node's clock.
    #[prost(int64, tag = "1")]
    pub wall_unix_ns: i64,
    /// It.
    #[prost(message, required, tag = "2")]
    pub detection: v1::Detection,
    /// Whose doing it was, where that was said.
    #[prost(message, optional, tag = "3")]
    pub process: Option<v1::Process>,
    /// Where, unless on the host.
    #[prost(message, optional, tag = "4")]
    pub container: Option<v1::Container>,
}

/// What the records of a batch refer to.
#[derive(Debug)]
pub(super) struct Index<'a> {
    processes: HashMap<ProcessKey, &'a v1::Process>,
    containers: HashMap<&'a str, &'a v1::Container>,
}

/// Start in ticks, tgid, exec id.
type ProcessKey = (u64, u32, Option<u64>);

impl<'a> Index<'a> {
    /// Of a batch that has all of it.
    pub(super) fn new(batch: &'a v1::Batch) -> Self {
        let processes =
            batch.processes.iter().filter_map(|process| Some((key(process.id.as_ref()?), process)));
        // Of a container that is there twice the later one has the names.
        let containers = batch.containers.iter().map(|container| (container.id.as_str(), container));
        Self { processes: processes.collect(), containers: containers.collect() }
    }
}

fn key(id: &v1::ProcessId) -> ProcessKey {
    (id.start_ticks, id.tgid, id.exec_id)
}

impl Detected {
    /// Of a record, and what its batch says of it.
    pub(super) fn new(record: &v1::Record, detection: &v1::Detection, index: &Index<'_>) -> Self {
        let id = detection.process.as_ref();
        let process = id.and_then(|id| index.processes.get(&key(id))).map(|&it| process(it));
        let container_id = detection
            .container_id
            .as_deref()
            .or_else(|| process.as_ref().and_then(|process| process.container_id.as_deref()));
        let container = container_id.map(|id| match index.containers.get(id) {
            Some(&known) => container(known),
            None => v1::Container { id: id.to_owned(), ..v1::Container::default() },
        });
        Self { wall_unix_ns: record.wall_unix_ns, detection: trimmed(detection), process, container }
    }

    /// How urgent it is.
    #[must_use]
    pub fn urgency(&self) -> Priority {
        urgency(&self.detection)
    }

    /// The container's names, where they are known.
    #[must_use]
    pub fn names(&self) -> Option<&v1::ContainerNames> {
        self.container.as_ref()?.names.as_ref()
    }
}

fn trimmed(detection: &v1::Detection) -> v1::Detection {
    let v1::Detection {
        rule,
        severity,
        tags,
        output,
        process,
        container_id: _,
        priority,
        event_type,
        fields,
        ancestors,
        held_back,
        pending_names,
        object,
    } = detection;
    let field = |field: &v1::DetectionField| v1::DetectionField {
        name: text(&field.name, NAME),
        value: field.value.as_ref().map(|value| text(value, NAME)),
    };
    let ancestor = |ancestor: &v1::Ancestor| v1::Ancestor {
        pid: ancestor.pid,
        comm: ancestor.comm.clone(),
        exe: bytes(&ancestor.exe, NAME),
    };
    v1::Detection {
        rule: text(rule, NAME),
        severity: *severity,
        tags: tags.iter().take(TAGS).map(|tag| text(tag, NAME)).collect(),
        output: text(output, OUTPUT),
        process: *process,
        // It is the container's own.
        container_id: None,
        priority: *priority,
        event_type: text(event_type, NAME),
        fields: fields.iter().take(FIELDS).map(field).collect(),
        ancestors: ancestors.iter().take(ANCESTORS).map(ancestor).collect(),
        held_back: *held_back,
        pending_names: *pending_names,
        object: object.as_ref().map(|object| match object {
            Object::Path(path) => Object::Path(bytes(path, PATH)),
            Object::Peer(peer) => Object::Peer(v1::Address {
                ip: text(&peer.ip, NAME),
                path: bytes(&peer.path, NAME),
                ..peer.clone()
            }),
        }),
    }
}

fn process(process: &v1::Process) -> v1::Process {
    v1::Process {
        id: process.id,
        exe: bytes(&process.exe, PATH),
        argv: process.argv.iter().take(ARGUMENTS).map(|argument| bytes(argument, NAME)).collect(),
        argv_truncated: process.argv_truncated || process.argv.len() > ARGUMENTS,
        comm: process.comm.clone(),
        container_id: process.container_id.clone(),
        state: process.state.as_ref().map(|state| v1::TaskState {
            uid: state.uid,
            euid: state.euid,
            ..v1::TaskState::default()
        }),
        ..v1::Process::default()
    }
}

fn container(container: &v1::Container) -> v1::Container {
    let names = container.names.as_ref().map(|names| v1::ContainerNames {
        namespace: text(&names.namespace, NAME),
        pod: text(&names.pod, NAME),
        container: text(&names.container, NAME),
        image: text(&names.image, NAME),
        workload: names.workload.as_ref().map(|workload| v1::Workload {
            kind: text(&workload.kind, NAME),
            name: text(&workload.name, NAME),
            namespace: text(&workload.namespace, NAME),
        }),
        sandbox: names.sandbox,
        ..v1::ContainerNames::default()
    });
    v1::Container { id: container.id.clone(), names, ..v1::Container::default() }
}

fn text(text: &str, most: usize) -> String {
    text[..text.floor_char_boundary(most)].to_owned()
}

/// A copy: a slice would keep the whole batch in memory.
fn bytes(bytes: &Bytes, most: usize) -> Bytes {
    Bytes::copy_from_slice(&bytes[..bytes.len().min(most)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_its_process_and_the_names_of_its_container_and_is_small() {
        let id = v1::ProcessId { start_ticks: 1, tgid: 2, exec_id: Some(3) };
        let of = |namespace: &str| v1::Container {
            id: "ab".to_owned(),
            names: Some(v1::ContainerNames { namespace: namespace.to_owned(), ..Default::default() }),
            ..v1::Container::default()
        };
        let argv = vec![Bytes::from(vec![b'x'; 10_000]); 100];
        let by =
            v1::Process { id: Some(id), argv, container_id: Some("ab".to_owned()), ..Default::default() };
        let batch = v1::Batch {
            processes: vec![v1::Process::default(), by],
            containers: vec![of(""), of("shop")],
            ..v1::Batch::default()
        };
        let long = "ä".repeat(60_000);
        let field = v1::DetectionField { name: long.clone(), value: Some(long.clone()) };
        let ancestor = v1::Ancestor { exe: long.clone().into_bytes().into(), ..v1::Ancestor::default() };
        let detection = v1::Detection {
            rule: long.clone(),
            tags: vec![long.clone(); 200],
            output: long,
            process: Some(id),
            fields: vec![field; 200],
            ancestors: vec![ancestor; 60],
            ..v1::Detection::default()
        };
        let record = v1::Record { wall_unix_ns: 7, ..v1::Record::default() };
        let index = Index::new(&batch);
        let detected = Detected::new(&record, &detection, &index);
        assert_eq!(detected.names().unwrap().namespace, "shop");
        assert_eq!(detected.process.as_ref().unwrap().argv.len(), ARGUMENTS);
        assert!(detected.encoded_len() < 32 << 10, "{}", detected.encoded_len());

        let nobody = v1::Detection { container_id: Some("cd".to_owned()), ..v1::Detection::default() };
        let detected = Detected::new(&record, &nobody, &index);
        assert_eq!(detected.process, None);
        assert_eq!(detected.container.unwrap().id, "cd");
        // Of the host.
        let host = Detected::new(&record, &v1::Detection::default(), &index);
        assert_eq!((host.process, host.container), (None, None));
    }
}

//! What rules and the agent itself detected, and what was held back of a container.

use std::net::IpAddr;

use bytes::Bytes;
use kestrel_proto::v1::{self, detection, record::Event};
use rules::load::Priority;

use super::{Exporter, activity::Known, finding, item, notice, process};
use crate::{
    detect::{Ancestor, Detection, Object},
    outbox::{Definition, Item, Lane},
    output::event::Interval,
    pipeline::{Detected, Throttled, lifecycle::ContainerEntry},
    time::Clock,
};

impl Exporter {
    /// Events that were held back; a notice, so that it goes first and is lost last.
    #[must_use]
    pub fn throttled(&mut self, throttled: &Throttled) -> Item {
        let Throttled { container, cgroup, events, from, to, begins: _ } = throttled;
        let event = v1::Throttled {
            container_id: container.as_ref().map(|container| container.id.to_string()),
            cgroup: *cgroup,
            events: *events,
            interval: Some(notice::of_interval(&Interval::new(*from, *to))),
        };
        let refers = self.refer_container(container.as_ref(), *to);
        item(Lane::Findings, *to, Event::Throttled(event), refers)
    }

    /// A detection of the agent's own.
    #[must_use]
    pub fn detected(&mut self, detected: &Detected) -> Item {
        let Detected { at, rule, severity, tags, output, container } = detected;
        let detection = v1::Detection {
            rule: (*rule).to_owned(),
            severity: finding::severity(*severity).into(),
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            output: output.clone(),
            process: None,
            container_id: container.as_ref().map(|container| container.id.to_string()),
            ..v1::Detection::default()
        };
        let refers = self.refer_container(container.as_ref(), *at);
        item(Lane::Detections, *at, Event::Detection(detection), refers)
    }

    /// A match of a rule.
    #[must_use]
    pub fn detection(&mut self, detection: &Detection) -> Item {
        let Detection {
            at,
            rule,
            event_type,
            output,
            fields,
            process,
            texts,
            ancestors,
            container,
            object,
            held_back,
            pending_names,
        } = detection;
        let field = |(name, value): &(String, Option<String>)| v1::DetectionField {
            name: name.clone(),
            value: value.clone(),
        };
        let ancestor = |it: &Ancestor| v1::Ancestor {
            pid: it.id.tgid,
            comm: Bytes::copy_from_slice(&it.comm),
            exe: Bytes::copy_from_slice(&it.exe),
        };
        let event = v1::Detection {
            rule: rule.name.clone(),
            severity: finding::severity(rule.severity()).into(),
            tags: rule.tags.clone(),
            output: output.clone(),
            process: process.as_ref().map(|process| process::id(process.id, process.exec_id)),
            container_id: container.as_ref().map(|container| container.id.to_string()),
            priority: priority(rule.priority).into(),
            event_type: (*event_type).to_owned(),
            fields: fields.iter().map(field).collect(),
            ancestors: ancestors.iter().map(ancestor).collect(),
            object: object.as_ref().map(of_object),
            held_back: *held_back,
            pending_names: *pending_names,
        };
        let mut refers = match process {
            Some(process) => self.refer(texts, process, *at, Known::Used),
            None => Vec::new(),
        };
        if process.as_ref().is_none_or(|process| process.container.is_none()) {
            refers.extend(self.refer_container(container.as_ref(), *at));
        }
        item(Lane::Detections, *at, Event::Detection(event), refers)
    }

    fn refer_container(&mut self, container: Option<&ContainerEntry>, at: Clock) -> Vec<Definition> {
        container.map(|container| self.containers.define(container, at)).into_iter().collect()
    }
}

fn of_object(object: &Object) -> detection::Object {
    match object {
        Object::Path(path) => detection::Object::Path(Bytes::copy_from_slice(path)),
        Object::Peer(address, port) => {
            let family = match address {
                IpAddr::V4(_) => v1::SocketFamily::Inet,
                IpAddr::V6(_) => v1::SocketFamily::Inet6,
            };
            detection::Object::Peer(v1::Address {
                family: family.into(),
                ip: address.to_string(),
                port: u32::from(*port),
                ..v1::Address::default()
            })
        }
    }
}

const fn priority(priority: Priority) -> v1::Priority {
    match priority {
        Priority::Emergency => v1::Priority::Emergency,
        Priority::Alert => v1::Priority::Alert,
        Priority::Critical => v1::Priority::Critical,
        Priority::Error => v1::Priority::Error,
        Priority::Warning => v1::Priority::Warning,
        Priority::Notice => v1::Priority::Notice,
        Priority::Informational => v1::Priority::Informational,
        Priority::Debug => v1::Priority::Debug,
    }
}

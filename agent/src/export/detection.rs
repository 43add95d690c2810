//! What the agent detected by itself, and what was held back of a container.

use kestrel_proto::v1::{self, record::Event};

use super::{Exporter, finding, item, notice};
use crate::{
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
        };
        let refers = self.refer_container(container.as_ref(), *at);
        item(Lane::Detections, *at, Event::Detection(detection), refers)
    }

    fn refer_container(&mut self, container: Option<&ContainerEntry>, at: Clock) -> Vec<Definition> {
        container.map(|container| self.containers.define(container, at)).into_iter().collect()
    }
}

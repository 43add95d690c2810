//! A frame, and for each record what it refers to.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use kestrel_proto::{
    SCHEMA, raw,
    v1::{self, Container, Cursor, Envelope, Process, ProcessId, Record, record::Event},
};

use super::records;
use crate::log::{Content, Frame};

type ProcessKey = (u64, u32, Option<u64>);

/// A frame with an index of its definitions, made when it is first needed.
#[derive(Debug)]
pub struct Joined {
    frame: Arc<Frame>,
    index: OnceLock<Index>,
    made: Option<Record>,
}

#[derive(Debug, Default)]
struct Index {
    processes: HashMap<ProcessKey, usize>,
    containers: HashMap<String, usize>,
}

/// A record and what it refers to.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// It.
    pub record: &'a Record,
    /// Its process.
    pub process: Option<&'a Process>,
    /// Its container, or that of its process.
    pub container: Option<&'a Container>,
}

impl Joined {
    /// Of a frame.
    #[must_use]
    pub fn new(frame: Arc<Frame>) -> Self {
        let made = match &frame.body.content {
            Content::Node(status) => Some(Record {
                boottime_ns: 0,
                wall_unix_ns: frame.body.received_unix_ns,
                event: Some(Event::Node(status.clone())),
            }),
            Content::Batch(_) | Content::Inventory(_) | Content::Hello(_) => None,
        };
        Self { frame, index: OnceLock::new(), made }
    }

    /// Number of the frame.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.frame.number
    }

    /// The frame.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// How many records it shows.
    #[must_use]
    pub fn records(&self) -> usize {
        records(&self.frame)
    }

    /// One record.
    #[must_use]
    pub fn entry(&self, place: usize) -> Option<Entry<'_>> {
        let batch = match &self.frame.body.content {
            Content::Batch(batch) => batch,
            Content::Node(_) if place == 0 => {
                return self.made.as_ref().map(|record| Entry { record, process: None, container: None });
            }
            Content::Node(_) | Content::Inventory(_) | Content::Hello(_) => return None,
        };
        let record = batch.records.get(place)?;
        let (process, container) = refers(record);
        if process.is_none() && container.is_none() {
            return Some(Entry { record, process: None, container: None });
        }
        let index = self.index.get_or_init(|| Index::of(batch));
        let process =
            process.and_then(|id| index.processes.get(&key(id))).and_then(|&at| batch.processes.get(at));
        let container = container.or(process.and_then(|process| process.container_id.as_deref()));
        let container =
            container.and_then(|id| index.containers.get(id)).and_then(|&at| batch.containers.get(at));
        Some(Entry { record, process, container })
    }

    /// A record with everything a reader needs.
    #[must_use]
    pub fn envelope(&self, place: usize) -> Option<Envelope> {
        let Entry { record, process, container } = self.entry(place)?;
        let body = &self.frame.body;
        let (epoch, lane, sequence) = match &body.content {
            Content::Batch(batch) => (batch.epoch, batch.lane, batch.first_sequence + place as u64),
            Content::Node(_) | Content::Inventory(_) | Content::Hello(_) => (0, 0, 0),
        };
        Some(Envelope {
            schema: SCHEMA,
            cluster: body.source.cluster.to_string(),
            node: body.source.node.to_string(),
            boot_id: body.source.boot_id.to_string(),
            epoch,
            lane,
            sequence,
            received_unix_ns: body.received_unix_ns,
            record: Some(record.clone()),
            process: process.cloned(),
            container: container.cloned(),
            cursor: Some(Cursor {
                frame: self.frame.number,
                index: u32::try_from(place).unwrap_or(u32::MAX),
            }),
        })
    }
}

impl Index {
    fn of(batch: &v1::Batch) -> Self {
        let processes = batch.processes.iter().enumerate();
        let processes =
            processes.filter_map(|(place, process)| Some((key(process.id.as_ref()?), place))).collect();
        // Of a container that is there twice the later one has the names.
        let containers = batch.containers.iter().enumerate();
        let containers = containers.map(|(place, container)| (container.id.clone(), place)).collect();
        Self { processes, containers }
    }
}

fn key(id: &ProcessId) -> ProcessKey {
    (id.start_ticks, id.tgid, id.exec_id)
}

/// What a record refers to by id.
fn refers(record: &Record) -> (Option<&ProcessId>, Option<&str>) {
    match &record.event {
        Some(Event::Exec(exec)) => (exec.process.as_ref(), None),
        Some(Event::Exit(exit)) => (exit.process.as_ref(), None),
        Some(Event::Credentials(change)) => (change.process.as_ref(), None),
        Some(Event::Detection(detection)) => (detection.process.as_ref(), detection.container_id.as_deref()),
        Some(Event::Finding(finding)) => {
            let process = finding.instances.first().and_then(|instance| instance.process.as_ref());
            (process, Some(&finding.container_id))
        }
        Some(Event::ContainerStarted(started)) => (None, Some(&started.container_id)),
        Some(Event::ContainerNamed(named)) => (None, Some(&named.container_id)),
        Some(Event::ContainerGone(gone)) => (None, Some(&gone.container_id)),
        Some(Event::Throttled(throttled)) => (None, throttled.container_id.as_deref()),
        Some(event) => raw::refers(event),
        None => (None, None),
    }
}

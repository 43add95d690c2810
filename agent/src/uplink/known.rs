//! Which processes and containers the collector knows on this connection.

use hashbrown::{HashMap, HashSet};

use crate::{
    context::ContainerId,
    outbox::{Definition, DefinitionKey, OutgoingBatch},
    uplink::wire,
};

/// Processes that both sides remember.
const MAX_PROCESSES: usize = 65_536;
/// Containers that both sides remember.
const MAX_CONTAINERS: usize = 8192;

type ProcessKey = (u64, u32, u64);

/// What was sent before.
#[derive(Debug)]
pub(super) struct Known {
    processes: HashSet<ProcessKey>,
    /// With the version that was sent.
    containers: HashMap<ContainerId, u32>,
    max_processes: usize,
    max_containers: usize,
}

impl Default for Known {
    fn default() -> Self {
        Self::with_room(MAX_PROCESSES, MAX_CONTAINERS)
    }
}

impl Known {
    fn with_room(max_processes: usize, max_containers: usize) -> Self {
        Self { processes: HashSet::new(), containers: HashMap::new(), max_processes, max_containers }
    }

    /// The batch as it is sent: with the definitions that the collector lacks. When there is no room
    /// for them, both sides forget all first.
    pub(super) fn message(&mut self, batch: OutgoingBatch) -> wire::Batch {
        let OutgoingBatch { epoch, lane, first_sequence, records, refers, bytes: _ } = batch;
        let forget = !self.has_room(&refers);
        if forget {
            self.processes.clear();
            self.containers.clear();
        }
        let (mut processes, mut containers) = (Vec::new(), Vec::new());
        for Definition { key, body } in refers {
            match key {
                DefinitionKey::Process { start_ticks, tgid, exec_id } => {
                    if self.processes.insert((start_ticks, tgid, exec_id)) {
                        processes.push(body);
                    }
                }
                // What comes later says more: its names.
                DefinitionKey::Container { id, version } => {
                    let sent = self.containers.get(&id);
                    if sent.is_none_or(|&sent| sent < version) {
                        self.containers.insert(id, version);
                        containers.push(body);
                    }
                }
            }
        }
        wire::Batch {
            epoch,
            lane: lane.to_proto().into(),
            first_sequence,
            processes,
            containers,
            forget,
            records,
        }
    }

    fn has_room(&self, refers: &[Definition]) -> bool {
        let (mut processes, mut containers) = (self.processes.len(), self.containers.len());
        for definition in refers {
            match definition.key {
                DefinitionKey::Process { start_ticks, tgid, exec_id } => {
                    processes += usize::from(!self.processes.contains(&(start_ticks, tgid, exec_id)));
                }
                DefinitionKey::Container { id, .. } => {
                    containers += usize::from(!self.containers.contains_key(&id));
                }
            }
        }
        processes <= self.max_processes && containers <= self.max_containers
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::outbox::Lane;

    fn process(tgid: u32) -> Definition {
        Definition {
            key: DefinitionKey::Process { start_ticks: 1, tgid, exec_id: 1 },
            body: Bytes::copy_from_slice(&tgid.to_le_bytes()),
        }
    }

    fn container(name: u8, version: u32) -> Definition {
        let id = ContainerId::parse(&[name; 64]).unwrap();
        Definition {
            key: DefinitionKey::Container { id, version },
            body: Bytes::copy_from_slice(&[name, version as u8]),
        }
    }

    fn batch(refers: &[Definition]) -> OutgoingBatch {
        OutgoingBatch {
            epoch: 1,
            lane: Lane::Detections,
            first_sequence: 1,
            records: vec![Bytes::from_static(b"r")],
            refers: refers.to_vec(),
            bytes: 0,
        }
    }

    fn sent(known: &mut Known, refers: &[Definition]) -> (usize, usize, bool) {
        let message = known.message(batch(refers));
        (message.processes.len(), message.containers.len(), message.forget)
    }

    #[test]
    fn each_is_sent_once_and_a_container_again_with_its_names() {
        let mut known = Known::default();
        assert_eq!(sent(&mut known, &[process(1), container(b'a', 1)]), (1, 1, false));
        assert_eq!(sent(&mut known, &[process(1), container(b'a', 1)]), (0, 0, false));
        assert_eq!(sent(&mut known, &[process(2), container(b'a', 2)]), (1, 1, false));
        // Of a record that waited in a lower lane.
        assert_eq!(sent(&mut known, &[container(b'a', 1)]), (0, 0, false));
    }

    #[test]
    fn when_it_is_full_both_sides_forget() {
        let mut known = Known::with_room(3, 2);
        assert_eq!(sent(&mut known, &[process(1), process(2), process(3)]), (3, 0, false));
        assert_eq!(sent(&mut known, &[process(3)]), (0, 0, false));
        // Also what was known is sent again.
        assert_eq!(sent(&mut known, &[process(3), process(4)]), (2, 0, true));
        assert_eq!(sent(&mut known, &[process(3)]), (0, 0, false));
        assert_eq!(sent(&mut known, &[container(b'a', 1), container(b'b', 1)]), (0, 2, false));
        assert_eq!(sent(&mut known, &[container(b'c', 1), process(3)]), (1, 1, true));
    }
}

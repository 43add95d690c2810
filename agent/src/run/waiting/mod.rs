//! What a container does before the runtime has answered with its names waits for them here, so that
//! it can be found by them.
//!
//! The first event of a container whose names are asked for begins its wait. Its events go on, in
//! their order, when its names come, and then with them; when the runtime does not know them, when it
//! is gone, and when it has waited for as long as a finding does. From then on its events wait no
//! more. With no room for another event the oldest of all goes on. None is dropped.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use hashbrown::HashMap;

use crate::{
    context::ContainerId,
    export::{Exported, Naming},
    outbox::{Definition, DefinitionKey, Item},
    telemetry::{Telemetry, label::NameWaitEnd},
};

/// Bytes of all that waits.
const MAX_BYTES: usize = 4 << 20;
/// What an event takes beside its bytes.
const OVERHEAD: usize = size_of::<Held>() + 2 * size_of::<Definition>();
/// Containers whose wait is remembered. Those of which nothing waits are forgotten first, and if they
/// have waited in vain, do so again.
const CONTAINERS: usize = 8192;

/// By which way buffers of events come from the hot loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Lifecycle.
    Lifecycle,
    /// Rare raw events.
    Rare,
    /// Bulk events.
    Bulk,
}

impl Way {
    /// Every way.
    pub(super) const ALL: [Self; 3] = [Self::Lifecycle, Self::Rare, Self::Bulk];
}

/// Events that wait for names, in the order in which they came.
pub(super) struct Waiting {
    wait: Duration,
    max_bytes: usize,
    held: VecDeque<Held>,
    bytes: usize,
    /// Events that wait, by way.
    by_way: [usize; Way::ALL.len()],
    /// Buffers that came, by way.
    taken: [u64; Way::ALL.len()],
    asked: HashMap<ContainerId, Asked>,
    telemetry: Arc<Telemetry>,
}

/// An event that waits.
struct Held {
    item: Item,
    container: ContainerId,
    way: Way,
    /// Buffers that came by its way before its own.
    before: u64,
    bytes: usize,
}

/// A container whose names are asked for.
struct Asked {
    since: Instant,
    held: usize,
}

impl Waiting {
    pub(super) fn new(wait: Duration, telemetry: Arc<Telemetry>) -> Self {
        Self {
            wait,
            max_bytes: MAX_BYTES,
            held: VecDeque::new(),
            bytes: 0,
            by_way: [0; Way::ALL.len()],
            taken: [0; Way::ALL.len()],
            asked: HashMap::new(),
            telemetry,
        }
    }

    /// Takes a buffer's events over. Those that need not wait, and those that have waited for what
    /// they bring, go to `out`.
    pub(super) fn take(&mut self, way: Way, events: &mut Vec<Exported>, now: Instant, out: &mut Vec<Item>) {
        let before = self.taken[way as usize];
        self.taken[way as usize] += 1;
        for Exported { item, names } in events.drain(..) {
            match names {
                Naming::None => {}
                Naming::Named(id) => self.end(id, NameWaitEnd::Named, &item, out),
                Naming::Refused(id) => self.end(id, NameWaitEnd::Refused, &item, out),
                Naming::Gone(id) => self.end(id, NameWaitEnd::Gone, &item, out),
                Naming::Asked(id) => {
                    self.telemetry.name_wait.taken.add(1);
                    if self.waits(id, now, out) {
                        self.hold(item, id, (way, before), out);
                        continue;
                    }
                    self.count(NameWaitEnd::Deadline);
                }
            }
            out.push(item);
        }
    }

    /// Lets go what has waited long enough.
    pub(super) fn tick(&mut self, now: Instant, out: &mut Vec<Item>) {
        let is_due =
            |asked: &Asked| asked.held != 0 && now.saturating_duration_since(asked.since) >= self.wait;
        let due: Vec<_> = self.asked.iter().filter(|(_, asked)| is_due(asked)).map(|(&id, _)| id).collect();
        for id in due {
            self.release(id, NameWaitEnd::Deadline, None, out);
        }
    }

    /// Lets everything go: nothing follows.
    pub(super) fn finish(&mut self, out: &mut Vec<Item>) {
        while self.release_oldest(NameWaitEnd::Stop, out) {}
    }

    /// Of how many buffers, from the first on, no event waits here.
    pub(super) fn told(&self, way: Way) -> u64 {
        // Else there is none to be looked for.
        let oldest = (self.by_way[way as usize] != 0).then(|| self.held.iter().find(|held| held.way == way));
        oldest.flatten().map_or(self.taken[way as usize], |held| held.before)
    }

    /// To be called when what was let go is in the outbox: whoever sees nothing here looks there.
    pub(super) fn measure(&self) {
        let name_wait = &self.telemetry.name_wait;
        name_wait.events.set(self.held.len() as u64);
        name_wait.bytes.set(self.bytes as u64);
    }

    /// Whether an event of this container waits; else those before it have gone on.
    fn waits(&mut self, id: ContainerId, now: Instant, out: &mut Vec<Item>) -> bool {
        if self.asked.len() >= CONTAINERS && !self.asked.contains_key(&id) {
            self.asked.retain(|_, asked| asked.held != 0);
        }
        let asked = self.asked.entry(id).or_insert(Asked { since: now, held: 0 });
        if now.saturating_duration_since(asked.since) < self.wait {
            return true;
        }
        self.release(id, NameWaitEnd::Deadline, None, out);
        false
    }

    fn hold(&mut self, item: Item, container: ContainerId, from: (Way, u64), out: &mut Vec<Item>) {
        let (way, before) = from;
        let refers: usize = item.refers.iter().map(|definition| definition.body.len()).sum();
        let bytes = OVERHEAD + item.record.len() + refers;
        if let Some(asked) = self.asked.get_mut(&container) {
            asked.held += 1;
        }
        self.bytes += bytes;
        self.by_way[way as usize] += 1;
        self.held.push_back(Held { item, container, way, before, bytes });
        while self.bytes > self.max_bytes && self.release_oldest(NameWaitEnd::Room, out) {}
    }

    /// There is nothing more to wait for: an event says what there is to know of the container.
    fn end(&mut self, id: ContainerId, why: NameWaitEnd, by: &Item, out: &mut Vec<Item>) {
        let is_its = |definition: &&Definition| matches!(definition.key, DefinitionKey::Container { id: its, .. } if its == id);
        self.release(id, why, by.refers.iter().find(is_its), out);
        self.asked.remove(&id);
    }

    /// Lets the events of a container go, with what is known of it now.
    fn release(
        &mut self,
        id: ContainerId,
        why: NameWaitEnd,
        known: Option<&Definition>,
        out: &mut Vec<Item>,
    ) {
        let Some(asked) = self.asked.get_mut(&id).filter(|asked| asked.held != 0) else { return };
        asked.held = 0;
        for _ in 0..self.held.len() {
            let Some(mut held) = self.held.pop_front() else { break };
            if held.container != id {
                self.held.push_back(held);
                continue;
            }
            if let Some(known) = known {
                for definition in &mut held.item.refers {
                    if matches!(definition.key, DefinitionKey::Container { .. }) {
                        definition.clone_from(known);
                    }
                }
            }
            self.left(held, why, out);
        }
    }

    fn release_oldest(&mut self, why: NameWaitEnd, out: &mut Vec<Item>) -> bool {
        let Some(held) = self.held.pop_front() else { return false };
        if let Some(asked) = self.asked.get_mut(&held.container) {
            asked.held -= 1;
        }
        self.left(held, why, out);
        true
    }

    fn left(&mut self, held: Held, why: NameWaitEnd, out: &mut Vec<Item>) {
        self.bytes -= held.bytes;
        self.by_way[held.way as usize] -= 1;
        self.count(why);
        out.push(held.item);
    }

    fn count(&self, why: NameWaitEnd) {
        self.telemetry.name_wait.ended.of(why).add(1);
    }
}

#[cfg(test)]
mod tests;

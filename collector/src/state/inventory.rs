//! What a node says that there is: parts put together, and its containers.

use std::{collections::HashMap, sync::Arc};

use kestrel_proto::v1::{Container, ContainerPosture, Inventory, Watermark};
use prost::Message;

/// Most parts of an inventory.
const PARTS: u32 = 1024;
/// Most bytes of one.
const BYTES: usize = 256 << 20;
/// Most containers of a node.
const CONTAINERS: usize = 8192;
/// Most containers remembered as gone.
const GONE: usize = 4096;

/// The inventory that is being received, and the one that waits for its time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Incoming {
    parts: Vec<Inventory>,
    bytes: usize,
    held: Option<Inventory>,
}

impl Incoming {
    /// A new connection: what was not received whole will come again.
    pub fn restart(&mut self, is_known: impl Fn(u64) -> bool) {
        self.parts.clear();
        self.bytes = 0;
        // Its outbox is not to come any more, so neither are the events that it waits for.
        self.held.take_if(|held| held.after.as_ref().is_some_and(|after| !is_known(after.epoch)));
    }

    /// Takes a part. A part that does not fit to those before begins anew.
    pub fn part(&mut self, part: &Inventory) {
        let parts = part.parts.max(1);
        let follows = self.parts.first().is_some_and(|first| {
            first.number == part.number
                && first.parts.max(1) == parts
                && usize::try_from(part.part).is_ok_and(|place| place == self.parts.len())
        });
        if !follows {
            self.parts.clear();
            self.bytes = 0;
            // Parts are counted from 0.
            if part.part != 0 || parts > PARTS {
                return;
            }
        }
        self.bytes += part.encoded_len();
        if self.bytes > BYTES {
            self.parts.clear();
            self.bytes = 0;
            return;
        }
        self.parts.push(part.clone());
        if self.parts.len() as u64 == u64::from(parts) {
            self.bytes = 0;
            self.held = whole(std::mem::take(&mut self.parts));
        }
    }

    /// The whole inventory, once all that it holds is there.
    pub fn ready(&mut self, reached: impl Fn(&Watermark) -> bool) -> Option<Inventory> {
        self.held
            .take_if(|held| held.after.as_ref().is_none_or(|after| after.sequence == 0 || reached(after)))
    }

    pub(super) fn store(&self) -> (Vec<Inventory>, Option<Inventory>) {
        let Self { parts, bytes: _, held } = self;
        (parts.clone(), held.clone())
    }

    pub(super) fn restore(parts: Vec<Inventory>, held: Option<Inventory>) -> Self {
        let bytes = parts.iter().map(Message::encoded_len).sum();
        Self { parts, bytes, held }
    }
}

fn whole(parts: Vec<Inventory>) -> Option<Inventory> {
    let mut parts = parts.into_iter();
    let mut whole = parts.next()?;
    for part in parts {
        let Inventory {
            number: _,
            part: _,
            parts: _,
            after,
            boottime_ns: _,
            wall_unix_ns: _,
            containers,
            findings,
            node_controls,
        } = part;
        whole.after = whole.after.or(after);
        whole.containers.extend(containers);
        whole.findings.extend(findings);
        whole.node_controls.extend(node_controls);
    }
    (whole.part, whole.parts) = (0, 1);
    Some(whole)
}

/// The containers of a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Containers {
    there: HashMap<String, Held>,
    /// Boottime at which they went.
    gone: HashMap<String, u64>,
    refused: u64,
}

#[derive(Clone, Debug, PartialEq)]
struct Held {
    posture: Arc<ContainerPosture>,
    /// Boottime of what says that it is there.
    since: u64,
}

impl Containers {
    /// All, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<ContainerPosture>> {
        self.there.values().map(|held| &held.posture)
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.there.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.there.is_empty()
    }

    /// How many found no room.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// A container started, was found, or got its names.
    pub fn there(&mut self, container: &Container, boottime_ns: u64) {
        if self.gone.get(&container.id).is_some_and(|&gone| gone >= boottime_ns) {
            return;
        }
        if let Some(held) = self.there.get_mut(&container.id) {
            let posture = Arc::make_mut(&mut held.posture);
            let is_named = posture.container.as_ref().is_some_and(|known| known.names.is_some());
            if container.names.is_some() || !is_named {
                posture.container = Some(container.clone());
            }
            held.since = held.since.max(boottime_ns);
            return;
        }
        if self.there.len() >= CONTAINERS {
            self.refused += 1;
            return;
        }
        let posture = ContainerPosture { container: Some(container.clone()), ..ContainerPosture::default() };
        self.there.insert(container.id.clone(), Held { posture: Arc::new(posture), since: boottime_ns });
    }

    /// A container went.
    pub fn gone(&mut self, id: &str, boottime_ns: u64) {
        if self.there.get(id).is_some_and(|held| held.since > boottime_ns) {
            return;
        }
        self.there.remove(id);
        if self.gone.len() >= GONE
            && let Some(oldest) = self.gone.iter().min_by_key(|&(id, &at)| (at, id)).map(|(id, _)| id.clone())
        {
            self.gone.remove(&oldest);
        }
        self.gone.insert(id.to_owned(), boottime_ns);
    }

    /// An inventory made at that time: what it lists is there, unless it went later; what it does not
    /// list is not, unless it came later.
    pub fn reconcile(&mut self, listed: Vec<ContainerPosture>, boottime_ns: u64) {
        self.gone.retain(|_, gone| *gone > boottime_ns);
        let mut there: HashMap<_, _> =
            self.there.drain().filter(|(_, held)| held.since > boottime_ns).collect();
        for posture in listed {
            let Some(id) = posture.container.as_ref().map(|container| container.id.clone()) else { continue };
            if self.gone.contains_key(&id) {
                continue;
            }
            if there.len() >= CONTAINERS {
                self.refused += 1;
                continue;
            }
            let since = there.get(&id).map_or(boottime_ns, |held| held.since);
            there.insert(id, Held { posture: Arc::new(posture), since });
        }
        self.there = there;
    }

    /// Another boot: none of them is there any more.
    pub fn clear(&mut self) {
        self.there.clear();
        self.gone.clear();
    }

    pub(super) fn store(&self) -> StoredContainers {
        let Self { there, gone, refused } = self;
        let mut there: Vec<_> = there
            .values()
            .map(|held| StoredContainer {
                posture: Some(ContainerPosture::clone(&held.posture)),
                since: held.since,
            })
            .collect();
        there.sort_unstable_by(|one, other| one.id().cmp(other.id()));
        let mut gone: Vec<_> =
            gone.iter().map(|(id, &boottime_ns)| StoredGone { id: id.clone(), boottime_ns }).collect();
        gone.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        StoredContainers { there, gone, refused: *refused }
    }

    pub(super) fn restore(stored: StoredContainers) -> Self {
        let StoredContainers { there, gone, refused } = stored;
        let there = there
            .into_iter()
            .filter_map(|stored| {
                let id = stored.id().to_owned();
                Some((id, Held { posture: Arc::new(stored.posture?), since: stored.since }))
            })
            .collect();
        let gone = gone.into_iter().map(|StoredGone { id, boottime_ns }| (id, boottime_ns)).collect();
        Self { there, gone, refused }
    }
}

/// Containers in the snapshot.
#[derive(Clone, PartialEq, Message)]
pub struct StoredContainers {
    #[prost(message, repeated, tag = "1")]
    there: Vec<StoredContainer>,
    #[prost(message, repeated, tag = "2")]
    gone: Vec<StoredGone>,
    #[prost(uint64, tag = "3")]
    refused: u64,
}

#[derive(Clone, PartialEq, Message)]
struct StoredContainer {
    #[prost(message, optional, tag = "1")]
    posture: Option<ContainerPosture>,
    #[prost(uint64, tag = "2")]
    since: u64,
}

impl StoredContainer {
    fn id(&self) -> &str {
        self.posture
            .as_ref()
            .and_then(|posture| posture.container.as_ref())
            .map_or("", |container| container.id.as_str())
    }
}

#[derive(Clone, PartialEq, Message)]
struct StoredGone {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(uint64, tag = "2")]
    boottime_ns: u64,
}

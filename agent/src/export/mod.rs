//! From the agent's types to the contract, `kestrel.v1`: what leaves a node, and in which lane.
//!
//! Nothing here does input or output. Bytes that a workload chose go out as the kernel has them;
//! whoever shows them makes them inert. Arguments that look like secrets do not go out
//! ([`redact`]).

mod activity;
mod cache;
mod container;
mod detection;
mod finding;
mod inventory;
mod notice;
mod process;
mod raw;
pub mod redact;
#[cfg(test)]
mod tests;

use kestrel_proto::v1;
use prost::Message as _;

use self::{cache::Definitions, container::Containers, raw::Operations};
use crate::{
    context::ContainerId,
    outbox::{Definition, Item, Lane},
    output::event::Body,
    pipeline::{InventorySnapshot, lifecycle::LifecycleBatch},
    posture::Change,
    time::Clock,
};

/// Most bytes of a part of an inventory, encoded.
pub const INVENTORY_PART_BYTES: usize = 1024 * 1024;

/// An event of a process or a container, encoded.
#[derive(Debug)]
pub struct Exported {
    /// What goes to the outbox.
    pub item: Item,
    /// Whether there is something to wait for before it does.
    pub names: Naming,
}

/// How it stands with the names of the container that an event refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// It refers to none, or tells that the container is there.
    None,
    /// They are asked for.
    Asked(ContainerId),
    /// The event has them.
    Named(ContainerId),
    /// They will not come soon; the event says why.
    Refused(ContainerId),
    /// It is the container's end, and the event does not have them.
    Gone(ContainerId),
}

/// Encodes events. Remembers, within bounds, the definitions of processes and containers, so that
/// what follows about one of them uses their encoded bytes again.
#[derive(Debug, Default)]
pub struct Exporter {
    processes: Definitions,
    containers: Containers,
    inventories: u64,
    operations: Operations,
    /// Room for a path.
    path: Vec<u8>,
}

impl Exporter {
    /// That knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A change of a finding. It says all by itself and refers to nothing.
    #[must_use]
    pub fn change(&mut self, change: &Change) -> Item {
        let event = v1::record::Event::Finding(finding::of_change(change));
        item(Lane::Findings, change.at, event, Vec::new())
    }

    /// A loss, a blind interval, coverage, ready or stop. `None` for a finding, which is made of
    /// its [`Change`].
    #[must_use]
    pub fn notice(&mut self, at: Clock, body: &Body) -> Option<Item> {
        Some(item(Lane::Findings, at, notice::event(body)?, Vec::new()))
    }

    /// The events of a buffer, in their order, appended to `events`.
    pub fn lifecycle(&mut self, batch: &LifecycleBatch, events: &mut Vec<Exported>) {
        for entry in batch.entries() {
            events.push(self.activity(batch, entry));
        }
    }

    /// One that may wait for the names of its container.
    fn exported(&self, mut item: Item) -> Exported {
        let names = self.containers.naming(&mut item.refers);
        Exported { item, names }
    }

    /// All containers and open findings, in parts of at most [`INVENTORY_PART_BYTES`] each; one
    /// that is larger by itself is a part by itself. `after` is the last number of the lane of
    /// findings that was given out before: the snapshot holds what the lane says up to there.
    pub fn inventory(&mut self, snapshot: &InventorySnapshot, after: v1::Watermark) -> Vec<v1::Inventory> {
        self.inventories += 1;
        inventory::parts(snapshot, self.inventories, after)
    }
}

fn item(lane: Lane, at: Clock, event: v1::record::Event, refers: Vec<Definition>) -> Item {
    let record = v1::Record { boottime_ns: at.boottime_ns, wall_unix_ns: wall(at), event: Some(event) };
    Item { lane, at, record: record.encode_to_vec().into(), refers }
}

/// The wall's clock as the contract has it.
fn wall(at: Clock) -> i64 {
    i64::try_from(at.wall_ns).unwrap_or(i64::MAX)
}

//! From what is told to the outbox.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use kestrel_proto::v1;
use tokio::sync::mpsc;

use super::{
    delivery::Delivery,
    waiting::{Waiting, Way},
};
use crate::{
    detect::Detection,
    export::{Exported, Exporter},
    outbox::{Item, Lane, Outbox},
    output::event::Body,
    pipeline::{Detected, InventorySnapshot, Throttled, Told, lifecycle::LifecycleBatch, raw::RawBatch},
    posture::Change,
    time::Clock,
};

/// Time from one sync to the next while there is nothing to sync: what was acknowledged leaves the
/// disk.
const TIDY: Duration = Duration::from_secs(1);

/// Encodes and appends, in order but for what waits for names.
pub(super) struct Keeper {
    outbox: Outbox,
    epoch: u64,
    exporter: Exporter,
    inventories: mpsc::Sender<Vec<v1::Inventory>>,
    /// Encoded, not looked at.
    events: Vec<Exported>,
    waiting: Waiting,
    /// How many buffers are appended, for the hot loop.
    told: Arc<Told>,
    /// Encoded, not appended.
    items: Vec<Item>,
    /// The last number in the lane of findings.
    last_finding: u64,
    /// Appended, and not yet safe from power loss.
    is_dirty: bool,
    synced: Instant,
}

impl Keeper {
    pub(super) fn new(
        delivery: &Delivery,
        inventories: mpsc::Sender<Vec<v1::Inventory>>,
        waiting: Waiting,
        told: Arc<Told>,
    ) -> Self {
        Self {
            outbox: delivery.outbox.clone(),
            epoch: delivery.epoch,
            exporter: Exporter::new(),
            inventories,
            events: Vec::new(),
            waiting,
            told,
            items: Vec::new(),
            last_finding: 0,
            is_dirty: false,
            synced: Instant::now(),
        }
    }

    pub(super) fn change(&mut self, change: &Change) {
        self.items.push(self.exporter.change(change));
    }

    pub(super) fn notice(&mut self, at: Clock, body: &Body) {
        self.items.extend(self.exporter.notice(at, body));
    }

    pub(super) fn throttled(&mut self, throttled: &Throttled) {
        self.items.push(self.exporter.throttled(throttled));
    }

    pub(super) fn detected(&mut self, detected: &Detected) {
        self.items.push(self.exporter.detected(detected));
    }

    pub(super) fn detection(&mut self, detection: &Detection) {
        self.items.push(self.exporter.detection(detection));
    }

    pub(super) fn lifecycle(&mut self, batch: &LifecycleBatch) {
        self.exporter.lifecycle(batch, &mut self.events);
        self.waiting.take(Way::Lifecycle, &mut self.events, Instant::now(), &mut self.items);
    }

    pub(super) fn rare(&mut self, batch: &RawBatch) {
        self.exporter.raw(batch, Lane::Detections, &mut self.events);
        self.waiting.take(Way::Rare, &mut self.events, Instant::now(), &mut self.items);
    }

    pub(super) fn bulk(&mut self, batch: &RawBatch) {
        self.exporter.raw(batch, Lane::Bulk, &mut self.events);
        self.waiting.take(Way::Bulk, &mut self.events, Instant::now(), &mut self.items);
    }

    /// Gives numbers. From then on it goes to the collector, and outlives a kill.
    pub(super) fn append(&mut self) {
        if !self.items.is_empty() {
            let appended = self.outbox.append(&mut self.items);
            self.last_finding = appended.last[Lane::Findings.index()];
            self.is_dirty = true;
        }
        for way in Way::ALL {
            told(&self.told, way).store(self.waiting.told(way), Ordering::Release);
        }
        self.waiting.measure();
    }

    /// What has waited for names long enough goes on.
    pub(super) fn let_go(&mut self) {
        self.waiting.tick(Instant::now(), &mut self.items);
        self.append();
    }

    /// Nothing follows: all is appended.
    pub(super) fn finish(&mut self) {
        self.waiting.finish(&mut self.items);
        self.append();
    }

    /// What was appended outlives power loss, unless the disk does not let it: the outbox says so.
    pub(super) fn sync(&mut self) {
        self.outbox.sync();
        self.is_dirty = false;
        self.synced = Instant::now();
    }

    /// Now and then.
    pub(super) fn tidy(&mut self) {
        if self.is_dirty || self.synced.elapsed() >= TIDY {
            self.sync();
        }
    }

    /// The snapshot holds what was told before it, and nothing later.
    pub(super) fn inventory(&mut self, snapshot: &InventorySnapshot) {
        self.append();
        let after =
            v1::Watermark { epoch: self.epoch, lane: v1::Lane::Findings.into(), sequence: self.last_finding };
        // Full: one waits for the collector, and another will be asked for.
        let _ = self.inventories.try_send(self.exporter.inventory(snapshot, after));
    }
}

/// Where the hot loop looks.
pub(super) fn told(told: &Told, way: Way) -> &AtomicU64 {
    match way {
        Way::Lifecycle => &told.lifecycle,
        Way::Rare => &told.rare,
        Way::Bulk => &told.bulk,
    }
}

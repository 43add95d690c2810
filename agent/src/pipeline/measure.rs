//! The gauges, and the inventory: all that is kept, at one moment.

use hashbrown::HashMap;

use super::{ContainerSnapshot, InventorySnapshot, Pipeline, outlet};
use crate::{
    context::Container,
    filter::MarkCounts,
    telemetry::label::{Queue, QueueDrop, Table},
    time::Clock,
};

impl Pipeline {
    /// What is true now. It waits for nothing that was told before: it goes behind it.
    pub(super) fn inventory(&self, now: Clock) -> InventorySnapshot {
        let mut judged: HashMap<_, _> =
            self.posture.inventory().into_iter().map(|posture| (posture.key, posture)).collect();
        let is_there =
            |container: &&Container| !container.gone || self.context.members(container.key).next().is_some();
        let mut containers: Vec<_> = self
            .context
            .containers()
            .filter(is_there)
            .map(|container| {
                let (controls, observed, declared) = match judged.remove(&container.key) {
                    Some(posture) => (posture.controls, posture.observed, posture.declared),
                    None => (self.posture.not_judged(), None, None),
                };
                ContainerSnapshot { container: container.into(), controls, observed, declared }
            })
            .collect();
        containers.sort_by_key(|snapshot| (snapshot.container.id, snapshot.container.key));
        InventorySnapshot {
            at: now,
            containers,
            node: self.posture.node_controls(),
            findings: self.posture.open_findings(now),
        }
    }

    pub(super) fn measure(&self) {
        let counts = self.context.counts();
        let sizes = self.posture.sizes();
        let entries = &self.telemetry.context.entries;
        let evicted = &self.telemetry.context.evicted;
        entries.of(Table::Processes).set((counts.live + counts.exited) as u64);
        entries.of(Table::Containers).set(counts.containers as u64);
        entries.of(Table::Cgroups).set(counts.cgroups as u64);
        entries.of(Table::Findings).set(sizes.findings as u64);
        evicted.of(Table::Processes).set(counts.process.evicted);
        evicted.of(Table::Containers).set(counts.container.evicted);
        evicted.of(Table::Cgroups).set(counts.cgroup.evicted);
        evicted.of(Table::Findings).set(self.posture.counters().findings_evicted);
        let posture = self.posture.counters();
        let refused = &self.telemetry.context.refused;
        refused.of(Table::Containers).set(counts.container.refused + posture.containers_refused);
        refused.of(Table::Processes).set(posture.tasks_refused);
        refused.of(Table::Findings).set(posture.findings_refused);
        self.telemetry.posture.judged.set(posture.judged);
        let throttle = &self.telemetry.throttle;
        let MarkCounts { marked, full, refused } = self.groups.counts();
        throttle.marked.set(marked);
        throttle.marks_full.set(full);
        throttle.marks_refused.set(refused);
        throttle.hidden_paths.set(self.hidden.seen);
        let queues = &self.telemetry.queues;
        for (queue, depth, lost) in [
            (Queue::Lifecycle, self.lifecycle.out.depth(), self.lifecycle.out.lost_ever()),
            (Queue::Rare, self.raw.rare.depth(), self.raw.rare.lost_ever()),
            (Queue::Bulk, self.raw.bulk.depth(), self.raw.bulk.lost_ever()),
        ] {
            queues.depth.of(queue).set(depth);
            queues.dropped.of(queue, QueueDrop::Full).set(lost);
        }
        outlet::measure_verdicts(&self.posture, &self.telemetry);
    }
}

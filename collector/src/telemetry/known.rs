//! What the collector knows and tells, as last looked at.

use std::sync::atomic::Ordering;

use kestrel_proto::v1::NodeCondition;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::label::{ChannelLabel, ConditionLabel};
use crate::{
    alert::ChannelStatus,
    state::{Fold, Presences},
};

/// Nodes, findings and alerts.
#[derive(Debug, Default)]
pub struct Known {
    nodes: Family<ConditionLabels, Gauge>,
    open_findings: Gauge,
    unexplained: Gauge,
    pending: Family<ChannelLabels, Gauge>,
    delivered: Family<ChannelLabels, Counter>,
    failed: Family<ChannelLabels, Counter>,
    repeats: Family<ChannelLabels, Counter>,
    grouped: Family<ChannelLabels, Gauge>,
    wanted: Family<ChannelLabels, Counter>,
    told: Family<ChannelLabels, Counter>,
    counted: Family<ChannelLabels, Counter>,
    refused: Family<ChannelLabels, Counter>,
    early: Family<ChannelLabels, Counter>,
    refusing_rules: Gauge,
}

#[derive(Clone, Debug, EncodeLabelSet, Hash, PartialEq, Eq)]
struct ConditionLabels {
    condition: ConditionLabel,
}

#[derive(Clone, Debug, EncodeLabelSet, Hash, PartialEq, Eq)]
struct ChannelLabels {
    channel: ChannelLabel,
}

impl Known {
    /// Takes over what the state says.
    pub fn state(&self, fold: &Fold) {
        let mut counts = [0_i64; ConditionLabel::ALL.len()];
        let mut unexplained = 0_u64;
        for (_, node) in fold.nodes() {
            counts[ConditionLabel::of(node.status.condition()) as usize] += 1;
            unexplained = unexplained.saturating_add(node.unexplained());
        }
        for (&condition, count) in ConditionLabel::ALL.iter().zip(counts) {
            self.nodes.get_or_create(&ConditionLabels { condition }).set(count);
        }
        self.open_findings.set(gauge(fold.open_findings()));
        self.unexplained.set(gauge(unexplained));
    }

    /// Takes over what the agents say.
    pub fn presences(&self, presences: &Presences) {
        self.refusing_rules.set(gauge(presences.refusing_rules() as u64));
    }

    /// Takes over how the channels are.
    pub fn alerts(&self, channels: &[ChannelStatus]) {
        for status in channels {
            let Some(channel) = ChannelLabel::of(status.name) else { continue };
            let labels = ChannelLabels { channel };
            self.pending.get_or_create(&labels).set(gauge(status.pending));
            self.grouped.get_or_create(&labels).set(gauge(status.grouped));
            // Counted by the channel, over restarts.
            for (family, count) in [
                (&self.delivered, status.delivered),
                (&self.failed, status.failed),
                (&self.repeats, status.repeats),
                (&self.wanted, status.detections.wanted),
                (&self.told, status.detections.told),
                (&self.counted, status.detections.counted),
                (&self.refused, status.detections.refused),
                (&self.early, status.early),
            ] {
                family.get_or_create(&labels).inner().store(count, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let Self {
            nodes,
            open_findings,
            unexplained,
            pending,
            delivered,
            failed,
            repeats,
            grouped,
            wanted,
            told,
            counted,
            refused,
            early,
            refusing_rules,
        } = self;
        for &condition in ConditionLabel::ALL {
            drop(nodes.get_or_create(&ConditionLabels { condition }));
        }
        for &channel in ChannelLabel::ALL {
            let labels = ChannelLabels { channel };
            drop(pending.get_or_create(&labels));
            drop(grouped.get_or_create(&labels));
            for family in [delivered, failed, repeats, wanted, told, counted, refused, early] {
                drop(family.get_or_create(&labels));
            }
        }
        registry.register("nodes", "Nodes by condition", nodes.clone());
        registry.register("open_findings", "Findings that are open", open_findings.clone());
        registry.register(
            "unexplained_events",
            "Numbers that are missing and that no gap explains",
            unexplained.clone(),
        );
        registry.register("alerts_pending", "Changes that wait to be told", pending.clone());
        registry.register("alerts_delivered", "Changes that were told", delivered.clone());
        registry.register("alerts_failed", "Changes that were refused for good", failed.clone());
        registry.register(
            "alerts_repeated_messages",
            "Messages that said they may be the second",
            repeats.clone(),
        );
        registry.register(
            "alerts_grouped_detections",
            "Detections that wait for the end of their window",
            grouped.clone(),
        );
        registry.register("alerts_detections", "Detections that were to be told", wanted.clone());
        registry.register("alerts_told_detections", "Detections told, also with others", told.clone());
        registry.register(
            "alerts_counted_detections",
            "Detections that found no room and were told as a number",
            counted.clone(),
        );
        registry.register(
            "alerts_refused_detections",
            "Detections that were refused for good",
            refused.clone(),
        );
        registry.register(
            "alerts_early_detections",
            "Detections whose window was cut short for want of room",
            early.clone(),
        );
        registry.register(
            "nodes_refusing_rules",
            "Connected nodes that do not use the newest files of their rules",
            refusing_rules.clone(),
        );
    }
}

impl ConditionLabel {
    const fn of(condition: NodeCondition) -> Self {
        match condition {
            NodeCondition::Healthy => Self::Healthy,
            NodeCondition::Silent => Self::Silent,
            NodeCondition::Blind => Self::Blind,
            NodeCondition::Stopped => Self::Stopped,
            NodeCondition::Unspecified => Self::Unknown,
        }
    }
}

impl ChannelLabel {
    fn of(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|label| label.name() == name)
    }
}

fn gauge(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

//! What the collector counts. Names are `kestrel_collector_<what>_<unit>_total`; labels come from
//! [`label`], never from a node or a workload, and every series is there at zero from the first
//! scrape.

mod known;
mod label;

use kestrel_proto::v1::record::Event;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

pub use known::Known;
pub use label::{
    ChannelLabel, ConditionLabel, EventKind, MessageKind, PressureLabel, PriorityLabel, RefusalReason,
};

/// Of [`Telemetry::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const PREFIX: &str = "kestrel_collector";

/// All of it. Other parts add theirs with [`Telemetry::new`]'s registry.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    /// From the agents to the log.
    pub ingest: Ingest,
    /// The log.
    pub log: LogGauges,
    /// Nodes, findings and alerts.
    pub known: Known,
}

/// From the agents to the log.
#[derive(Debug, Default)]
pub struct Ingest {
    /// Streams of agents.
    pub connections: Gauge,
    messages: Family<MessageLabels, Counter>,
    events: Family<EventLabels, Counter>,
    detections: Family<PriorityLabels, Counter>,
    refused: Family<RefusalLabels, Counter>,
    pressures: Family<PressureLabels, Counter>,
    /// Before compression.
    pub bytes: Counter,
    /// Events that were here already.
    pub duplicates: Counter,
    /// Numbers that were jumped over.
    pub holes: Counter,
    /// Numbers that agents said will not come.
    pub gaps: Counter,
    /// References to processes and containers that were not sent before.
    pub unknown_references: Counter,
    /// Remembered of processes and containers.
    pub definition_bytes: Gauge,
}

/// The log, as last looked at.
#[derive(Debug, Default)]
pub struct LogGauges {
    /// Number of the next frame.
    pub next_frame: Gauge,
    /// Number of the oldest frame.
    pub oldest_frame: Gauge,
    /// On the disk.
    pub bytes: Gauge,
    /// On the disk.
    pub segments: Gauge,
    /// 1 while it takes frames, else 0.
    pub writing: Gauge,
}

#[derive(Clone, Debug, EncodeLabelSet, Hash, PartialEq, Eq)]
struct MessageLabels {
    kind: MessageKind,
}

#[derive(Clone, Debug, EncodeLabelSet, Hash, PartialEq, Eq)]
struct EventLabels {
    kind: EventKind,
}

#[derive(Clone, Debug, EncodeLabelSet, Hash, PartialEq, Eq)]
struct PriorityLabels {
    priority: PriorityLabel,
}

#[derive(Clone, Debug, EncodeLabelSet, Hash, PartialEq, Eq)]
struct RefusalLabels {
    reason: RefusalReason,
}

#[derive(Clone, Debug, EncodeLabelSet, Hash, PartialEq, Eq)]
struct PressureLabels {
    reason: PressureLabel,
}

impl Ingest {
    /// Counts a message.
    pub fn message(&self, kind: MessageKind) {
        self.messages.get_or_create(&MessageLabels { kind }).inc();
    }

    /// Counts the events of a batch that are new.
    pub fn count<'a>(&self, events: impl Iterator<Item = &'a Event>) {
        let mut counts = [0; EventKind::ALL.len()];
        for event in events {
            counts[EventKind::of(event) as usize] += 1;
            if let Event::Detection(detection) = event {
                self.detections
                    .get_or_create(&PriorityLabels { priority: PriorityLabel::of(detection) })
                    .inc();
            }
        }
        for (&kind, count) in EventKind::ALL.iter().zip(counts).filter(|(_, count)| *count > 0) {
            self.events.get_or_create(&EventLabels { kind }).inc_by(count);
        }
    }

    /// Counts a stream that the collector ended.
    pub fn refused(&self, reason: RefusalReason) {
        self.refused.get_or_create(&RefusalLabels { reason }).inc();
    }

    /// Counts that an agent was asked to wait.
    pub fn pressure(&self, reason: PressureLabel) {
        self.pressures.get_or_create(&PressureLabels { reason }).inc();
    }

    /// Events of that kind that were new.
    #[must_use]
    pub fn events(&self, kind: EventKind) -> u64 {
        self.events.get_or_create(&EventLabels { kind }).get()
    }

    /// Detections of that priority that were new.
    #[must_use]
    pub fn detections(&self, priority: PriorityLabel) -> u64 {
        self.detections.get_or_create(&PriorityLabels { priority }).get()
    }

    /// Streams ended for that reason.
    #[must_use]
    pub fn refusals(&self, reason: RefusalReason) -> u64 {
        self.refused.get_or_create(&RefusalLabels { reason }).get()
    }

    fn register(&self, registry: &mut Registry) {
        let Self {
            connections,
            messages,
            events,
            detections,
            refused,
            pressures,
            bytes,
            duplicates,
            holes,
            gaps,
            unknown_references,
            definition_bytes,
        } = self;
        for &kind in MessageKind::ALL {
            drop(messages.get_or_create(&MessageLabels { kind }));
        }
        for &kind in EventKind::ALL {
            drop(events.get_or_create(&EventLabels { kind }));
        }
        for &priority in PriorityLabel::ALL {
            drop(detections.get_or_create(&PriorityLabels { priority }));
        }
        for &reason in RefusalReason::ALL {
            drop(refused.get_or_create(&RefusalLabels { reason }));
        }
        for &reason in PressureLabel::ALL {
            drop(pressures.get_or_create(&PressureLabels { reason }));
        }
        registry.register("ingest_connections", "Streams of agents now", connections.clone());
        registry.register("ingest_messages", "Messages of agents", messages.clone());
        registry.register("ingest_events", "Events that were new", events.clone());
        registry.register("ingest_detections", "Detections that were new", detections.clone());
        registry.register("ingest_refused_streams", "Streams that the collector ended", refused.clone());
        registry.register("ingest_pressures", "Times that an agent was asked to wait", pressures.clone());
        registry.register("ingest_bytes", "Bytes for the log, before compression", bytes.clone());
        registry.register("ingest_duplicate_events", "Events that were here already", duplicates.clone());
        registry.register("ingest_missing_events", "Numbers that were jumped over", holes.clone());
        registry.register("ingest_gap_events", "Numbers that agents said will not come", gaps.clone());
        registry.register(
            "ingest_unknown_references",
            "References to processes and containers that were not sent before",
            unknown_references.clone(),
        );
        registry.register(
            "ingest_definition_bytes",
            "Remembered of processes and containers",
            definition_bytes.clone(),
        );
    }
}

impl LogGauges {
    fn register(&self, registry: &mut Registry) {
        let Self { next_frame, oldest_frame, bytes, segments, writing } = self;
        registry.register("log_next_frame", "Number of the next frame", next_frame.clone());
        registry.register(
            "log_oldest_frame",
            "Number of the oldest frame that is kept",
            oldest_frame.clone(),
        );
        registry.register("log_bytes", "Bytes of the log on the disk", bytes.clone());
        registry.register("log_segments", "Segments of the log", segments.clone());
        registry.register("log_writing", "1 while the log takes frames", writing.clone());
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new(|_| {})
    }
}

impl Telemetry {
    /// All at zero, with what `others` register.
    #[must_use]
    pub fn new(others: impl FnOnce(&mut Registry)) -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let ingest = Ingest::default();
        let (log, known) = (LogGauges::default(), Known::default());
        ingest.register(&mut registry);
        log.register(&mut registry);
        known.register(&mut registry);
        others(&mut registry);
        Self { registry, ingest, log, known }
    }

    /// As Prometheus reads it.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_is_there_at_zero() {
        let text = Telemetry::default().render();
        for line in [
            "kestrel_collector_ingest_events_total{kind=\"exec\"} 0",
            "kestrel_collector_ingest_detections_total{priority=\"critical\"} 0",
            "kestrel_collector_alerts_delivered_total{channel=\"slack\"} 0",
            "kestrel_collector_nodes{condition=\"silent\"} 0",
            "kestrel_collector_ingest_messages_total{kind=\"batch\"} 0",
            "kestrel_collector_ingest_refused_streams_total{reason=\"too_large\"} 0",
            "kestrel_collector_ingest_pressures_total{reason=\"disk_full\"} 0",
            "kestrel_collector_log_bytes 0",
        ] {
            assert!(text.contains(line), "{line} is missing in {text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}

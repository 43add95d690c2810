//! The counters as OpenMetrics text.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use agent_abi::{
    ABI_VERSION,
    hook::{Hook, HookCounters},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text},
    metrics::MetricType,
    registry::Registry,
};

use super::{
    Canary, Context, Cri, Decode, Detect, Hooks, Images, NameWait, Outbox, Output, PeerNames, Posture,
    Queues, Rings, SupportGauges, Telemetry, Throttle, Uplink,
    cell::{Cell, Cells, Grid, Latency, Named},
    hooks,
    label::Label,
};

/// `Content-Type` of [`Telemetry::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl Telemetry {
    /// Everything, as OpenMetrics text.
    #[must_use]
    pub fn render(self: &Arc<Self>) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Source(Arc::downgrade(self))));
        let mut out = String::with_capacity(32 << 10);
        // Writing to a String does not fail.
        let _ = text::encode(&mut out, &registry);
        out
    }
}

/// The registry wants to own its collectors; this one is gone with the call.
#[derive(Debug)]
struct Source(Weak<Telemetry>);

impl Collector for Source {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(telemetry) = self.0.upgrade() else { return Ok(()) };
        Page(encoder).telemetry(&telemetry)
    }
}

struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn telemetry(&mut self, all: &Telemetry) -> fmt::Result {
        let Telemetry {
            hooks,
            throttle,
            rings,
            decode,
            context,
            cri,
            posture,
            detect,
            peers,
            images,
            queues,
            output,
            name_wait,
            outbox,
            uplink,
            canary,
            blind,
            support,
        } = all;
        self.build()?;
        self.hooks(hooks)?;
        self.throttle(throttle)?;
        self.rings(rings)?;
        self.decode(decode)?;
        self.context(context)?;
        self.cri(cri)?;
        self.posture(posture)?;
        self.detect(detect)?;
        self.peers(peers)?;
        self.images(images)?;
        self.queues(queues)?;
        self.output(output)?;
        self.name_wait(name_wait)?;
        self.outbox(outbox)?;
        self.uplink(uplink)?;
        self.canary(canary)?;
        self.scaled_counter(
            "kestrel_blind_seconds",
            "Time in which the agent saw nothing",
            &blind.millis,
            1e3,
        )?;
        self.support(support)
    }

    fn name_wait(&mut self, name_wait: &NameWait) -> fmt::Result {
        let NameWait { events, bytes, taken, ended } = name_wait;
        self.single_gauge(
            "kestrel_name_wait_events",
            "Events that wait for their container's names",
            events,
        )?;
        self.single_gauge("kestrel_name_wait_used_bytes", "Bytes that they take", bytes)?;
        self.single(
            "kestrel_name_wait_taken_events",
            "Events whose container's names were asked for",
            taken,
        )?;
        self.counter(
            "kestrel_name_wait_ended_events",
            "Events that wait no more; all but the named go without names",
            ended,
        )
    }

    fn outbox(&mut self, outbox: &Outbox) -> fmt::Result {
        let Outbox { events, bytes, capacity, appended, acked, evicted, too_large, memory_only, refused } =
            outbox;
        self.gauge("kestrel_outbox_events", "Events that wait for the collector's ack", events)?;
        self.gauge("kestrel_outbox_used_bytes", "Bytes that they take", bytes)?;
        self.gauge("kestrel_outbox_capacity_bytes", "Most bytes of the lane", capacity)?;
        self.counter("kestrel_outbox_appended_events", "Events that got a number", appended)?;
        self.counter("kestrel_outbox_acked_events", "Events that the collector has on its disk", acked)?;
        self.counter(
            "kestrel_outbox_evicted_events",
            "Events that had to go because the lane was full, or that could not be read back",
            evicted,
        )?;
        self.counter(
            "kestrel_outbox_refused_events",
            "Events that the collector refused, and that were given up",
            refused,
        )?;
        self.single(
            "kestrel_outbox_too_large_events",
            "Events that were dropped because of their size",
            too_large,
        )?;
        self.single_gauge("kestrel_outbox_memory_only", "1 while the disk takes nothing", memory_only)
    }

    fn uplink(&mut self, uplink: &Uplink) -> fmt::Result {
        let Uplink { connected, opened, ended, batches, events, bytes, in_flight, pressure, ack_latency } =
            uplink;
        self.single_gauge("kestrel_uplink_connected", "1 while the collector takes events", connected)?;
        self.single("kestrel_uplink_opened_connections", "Times the collector was reached", opened)?;
        self.counter(
            "kestrel_uplink_ended_connections",
            "Connections that ended, or did not come about",
            ended,
        )?;
        self.counter("kestrel_uplink_sent_batches", "Batches sent, again too", batches)?;
        self.counter("kestrel_uplink_sent_events", "Events in them", events)?;
        self.counter("kestrel_uplink_sent_bytes", "Their bytes before compression", bytes)?;
        self.single_gauge("kestrel_uplink_in_flight_bytes", "Bytes sent and not acknowledged", in_flight)?;
        self.counter("kestrel_uplink_pressure_messages", "Pauses that the collector asked for", pressure)?;
        self.latency("kestrel_uplink_ack_latency_seconds", "From a batch to its ack", ack_latency)
    }

    fn canary(&mut self, canary: &Canary) -> fmt::Result {
        let Canary { runs, failures, failing, latency } = canary;
        self.single("kestrel_canary_runs", "Times the agent ran a program to see whether it sees it", runs)?;
        self.single("kestrel_canary_failed_runs", "Times that it did not see it", failures)?;
        self.single_gauge("kestrel_canary_failing", "1 while it does not see it", failing)?;
        self.latency("kestrel_canary_latency_seconds", "From the program's exec to its record", latency)
    }

    fn build(&mut self) -> fmt::Result {
        let labels = [("version", env!("CARGO_PKG_VERSION").to_owned()), ("abi", ABI_VERSION.to_string())];
        self.0
            .encode_descriptor("kestrel_build", "The agent that runs", None, MetricType::Info)?
            .encode_info(&labels)
    }

    fn hooks(&mut self, hooks: &Hooks) -> fmt::Result {
        let rows = Hook::ALL.map(|hook| (hook, hooks::metrics(hooks.of(hook))));
        for (column, (name, help, _)) in hooks::metrics(HookCounters::default()).into_iter().enumerate() {
            self.counters(name, help, rows.iter().map(|(hook, row)| (*hook, row[column].2)))?;
        }
        self.counter(
            "kestrel_hook_recursion_missed_runs",
            "Runs that the kernel skipped because the program ran already on that CPU",
            &hooks.recursion_misses,
        )
    }

    fn throttle(&mut self, throttle: &Throttle) -> fmt::Result {
        // Those of single containers are for status: no workload makes a series.
        let Throttle { events, hidden_paths, marked, marks_full, marks_refused, .. } = throttle;
        self.single("kestrel_throttled_events", "Raw events held back and told, of all cgroups", events)?;
        self.single(
            "kestrel_hidden_path_events",
            "Paths that were too deep to be read, so that their front is not known",
            hidden_paths,
        )?;
        self.single_gauge(
            "kestrel_filter_marked_cgroups",
            "Cgroups that the kernel programs know as the host's, or as muted",
            marked,
        )?;
        self.single(
            "kestrel_filter_full_entries",
            "Marks of cgroups for which there was no room: their events cost more",
            marks_full,
        )?;
        self.single(
            "kestrel_filter_refused_entries",
            "Marks of cgroups that the kernel refused",
            marks_refused,
        )
    }

    fn detect(&mut self, detect: &Detect) -> fmt::Result {
        let Detect {
            active,
            defined,
            loaded_seconds,
            stale,
            reloads,
            matches,
            held_back,
            remembered,
            forgotten,
            recorded,
            unrecorded,
            parked,
            unparked,
            waiting,
        } = detect;
        self.single_gauge("kestrel_rules_active_rules", "Rules that are evaluated", active)?;
        self.single_gauge("kestrel_rules_defined_rules", "Rules that are defined", defined)?;
        self.single_gauge(
            "kestrel_rules_loaded_timestamp_seconds",
            "When the rules in force were loaded; 0: there are none",
            loaded_seconds,
        )?;
        self.single_gauge(
            "kestrel_rules_stale_sets",
            "1 while the newest files of rules are refused, and those before are in force",
            stale,
        )?;
        self.counter("kestrel_rules_reload_runs", "Times that files of rules were read anew", reloads)?;
        self.single("kestrel_detection_matched_events", "Matches of rules, told or held back", matches)?;
        self.counter(
            "kestrel_detection_held_back_events",
            "Matches that are told as a number only",
            held_back,
        )?;
        self.single_gauge(
            "kestrel_rules_remembered_events",
            "Events that rules over several events remember",
            remembered,
        )?;
        self.single(
            "kestrel_rules_forgotten_entries",
            "Keys of such rules that were forgotten for want of room",
            forgotten,
        )?;
        self.single("kestrel_recording_written_events", "Events written to a recording", recorded)?;
        self.single(
            "kestrel_recording_dropped_events",
            "Events that found no room on their way to the recording",
            unrecorded,
        )?;
        self.single(
            "kestrel_detection_parked_events",
            "Events that had to wait for the names of their container",
            parked,
        )?;
        self.counter("kestrel_detection_unparked_events", "Of these, judged since", unparked)?;
        self.single_gauge("kestrel_detection_waiting_events", "Of these, waiting now", waiting)
    }

    fn peers(&mut self, peers: &PeerNames) -> fmt::Result {
        let PeerNames { messages, cut, learned, expired, evicted, known } = peers;
        self.counter(
            "kestrel_peer_dns_messages",
            "Packets of name servers, and to them, that were taken for names of peers",
            messages,
        )?;
        self.single("kestrel_peer_cut_answers", "Answers of which the end was not there to be read", cut)?;
        self.single("kestrel_peer_learned_names", "Names of addresses that were not known", learned)?;
        self.single("kestrel_peer_expired_names", "Of these, those whose time is over", expired)?;
        self.single("kestrel_peer_evicted_names", "Of these, those that left room for others", evicted)?;
        self.single_gauge("kestrel_peer_known_names", "Of these, those that are known now", known)
    }

    fn images(&mut self, images: &Images) -> fmt::Result {
        let Images { hashes, environments, looked, not_looked, replaced, evicted, known } = images;
        self.counter(
            "kestrel_image_hashed_files",
            "Executables of processes that were to be hashed for rules",
            hashes,
        )?;
        self.counter(
            "kestrel_image_read_environments",
            "Environments of processes that were to be read for rules",
            environments,
        )?;
        self.single("kestrel_image_looked_files", "Executables of processes whose times were read", looked)?;
        self.single(
            "kestrel_image_missed_files",
            "Executables whose times were not there to be read",
            not_looked,
        )?;
        self.single(
            "kestrel_image_replaced_answers",
            "Answers about images that had been replaced when they were read",
            replaced,
        )?;
        self.single("kestrel_image_evicted_images", "Images that left room for others", evicted)?;
        self.single_gauge("kestrel_image_known_images", "Images that are known, or asked for, now", known)
    }

    fn rings(&mut self, rings: &Rings) -> fmt::Result {
        let Rings { received, bytes, lost } = rings;
        self.counter("kestrel_ring_received_records", "Records read from the ring", received)?;
        self.counter("kestrel_ring_received_bytes", "Bytes read from the ring", bytes)?;
        self.counter("kestrel_ring_lost_records", "Records that gaps in the sequence tell of", lost)
    }

    fn decode(&mut self, decode: &Decode) -> fmt::Result {
        let Decode { failed } = decode;
        self.counter("kestrel_decode_failed_records", "Records that could not be decoded", failed)
    }

    fn context(&mut self, context: &Context) -> fmt::Result {
        let Context { events, entries, capacity, evicted, refused, scans, scan_last_us } = context;
        self.counter("kestrel_context_events", "Events that reached context", events)?;
        self.gauge("kestrel_context_table_entries", "Entries in the table", entries)?;
        self.gauge("kestrel_context_table_capacity_entries", "Most entries of the table", capacity)?;
        self.counter(
            "kestrel_context_table_evicted_entries",
            "Entries that had to go because the table was full",
            evicted,
        )?;
        self.counter(
            "kestrel_context_table_refused_entries",
            "What found no room and is not watched",
            refused,
        )?;
        self.counter("kestrel_scan_runs", "Scans of all tasks", scans)?;
        self.scaled_gauge("kestrel_scan_duration_seconds", "How long the last scan took", scan_last_us, 1e6)
    }

    fn cri(&mut self, cri: &Cri) -> fmt::Result {
        let Cri { requests } = cri;
        self.counter("kestrel_cri_requests", "Requests to the container runtime", requests)
    }

    fn posture(&mut self, posture: &Posture) -> fmt::Result {
        let Posture { judged, inspected, missed, containers, findings, latency } = posture;
        self.single("kestrel_posture_judged_events", "Events that were judged", judged)?;
        self.single("kestrel_posture_inspected_containers", "Looks into containers", inspected)?;
        self.single(
            "kestrel_posture_missed_containers",
            "Looks into containers that had no process any more",
            missed,
        )?;
        self.named("kestrel_posture_containers", "Containers by control and verdict", "control", containers)?;
        self.named("kestrel_posture_findings", "Findings by control and verdict", "control", findings)?;
        self.latency("kestrel_verdict_latency_seconds", "From exec in the kernel to its verdict", latency)
    }

    fn queues(&mut self, queues: &Queues) -> fmt::Result {
        let Queues { depth, capacity, dropped } = queues;
        self.gauge("kestrel_queue_depth_items", "Items in the queue", depth)?;
        self.gauge("kestrel_queue_capacity_items", "Most items of the queue", capacity)?;
        self.grid("kestrel_queue_dropped_items", "Items that were not queued", MetricType::Counter, dropped)
    }

    fn output(&mut self, output: &Output) -> fmt::Result {
        let Output { written, dropped } = output;
        self.single("kestrel_output_written_lines", "Lines written", written)?;
        self.counter("kestrel_output_dropped_lines", "Lines that were not written", dropped)
    }

    fn support(&mut self, support: &SupportGauges) -> fmt::Result {
        let SupportGauges { hooks, controls } = support;
        self.grid("kestrel_hook_support", "1 for the state that the hook is in", MetricType::Gauge, hooks)?;
        self.named("kestrel_control_support", "1 for the state that the control is in", "control", controls)
    }
}

/// The shapes of families.
impl Page<'_> {
    fn single(&mut self, name: &str, help: &str, cell: &Cell) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        counter_value(&mut family, cell.get())
    }

    fn single_gauge(&mut self, name: &str, help: &str, cell: &Cell) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&cell.get())
    }

    fn counter<A: Label>(&mut self, name: &str, help: &str, cells: &Cells<A>) -> fmt::Result {
        self.counters(name, help, cells.iter().map(|(label, cell)| (label, cell.get())))
    }

    fn counters<A: Label>(
        &mut self,
        name: &str,
        help: &str,
        values: impl Iterator<Item = (A, u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (label, value) in values {
            counter_value(&mut family.encode_family(&[(A::KEY, label.value())])?, value)?;
        }
        Ok(())
    }

    fn scaled_counter<A: Label>(
        &mut self,
        name: &str,
        help: &str,
        cells: &Cells<A>,
        per_unit: f64,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (label, cell) in cells.iter() {
            let value = cell.get() as f64 / per_unit;
            family
                .encode_family(&[(A::KEY, label.value())])?
                .encode_counter::<NoLabelSet, _, f64>(&value, None)?;
        }
        Ok(())
    }

    fn gauge<A: Label>(&mut self, name: &str, help: &str, cells: &Cells<A>) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (label, cell) in cells.iter() {
            family.encode_family(&[(A::KEY, label.value())])?.encode_gauge(&cell.get())?;
        }
        Ok(())
    }

    fn scaled_gauge<A: Label>(
        &mut self,
        name: &str,
        help: &str,
        cells: &Cells<A>,
        per_unit: f64,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (label, cell) in cells.iter() {
            let value = cell.get() as f64 / per_unit;
            family.encode_family(&[(A::KEY, label.value())])?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn grid<A: Label, B: Label>(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        grid: &Grid<A, B>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, kind)?;
        for (row, cells) in grid.iter() {
            for (column, cell) in cells.iter() {
                let labels = [(A::KEY, row.value()), (B::KEY, column.value())];
                let mut series = family.encode_family(&labels)?;
                match kind {
                    MetricType::Counter => counter_value(&mut series, cell.get())?,
                    _ => series.encode_gauge(&cell.get())?,
                }
            }
        }
        Ok(())
    }

    fn named<B: Label>(&mut self, name: &str, help: &str, key: &str, named: &Named<B>) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (row, cells) in named.iter() {
            for (column, cell) in cells.iter() {
                let labels = [(key, row), (B::KEY, column.value())];
                family.encode_family(&labels)?.encode_gauge(&cell.get())?;
            }
        }
        Ok(())
    }

    fn latency(&mut self, name: &str, help: &str, latency: &Latency) -> fmt::Result {
        let (sum, buckets) = latency.snapshot();
        let count = buckets.iter().map(|(_, count)| count).sum();
        self.0
            .encode_descriptor(name, help, None, MetricType::Histogram)?
            .encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }
}

fn counter_value(encoder: &mut MetricEncoder<'_>, value: u64) -> fmt::Result {
    encoder.encode_counter::<NoLabelSet, _, u64>(&value, None)
}

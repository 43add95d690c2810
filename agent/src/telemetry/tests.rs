use std::{collections::BTreeSet, sync::Arc};

use agent_abi::hook::{HOOKS, HookCounters};

use super::*;

const CONTROLS: [&str; 2] = ["run-as-non-root", "no-new-privs"];

fn series(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| line.rsplit_once(' ').unwrap())
}

#[test]
fn every_series_is_there_at_zero() {
    let text = Arc::new(Telemetry::new(&CONTROLS)).render();
    assert!(text.ends_with("# EOF\n"));
    for (series, value) in series(&text) {
        let expected = if series.starts_with("kestrel_build_info{") { 1.0 } else { 0.0 };
        assert_eq!(value.parse::<f64>().unwrap(), expected, "{series}");
    }

    let count = |name: &str| series(&text).filter(|(line, _)| line.starts_with(name)).count();
    let (rings, lanes) = (Ring::ALL.len(), label::OutboxLane::ALL.len());
    let expected = [
        ("kestrel_build_info{", 1),
        ("kestrel_hook_seen_runs_total{", HOOKS),
        ("kestrel_hook_submitted_records_total{", HOOKS),
        ("kestrel_hook_lost_records_total{", HOOKS),
        ("kestrel_hook_filtered_runs_total{", HOOKS),
        ("kestrel_hook_throttled_records_total{", HOOKS),
        ("kestrel_hook_failed_runs_total{", HOOKS),
        ("kestrel_hook_handed_on_runs_total{", HOOKS),
        ("kestrel_hook_tail_failed_calls_total{", HOOKS),
        ("kestrel_hook_shrunk_records_total{", HOOKS),
        ("kestrel_hook_recursion_missed_runs_total{", HOOKS),
        ("kestrel_throttled_events_total", 1),
        ("kestrel_hidden_path_events_total", 1),
        ("kestrel_filter_marked_cgroups", 1),
        ("kestrel_filter_full_entries_total", 1),
        ("kestrel_filter_refused_entries_total", 1),
        ("kestrel_ring_received_records_total{", rings),
        ("kestrel_ring_received_bytes_total{", rings),
        ("kestrel_ring_lost_records_total{", rings),
        ("kestrel_decode_failed_records_total{", DecodeReason::ALL.len()),
        ("kestrel_context_events_total{", EventKind::ALL.len()),
        ("kestrel_context_table_entries{", Table::ALL.len()),
        ("kestrel_context_table_capacity_entries{", Table::ALL.len()),
        ("kestrel_context_table_evicted_entries_total{", Table::ALL.len()),
        ("kestrel_context_table_refused_entries_total{", Table::ALL.len()),
        ("kestrel_scan_runs_total{", ScanKind::ALL.len()),
        ("kestrel_scan_duration_seconds{", ScanKind::ALL.len()),
        ("kestrel_cri_requests_total{", CriResult::ALL.len()),
        ("kestrel_posture_judged_events_total", 1),
        ("kestrel_posture_inspected_containers_total", 1),
        ("kestrel_posture_missed_containers_total", 1),
        ("kestrel_posture_containers{", CONTROLS.len() * VerdictLabel::ALL.len()),
        ("kestrel_posture_findings{", CONTROLS.len() * VerdictLabel::ALL.len()),
        ("kestrel_verdict_latency_seconds_bucket{", 14),
        ("kestrel_verdict_latency_seconds_sum", 1),
        ("kestrel_verdict_latency_seconds_count", 1),
        ("kestrel_rules_active_rules", 1),
        ("kestrel_rules_defined_rules", 1),
        ("kestrel_rules_loaded_timestamp_seconds", 1),
        ("kestrel_rules_stale_sets", 1),
        ("kestrel_rules_reload_runs_total{", label::Reload::ALL.len()),
        ("kestrel_detection_matched_events_total", 1),
        ("kestrel_peer_dns_messages_total{", label::DnsMessage::ALL.len()),
        ("kestrel_peer_cut_answers_total", 1),
        ("kestrel_peer_learned_names_total", 1),
        ("kestrel_peer_expired_names_total", 1),
        ("kestrel_peer_evicted_names_total", 1),
        ("kestrel_peer_known_names", 1),
        ("kestrel_image_hashed_files_total{", label::ImageHash::ALL.len()),
        ("kestrel_image_read_environments_total{", label::ImageEnvironment::ALL.len()),
        ("kestrel_image_looked_files_total", 1),
        ("kestrel_image_missed_files_total", 1),
        ("kestrel_image_replaced_answers_total", 1),
        ("kestrel_image_evicted_images_total", 1),
        ("kestrel_image_known_images", 1),
        ("kestrel_detection_held_back_events_total{", label::HeldBack::ALL.len()),
        ("kestrel_rules_remembered_events", 1),
        ("kestrel_rules_forgotten_entries_total", 1),
        ("kestrel_recording_written_events_total", 1),
        ("kestrel_recording_dropped_events_total", 1),
        ("kestrel_detection_parked_events_total", 1),
        ("kestrel_detection_unparked_events_total{", label::Unparked::ALL.len()),
        ("kestrel_detection_waiting_events", 1),
        ("kestrel_queue_depth_items{", Queue::ALL.len()),
        ("kestrel_queue_capacity_items{", Queue::ALL.len()),
        ("kestrel_queue_dropped_items_total{", Queue::ALL.len() * QueueDrop::ALL.len()),
        ("kestrel_output_written_lines_total", 1),
        ("kestrel_output_dropped_lines_total{", OutputDrop::ALL.len()),
        ("kestrel_name_wait_events", 1),
        ("kestrel_name_wait_used_bytes", 1),
        ("kestrel_name_wait_taken_events_total", 1),
        ("kestrel_name_wait_ended_events_total{", label::NameWaitEnd::ALL.len()),
        ("kestrel_outbox_events{", lanes),
        ("kestrel_outbox_used_bytes{", lanes),
        ("kestrel_outbox_capacity_bytes{", lanes),
        ("kestrel_outbox_appended_events_total{", lanes),
        ("kestrel_outbox_acked_events_total{", lanes),
        ("kestrel_outbox_evicted_events_total{", lanes),
        ("kestrel_outbox_refused_events_total{", lanes),
        ("kestrel_outbox_too_large_events_total", 1),
        ("kestrel_outbox_memory_only", 1),
        ("kestrel_uplink_connected", 1),
        ("kestrel_uplink_opened_connections_total", 1),
        ("kestrel_uplink_ended_connections_total{", label::UplinkEnd::ALL.len()),
        ("kestrel_uplink_sent_batches_total{", lanes),
        ("kestrel_uplink_sent_events_total{", lanes),
        ("kestrel_uplink_sent_bytes_total{", lanes),
        ("kestrel_uplink_in_flight_bytes", 1),
        ("kestrel_uplink_pressure_messages_total{", label::UplinkPressure::ALL.len()),
        ("kestrel_uplink_ack_latency_seconds_bucket{", 14),
        ("kestrel_uplink_ack_latency_seconds_sum", 1),
        ("kestrel_uplink_ack_latency_seconds_count", 1),
        ("kestrel_canary_runs_total", 1),
        ("kestrel_canary_failed_runs_total", 1),
        ("kestrel_canary_failing", 1),
        ("kestrel_canary_latency_seconds_bucket{", 14),
        ("kestrel_canary_latency_seconds_sum", 1),
        ("kestrel_canary_latency_seconds_count", 1),
        ("kestrel_blind_seconds_total{", label::BlindReason::ALL.len()),
        ("kestrel_hook_support{", HOOKS * SupportState::ALL.len()),
        ("kestrel_control_support{", CONTROLS.len() * SupportState::ALL.len()),
    ];
    for (name, number) in expected {
        assert_eq!(count(name), number, "{name}");
    }
    // A family that is not in the table above.
    assert_eq!(series(&text).count(), expected.iter().map(|(_, number)| number).sum::<usize>());
}

#[test]
fn names_and_labels_follow_the_rule() {
    let text = Arc::new(Telemetry::new(&CONTROLS)).render();
    let name = regex::Regex::new(r"^kestrel(_[a-z]+)+$").unwrap();
    let units = [
        "runs",
        "records",
        "calls",
        "bytes",
        "events",
        "entries",
        "requests",
        "items",
        "lines",
        "seconds",
        "connections",
        "batches",
        "messages",
        "containers",
        "answers",
        "names",
        "files",
        "environments",
        "images",
    ];
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("# TYPE ") else { continue };
        let (family, kind) = rest.split_once(' ').unwrap();
        assert!(name.is_match(family), "{family}");
        if kind == "counter" {
            assert!(units.iter().any(|unit| family.ends_with(&format!("_{unit}"))), "{family} has no unit");
        }
    }

    let allowed: BTreeSet<&str> = [
        "hook", "ring", "reason", "kind", "table", "result", "queue", "control", "verdict", "state", "scan",
        "lane", "le", "version", "abi", "outcome",
    ]
    .into();
    let label = regex::Regex::new(r#"([a-z]+)="([^"]*)""#).unwrap();
    let value = regex::Regex::new(r"^[a-z0-9_./+-]+$|^\+Inf$").unwrap();
    for found in label.captures_iter(&text) {
        assert!(allowed.contains(&found[1]), "label {}", &found[1]);
        assert!(value.is_match(&found[2]), "value {}", &found[2]);
    }
}

#[test]
fn a_name_that_was_not_given_at_start_makes_no_series() {
    let telemetry = Arc::new(Telemetry::new(&CONTROLS));
    let before = series(&telemetry.render()).count();
    assert!(telemetry.posture.findings.of("pod-7f\"} 1\nevil").is_none());
    let mut report = CoverageReport::new("6.12");
    report.hook("evil\"", Support::Supported);
    report.control("pod-7f\nevil 1", Support::Supported);
    telemetry.support.set(&report);
    let text = telemetry.render();
    assert_eq!(series(&text).count(), before);
    assert!(!text.contains("evil"));
}

#[test]
fn numbers_reach_the_page() {
    let telemetry = Arc::new(Telemetry::new(&CONTROLS));
    let mut sums = [HookCounters::default(); HOOKS];
    sums[Hook::Exec as usize] =
        HookCounters { seen: 7, submitted: 5, filtered: 2, ..HookCounters::default() };
    telemetry.hooks.sample(&sums);
    telemetry.hooks.sample(&sums);
    telemetry.rings.record(Ring::Critical, 100);
    telemetry.rings.record(Ring::Critical, 28);
    telemetry.posture.findings.of("no-new-privs").unwrap().of(VerdictLabel::Fail).set(3);
    telemetry.posture.latency.observe(Duration::from_micros(100));
    telemetry.posture.latency.observe(Duration::from_micros(101));
    telemetry.posture.latency.observe(Duration::from_secs(9));
    telemetry.blind.note(Duration::from_secs(1), Duration::from_millis(2500), label::BlindReason::Detached);
    telemetry.context.scan(ScanKind::Start, Duration::from_millis(2));
    assert_eq!(telemetry.hooks.of(Hook::Exec), sums[Hook::Exec as usize]);
    let text = telemetry.render();
    for line in [
        r#"kestrel_hook_seen_runs_total{hook="sched_process_exec"} 7"#,
        r#"kestrel_hook_submitted_records_total{hook="sched_process_exec"} 5"#,
        r#"kestrel_hook_filtered_runs_total{hook="sched_process_exec"} 2"#,
        r#"kestrel_hook_seen_runs_total{hook="sched_process_fork"} 0"#,
        r#"kestrel_ring_received_records_total{ring="critical"} 2"#,
        r#"kestrel_ring_received_bytes_total{ring="critical"} 128"#,
        r#"kestrel_posture_findings{control="no-new-privs",verdict="fail"} 3"#,
        r#"kestrel_verdict_latency_seconds_bucket{le="0.0001"} 1"#,
        r#"kestrel_verdict_latency_seconds_bucket{le="0.00025"} 2"#,
        r#"kestrel_verdict_latency_seconds_bucket{le="1.0"} 2"#,
        r#"kestrel_verdict_latency_seconds_bucket{le="+Inf"} 3"#,
        r#"kestrel_blind_seconds_total{reason="detached"} 1.5"#,
        r#"kestrel_scan_duration_seconds{scan="start"} 0.002"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

#[test]
fn blind_intervals_are_bounded() {
    let blind = Blind::default();
    for second in 0..100 {
        let from = Duration::from_secs(second);
        blind.note(from, from + Duration::from_secs(1), label::BlindReason::Detached);
    }
    assert_eq!(blind.total(), Duration::from_secs(100));
    let last = blind.last();
    assert_eq!((last.len(), last[0].from_boottime_ms, last[15].to_boottime_ms), (16, 84_000, 100_000));
}

#[test]
fn indices_are_places() {
    fn check<A: Label>() {
        for (place, label) in A::ALL.iter().enumerate() {
            assert_eq!(label.index(), place);
        }
    }
    check::<Hook>();
    check::<Ring>();
    check::<EventKind>();
}

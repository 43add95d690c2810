//! As it should not be.

use std::time::{Duration, Instant};

use kestrel_agent::{outbox::Lane, uplink::Link};
use kestrel_proto::v1;
use kestrel_tls::Security;
use tonic::Status;

use crate::{
    collector::{Collector, POISON},
    proxy::Proxy,
    rig::{Rig, eventually, plain, settings},
};

fn count(collector: &Collector, lane: v1::Lane) -> usize {
    collector.look(|store| store.of(lane).len())
}

fn assert_whole(collector: &Collector, lane: v1::Lane, numbers: std::ops::Range<u64>) {
    let got: Vec<_> =
        collector.look(|store| store.of(lane).iter().map(|record| record.boottime_ns).collect());
    assert_eq!(got, numbers.collect::<Vec<_>>());
    assert_eq!(collector.look(|store| store.wrong.clone()), [""; 0]);
}

#[tokio::test]
async fn a_cut_wire_costs_nothing() {
    let collector = Collector::default();
    let served = collector.serve(Security::Plain).await;
    let proxy = Proxy::start(served.address).await;
    let rig = Rig::start(plain(proxy.address), settings());
    for round in 0..20 {
        rig.append(Lane::Detections, round * 500 + 1000..round * 500 + 1500);
        rig.append(Lane::Findings, round * 5 + 1..round * 5 + 6);
        eventually("some arrives", || count(&collector, v1::Lane::Findings) as u64 > round * 5).await;
        proxy.cut();
    }
    eventually("all is acknowledged", || rig.waiting() == 0).await;
    assert_whole(&collector, v1::Lane::Detections, 1000..11_000);
    assert_whole(&collector, v1::Lane::Findings, 1..101);
    assert!(collector.look(|store| store.hellos.len()) > 10);
}

#[tokio::test]
async fn a_collector_that_hangs_up_and_one_that_comes_back_get_the_rest() {
    let collector = Collector::default();
    collector.behave(|manners| manners.hangs_up_after = Some(1));
    let served = collector.serve(Security::Plain).await;
    let address = served.address;
    let proxy = Proxy::start(address).await;
    let rig = Rig::start(plain(proxy.address), settings());
    for round in 0..5 {
        rig.append(Lane::Detections, round * 100 + 1000..round * 100 + 1100);
        eventually("it arrives", || count(&collector, v1::Lane::Detections) as u64 >= round * 100 + 1).await;
    }
    drop(served);
    proxy.cut();
    eventually("the connection is gone", || matches!(rig.state.link(), Link::Down { .. })).await;
    rig.append(Lane::Detections, 1500..2000);
    let _served = collector.serve_at(address, Security::Plain).await;
    collector.behave(|manners| manners.hangs_up_after = None);
    eventually("all is acknowledged", || rig.waiting() == 0).await;
    assert_whole(&collector, v1::Lane::Detections, 1000..2000);
}

#[tokio::test]
async fn what_is_not_acknowledged_is_sent_again() {
    let collector = Collector::default();
    collector.behave(|manners| manners.is_forgetful = true);
    let served = collector.serve(Security::Plain).await;
    let rig = Rig::start(plain(served.address), settings());
    rig.append(Lane::Findings, 1..11);
    let sent = || collector.look(|store| store.batches.iter().filter(|batch| batch.first == 1).count());
    eventually("it is sent three times", || sent() >= 3).await;
    assert_eq!(rig.waiting(), 10);
    assert!(rig.metric("kestrel_uplink_ended_connections_total{reason=\"silent\"}") >= 2.0);
    collector.behave(|manners| manners.is_forgetful = false);
    eventually("all is acknowledged", || rig.waiting() == 0).await;
    assert_whole(&collector, v1::Lane::Findings, 1..11);
}

#[tokio::test]
async fn a_lost_ack_makes_no_second_event() {
    let collector = Collector::default();
    // It keeps the events, but the agent does not learn it.
    collector.behave(|manners| manners.is_mute = true);
    let served = collector.serve(Security::Plain).await;
    let rig = Rig::start(plain(served.address), settings());
    rig.append(Lane::Detections, 1000..1500);
    // The next welcome says it.
    eventually("all is acknowledged", || rig.waiting() == 0).await;
    assert_whole(&collector, v1::Lane::Detections, 1000..1500);
}

#[tokio::test]
async fn a_dead_wire_is_noticed() {
    let collector = Collector::default();
    let served = collector.serve(Security::Plain).await;
    let proxy = Proxy::start(served.address).await;
    let rig = Rig::start(plain(proxy.address), settings());
    rig.append(Lane::Findings, 1..11);
    eventually("all is acknowledged", || rig.waiting() == 0).await;
    proxy.is_dead(true);
    // Without anything to send: the pings find it.
    eventually("the connection is given up", || !matches!(rig.state.link(), Link::Up { .. })).await;
    rig.append(Lane::Findings, 11..21);
    proxy.cut();
    proxy.is_dead(false);
    eventually("all is acknowledged", || rig.waiting() == 0).await;
    assert_whole(&collector, v1::Lane::Findings, 1..21);
}

#[tokio::test]
async fn a_collector_that_stops_reading_is_noticed_and_the_window_is_bounded() {
    let collector = Collector::default();
    collector.behave(|manners| manners.reads = Some(2));
    let served = collector.serve(Security::Plain).await;
    let rig = Rig::start(plain(served.address), settings());
    rig.append(Lane::Detections, 1000..101_000);
    eventually("it connects again", || collector.look(|store| store.hellos.len() >= 3)).await;
    assert!(rig.metric("kestrel_uplink_in_flight_bytes") <= f64::from(9 << 20));
    collector.behave(|manners| manners.reads = None);
    eventually("all is acknowledged", || rig.waiting() == 0).await;
    assert_whole(&collector, v1::Lane::Detections, 1000..101_000);
}

#[tokio::test]
async fn a_pause_is_kept_and_is_no_failure() {
    let collector = Collector::default();
    let pause = Duration::from_millis(1200);
    collector.behave(|manners| manners.pause = Some(pause));
    let served = collector.serve(Security::Plain).await;
    let rig = Rig::start(plain(served.address), settings());
    rig.append(Lane::Findings, 1..2);
    eventually("it asked for a pause", || {
        rig.metric("kestrel_uplink_pressure_messages_total{reason=\"quota\"}") > 0.0
    })
    .await;
    let start = Instant::now();
    rig.append(Lane::Findings, 2..3);
    eventually("all is acknowledged", || rig.waiting() == 0).await;
    assert!(start.elapsed() > pause / 2, "{:?}", start.elapsed());
    // Longer than an ack may take, and the connection is the same; heartbeats went on.
    assert_eq!(collector.look(|store| store.hellos.len()), 1);
    assert!(collector.look(|store| store.heartbeats.len()) >= 5);
}

#[tokio::test]
async fn an_event_that_is_refused_does_not_hold_up_the_others() {
    let collector = Collector::default();
    let served = collector.serve(Security::Plain).await;
    let rig = Rig::start(plain(served.address), settings());
    rig.append(Lane::Detections, (1000..1300).chain([POISON]).chain(1300..1500));
    rig.append(Lane::Findings, 1..11);
    eventually("all is acknowledged", || rig.waiting() == 0).await;
    assert_whole(&collector, v1::Lane::Detections, 1000..1500);
    assert_eq!(rig.metric("kestrel_outbox_refused_events_total{lane=\"detections\"}"), 1.0);
    eventually("a gap says so", || count(&collector, v1::Lane::Findings) == 11).await;
    let gap = collector.look(|store| match &store.of(v1::Lane::Findings)[10].event {
        Some(v1::record::Event::Gap(gap)) => *gap,
        other => panic!("{other:?}"),
    });
    assert_eq!((gap.reason(), gap.lane()), (v1::GapReason::Refused, v1::Lane::Detections));
    assert_eq!((gap.from_sequence, gap.to_sequence), (301, 301));
    // Bold again: many batches may be on their way.
    rig.append(Lane::Detections, 2000..4000);
    eventually("all is acknowledged", || rig.waiting() == 0).await;
}

#[tokio::test]
async fn whoever_is_turned_away_keeps_everything_and_says_why() {
    let collector = Collector::default();
    let served = collector.serve(Security::Plain).await;
    let rig = Rig::start(plain(served.address), settings());
    for (status, reason, label) in [
        (
            Status::permission_denied("not your node"),
            "the collector does not let this node in: not your node",
            "unauthenticated",
        ),
        (
            Status::failed_precondition("schema 9 is too new"),
            "the collector does not take this agent's schema: schema 9 is too new",
            "schema",
        ),
        (Status::invalid_argument("bad cluster"), "the collector refused a message: bad cluster", "refused"),
    ] {
        collector.behave(|manners| manners.turned_away = Some(status));
        // What is connected stays; a new connection is asked.
        collector.behave(|manners| manners.hangs_up_after = Some(0));
        rig.append(Lane::Findings, 1..11);
        eventually(reason, || matches!(rig.state.link(), Link::Down { reason: why, .. } if why == reason))
            .await;
        assert!(rig.metric(&format!("kestrel_uplink_ended_connections_total{{reason=\"{label}\"}}")) >= 1.0);
    }
    assert_eq!(rig.waiting(), 30);
    collector.behave(|manners| *manners = crate::collector::Manners::default());
    eventually("all is acknowledged", || rig.waiting() == 0).await;
    assert_eq!(count(&collector, v1::Lane::Findings), 30);
}

#[tokio::test]
async fn an_ack_of_what_was_not_sent_is_not_believed() {
    let collector = Collector::default();
    collector.behave(|manners| manners.boasts = 1000);
    let served = collector.serve(Security::Plain).await;
    let rig = Rig::start(plain(served.address), settings());
    rig.append(Lane::Findings, 1..11);
    eventually("the connection is ended", || {
        rig.metric("kestrel_uplink_ended_connections_total{reason=\"protocol\"}") >= 1.0
    })
    .await;
    collector.behave(|manners| manners.boasts = 0);
    rig.append(Lane::Findings, 11..21);
    eventually("all is acknowledged", || rig.waiting() == 0).await;
    assert_whole(&collector, v1::Lane::Findings, 1..21);
}

#[tokio::test]
async fn pauses_grow_until_the_first_ack() {
    let collector = Collector::default();
    // It welcomes, and refuses: no reason to come back at once.
    collector.behave(|manners| manners.hangs_up_after = Some(0));
    let served = collector.serve(Security::Plain).await;
    let mut patient = settings();
    patient.backoff_base = Duration::from_millis(1);
    patient.backoff_cap = Duration::from_secs(3600);
    let rig = Rig::start(plain(served.address), patient);
    rig.append(Lane::Findings, 1..2);
    let connections = || collector.look(|store| store.hellos.len());
    eventually("it tries several times", || connections() >= 4).await;
    collector.behave(|manners| manners.hangs_up_after = Some(1));
    eventually("all is acknowledged", || rig.waiting() == 0).await;
    // Had the pauses gone on growing, forty more connections would take years.
    for number in 0..40_u64 {
        rig.append(Lane::Findings, number * 2 + 10..number * 2 + 11);
        let before = number as usize + 1;
        eventually("it arrives", || count(&collector, v1::Lane::Findings) > before).await;
    }
}

//! As it should be.

use std::time::{Duration, Instant};

use kestrel_agent::{outbox::Lane, uplink::Link};
use kestrel_proto::v1;
use kestrel_tls::Security;

use crate::{
    collector::Collector,
    rig::{Rig, eventually, plain, settings},
};

fn boottimes(collector: &Collector, lane: v1::Lane) -> Vec<u64> {
    collector.look(|store| store.of(lane).iter().map(|record| record.boottime_ns).collect())
}

#[tokio::test]
async fn what_is_appended_arrives_once_and_in_order() {
    let collector = Collector::default();
    let served = collector.serve(Security::Plain).await;
    let rig = Rig::start(plain(served.address), settings());
    for chunk in 0..20 {
        rig.append(Lane::Detections, chunk * 1000 + 1000..chunk * 1000 + 2000);
        rig.append(Lane::Findings, chunk * 10 + 1..chunk * 10 + 11);
    }
    eventually("all is acknowledged", || rig.waiting() == 0).await;
    assert_eq!(boottimes(&collector, v1::Lane::Detections), (1000..21_000).collect::<Vec<_>>());
    assert_eq!(boottimes(&collector, v1::Lane::Findings), (1..201).collect::<Vec<_>>());
    let (wrong, hellos, processes) = collector.look(|store| {
        let processes: usize = store.batches.iter().map(|batch| batch.processes).sum();
        (store.wrong.clone(), store.hellos.clone(), processes)
    });
    assert_eq!(wrong, [""; 0]);
    assert_eq!(processes, 100, "each process once per connection");
    let hello = &hellos[0];
    assert_eq!((hellos.len(), hello.node.as_str(), hello.epochs.len()), (1, "worker-1", 1));
    assert_eq!(rig.metric("kestrel_uplink_sent_events_total{lane=\"detections\"}"), 20_000.0);
    assert_eq!(rig.metric("kestrel_uplink_in_flight_bytes"), 0.0);
}

#[tokio::test]
async fn an_event_on_an_idle_connection_goes_at_once() {
    let collector = Collector::default();
    let served = collector.serve(Security::Plain).await;
    let rig = Rig::start(plain(served.address), settings());
    eventually("connected", || matches!(rig.state.link(), Link::Up { .. })).await;
    let mut slowest = Duration::ZERO;
    for number in 1..=20 {
        let start = Instant::now();
        rig.append(Lane::Findings, [number]);
        while rig.waiting() > 0 {
            tokio::task::yield_now().await;
            assert!(start.elapsed() < Duration::from_secs(20));
        }
        slowest = slowest.max(start.elapsed());
    }
    // A few milliseconds on an idle machine; nothing waits for a timer of its own.
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
}

#[tokio::test]
async fn higher_lanes_go_first() {
    let collector = Collector::default();
    let served = collector.serve(Security::Plain).await;
    collector.behave(|manners| manners.is_forgetful = true);
    let rig = Rig::start(plain(served.address), settings());
    rig.append(Lane::Bulk, 1000..3000);
    rig.append(Lane::Detections, 1000..3000);
    eventually("the lower lanes are sent", || {
        collector.look(|store| store.batches.iter().any(|batch| batch.lane == v1::Lane::Bulk))
    })
    .await;
    rig.append(Lane::Findings, 1..11);
    eventually("so is the highest", || {
        collector.look(|store| store.batches.iter().any(|batch| batch.lane == v1::Lane::Findings))
    })
    .await;
    collector.behave(|manners| manners.is_forgetful = false);
    eventually("all is acknowledged", || rig.waiting() == 0).await;
    // On the connection that was made anew.
    let lanes = collector.look(|store| {
        let last = store.hellos.len();
        let batches = store.batches.iter().filter(|batch| batch.connection == last);
        batches.map(|batch| batch.lane).collect::<Vec<_>>()
    });
    assert_eq!(lanes[0], v1::Lane::Findings, "{lanes:?}");
    assert!(lanes.is_sorted(), "{lanes:?}");
}

#[tokio::test]
async fn heartbeats_and_inventories_come_beside() {
    let collector = Collector::default();
    let served = collector.serve(Security::Plain).await;
    let mut rig = Rig::start(plain(served.address), settings());
    rig.inventory.asked.recv().await.unwrap();
    let part = |part| v1::Inventory { number: 1, part, parts: 3, ..v1::Inventory::default() };
    rig.inventory.made.send((0..3).map(part).collect()).await.unwrap();
    rig.append(Lane::Findings, 1..100);
    eventually("three heartbeats and the inventory", || {
        collector.look(|store| store.heartbeats.len() >= 3 && store.inventories.len() == 3)
    })
    .await;
    let (heartbeat, parts) = collector.look(|store| {
        let parts: Vec<_> = store.inventories.iter().map(|inventory| inventory.part).collect();
        (store.heartbeats.last().unwrap().clone(), parts)
    });
    assert_eq!(parts, [0, 1, 2]);
    assert_eq!(heartbeat.lanes.len(), 3);
    assert_eq!(heartbeat.problems[0], "hot loop has not started");
    assert!(!heartbeat.healthy && heartbeat.resident_bytes > 0 && heartbeat.boottime_ns > 0);
    let drift = heartbeat.clock_drift_ns.unwrap();
    assert!(drift.abs() < 5_000_000_000, "the same clock is {drift} ns from itself");
}

#[tokio::test]
async fn a_stopping_agent_waits_until_the_collector_has_all() {
    let collector = Collector::default();
    collector.behave(|manners| manners.is_forgetful = true);
    let served = collector.serve(Security::Plain).await;
    let mut rig = Rig::start(plain(served.address), settings());
    rig.append(Lane::Findings, 1..11);
    eventually("the events are sent", || collector.look(|store| !store.batches.is_empty())).await;
    rig.stop.send_replace(true);
    // Unacknowledged, it goes on; also over another connection.
    eventually("it connects again", || collector.look(|store| store.hellos.len() > 1)).await;
    assert!(!rig.task.is_finished());
    collector.behave(|manners| manners.is_forgetful = false);
    rig.append(Lane::Findings, 11..12);
    (&mut rig.task).await.unwrap();
    assert_eq!(rig.waiting(), 0);
}

#[tokio::test]
async fn a_stopping_agent_does_not_wait_for_ever() {
    // Nobody listens there.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut uplink = plain(address);
    uplink.drain_timeout = Duration::from_millis(300);
    let mut rig = Rig::start(uplink, settings());
    rig.append(Lane::Findings, 1..11);
    eventually("it knows why", || match rig.state.link() {
        Link::Down { reason, .. } => {
            reason == format!("cannot connect to http://{address}: Connection refused (os error 111)")
        }
        Link::Starting | Link::Up { .. } => false,
    })
    .await;
    rig.stop.send_replace(true);
    (&mut rig.task).await.unwrap();
    assert_eq!(rig.waiting(), 10);
    assert!(rig.metric("kestrel_uplink_ended_connections_total{reason=\"unreachable\"}") >= 1.0);
}

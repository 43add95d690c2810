//! The power fails under the agent, and under the collector: what was acknowledged, or told, is there.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::{collections::BTreeSet, time::Duration};

use kestrel_proto::v1::{Envelope, Filter, record::Event};
use kestrel_tests::lab::{
    Lab,
    collector::{Collector, Options},
    delivery::{Delivering, wait_delivered},
    forgetful::{Forgetful, PowerLoss},
    lock::KernelLock,
    pods, poll,
    tally::{Counted, Counter},
    watch::Watcher,
};

const LIMIT: Duration = Duration::from_secs(60);

fn of(envelope: &Envelope) -> Option<&Event> {
    envelope.record.as_ref()?.event.as_ref()
}

#[test]
fn what_the_collector_acknowledged_survives_a_power_loss() {
    let _alone = KernelLock::acquire().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut disk = Forgetful::mount(&dir.path().join("disk")).unwrap();
    let options = Options { data_dir: Some(disk.path().join("data")), ..Options::default() };
    let mut collector = Collector::start(&options).unwrap();
    let endpoint = collector.endpoint();
    let agent = Delivering::to(&endpoint).start(dir.path()).unwrap();
    for seed in 1..=6 {
        let counted = Counter::start(dir.path(), 300, Duration::ZERO).unwrap().finish().unwrap();
        counted.wait_stored(&mut Watcher::new(&endpoint).unwrap(), LIMIT).unwrap();
        wait_delivered(&agent, LIMIT).unwrap();
        collector.kill().unwrap();
        let loss = if seed % 2 == 0 { PowerLoss::Everything } else { PowerLoss::Torn(seed) };
        disk.power_loss(loss).unwrap();
        collector.launch().unwrap();
        let past = Watcher::new(&endpoint).unwrap().past(Counted::filter()).unwrap();
        let tally = counted.tally(&past.events);
        assert!(tally.stored == tally.executed && tally.is_whole(), "{loss:?}: {tally:#?}");
    }
    assert!(disk.syncs() > 12, "{}", disk.syncs());
}

#[test]
fn a_power_loss_under_load_loses_nothing_that_the_agent_still_has() {
    let _alone = KernelLock::acquire().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut disk = Forgetful::mount(&dir.path().join("disk")).unwrap();
    let options = Options { data_dir: Some(disk.path().join("data")), ..Options::default() };
    let mut collector = Collector::start(&options).unwrap();
    let endpoint = collector.endpoint();
    let agent = Delivering::to(&endpoint).start(dir.path()).unwrap();
    let counter = Counter::start(dir.path(), 4000, Duration::from_micros(500)).unwrap();
    for seed in 1..=5 {
        let before = disk.syncs();
        poll::until("the collector to write", LIMIT, || Ok(disk.syncs() > before + 3)).unwrap();
        collector.kill().unwrap();
        disk.power_loss(PowerLoss::Torn(seed)).unwrap();
        collector.launch().unwrap();
    }
    let counted = counter.finish().unwrap();
    counted.wait_stored(&mut Watcher::new(&endpoint).unwrap(), LIMIT).unwrap();
    wait_delivered(&agent, LIMIT).unwrap();
}

#[test]
fn what_the_agent_told_survives_a_power_loss_with_no_collector_there() {
    let lab = Lab::start().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut disk = Forgetful::mount(&dir.path().join("disk")).unwrap();
    let mut collector = Collector::start(&Options::default()).unwrap();
    let endpoint = collector.endpoint();
    collector.stop().unwrap();
    let delivering = Delivering {
        processes: "containers",
        cri_socket: Some(lab.socket()),
        state_dir: Some(disk.path().join("state")),
        ..Delivering::to(&endpoint)
    };
    let mut agent = delivering.start(dir.path()).unwrap();
    let mut fails = 0;
    for demo in pods::demo(lab.dir()).unwrap() {
        if ["root", "no-seccomp", "privileged"].contains(&demo.slug) {
            lab.run(&demo.spec).unwrap();
            fails += demo.fails.len();
        }
    }
    let told = |findings: &[serde_json::Value]| -> BTreeSet<String> {
        let alerts =
            findings.iter().filter(|finding| finding["type"] == "finding" && finding["alert"] == true);
        alerts.filter_map(|finding| finding["id"].as_str().map(str::to_owned)).collect()
    };
    poll::until("the findings", LIMIT, || Ok(told(&agent.findings()?).len() == fails)).unwrap();
    let told = told(&agent.findings().unwrap());
    agent.kill().unwrap();
    disk.power_loss(PowerLoss::Everything).unwrap();
    collector.launch().unwrap();
    agent.launch().unwrap();
    wait_delivered(&agent, LIMIT).unwrap();
    let mut watcher = Watcher::new(&endpoint).unwrap();
    let ready = |events: &[Envelope]| {
        events.iter().filter(|event| matches!(of(event), Some(Event::Ready(_)))).count() == 2
    };
    poll::until("word of both starts", LIMIT, || Ok(ready(&watcher.past(Filter::default())?.events)))
        .unwrap();
    let events = watcher.past(Filter::default()).unwrap().events;
    let first = events.first().map(|event| event.epoch);
    assert!(events.iter().any(|event| Some(event.epoch) != first), "each start has its epoch");
    let stored: BTreeSet<_> = events
        .iter()
        .filter(|event| Some(event.epoch) == first)
        .filter_map(|event| match of(event)? {
            Event::Finding(finding) if finding.alert => Some(finding.id.clone()),
            _ => None,
        })
        .collect();
    assert!(told.is_subset(&stored), "told {told:?}, stored {stored:?}");
}

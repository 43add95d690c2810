//! A kill -9 in between.

use crate::posture::{
    Cause, Settings, Verdict,
    controls::testing::{container, named},
    store::Snapshot,
    testing::{Bench, root, user},
};

/// Through the bytes of the file.
fn restart(bench: &Bench, boot: &str) -> Bench {
    let bytes = serde_json::to_vec(&bench.posture.snapshot("boot", bench.now)).unwrap();
    let snapshot: Snapshot = serde_json::from_slice(&bytes).unwrap();
    let mut next = Bench::new(Settings::default());
    next.now = bench.now;
    next.pass(10);
    next.posture.restore(snapshot, boot, next.now);
    next
}

#[test]
fn findings_go_on() {
    let mut bench = Bench::new(Settings::default());
    bench.exec(&named(1, "web"), root(1));
    let before = bench.changes[0].finding.clone();
    let mut bench = restart(&bench, "boot");
    bench.judge(&named(1, "web"), root(1), Cause::Scan);
    bench.posture.scan_complete(bench.now);
    bench.pass(1000);
    assert!(bench.told().is_empty(), "nothing changed");
    let open = bench.posture.open_findings(bench.now);
    assert_eq!((open[0].id, open[0].first_seen, open[0].count), (before.id, before.first_seen, before.count));
    assert_eq!(open[0].reopened, 0);
}

#[test]
fn what_nothing_confirms_is_gone_but_not_before_the_scan_is_done() {
    let mut bench = Bench::new(Settings::default());
    bench.exec(&named(1, "web"), root(1));
    bench.exec(&named(2, "cart"), root(2));
    let mut bench = restart(&bench, "boot");
    bench.pass(100_000);
    assert!(bench.told().is_empty());
    bench.judge(&named(1, "web"), root(1), Cause::Scan);
    bench.posture.scan_complete(bench.now);
    bench.pass(0);
    let gone = bench.changes[0].finding.clone();
    // The evidence of the last run is still told.
    assert_eq!(gone.instances[0].explanation.observed, "uid 0");
    assert_eq!(bench.told(), ["RESOLVED(gone, not there after restart) FAIL run-as-non-root"]);
    assert_eq!(bench.posture.findings()[1][Verdict::Fail as usize], 1);
}

#[test]
fn containers_are_remembered_until_they_are_named_again() {
    let mut bench = Bench::new(Settings::default());
    bench.exec(&named(1, "web"), root(1));
    let before = bench.changes[0].finding.id;
    let mut bench = restart(&bench, "boot");
    bench.judge(&container(1), root(1), Cause::Scan);
    bench.posture.scan_complete(bench.now);
    bench.pass(60);
    assert!(bench.told().is_empty());
    bench.posture.named(&named(1, "web"), bench.now);
    bench.pass(60);
    assert!(bench.told().iter().all(|told| told == "UPDATED FAIL run-as-non-root quietly"));
    assert_eq!(bench.posture.open_findings(bench.now)[0].id, before);
    assert_eq!(bench.posture.sizes().findings, 1);
}

#[test]
fn what_went_out_pending_is_completed_after_a_restart() {
    let mut bench = Bench::new(Settings::default());
    bench.exec(&container(1), root(1));
    bench.pass(2);
    let pending = bench.changes[0].finding.clone();
    let mut bench = restart(&bench, "boot");
    bench.judge(&named(1, "web"), root(1), Cause::Scan);
    bench.posture.scan_complete(bench.now);
    bench.pass(0);
    assert_eq!(bench.changes[0].finding.completes, [pending.id]);
    assert_eq!(bench.changes[0].finding.first_seen, pending.first_seen);
    assert_eq!(bench.changes[1].finding.superseded_by, Some(bench.changes[0].finding.id));
    assert_eq!(bench.told().len(), 2);
    bench.process_gone(1);
    bench.pass(300);
    assert_eq!(bench.told(), ["RESOLVED(quiet) FAIL run-as-non-root"]);
}

#[test]
fn another_boot_keeps_ids_and_forgets_clocks() {
    let mut bench = Bench::new(Settings::default());
    bench.exec(&named(1, "web"), root(1));
    let before = bench.changes[0].finding.clone();
    let mut bench = restart(&bench, "another");
    bench.judge(&named(77, "web"), root(5), Cause::Scan);
    bench.posture.scan_complete(bench.now);
    bench.pass(60);
    let open = bench.posture.open_findings(bench.now);
    assert_eq!((open[0].id, open[0].first_seen.wall_ns), (before.id, before.first_seen.wall_ns));
    assert_eq!(open[0].first_seen.boottime_ns, 0);
}

#[test]
fn resolved_ones_come_back_as_themselves() {
    let mut bench = Bench::new(Settings::default());
    bench.exec(&named(1, "web"), root(1));
    bench.judge(&named(1, "web"), user(1), Cause::Credentials);
    bench.pass(300);
    let before = bench.changes[1].finding.clone();
    let mut bench = restart(&bench, "boot");
    bench.posture.scan_complete(bench.now);
    bench.exec(&named(1, "web"), root(8));
    let again = &bench.changes[0].finding;
    assert_eq!((again.id, again.count, again.reopened), (before.id, before.count + 1, 1));
    assert_eq!(bench.told(), ["OPEN FAIL run-as-non-root"]);
}

#[test]
fn the_same_state_gives_the_same_bytes() {
    let mut bench = Bench::new(Settings::default());
    for cgroup in 1..50 {
        bench.exec(&named(cgroup, &format!("web-{cgroup}")), root(cgroup as u32));
    }
    let bytes = |bench: &Bench| serde_json::to_vec(&bench.posture.snapshot("boot", bench.now)).unwrap();
    let mut twin = Bench::new(Settings::default());
    for cgroup in (1..50).rev() {
        twin.exec(&named(cgroup, &format!("web-{cgroup}")), root(cgroup as u32));
    }
    assert_eq!(bytes(&bench), bytes(&twin));
}

//! Findings that wait for a name, and those that an exemption covers.

use std::sync::Arc;

use crate::{
    context::{ContainerRole, Enrichment, Names, PendingReason},
    posture::{
        Cause, ChangeKind, Exemptions, RawExemption, Resolution, Settings, Verdict,
        controls::testing::{container, named, names},
        testing::{Bench, root},
    },
    time::SECOND,
};

fn complete(cgroup: u64, names: Names) -> crate::context::Container {
    let mut container = container(cgroup);
    container.enrichment = Enrichment::Complete(Arc::new(names));
    container
}

#[test]
fn waits_for_the_name() {
    let mut bench = Bench::new(Settings::default());
    bench.exec(&container(1), root(1));
    bench.pass(1);
    assert!(bench.told().is_empty());
    bench.posture.named(&named(1, "web"), bench.now);
    bench.pass(0);
    assert!(!bench.changes[0].finding.subject.is_pending());
    assert!(bench.changes[0].finding.completes.is_empty());
    assert_eq!(bench.changes[0].finding.names.as_ref().unwrap().pod, "web-abc");
    assert_eq!(bench.told(), ["OPEN FAIL run-as-non-root"]);
    assert_eq!(bench.posture.sizes().findings, 1);
}

#[test]
fn goes_out_pending_and_is_completed() {
    let mut bench = Bench::new(Settings::default());
    bench.exec(&container(1), root(1));
    bench.pass(2);
    let pending = bench.changes[0].finding.clone();
    assert_eq!(pending.pending, Some(PendingReason::Asked));
    assert_eq!(bench.told(), ["OPEN FAIL run-as-non-root"]);
    bench.pass(100);
    bench.posture.named(&named(1, "web"), bench.now);
    bench.pass(0);
    let (whole, last_word) = (&bench.changes[0].finding, &bench.changes[1].finding);
    assert_eq!(whole.completes, [pending.id]);
    assert_eq!((whole.first_seen, whole.count), (pending.first_seen, pending.count));
    assert_eq!((last_word.id, last_word.superseded_by), (pending.id, Some(whole.id)));
    assert_eq!(
        bench.told(),
        ["OPEN FAIL run-as-non-root quietly", "RESOLVED(superseded) FAIL run-as-non-root quietly"]
    );
    // The process was not lost on the way.
    bench.process_gone(1);
    bench.pass(300);
    assert_eq!(bench.told(), ["RESOLVED(quiet) FAIL run-as-non-root"]);
}

#[test]
fn time_in_which_the_loop_stood_still_is_no_waiting() {
    let mut bench = Bench::new(Settings::default());
    bench.look_up();
    bench.exec(&container(1), root(1));
    bench.now.boottime_ns += 60 * SECOND;
    bench.look_up();
    bench.pass(1);
    assert!(bench.told().is_empty());
    bench.posture.named(&named(1, "web"), bench.now);
    bench.pass(0);
    assert!(!bench.changes[0].finding.subject.is_pending());
    assert_eq!(bench.told(), ["OPEN FAIL run-as-non-root"]);
}

#[test]
fn a_loop_that_always_stands_still_tells_all_the_same() {
    let mut bench = Bench::new(Settings::default());
    bench.look_up();
    bench.exec(&container(1), root(1));
    for _ in 0..4 {
        bench.now.boottime_ns += 60 * SECOND;
        bench.look_up();
    }
    bench.pass(0);
    assert_eq!(bench.told(), ["OPEN FAIL run-as-non-root"]);
}

#[test]
fn a_record_that_is_read_late_waits_for_the_name_from_then_on() {
    let mut bench = Bench::new(Settings::default());
    let happened = bench.now;
    bench.now.boottime_ns += 60 * SECOND;
    bench.look_up();
    let read = std::mem::replace(&mut bench.now, happened);
    bench.exec(&container(1), root(1));
    bench.now = read;
    bench.pass(1);
    assert!(bench.told().is_empty());
    bench.pass(1);
    assert_eq!(bench.told(), ["OPEN FAIL run-as-non-root"]);
}

#[test]
fn says_why_there_is_no_name_as_of_now() {
    let mut bench = Bench::new(Settings::default());
    let mut container = container(1);
    bench.exec(&container, root(1));
    container.enrichment = Enrichment::Pending(PendingReason::RuntimeUnavailable);
    bench.posture.named(&container, bench.now);
    bench.pass(2);
    assert_eq!(bench.changes[0].finding.pending, Some(PendingReason::RuntimeUnavailable));
    assert_eq!(bench.told(), ["OPEN FAIL run-as-non-root"]);
    container.enrichment = Enrichment::Pending(PendingReason::NotKnown);
    bench.posture.named(&container, bench.now);
    bench.pass(60);
    assert_eq!(bench.changes[0].finding.pending, Some(PendingReason::NotKnown));
    assert_eq!(bench.told(), ["UPDATED FAIL run-as-non-root quietly"]);
    // The same answer again is no news.
    bench.posture.named(&container, bench.now);
    bench.pass(60);
    assert!(bench.told().is_empty());
}

#[test]
fn waits_longer_for_a_name_that_the_runtime_does_not_know_yet() {
    let mut bench = Bench::new(Settings::default());
    let mut container = container(1);
    bench.exec(&container, root(1));
    container.enrichment = Enrichment::Pending(PendingReason::NotKnown);
    bench.posture.named(&container, bench.now);
    bench.pass(9);
    assert!(bench.told().is_empty());
    bench.pass(1);
    assert_eq!(bench.told(), ["OPEN FAIL run-as-non-root"]);
}

#[test]
fn joins_the_finding_of_its_replicas() {
    let mut bench = Bench::new(Settings::default());
    bench.exec(&named(1, "web"), root(1));
    bench.exec(&container(2), root(2));
    bench.pass(2);
    assert_eq!(bench.told().len(), 2);
    bench.posture.named(&named(2, "web"), bench.now);
    bench.pass(0);
    assert_eq!(bench.changes[0].finding.count, 2);
    assert_eq!(
        bench.told(),
        ["UPDATED FAIL run-as-non-root quietly", "RESOLVED(superseded) FAIL run-as-non-root quietly"]
    );
}

#[test]
fn nobody_waits_where_nobody_is_asked() {
    let mut bench = Bench::new(Settings::default());
    let mut container = container(1);
    container.enrichment = Enrichment::Pending(PendingReason::NoRuntime);
    bench.exec(&container, root(1));
    assert_eq!(bench.told(), ["OPEN FAIL run-as-non-root"]);
}

#[test]
fn is_judged_against_its_declaration_before_it_goes_out() {
    let mut bench = Bench::new(Settings::default());
    bench.exec(&container(1), root(1));
    let mut declared = names("web");
    declared.declared.run_as_user = Some(101);
    let web = complete(1, declared);
    bench.posture.named(&web, bench.now);
    bench.judge(&web, root(1), Cause::Context);
    bench.pass(0);
    assert_eq!(bench.changes[0].finding.count, 1);
    assert_eq!(bench.told(), ["OPEN DRIFT run-as-non-root"]);
}

#[test]
fn short_lived_containers_are_named_after_their_end() {
    let mut bench = Bench::new(Settings::default());
    bench.exec(&container(1), root(1));
    bench.process_gone(1);
    bench.container_gone(&container(1));
    bench.pass(1);
    bench.posture.named(&named(1, "job"), bench.now);
    bench.pass(0);
    assert!(!bench.changes[0].finding.subject.is_pending());
    assert_eq!(bench.told(), ["OPEN FAIL run-as-non-root"]);
    bench.pass(30);
    assert_eq!(bench.told(), ["RESOLVED(gone) FAIL run-as-non-root"]);
    assert_eq!(bench.posture.sizes().containers, 0);
}

#[test]
fn sandboxes_are_exempt_once_they_are_known_to_be() {
    let mut bench = Bench::new(Settings::default());
    bench.exec(&container(1), root(1));
    let mut sandbox = names("web");
    sandbox.role = ContainerRole::Sandbox;
    sandbox.container = String::new();
    bench.posture.named(&complete(1, sandbox), bench.now);
    bench.pass(0);
    let exemption = bench.changes[0].finding.exemption.clone().unwrap();
    assert_eq!(exemption.reason, "pod sandbox, owned by the runtime");
    assert_eq!(bench.told(), ["OPEN EXEMPT run-as-non-root quietly"]);
}

#[test]
fn an_exemption_ends_with_its_day() {
    let raw = RawExemption {
        namespace: Some("shop".into()),
        control: crate::posture::OneOrMany::One("run-as-non-root".into()),
        owner: "team".into(),
        reason: "being moved".into(),
        expires: "2024-02-29".into(),
        ..RawExemption::default()
    };
    let mut bench = Bench::with(Settings::default(), Exemptions::validate(vec![raw]).unwrap());
    bench.exec(&named(1, "web"), root(1));
    bench.pass(1);
    assert_eq!(bench.told(), ["OPEN EXEMPT run-as-non-root quietly"]);
    assert_eq!(bench.posture.inventory()[0].controls[1].verdict, Verdict::Exempt);
    bench.pass(86_400);
    assert_eq!(bench.told(), ["UPDATED FAIL run-as-non-root"]);
    // And comes back with a new one.
    bench.posture.set_exemptions(Exemptions::default());
    bench.pass(60);
    assert!(bench.told().is_empty());
    bench.process_gone(1);
    bench.pass(300);
    assert!(matches!(bench.changes[0].kind, ChangeKind::Resolved(Resolution::Quiet)));
}

//! One finding from its first sight to its end.

use crate::posture::{
    Cause, Settings, Verdict,
    control::ControlId,
    controls::testing::{container, named, task},
    testing::{Bench, root, user},
};

#[test]
fn opens_at_once_and_resolves_after_the_quiet_time() {
    let mut bench = Bench::new(Settings::default());
    let web = named(42, "web");
    bench.exec(&web, user(1));
    bench.pass(1);
    assert!(bench.told().is_empty());
    bench.exec(&web, root(2));
    assert_eq!(bench.told(), ["OPEN FAIL run-as-non-root"]);
    bench.pass(10_000);
    assert!(bench.told().is_empty(), "a state that lasts is not news, and not over");
    bench.process_gone(2);
    bench.pass(299);
    assert!(bench.told().is_empty());
    bench.pass(1);
    assert_eq!(bench.told(), ["RESOLVED(quiet) FAIL run-as-non-root"]);
}

#[test]
fn replicas_and_restarts_share_a_finding() {
    let mut bench = Bench::new(Settings::default());
    for cgroup in 1..=5 {
        bench.exec(&named(cgroup, "web"), root(cgroup as u32));
    }
    assert_eq!(bench.told(), ["OPEN FAIL run-as-non-root"]);
    bench.pass(60);
    let updated = bench.changes[0].finding.clone();
    assert_eq!((updated.count, updated.instances.len()), (5, 5));
    assert_eq!(bench.told(), ["UPDATED FAIL run-as-non-root quietly"]);
    // Another container of the pod is another finding.
    let mut side = crate::posture::controls::testing::names("web");
    side.container = "side".into();
    let mut container = container(9);
    container.enrichment = crate::context::Enrichment::Complete(std::sync::Arc::new(side));
    bench.exec(&container, root(9));
    assert_eq!(bench.told(), ["OPEN FAIL run-as-non-root"]);
}

#[test]
fn gone_when_the_last_container_is() {
    let mut bench = Bench::new(Settings::default());
    let (one, other) = (named(1, "web"), named(2, "web"));
    bench.exec(&one, root(1));
    bench.exec(&other, root(2));
    bench.told();
    bench.container_gone(&one);
    bench.pass(59);
    assert!(bench.told().is_empty());
    bench.container_gone(&other);
    bench.pass(30);
    assert_eq!(bench.told(), ["UPDATED FAIL run-as-non-root quietly", "RESOLVED(gone) FAIL run-as-non-root"]);
    assert_eq!(bench.posture.sizes().containers, 0);
    assert_eq!(bench.posture.sizes().processes, 0);
}

#[test]
fn comes_back_under_its_id() {
    let mut bench = Bench::new(Settings::default());
    bench.exec(&named(1, "web"), root(1));
    let first = bench.changes[0].finding.clone();
    bench.container_gone(&named(1, "web"));
    bench.pass(30);
    bench.told();
    bench.pass(1000);
    bench.exec(&named(2, "web"), root(2));
    let again = bench.changes[0].finding.clone();
    assert_eq!(bench.told(), ["OPEN FAIL run-as-non-root"]);
    assert_eq!((again.id, again.first_seen), (first.id, first.first_seen));
    assert_eq!((again.count, again.reopened), (2, 1));
}

#[test]
fn a_crash_loop_does_not_flood() {
    let mut bench = Bench::new(Settings::default());
    for turn in 0..3600_u64 {
        let web = named(turn + 1, "web");
        bench.exec(&web, root(1));
        bench.process_gone(1);
        bench.container_gone(&web);
        bench.pass(1);
    }
    let told = bench.told();
    assert!(told.len() <= 61, "{} changes in an hour", told.len());
    assert!(bench.posture.sizes().findings == 1);
}

#[test]
fn a_worse_verdict_is_told_at_once_and_a_milder_one_in_time() {
    let mut bench = Bench::new(Settings::default());
    let mut names = crate::posture::controls::testing::names("web");
    names.declared.no_new_privs = Some(true);
    let fail = named(1, "web");
    let mut drift = named(2, "web");
    drift.enrichment = crate::context::Enrichment::Complete(std::sync::Arc::new(names));
    let without = |tgid| {
        task(|task| {
            task.task.tgid = tgid;
            task.task.tid = tgid;
            task.no_new_privs = 0;
        })
    };
    bench.exec(&fail, without(1));
    bench.exec(&drift, without(2));
    assert_eq!(bench.told(), ["OPEN FAIL no-new-privileges", "UPDATED DRIFT no-new-privileges"]);
    bench.process_gone(2);
    bench.pass(59);
    assert!(bench.told().is_empty());
    bench.pass(1);
    assert_eq!(bench.told(), ["UPDATED FAIL no-new-privileges quietly"]);
}

#[test]
fn credentials_that_are_given_up_end_it() {
    let mut bench = Bench::new(Settings::default());
    let web = named(1, "web");
    bench.exec(&web, root(1));
    bench.judge(&web, user(1), Cause::Credentials);
    bench.pass(300);
    assert_eq!(bench.told(), ["OPEN FAIL run-as-non-root", "RESOLVED(quiet) FAIL run-as-non-root"]);
}

#[test]
fn a_thread_of_its_own_counts() {
    let mut bench = Bench::new(Settings::default());
    let web = named(1, "web");
    let thread = |suid| {
        task(|task| {
            task.task.tgid = 1;
            task.task.tid = 7;
            task.ids.suid = suid;
            task.exec_id = 5;
        })
    };
    let mut leader = user(1);
    leader.exec_id = 5;
    bench.exec(&web, leader);
    bench.judge(&web, thread(0), Cause::Credentials);
    assert_eq!(bench.changes[0].finding.instances[0].tid, 7);
    assert_eq!(bench.told(), ["OPEN FAIL run-as-non-root"]);
    let verdict = |bench: &Bench| bench.posture.inventory()[0].controls[1].verdict;
    bench.judge(&web, thread(1000), Cause::Credentials);
    assert_eq!(verdict(&bench), Verdict::Pass);
    bench.judge(&web, thread(0), Cause::Credentials);
    assert_eq!(verdict(&bench), Verdict::Fail);
    // An exec ends every other thread.
    leader.exec_id = 6;
    bench.exec(&web, leader);
    assert_eq!(verdict(&bench), Verdict::Pass);
}

#[test]
fn who_left_outlives_the_container() {
    let mut bench = Bench::new(Settings::default());
    let web = named(1, "web");
    bench.exec(&web, user(1));
    let mut process = crate::posture::controls::testing::process(user(2));
    process.left_container = true;
    bench.judge_process(&web, &process, Cause::Context);
    assert_eq!(bench.told(), ["OPEN FAIL left-container"]);
    bench.container_gone(&web);
    bench.pass(100_000);
    assert!(bench.told().is_empty());
    assert_eq!(bench.posture.sizes().processes, 1);
    process.state.exec_id = 9;
    bench.judge_process(&web, &process, Cause::Exec);
    bench.pass(100_000);
    assert_eq!(bench.told(), ["UPDATED FAIL left-container quietly"]);
    bench.process_gone(2);
    bench.pass(30);
    assert_eq!(bench.told(), ["RESOLVED(gone) FAIL left-container"]);
    assert_eq!(bench.posture.sizes().containers, 0);
}

#[test]
fn unknown_is_listed_and_not_a_pass() {
    let mut bench = Bench::new(Settings::default());
    let web = named(1, "web");
    bench.exec(&web, task(|task| task.ns.user = 0));
    assert_eq!(bench.told(), ["OPEN UNKNOWN run-as-non-root quietly"]);
    let control = ControlId::RunAsNonRoot as usize;
    assert_eq!(bench.posture.findings()[control][Verdict::Unknown as usize], 1);
    assert_eq!(bench.posture.verdicts()[control][Verdict::Pass as usize], 0);
}

#[test]
fn what_does_not_fit_is_said() {
    let settings = Settings { max_findings: 2, max_processes: 3, max_instances: 1, ..Settings::default() };
    let mut bench = Bench::new(settings);
    for cgroup in 1..=3 {
        bench.exec(&named(cgroup, &format!("web-{cgroup}")), root(cgroup as u32));
    }
    assert_eq!(bench.posture.counters().findings_refused, 1);
    assert_eq!(bench.posture.sizes().findings, 2);
    bench.exec(&named(1, "web-1"), root(9));
    assert_eq!(bench.posture.counters().tasks_refused, 1);
    // The container passes nothing any more that not every task was asked for.
    let inventory = bench.posture.inventory();
    assert_eq!(inventory[0].controls[ControlId::Seccomp as usize].verdict, Verdict::Unknown);
    assert_eq!(inventory[2].controls[ControlId::RunAsNonRoot as usize].verdict, Verdict::Fail);
    // A resolved one makes room.
    bench.container_gone(&named(1, "web-1"));
    bench.pass(30);
    bench.exec(&named(4, "web-4"), root(4));
    assert_eq!(bench.posture.counters().findings_evicted, 1);
}

#[test]
fn the_runtime_is_not_judged() {
    let mut bench = Bench::new(Settings::default());
    let mut runc = crate::posture::controls::testing::process(root(1));
    runc.stage = crate::context::Stage::Runtime;
    bench.judge_process(&named(1, "web"), &runc, Cause::Exec);
    assert!(bench.changes.is_empty());
    assert_eq!(bench.posture.sizes().processes, 0);
}

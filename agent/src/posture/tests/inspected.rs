//! Containers and the node as a whole.

use agent_abi::record::TaskState;

use crate::{
    context::{Enrichment, Origin},
    inspect::{Inspection, Listener, Mounts, NotRead},
    posture::{
        Cause, ControlId, Judgement, Outcome, Settings, UnknownReason, Verdict,
        controls::testing::{container, named, process, task},
        testing::Bench,
    },
    time::SECOND,
};

/// Nothing could be read, but which device the root is on and which ports are listened on.
fn inspection(root_dev: u32, ports: &[u16]) -> Inspection {
    let state = task(|_| ());
    let listener = |&port| Listener { port, is_udp: false, is_loopback: false, tgid: 100 };
    Inspection {
        through: process(state).id,
        at_ns: 5 * SECOND,
        mounts: Ok(Mounts { root_dev, ..Mounts::default() }),
        devices: Err(NotRead::NotPermitted),
        limits: Err(NotRead::NotPermitted),
        open_files: Err(NotRead::NotPermitted),
        labels: Err(NotRead::NotPermitted),
        listeners: Ok(ports.iter().map(listener).collect()),
        environment: Err(NotRead::NotPermitted),
        arguments: Err(NotRead::NotPermitted),
    }
}

fn of(bench: &Bench, control: ControlId) -> (Verdict, Option<UnknownReason>) {
    let inventory = bench.posture.inventory();
    let found = inventory[0].controls.iter().find(|posture| posture.control == control).unwrap();
    (found.verdict, found.unknown)
}

#[test]
fn what_was_not_looked_at_is_unknown_and_what_could_not_be_read_too() {
    let mut bench = Bench::new(Settings::default());
    let web = named(42, "web");
    bench.exec(&web, task(|_| ()));
    assert_eq!(of(&bench, ControlId::MemoryLimit), (Verdict::Unknown, Some(UnknownReason::NotInspected)));
    assert!(bench.told().is_empty(), "nothing is known, so nothing is told");
    bench.look(&web, &inspection(7, &[]));
    let not_read = Some(UnknownReason::NotRead(NotRead::NotPermitted));
    assert_eq!(of(&bench, ControlId::MemoryLimit), (Verdict::Unknown, not_read));
    let told = bench.told();
    assert!(told.contains(&"OPEN UNKNOWN memory-limit quietly".to_owned()), "{told:?}");
    assert!(told.iter().all(|one| one.contains("quietly")), "{told:?}");
    bench.look(&web, &inspection(7, &[]));
    assert!(bench.told().is_empty(), "the same again");
    bench.process_gone(100);
    bench.container_gone(&web);
    bench.pass(31);
    let told = bench.told();
    assert!(told.iter().any(|one| one.starts_with("RESOLVED") && one.contains("memory-limit")), "{told:?}");
    assert_eq!(bench.posture.sizes().containers, 0);
}

#[test]
fn tasks_are_judged_again_when_what_is_around_them_changed() {
    let mut bench = Bench::new(Settings::default());
    let web = named(42, "web");
    bench.exec(&web, task(|_| ()));
    assert!(bench.look(&web, &inspection(7, &[])), "the root's device");
    assert!(!bench.look(&web, &inspection(7, &[])));
    assert!(bench.look(&web, &inspection(7, &[80])), "it serves");
    assert!(!bench.look(&web, &inspection(7, &[81])));
}

#[test]
fn what_the_runtime_tells_with_the_name_is_not_missing_before() {
    let mut bench = Bench::new(Settings::default());
    let mut web = container(42);
    bench.exec(&web, task(|_| ()));
    bench.look(&web, &inspection(7, &[]));
    assert_eq!(of(&bench, ControlId::ImageTag), (Verdict::Unknown, Some(UnknownReason::NotInspected)));
    bench.pass(1);
    web.enrichment = named(42, "web").enrichment;
    bench.posture.named(&web, bench.now);
    let told = bench.told();
    assert!(!told.iter().any(|one| one.contains("image-tag")), "{told:?}");
    // A name that does not come is missing.
    let mut bench = Bench::new(Settings::default());
    let web = container(42);
    bench.exec(&web, task(|_| ()));
    bench.pass(3);
    bench.look(&web, &inspection(7, &[]));
    assert_eq!(of(&bench, ControlId::ImageTag), (Verdict::Unknown, Some(UnknownReason::NotTold)));
}

#[test]
fn a_kernel_of_its_own_is_unknown_to_the_hosts() {
    let mut bench = Bench::new(Settings::default());
    let mut web = named(42, "web");
    if let Enrichment::Complete(names) = &mut web.enrichment {
        std::sync::Arc::make_mut(names).sandboxed_runtime = true;
    }
    bench.exec(&web, task(|task| task.ids.uid = 0));
    bench.look(&web, &inspection(7, &[]));
    let sandboxed = (Verdict::Unknown, Some(UnknownReason::SandboxedRuntime));
    for control in [ControlId::RunAsNonRoot, ControlId::Seccomp, ControlId::ReadOnlyRoot] {
        assert_eq!(of(&bench, control), sandboxed, "{control}");
    }
    assert!(bench.told().iter().all(|one| one.starts_with("OPEN UNKNOWN")));
}

#[test]
fn what_a_program_gave_its_task_is_gained_until_the_next() {
    let mut bench = Bench::new(Settings::default());
    let web = named(42, "web");
    let user = |exec_id: u64, euid: u32, permitted: u64| {
        task(|task| {
            task.task = agent_abi::record::TaskRef { leader_start_ns: 0, tgid: 200, tid: 200 };
            task.exec_id = exec_id;
            task.ids.euid = euid;
            task.caps.permitted = permitted;
        })
    };
    bench.exec(&web, task(|_| ()));
    bench.judge(&web, user(1, 1000, 0), Cause::Fork);
    bench.exec(&web, user(2, 0, 1 << 13));
    assert_eq!(of(&bench, ControlId::GainedPrivileges).0, Verdict::Fail);
    // It has it still, and gained nothing more.
    bench.judge(&web, user(2, 0, 1 << 13), Cause::Credentials);
    assert_eq!(of(&bench, ControlId::GainedPrivileges).0, Verdict::Fail);
    bench.exec(&web, user(3, 1000, 0));
    assert_eq!(of(&bench, ControlId::GainedPrivileges).0, Verdict::Pass);
}

#[test]
fn a_leader_that_becomes_like_its_thread_ends_the_difference() {
    let mut bench = Bench::new(Settings::default());
    let web = named(42, "web");
    let with_filters = |tid: u32, filters: u32| {
        task(|task| {
            task.task.tid = tid;
            task.seccomp_filters = filters;
        })
    };
    let mut whole = process(with_filters(100, 1));
    whole.origin = Origin::Born;
    bench.judge_process(&web, &whole, Cause::Exec);
    let thread = with_filters(101, 2);
    bench.judge_thread(&web, &whole, &thread);
    assert_eq!(of(&bench, ControlId::ThreadsDiffer).0, Verdict::Fail);
    whole.state = with_filters(100, 2);
    bench.judge_process(&web, &whole, Cause::Credentials);
    assert_eq!(of(&bench, ControlId::ThreadsDiffer).0, Verdict::Pass);
}

#[test]
fn findings_of_the_node_open_and_end_and_keep_their_id() {
    let control = ControlId::HostLockdown;
    let mut bench = Bench::new(Settings::default());
    let say = |bench: &mut Bench, outcome| {
        let judgement = Judgement::new(outcome, "so it is");
        bench.posture.take_node_judgement(control, judgement, bench.now, &mut bench.changes);
    };
    say(&mut bench, Outcome::Fail);
    assert_eq!(bench.posture.node_controls()[0].verdict, Verdict::Fail);
    let id = bench.changes[0].finding.id;
    assert_eq!(bench.changes[0].finding.instances[0].explanation.observed, "so it is");
    assert_eq!(bench.told().len(), 1);
    say(&mut bench, Outcome::Fail);
    assert!(bench.told().is_empty());
    say(&mut bench, Outcome::Pass);
    bench.pass(301);
    assert_eq!(bench.changes[0].finding.id, id);
    assert!(bench.told()[0].starts_with("RESOLVED"), "after the quiet time");
}

#[test]
fn ports_are_kept_only_while_they_are_listened_on() {
    let mut bench = Bench::new(Settings::default());
    let web = named(42, "web");
    bench.exec(&web, task(|_| ()));
    assert!(!bench.posture.connection_began(web.key, 80, false), "nobody listens there");
    bench.look(&web, &inspection(7, &[80]));
    assert!(bench.posture.connection_began(web.key, 80, false));
    assert!(!bench.posture.connection_began(web.key, 80, false));
    assert!(bench.posture.connection_began(web.key, 80, true));
    assert!(!bench.posture.connection_began(web.key, 40_000, false));
    bench.look(&web, &inspection(7, &[81]));
    assert!(!bench.posture.connection_began(web.key, 80, false));
    let state: TaskState = task(|_| ());
    assert!(bench.posture.token_opened(web.key, process(state).id));
    assert!(!bench.posture.token_opened(web.key, process(state).id));
}

use std::{collections::BTreeMap, sync::Arc};

use super::*;
use crate::context::{ContainerRole, Declared, Enrichment, Names, Owner, PendingReason};

#[test]
fn runc_is_not_judged_and_the_program_is() {
    let mut node = Node::new();
    let init = node.start(50, 100, 7);
    assert_eq!(node.take(), [Seen::Container(50), Seen::NeedName(50)]);
    assert_eq!(node.get(100).stage, Stage::Runtime);
    // It may wait long for its start.
    node.wait(60 * SECOND);
    assert_eq!(node.judged(), []);
    node.exec(init, OWN);
    assert_eq!(node.judged(), [(100, Origin::Born, Why::Exec)]);
    assert_eq!(node.kept(50).init, Some(id(100)));

    node.exec(Task { exec_id: 3, ..init }, SEALED);
    let replaced = node.take();
    assert_eq!(replaced[0], Seen::Replaced(100));
    assert!(
        matches!(replaced[1], Seen::Judge { why: Why::Exec, .. }),
        "memfd images of workloads are judged"
    );
    node.fork(Task { pid: 101, parent: 100, ..init });
    assert_eq!(node.judged(), [(101, Origin::Born, Why::Fork)]);
}

#[test]
fn the_stages_of_runc_fork_into_the_namespaces() {
    // nsexec: stage 0 forks stage 1, which unshares and forks stage 2 with CLONE_PARENT.
    let mut node = Node::new();
    let stage0 = node.start(50, 100, HOST_MNT);
    node.fork(Task { pid: 101, parent: 100, exec_id: 1, ..stage0 });
    let stage2 = Task { pid: 102, parent: 11, exec_id: 1, ..stage0 }.mnt(7);
    node.fork_by(stage2, 101);
    node.exit(101);
    node.exit(100);
    assert_eq!(node.judged(), [], "sealed stages that exit are the runtime's");
    node.exec(Task { exec_id: 2, ..stage2 }, OWN);
    assert_eq!(node.judged(), [(102, Origin::Born, Why::Exec)]);
    node.wait(60 * SECOND);
    assert_eq!(node.judged(), []);
}

#[test]
fn an_exec_into_a_running_container_is_entered_and_so_are_its_children() {
    let mut node = Node::new();
    let init = node.start(50, 100, 7);
    node.exec(init, OWN);
    node.take();
    let shell = node.enter(50, 200, 7);
    node.exec(shell, OWN);
    node.fork(Task { pid: 201, parent: 200, ..shell });
    assert_eq!(node.judged(), [(200, Origin::Entered, Why::Exec), (201, Origin::Entered, Why::Fork)]);
    assert_eq!(node.kept(50).init, Some(id(100)));
}

#[test]
fn clone_into_cgroup_is_entered() {
    let mut node = Node::new();
    let init = node.start(50, 100, 7);
    node.exec(init, OWN);
    node.take();
    node.fork(Task::host(199, 1));
    let nsenter = Task::host(200, 199).cgroup(50);
    node.fork(nsenter);
    assert_eq!(node.judged(), []);
    node.exec(Task { exec_id: 1, ..nsenter }.mnt(7), OWN);
    assert_eq!(node.judged(), [(200, Origin::Entered, Why::Exec)]);
}

#[test]
fn a_host_process_in_the_cgroup_is_judged_after_the_grace() {
    let mut node = Node::new();
    node.container(50);
    node.exec(Task::host(200, 1), ORDINARY);
    node.attach(50, 200, &container_path(50));
    node.take();
    node.wait(SECOND);
    assert_eq!(node.judged(), []);
    // To exec again does not put it off.
    node.exec(Task { exec_id: 1, ..Task::host(200, 1).cgroup(50) }, ORDINARY);
    node.wait(SECOND + SECOND / 2);
    assert_eq!(node.judged(), [(200, Origin::Entered, Why::Lingers)]);
    assert_eq!(node.kept(50).init, None, "it is not the container's init");
    node.wait(60 * SECOND);
    assert_eq!(node.judged(), []);
}

#[test]
fn a_sealed_host_process_is_judged_later_than_an_ordinary_one() {
    let mut node = Node::new();
    node.container(50);
    node.exec(Task::host(200, 1), SEALED);
    node.attach(50, 200, &container_path(50));
    for _ in 0..9 {
        node.wait(3 * SECOND);
    }
    assert_eq!(node.judged(), []);
    node.wait(4 * SECOND);
    assert_eq!(node.judged(), [(200, Origin::Entered, Why::Lingers)]);
}

#[test]
fn a_host_process_that_execs_and_exits_within_the_grace_is_judged() {
    let mut node = Node::new();
    node.container(50);
    node.exec(Task::host(200, 1), ORDINARY);
    node.attach(50, 200, &container_path(50));
    node.exec(Task { exec_id: 1, ..Task::host(200, 1).cgroup(50) }, ORDINARY);
    node.exit(200);
    let seen = node.take();
    assert!(matches!(seen[seen.len() - 2], Seen::Judge { origin: Origin::Entered, why: Why::Lingers, .. }));
    assert_eq!(seen[seen.len() - 1], Seen::Exited(200));
}

#[test]
fn a_foreign_image_inside_the_container_is_judged_after_the_grace() {
    let mut node = Node::new();
    let init = node.start(50, 100, 7);
    node.exec(init, OWN);
    let intruder = node.enter(50, 200, 7);
    node.take();
    node.exec(intruder, 0);
    assert_eq!(node.judged(), []);
    for _ in 0..16 {
        node.wait(2 * SECOND);
    }
    assert_eq!(node.judged(), [(200, Origin::Entered, Why::Lingers)]);
}

#[test]
fn membership_is_sticky() {
    let mut node = Node::new();
    let init = node.start(50, 100, 7);
    node.exec(init, OWN);
    node.mkdir(51, &format!("{}/init.scope", container_path(50)));
    node.take();
    node.attach(51, 100, &format!("{}/init.scope", container_path(50)));
    assert_eq!(node.take(), [], "below the container's cgroup is inside");

    node.attach(HOST_CGROUP, 100, "/system.slice/containerd.service");
    assert_eq!(node.take(), [Seen::Left(100, 50)]);
    assert!(node.get(100).left_container);
    node.container(60);
    node.take();
    node.attach(60, 100, &container_path(60));
    node.exec(Task { exec_id: 3, ..init.cgroup(60) }, OWN);
    assert_eq!(node.get(100).container, Some(key(50)));
    node.fork(Task { pid: 101, parent: 100, ..init.cgroup(60) });
    assert_eq!(node.get(101).container, Some(key(50)));
    assert!(node.get(101).left_container);

    node.rmdir(50, "");
    assert!(!node.take().contains(&Seen::Gone(50)), "not while one lives that left");
    node.exit(100);
    node.exit(101);
    assert!(node.take().contains(&Seen::Gone(50)));
    // Its processes are forgotten, it waits for its name.
    node.wait(20 * SECOND);
    assert!(node.context.process_by_id(id(100)).is_none() && node.context.container(key(50)).is_some());
    node.wait(30 * SECOND);
    assert!(node.context.container(key(50)).is_none());
}

#[test]
fn a_container_that_is_gone_is_named_whoever_ends_meanwhile() {
    let mut node = Node::with(Limits { processes: 16, containers: 16, cgroups: 64 });
    let init = node.start(50, 100, 7);
    node.exec(init, OWN);
    node.exit(100);
    node.rmdir(50, "");
    for pid in 200..300 {
        node.fork(Task::host(pid, 1));
        node.exit(pid);
    }
    assert!(node.context.process_by_id(id(100)).is_none());
    node.take();
    let Node { context, seen: all, .. } = &mut node;
    context.named(key(50), Ok(names(Some(100))), &mut |effect| all.push(seen(effect)));
    assert!(matches!(node.kept(50).enrichment, Enrichment::Complete(_)));
    node.wait(1);
    assert!(node.context.container(key(50)).is_none());
}

#[test]
fn containers_that_wait_for_their_names_are_bounded() {
    let mut node = Node::with(Limits { processes: 256, containers: 16, cgroups: 64 });
    for cgroup in 1000..2000 {
        node.container(cgroup);
        node.rmdir(cgroup, "");
    }
    assert_eq!(node.context.counts().containers, 16);
    assert_eq!(node.context.counts().container.refused, 0);
    node.wait(30 * SECOND);
    assert_eq!(node.context.counts().containers, 0);
}

#[test]
fn a_child_cloned_out_of_the_container_has_left_it() {
    let mut node = Node::new();
    let init = node.start(50, 100, 7);
    node.exec(init, OWN);
    node.take();
    node.fork(Task { pid: 101, parent: 100, ..init.cgroup(HOST_CGROUP) });
    assert_eq!(node.take()[0], Seen::Left(101, 50));
    assert_eq!(node.get(101).container, Some(key(50)));
}

#[test]
fn containers_nest() {
    let mut node = Node::new();
    let kind = node.start(50, 100, 7);
    node.exec(kind, OWN);
    let inner_path = format!("{}/kubelet/kubepods/{}", container_path(50), container_id(60));
    // The node's own runc, a workload of the outer container, makes the inner one.
    let runc = Task { pid: 150, parent: 100, ..kind };
    node.fork(runc);
    node.exec(Task { exec_id: 3, ..runc }, OWN);
    node.mkdir(60, &inner_path);
    node.take();
    node.attach(60, 150, &inner_path);
    let runc = runc.cgroup(60);
    node.exec(Task { exec_id: 4, ..runc }, SEALED);
    assert_eq!(node.judged(), []);
    assert_eq!(node.get(150).container, Some(key(60)));
    node.exec(Task { exec_id: 5, ..runc.mnt(8) }, OWN);
    assert_eq!(node.judged(), [(150, Origin::Born, Why::Exec)]);
    assert_eq!(node.context.outer(key(60)), Some(key(50)));
    assert_eq!(node.kept(60).init, Some(id(150)));
}

#[test]
fn a_cgroup_that_was_not_seen_is_asked_for_once_and_then_known() {
    let mut node = Node::new();
    node.exec(Task::host(10, 1), ORDINARY);
    node.exec(Task::host(100, 10).cgroup(70).mnt(7), OWN);
    node.exec(Task { exec_id: 1, ..Task::host(100, 10).cgroup(70).mnt(7) }, OWN);
    assert_eq!(node.take(), [Seen::NeedCgroup(70)]);
    let path = format!("{}/init.scope", container_path(69));
    let Node { context, seen: all, .. } = &mut node;
    context.cgroup_found(key(70), Some(path.as_bytes()), Some(69), &mut |effect| all.push(seen(effect)));
    assert_eq!(node.get(100).container, Some(key(69)));
    let seen = node.take();
    assert_eq!(seen[..2], [Seen::Container(69), Seen::NeedName(69)]);
    assert!(matches!(seen[2], Seen::Judge { tgid: 100, cgroup: 69, .. }));
}

#[test]
fn a_copied_name_does_not_take_a_containers_cgroups() {
    let mut node = Node::new();
    node.container(50);
    node.mkdir(80, &format!("/evil/{}", container_id(50)));
    node.mkdir(51, &format!("{}/init.scope", container_path(50)));
    let init = Task::host(100, 1).cgroup(51).mnt(7);
    node.exec(init, OWN);
    assert_eq!(node.get(100).container, Some(key(50)));
}

#[test]
fn full_of_idle_containers_lets_go_of_them_only() {
    let mut node = Node::with(Limits { processes: 64, containers: 4, cgroups: 64 });
    let init = node.start(50, 100, 7);
    node.exec(init, OWN);
    for cgroup in 60..160 {
        node.container(cgroup);
    }
    assert_eq!(node.kept(50).init, Some(id(100)));
    let counts = node.context.counts();
    assert_eq!(counts.containers, 4);
    assert_eq!(counts.container.inserted - counts.container.removed, 4);
    assert!(counts.cgroups <= 64);
}

fn names(init_pid: Option<u32>) -> Arc<Names> {
    Arc::new(Names {
        role: ContainerRole::Workload,
        pod: "web-0".into(),
        namespace: "shop".into(),
        pod_uid: String::new(),
        labels: BTreeMap::new(),
        container: "web".into(),
        owner: Owner { kind: "Pod", name: "web-0".into() },
        image: String::new(),
        image_digest: None,
        init_pid,
        service_account: None,
        sandboxed_runtime: false,
        image_created: None,
        declared: Declared::default(),
    })
}

#[test]
fn names_complete_the_verdicts_and_correct_the_init() {
    let mut node = Node::new();
    let hook = node.start(50, 100, 7);
    // A startContainer hook runs the container's own file before the init does.
    node.exec(hook, OWN);
    let init = node.enter(50, 200, 7);
    node.exec(init, OWN);
    node.fork(Task { pid: 201, parent: 200, ..init });
    assert_eq!(node.get(200).origin, Origin::Entered);
    node.take();
    let Node { context, seen: all, .. } = &mut node;
    context.named(key(50), Ok(names(Some(200))), &mut |effect| all.push(seen(effect)));
    let judged = node.judged();
    let named = |pid, origin| (pid, origin, Why::Named);
    assert_eq!(judged, [named(100, Origin::Entered), named(200, Origin::Born), named(201, Origin::Born)]);
    let Node { context, seen: all, .. } = &mut node;
    context.named(key(50), Ok(names(Some(200))), &mut |effect| all.push(seen(effect)));
    assert_eq!(node.take(), [], "the same answer changes nothing");
}

#[test]
fn a_container_that_could_not_be_asked_for_is_asked_for_again() {
    let mut node = Node::new();
    node.container(50);
    node.take();
    node.context.named(key(50), Err(PendingReason::QueueFull), &mut |_| {});
    node.wait(2 * SECOND);
    assert_eq!(node.take(), [Seen::NeedName(50)]);
    assert!(matches!(node.kept(50).enrichment, Enrichment::Pending(PendingReason::QueueFull)));
    node.wait(2 * SECOND);
    assert_eq!(node.take(), []);
    node.wait(200 * SECOND);
    assert_eq!(node.take(), [Seen::NeedName(50)], "a question that was lost is asked again");
}

#[test]
fn the_runtimes_word_on_the_init_may_come_before_the_init_runs() {
    let mut node = Node::new();
    let hook = node.start(50, 100, 7);
    node.exec(hook, OWN);
    let init = node.enter(50, 200, 7);
    node.context.named(key(50), Ok(names(Some(200))), &mut |_| {});
    assert_eq!(node.get(100).origin, Origin::Born);
    node.exec(init, OWN);
    assert_eq!(node.kept(50).init, Some(id(200)));
    assert_eq!(node.get(200).origin, Origin::Born);
    assert_eq!(node.get(100).origin, Origin::Entered);
}

#[test]
fn whoever_enters_by_namespace_alone_is_entered() {
    let mut node = Node::new();
    let init = node.start(100, 20, 7);
    node.exec(init, OWN);
    node.take();
    // nsenter: setns in the parent, then a child in all namespaces, which execs.
    node.fork(Task::host(50, 1));
    node.exec(Task::host(50, 1), OWN);
    node.credentials(Task::host(50, 1).mnt(7).state());
    node.fork(Task::host(51, 50).mnt(7));
    assert_eq!(node.judged(), [], "nsenter itself runs the host's file");
    node.exec(Task::host(51, 50).mnt(7), file_flag::IN_TASK_MOUNT_NS);
    assert_eq!(node.judged(), [(51, Origin::Entered, Why::Exec)]);
    node.fork(Task::host(52, 51).mnt(7));
    assert_eq!(node.judged(), [(52, Origin::Entered, Why::Fork)]);
    assert!(!node.get(51).left_container, "its cgroup never was the container's");
    // A service of the host with a mount namespace of its own is nobody's.
    node.fork(Task::host(60, 1).mnt(9));
    node.exec(Task::host(60, 1).mnt(9), file_flag::IN_TASK_MOUNT_NS);
    assert_eq!(node.get(60).container, None);
}

#[test]
fn a_scan_finds_who_entered_by_namespace() {
    let mut node = Node::new();
    node.scan(Task::host(51, 1).mnt(7), file_flag::IN_TASK_MOUNT_NS);
    node.container(100);
    node.scan(Task::host(20, 1).cgroup(100).mnt(7).pid_ns(3, 1), file_flag::IN_TASK_MOUNT_NS);
    node.scan_finished();
    let mut judged = node.judged();
    judged.sort_unstable_by_key(|(pid, ..)| *pid);
    assert_eq!(judged, [(20, Origin::Born, Why::Scan), (51, Origin::Entered, Why::Joined)]);
}

#[test]
fn a_renamed_cgroup_stays_its_containers() {
    let mut node = Node::new();
    let init = node.start(50, 100, 7);
    node.exec(init, OWN);
    let before = node.kept(50).clone();
    node.take();
    node.cgroup(CgroupChange::Rename, 50, 1, "/innocent");
    assert_eq!(node.take(), [], "neither gone nor new");
    assert_eq!(node.kept(50).id, before.id);
    assert_eq!(node.kept(50).cgroup_path, before.cgroup_path);
    // Whoever is born in it, or comes to it, is in the container.
    node.fork(Task { pid: 101, parent: 100, ..init });
    assert_eq!(node.judged(), [(101, Origin::Born, Why::Fork)]);
    node.exec(Task::host(200, 1), ORDINARY);
    node.attach(50, 200, "/innocent");
    node.exec(Task { exec_id: 1, ..Task::host(200, 1).cgroup(50) }.mnt(7), OWN);
    assert_eq!(node.judged(), [(200, Origin::Entered, Why::Exec)]);
}

#[test]
fn a_cgroup_that_becomes_a_container_by_its_name_is_one() {
    let mut node = Node::new();
    node.mkdir(50, "/staging");
    node.cgroup(CgroupChange::Rename, 50, 1, &container_path(50));
    assert_eq!(node.take(), [Seen::Container(50), Seen::NeedName(50)]);
    node.cgroup(CgroupChange::Release, 50, 1, &container_path(50));
    assert!(node.take().contains(&Seen::Gone(50)));
}

#[test]
fn whose_a_cgroup_is_is_told_as_it_is_learned_and_when_it_goes() {
    let mut node = Node::new();
    node.take();
    node.mkdir(60, "/system.slice/cron.service");
    node.mkdir(61, "/kubepods/besteffort");
    node.mkdir(69, &container_path(69));
    node.mkdir(70, &format!("{}/init.scope", container_path(69)));
    let known = Seen::CgroupKnown;
    assert_eq!(node.take_cgroups(), [known(60, true), known(61, true), known(69, false), known(70, false)]);
    // What a scan finds is told again, known or not.
    let path = format!("{}/sub", container_path(69));
    let Node { context, seen: all, .. } = &mut node;
    context.cgroup_found(key(60), Some(b"/system.slice/cron.service"), None, &mut |effect| {
        all.push(seen(effect))
    });
    context.cgroup_found(key(71), Some(path.as_bytes()), Some(69), &mut |effect| all.push(seen(effect)));
    assert_eq!(node.take_cgroups(), [known(60, true), known(71, false)]);
    assert_eq!(node.context.container_of_cgroup(71).map(|container| container.key), Some(key(69)));
    for id in [60, 70, 69] {
        node.rmdir(id, "");
    }
    let gone = Seen::CgroupGone;
    assert_eq!(node.take_cgroups(), [gone(60, None), gone(70, Some(69)), gone(69, Some(69))]);
}

#[test]
fn a_runtime_that_lies_about_the_init_moves_nobody() {
    let mut node = Node::new();
    let init = node.start(50, 100, 7);
    node.exec(init, OWN);
    let other = node.start(60, 300, 8);
    node.exec(other, OWN);
    // Another container's process, and one that is not there.
    for pid in [300, 999] {
        node.context.named(key(50), Ok(names(Some(pid))), &mut |_| {});
        assert_eq!(node.kept(50).init, Some(id(100)), "said to be {pid}");
        assert_eq!(node.get(100).origin, Origin::Born, "said to be {pid}");
        assert_eq!(node.kept(60).init, Some(id(300)));
        assert_eq!(node.get(300).origin, Origin::Born);
    }
}

use super::*;

fn inside(pid: u32, parent: u32, ns_pid: u32) -> Task {
    Task::host(pid, parent).cgroup(50).mnt(7).pid_ns(1007, ns_pid)
}

#[test]
fn a_scan_in_any_order_tells_born_from_entered() {
    // init 100 with child 101; exec 200 by shim 10 with child 201; orphan of 101, reparented.
    let tasks = [
        (Task::host(10, 1), ORDINARY),
        (inside(100, 10, 1), OWN),
        (inside(101, 100, 2), OWN),
        (inside(150, 100, 3), OWN),
        (inside(200, 10, 4), OWN),
        (inside(201, 200, 5), OWN),
    ];
    for turn in 0..tasks.len() {
        let mut node = Node::new();
        node.container(50);
        node.take();
        for (task, flags) in tasks.iter().cycle().skip(turn).take(tasks.len()) {
            node.scan(*task, *flags);
        }
        assert_eq!(node.take(), [], "nothing before the end of the scan");
        node.scan_finished();
        let (born, entered) = (Origin::Born, Origin::Entered);
        let expected = [(100, born), (101, born), (150, born), (200, entered), (201, entered)];
        assert_eq!(node.judged(), expected.map(|(pid, origin)| (pid, origin, Why::Scan)));
        assert_eq!(node.kept(50).init, Some(id(100)));
    }
}

#[test]
fn an_exec_during_the_scan_is_not_taken_for_the_init() {
    let mut node = Node::new();
    node.container(50);
    node.exec(Task { exec_id: 1, ..inside(200, 10, 4) }, OWN);
    node.scan(inside(100, 10, 1), OWN);
    node.scan(Task::host(10, 1), ORDINARY);
    node.take();
    node.scan_finished();
    assert_eq!(node.kept(50).init, Some(id(100)));
    assert_eq!(node.get(200).origin, Origin::Entered);
    assert_eq!(node.get(100).origin, Origin::Born);
}

#[test]
fn a_scan_does_not_overwrite_later_events() {
    let mut node = Node::new();
    let early = node.header();
    let init = node.start(50, 100, 7);
    node.exec(init, OWN);
    let mut state = init.state();
    state.ids.uid = 1000;
    node.credentials(state);
    node.take();
    node.image(Task { exec_id: 1, ..init }, SEALED, ImageSource::Scan, early);
    node.scan_finished();
    assert_eq!(node.take(), []);
    assert_eq!(node.get(100).state.ids.uid, 1000);
    assert_eq!(node.get(100).exe.flags, OWN);
}

#[test]
fn a_rescan_heals_a_lost_exec_and_a_lost_change() {
    let mut node = Node::new();
    let init = node.start(50, 100, 7);
    node.take();
    node.scan(init, OWN);
    node.scan_finished();
    assert_eq!(node.judged(), [(100, Origin::Born, Why::Scan)]);
    node.scan(init.pid_ns(9, 1), OWN);
    assert_eq!(node.judged(), [(100, Origin::Born, Why::Scan)]);
    node.scan(init.pid_ns(9, 1), OWN);
    node.scan_finished();
    assert_eq!(node.judged(), [], "nothing new");
}

#[test]
fn a_rescan_heals_a_lost_exec_whose_version_a_change_told() {
    let mut node = Node::new();
    let init = node.start(50, 100, 7);
    let mut state = init.state();
    state.ids.uid = 1000;
    node.credentials(state);
    assert_eq!(node.judged(), [], "its image is still the runtime's");
    node.scan(init, OWN);
    node.scan_finished();
    assert_eq!(node.judged(), [(100, Origin::Born, Why::Scan)]);
    assert_eq!(node.get(100).exe.flags, OWN);
}

#[test]
fn the_record_of_an_exec_that_the_scan_saw_first_adds_its_arguments() {
    let mut node = Node::new();
    let early = node.header();
    node.container(50);
    node.scan(inside(100, 10, 1), OWN);
    node.scan_finished();
    assert!(node.get(100).argv.is_empty());
    node.image(inside(100, 10, 1), OWN, ImageSource::Exec, early);
    assert_eq!(node.get(100).argv, b"sh\0-c\0true\0");
    node.context.described(id(100), Some(b"/other"), b"other\0");
    assert_eq!(node.get(100).argv, b"sh\0-c\0true\0");
}

#[test]
fn a_waiting_init_found_by_the_scan_is_not_judged() {
    let mut node = Node::new();
    node.container(50);
    node.scan(Task::host(10, 1), ORDINARY);
    node.scan(inside(100, 10, 1).mnt(HOST_MNT), SEALED);
    node.scan_finished();
    node.wait(SECOND);
    assert_eq!(node.judged(), []);
    node.exec(Task { exec_id: 1, ..inside(100, 10, 1) }, OWN);
    assert_eq!(node.judged(), [(100, Origin::Born, Why::Exec)]);
}

#[test]
fn a_host_process_found_in_the_cgroup_is_judged_after_the_grace() {
    let mut node = Node::new();
    node.container(50);
    node.scan(Task::host(200, 1).cgroup(50), ORDINARY);
    node.scan_finished();
    node.take();
    node.wait(3 * SECOND);
    assert_eq!(node.judged(), [(200, Origin::Entered, Why::Lingers)]);
}

#[test]
fn time_in_which_nothing_was_read_is_no_grace() {
    let mut node = Node::new();
    node.container(50);
    node.scan(Task::host(200, 1).cgroup(50), ORDINARY);
    node.scan_finished();
    node.take();
    node.now += 10 * SECOND;
    node.context.wait_anew(node.now);
    node.wait(SECOND);
    assert_eq!(node.judged(), []);
    node.wait(SECOND);
    assert_eq!(node.judged(), [(200, Origin::Entered, Why::Lingers)]);
}

#[test]
fn what_a_host_process_in_the_cgroup_has_made_is_entered() {
    let mut node = Node::new();
    node.container(50);
    node.scan(Task::host(10, 1), ORDINARY);
    node.scan(inside(100, 10, 1), OWN);
    // nsenter, by a file of the host, that lies in the cgroup and waits for its child.
    node.scan(Task::host(200, 1).cgroup(50).mnt(7), 0);
    node.scan(inside(201, 200, 9), OWN);
    node.take();
    node.scan_finished();
    let expected = [(100, Origin::Born, Why::Scan), (201, Origin::Entered, Why::Scan)];
    assert_eq!(node.judged(), expected);
}

#[test]
fn a_scanned_host_process_that_joins_later_is_entered() {
    let mut node = Node::new();
    node.container(50);
    node.scan(Task::host(10, 1), ORDINARY);
    node.scan(inside(100, 10, 1), OWN);
    node.scan(Task::host(200, 1), ORDINARY);
    node.scan_finished();
    node.take();
    node.attach(50, 200, &container_path(50));
    assert_eq!(node.get(200).origin, Origin::Entered);
    node.wait(3 * SECOND);
    assert_eq!(node.judged(), [(200, Origin::Entered, Why::Lingers)]);
}

#[test]
fn a_thread_that_differs_is_judged_by_itself() {
    let mut node = Node::new();
    node.container(50);
    let leader = inside(100, 1, 1);
    node.scan(leader, OWN);
    let mut thread = leader.state();
    thread.task.tid = 101;
    let header = node.header();
    node.image_of(thread, OWN, ImageSource::Scan, header);
    node.scan_finished();
    let judged: Vec<_> = node
        .take()
        .into_iter()
        .filter_map(|seen| match seen {
            Seen::Judge { tgid, tid, .. } => Some((tgid, tid)),
            _ => None,
        })
        .collect();
    assert_eq!(judged, [(100, 100), (100, 101)]);
}

use agent_abi::interest::{ABI_COMPAT, ABI_NATIVE, ABI_X32};

use super::*;
use crate::syscall;

#[test]
fn a_child_has_its_creators_image_and_its_own_state() {
    let mut node = Node::new();
    node.exec(Task::host(10, 1), ORDINARY);
    node.fork_by(Task::host(11, 1).mnt(9), 10);
    let child = node.get(11);
    assert_eq!(child.exe_path, b"/bin/sh");
    assert_eq!(child.argv, b"sh\0-c\0true\0");
    assert_eq!(child.parent, Some(id(1)));
    assert_eq!(child.state.ns.mnt, 9);
    assert_eq!(child.container, None);
    assert_eq!(node.judged(), []);
}

#[test]
fn nothing_comes_back_after_its_exit() {
    let mut node = Node::new();
    node.exec(Task::host(10, 1), ORDINARY);
    node.exit(10);
    node.exit(77);
    for pid in [10, 77] {
        node.fork(Task::host(pid, 1));
        node.exec(Task::host(pid, 1), ORDINARY);
        node.scan(Task::host(pid, 1), ORDINARY);
        node.credentials(Task::host(pid, 1).state());
    }
    node.scan_finished();
    assert_eq!(node.context.processes().count(), 0);
    assert_eq!(node.get(10).exe_path, b"/bin/sh", "late events still find it");
    assert_eq!(node.context.counts().process.late, 8);
    node.wait(20 * SECOND);
    assert!(node.context.process_by_id(id(10)).is_none());
}

#[test]
fn a_pid_that_is_used_again_is_another_process() {
    let mut node = Node::new();
    node.exec(Task::host(10, 1), ORDINARY);
    node.exit(10);
    let mut state = Task::host(10, 1).state();
    state.task.leader_start_ns += SECOND;
    node.credentials(state);
    assert_eq!(node.context.processes().count(), 1);
}

#[test]
fn an_older_exec_does_not_overwrite_a_newer_image() {
    let mut node = Node::new();
    let early = node.header();
    node.exec(Task { exec_id: 5, ..Task::host(10, 1) }, ORDINARY);
    node.image(Task { exec_id: 4, ..Task::host(10, 1) }, SEALED, ImageSource::Exec, early);
    assert_eq!(node.get(10).exe.flags, ORDINARY);
    assert_eq!(node.get(10).state.exec_id, 5);
}

#[test]
fn a_full_table_lets_go_of_the_host_first_and_says_so() {
    let mut node = Node::with(Limits { processes: 32, containers: 4, cgroups: 64 });
    let init = node.start(50, 100, 7);
    node.exec(init, OWN);
    node.take();
    for pid in 200..400 {
        node.fork(Task::host(pid, 1));
    }
    assert_eq!(node.get(100).container, Some(key(50)));
    let counts = node.context.counts();
    assert_eq!(counts.live + counts.exited, 32);
    assert_eq!(counts.process.evicted, counts.process.inserted - 32);
    assert_eq!(node.take(), []);
    for pid in 400..440 {
        node.fork(Task { pid, parent: 100, ..init });
    }
    assert!(node.take().contains(&Seen::Forgotten(100)), "workloads that are dropped are told");
    assert_eq!(node.context.counts().live, 32);
}

#[test]
fn long_paths_and_arguments_are_cut() {
    let mut node = Node::new();
    let header = node.header();
    let record = record::Exec { header, state: Task::host(10, 1).state(), ..record::Exec::default() };
    let path: Vec<u8> = (0..40).flat_map(|_| b"/0123456789abcdefghijklmnopqrstuvwxyz".to_vec()).collect();
    node.apply(&Event::Exec(Exec {
        record: &record,
        source: ImageSource::Exec,
        exe: &path,
        argv: Strings(&[b'a'; 4096]),
        filename: b"",
        cwd: &[],
        seccomp_allow: None,
    }));
    let process = node.get(10);
    assert_eq!(process.exe_path.len(), crate::context::EXE_PATH_BYTES);
    assert!(process.exe_path.ends_with(b"/0123456789abcdefghijklmnopqrstuvwxyz"));
    assert_ne!(process.exe.flags & file_flag::PATH_TRUNCATED, 0);
    assert_eq!(process.argv.len(), crate::context::ARGV_BYTES);
}

#[test]
fn threads_are_judged_by_their_own_state() {
    let mut node = Node::new();
    let init = node.start(50, 100, 7);
    node.exec(init, OWN);
    node.take();
    let mut state = init.state();
    state.task.tid = 101;
    state.ids.uid = 1000;
    node.credentials(state);
    let why = Why::Credentials;
    assert_eq!(node.take(), [Seen::Judge { tgid: 100, tid: 101, cgroup: 50, origin: Origin::Born, why }]);
    assert_eq!(node.get(100).state.ids.uid, 0, "the leader keeps its own");

    // seccomp(SET_MODE_FILTER, TSYNC) changes the leader too, by whichever ABI.
    state.seccomp_mode = 2;
    state.no_new_privs = 1;
    let call = syscall::by_name("seccomp").unwrap();
    let native = call.native.unwrap();
    for (abi, syscall) in [(ABI_NATIVE, native), (ABI_COMPAT, call.compat[0]), (ABI_X32, native)] {
        state.seccomp_filters += 1;
        let (header, syscall_abi) = (node.header(), u32::from(abi));
        let record = record::Credentials {
            header,
            state,
            args: [1, 1, 0],
            syscall,
            syscall_abi,
            ..record::Credentials::default()
        };
        node.apply(&Event::Credentials(Credentials { record: &record, seccomp_allow: None }));
        assert_eq!(node.judged().len(), 2);
        let leader = node.get(100).state;
        assert_eq!((leader.seccomp_mode, leader.no_new_privs, leader.ids.uid), (2, 1, 0));
        assert_eq!(leader.seccomp_filters, state.seccomp_filters);
    }
}

#[test]
fn a_change_that_overtakes_its_exec_stays() {
    let mut node = Node::new();
    let init = node.start(50, 100, 7);
    let early = node.header();
    let mut state = init.state();
    state.ids.uid = 1000;
    node.credentials(state);
    node.take();
    node.image(init, OWN, ImageSource::Exec, early);
    assert_eq!(node.judged(), [(100, Origin::Born, Why::Exec)]);
    assert_eq!(node.get(100).state.ids.uid, 1000);
}

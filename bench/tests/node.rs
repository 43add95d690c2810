//! The bench on this node: hooks and containers. Needs root and containerd.
#![expect(clippy::unwrap_used, reason = "its helpers are part of the tests")]

use std::{fs, path::PathBuf, time::Duration};

use kestrel_bench::{
    condition::{Condition, Floor, Programs, Subject, Switch, others},
    containers::{Gate, containers},
};
use kestrel_tests::lab::{lock::KernelLock, poll};

fn target() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.ancestors().nth(3).unwrap().to_owned()
}

#[test]
fn switching_leaves_nothing_attached() {
    let _alone = KernelLock::acquire().unwrap();
    let before = others();
    let floor = Floor::load(&target().join("bpf/floor.bpf.o")).unwrap();
    let hooks = floor.hooks().len();
    let mut switch = Switch::new(floor, Subject::Programs, "/nonexistent".into(), String::new());
    for condition in [Condition::Floor, Condition::Agent, Condition::Nothing, Condition::Agent] {
        switch.to(condition).unwrap();
        let attached = if condition == Condition::Nothing { 0 } else { hooks };
        assert_eq!(others(), before + attached, "{condition:?}");
    }
    drop(switch);
    poll::until("the links to go", Duration::from_secs(10), || Ok(others() == before)).unwrap();
}

#[test]
fn the_floor_is_on_the_hooks_of_the_programs() {
    let _alone = KernelLock::acquire().unwrap();
    let floor = Floor::load(&target().join("bpf/floor.bpf.o")).unwrap();
    assert_eq!(floor.hooks(), Programs::attach().unwrap().hooks());
}

#[test]
fn containers_start_programs_once_the_gate_is_open() {
    let mut gate = Gate::new().unwrap();
    let lab = containers(&gate.wanted(3, Duration::from_secs(1))).unwrap();
    assert_eq!(lab.cri().sandboxes().unwrap().len(), 3);
    assert_eq!(sleepers(), 0);
    gate.open().unwrap();
    poll::until("a program in each", Duration::from_secs(10), || Ok(sleepers() == 3)).unwrap();
}

/// Processes named `sleep` in containers.
fn sleepers() -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten().filter(|process| {
        let read = |file: &str| fs::read_to_string(process.path().join(file)).unwrap_or_default();
        read("comm") == "sleep\n" && read("cgroup").contains("/kubepods/besteffort/pod")
    });
    processes.count()
}

//! Writes of kernel parameters, in every cgroup.

use std::fs;

use agent_abi::hook::Hook;
use kestrel_agent::{decode::Event, syscall::Wants};

use crate::{
    environment::skip,
    loaded::{Loaded, assert_balanced},
};

const RINGS: [u32; 2] = [1 << 22, 1 << 16];
const FILE: &str = "/proc/sys/kernel/panic_on_warn";

#[test]
fn a_write_is_seen_with_its_value_and_a_read_is_not() {
    if !fs::read_to_string("/proc/self/mounts").unwrap().contains(" cgroup2 ") {
        skip("no v2 hierarchy here");
        return;
    }
    let mut wants = Wants::posture();
    wants.add_hook(Hook::Sysctl);
    let mut loaded = Loaded::new(RINGS, wants);
    let value = fs::read(FILE).unwrap();
    fs::write(FILE, &value).unwrap();
    assert_eq!(fs::read(FILE).unwrap(), value, "the write went through");
    let mut seen = None;
    loaded.until(|event| {
        if let Event::Sysctl(sysctl) = event
            && sysctl.record.task.tgid == std::process::id()
        {
            assert_ne!(sysctl.record.cgroup_id, 0);
            seen = Some((sysctl.name.to_vec(), sysctl.value.to_vec()));
        }
        seen.is_some()
    });
    assert_eq!(seen.unwrap(), (b"kernel/panic_on_warn".to_vec(), value));
    loaded.detach();
    let counters = loaded.counters();
    assert_balanced(&counters);
    assert!(counters[Hook::Sysctl as usize].submitted >= 1);
}

#[test]
fn a_successor_adopts_it_and_detaches_what_nobody_wants() {
    if !fs::read_to_string("/proc/self/mounts").unwrap().contains(" cgroup2 ") {
        skip("no v2 hierarchy here");
        return;
    }
    let mut wants = Wants::posture();
    wants.add_hook(Hook::Sysctl);
    let mut loaded = Loaded::new(RINGS, wants);
    loaded.restart();
    assert!(loaded.programs.adopted);
    assert_eq!(loaded.programs.links.removed(), None);
    let value = fs::read(FILE).unwrap();
    fs::write(FILE, &value).unwrap();
    loaded.until(|event| matches!(event, Event::Sysctl(_)));
}

//! A process that the kernel kills for its memory.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use agent_abi::hook::Hook;
use kestrel_agent::{decode::Event, syscall::Wants};

use crate::{
    cgroup::Group,
    environment::skip,
    loaded::{Loaded, assert_balanced},
};

const RINGS: [u32; 2] = [1 << 22, 1 << 16];
const LIMIT: &str = "16777216";

/// A cgroup with little memory, by either version of the controller.
fn small_group() -> Option<Group> {
    let v1 = Path::new("/sys/fs/cgroup/memory");
    if v1.join("memory.limit_in_bytes").exists() || v1.join("memory.usage_in_bytes").exists() {
        let group = Group::new(v1.to_path_buf(), "oom");
        fs::write(group.path.join("memory.limit_in_bytes"), LIMIT).unwrap();
        // Swap would put the end off.
        let _ = fs::write(group.path.join("memory.memsw.limit_in_bytes"), LIMIT);
        return Some(group);
    }
    let v2 = PathBuf::from("/sys/fs/cgroup");
    if fs::write(v2.join("cgroup.subtree_control"), "+memory").is_err() {
        return None;
    }
    let group = Group::new(v2, "oom");
    fs::write(group.path.join("memory.max"), LIMIT).unwrap();
    let _ = fs::write(group.path.join("memory.swap.max"), "0");
    Some(group)
}

/// A shell that joins the group and doubles a text until it is stopped.
fn glutton(group: &Path) -> Child {
    let script = r#"echo $$ >"$0/cgroup.procs" || exit 1; x=xxxxxxxx; while :; do x="$x$x"; done"#;
    Command::new("/bin/sh").arg("-c").arg(script).arg(group).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_kill_names_its_victim() {
    let Some(group) = small_group() else {
        skip("no memory controller here");
        return;
    };
    let mut loaded = Loaded::new(RINGS, Wants::posture());
    let mut glutton = glutton(&group.path);
    let pid = glutton.id();
    let mut victim = None;
    loaded.until(|event| {
        if let Event::OomKill(kill) = event
            && kill.task.tgid == pid
        {
            victim = Some(**kill);
        }
        victim.is_some()
    });
    let status = glutton.wait().unwrap();
    assert!(!status.success());
    let victim = victim.unwrap();
    assert!(victim.cgroup_id != 0 || victim.task.leader_start_ns == 0, "{victim:?}");
    loaded.detach();
    let counters = loaded.counters();
    assert_balanced(&counters);
    assert!(counters[Hook::OomKill as usize].submitted >= 1);
}

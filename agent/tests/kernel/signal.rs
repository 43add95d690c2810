//! Signals for the agent, for which the test's process stands here.

use std::process::Command;

use agent_abi::hook::Hook;
use kestrel_agent::{decode::Event, syscall::Wants};
use nix::libc;

use crate::loaded::{Loaded, assert_balanced};

const RINGS: [u32; 2] = [1 << 22, 1 << 16];
/// `SI_USER` (include/uapi/asm-generic/siginfo.h).
const BY_USER: i32 = 0;

#[test]
fn a_signal_for_the_agent_names_its_sender() {
    let mut loaded = Loaded::new(RINGS, Wants::posture());
    let agent = std::process::id();
    loaded.programs.switches.set_agent(agent);
    // One that is ignored; those to others and from the agent itself are not reported.
    let script = format!("kill -CONT $$; kill -URG {agent}");
    let mut sender = Command::new("/bin/sh").args(["-c", &script]).spawn().unwrap();
    nix::sys::signal::kill(nix::unistd::getpid(), nix::sys::signal::Signal::SIGURG).unwrap();
    let mut seen = None;
    loaded.until(|event| {
        if let Event::Signal(signal) = event {
            seen = Some(**signal);
        }
        seen.is_some()
    });
    let seen = seen.unwrap();
    assert_eq!((seen.signal, seen.code), (libc::SIGURG.unsigned_abs(), BY_USER));
    assert_eq!(seen.task.tgid, sender.id());
    assert_ne!(seen.task.leader_start_ns, 0);
    assert_ne!(seen.cgroup_id, 0);
    sender.wait().unwrap();
    loaded.detach();
    let counters = loaded.counters();
    assert_balanced(&counters);
    assert_eq!(counters[Hook::Signal as usize].submitted, 1);
}

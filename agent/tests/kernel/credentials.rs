//! Credential changes after exec, by both ABIs, seen as the state after the call.

use std::thread;

use agent_abi::interest::{ABI_COMPAT, ABI_NATIVE};
use kestrel_agent::decode::Event;

use crate::{compat::int_0x80, shared::Shared};

const PR_SET_NO_NEW_PRIVS: u64 = 38;

/// Runs in a thread of its own, because raw calls change the calling thread alone.
fn in_a_thread(body: impl FnOnce() + Send + 'static) -> u32 {
    thread::spawn(move || {
        let tid = nix::unistd::gettid();
        body();
        tid.as_raw().unsigned_abs()
    })
    .join()
    .unwrap()
}

#[test]
fn prctl_no_new_privs_by_either_abi() {
    let mut loaded = Shared::posture();
    let native = in_a_thread(|| nix::sys::prctl::set_no_new_privs().unwrap());
    let compat = in_a_thread(|| assert_eq!(int_0x80(172, &[PR_SET_NO_NEW_PRIVS as u32, 1, 0]), 0));
    let mut seen = Vec::new();
    loaded.until(|event| {
        let Event::Credentials(credentials) = event else { return false };
        let record = credentials.record;
        if [native, compat].contains(&record.state.task.tid) {
            assert_eq!(record.args[0], PR_SET_NO_NEW_PRIVS, "other options are not reported");
            assert_eq!(record.state.no_new_privs, 1);
            assert_eq!(record.state.task.tgid, std::process::id());
            seen.push((record.state.task.tid, record.syscall_abi, record.syscall));
        }
        seen.len() == 2
    });
    assert_eq!(seen, [(native, u32::from(ABI_NATIVE), 157), (compat, u32::from(ABI_COMPAT), 172)]);
}

#[test]
fn a_thread_that_drops_its_uid_by_a_32_bit_call() {
    let mut loaded = Shared::posture();
    // setresuid32
    let tid = in_a_thread(|| assert_eq!(int_0x80(208, &[2001, 2002, 2003]), 0));
    loaded.until(|event| {
        let Event::Credentials(credentials) = event else { return false };
        let state = &credentials.record.state;
        state.task.tid == tid && {
            assert_eq!([state.ids.uid, state.ids.euid, state.ids.suid], [2001, 2002, 2003]);
            assert_eq!(state.caps.effective, 0);
            true
        }
    });
}

#[test]
fn a_call_that_failed_is_not_reported() {
    let mut loaded = Shared::posture();
    let tid = in_a_thread(|| {
        assert_eq!(int_0x80(208, &[2001, 2001, 2001]), 0);
        assert_eq!(int_0x80(208, &[0, 0, 0]), -1, "root cannot be had back");
        // setgid32 to the own group is allowed and marks the end.
        assert_eq!(int_0x80(214, &[0, 0, 0]), 0);
    });
    let mut calls = Vec::new();
    loaded.until(|event| {
        let Event::Credentials(credentials) = event else { return false };
        if credentials.record.state.task.tid == tid {
            calls.push(credentials.record.syscall);
        }
        calls.last() == Some(&214)
    });
    assert_eq!(calls, [208, 214]);
}

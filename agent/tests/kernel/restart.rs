//! What is pinned outlives the agent: its successor reads what happened in between.

use std::process::Command;

use agent_abi::{
    hook::Hook,
    map::{Progress, Untold},
};
use kestrel_agent::{decode::Event, kernel::UntoldWords, syscall::Wants};

use crate::loaded::{Loaded, pinned_links};

const RINGS: [u32; 2] = [1 << 22, 1 << 16];

fn run_true() -> u32 {
    let mut child = Command::new("/bin/true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

fn assert_sees_exec_of(loaded: &mut Loaded, pid: u32) {
    loaded.until(|event| matches!(event, Event::Exec(exec) if exec.record.state.task.tgid == pid));
}

#[test]
fn a_successor_adopts_and_reads_on() {
    let mut loaded = Loaded::new(RINGS, Wants::posture());
    assert!(!loaded.programs.adopted);
    let before = run_true();
    assert_sees_exec_of(&mut loaded, before);
    let word = Progress { alive_ns: 7, reported_lost: [1, 2] };
    loaded.programs.progress.set(word).unwrap();
    let between = run_true();
    let seen = loaded.counters()[Hook::Exec as usize].seen;
    for _ in 0..3 {
        loaded.restart();
        assert!(loaded.programs.adopted);
        assert!(loaded.programs.predecessors.is_empty());
    }
    assert_eq!(loaded.programs.progress.get().unwrap(), word);
    assert!(loaded.counters()[Hook::Exec as usize].seen >= seen, "counters go on");
    assert_sees_exec_of(&mut loaded, between);
    let after = run_true();
    assert_sees_exec_of(&mut loaded, after);
}

#[test]
fn other_settings_replace_the_programs_and_leave_what_they_had() {
    let mut loaded = Loaded::new(RINGS, Wants::posture());
    let before = run_true();
    loaded.restart_with([1 << 20, 1 << 16]);
    assert!(!loaded.programs.adopted);
    let mut predecessors = std::mem::take(&mut loaded.programs.predecessors);
    assert_eq!(predecessors.len(), 1);
    let mut predecessor = predecessors.remove(0);
    let mut seen = false;
    let [critical, _] = &mut predecessor.rings;
    let end = critical.produced();
    critical.drain(end, |bytes| {
        if let Ok(Event::Exec(exec)) = kestrel_agent::decode::decode(bytes) {
            seen = seen || exec.record.state.task.tgid == before;
        }
    });
    assert!(seen, "the predecessor's ring holds what nobody read");
    predecessor.remove().unwrap();
    loaded.restart();
    assert!(loaded.programs.adopted);
    assert!(loaded.programs.predecessors.is_empty());
    let after = run_true();
    assert_sees_exec_of(&mut loaded, after);
}

#[test]
fn a_start_that_was_cut_off_does_not_hinder_the_next() {
    let mut loaded = Loaded::new(RINGS, Wants::posture());
    let generation = std::fs::read_dir(loaded.pin_dir.join(format!("v{}", agent_abi::ABI_VERSION)))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    std::fs::remove_dir(generation.join("complete")).unwrap();
    loaded.restart();
    assert!(!loaded.programs.adopted);
    let pid = run_true();
    assert_sees_exec_of(&mut loaded, pid);
}

#[test]
fn what_others_keep_in_the_pin_directory_stays() {
    let mut loaded = Loaded::new(RINGS, Wants::posture());
    let theirs = loaded.pin_dir.join("theirs");
    let older = loaded.pin_dir.join("v0");
    std::fs::create_dir(&theirs).unwrap();
    std::fs::create_dir(&older).unwrap();
    // Nor is it found by way of a symbolic link among ours.
    let their_link = theirs.join("link_theirs");
    std::fs::hard_link(&pinned_links(&loaded.pin_dir)[0], &their_link).unwrap();
    std::os::unix::fs::symlink(&theirs, older.join("elsewhere")).unwrap();
    loaded.restart();
    assert!(their_link.exists());
    std::fs::remove_file(&their_link).unwrap();
    assert!(!older.exists(), "another version of ours goes");
    kestrel_agent::kernel::detach(&loaded.pin_dir).unwrap();
    assert_eq!(std::fs::read_dir(&loaded.pin_dir).unwrap().count(), 1);
    assert!(theirs.is_dir());
    std::fs::remove_dir(&theirs).unwrap();
    kestrel_agent::kernel::detach(&loaded.pin_dir).unwrap();
    assert!(!loaded.pin_dir.exists());
}

#[test]
fn what_is_untold_outlives_the_reader() {
    let words = |loaded: &Loaded| {
        let words: &UntoldWords = loaded.programs.untold.as_ref();
        words.get()
    };
    let mut loaded = Loaded::new(RINGS, Wants::posture());
    assert_eq!(words(&loaded), Untold::default());
    let untold: &UntoldWords = loaded.programs.untold.as_ref();
    untold.told(7);
    untold.read(9);
    // Nobody closes or writes anything: the pin alone holds it.
    loaded.restart();
    assert!(loaded.programs.adopted);
    assert_eq!(words(&loaded), Untold { told_ns: 7, read_ns: 9 });
    loaded.restart_with([1 << 20, 1 << 16]);
    assert_eq!(words(&loaded), Untold::default());
    let [predecessor] = &loaded.programs.predecessors[..] else { panic!("one predecessor") };
    assert_eq!(predecessor.untold, Untold { told_ns: 7, read_ns: 9 });
}

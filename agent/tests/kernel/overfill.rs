//! Rings without room: what is lost is counted exactly, and a flood of opens costs no exec.

use std::{fs::File, process::Command};

use agent_abi::{
    hook::Hook,
    map::{RING_BULK, RING_CRITICAL},
    record::header_flag,
};
use kestrel_agent::{
    decode::{Event, decode},
    syscall::{Family, Only, Wants},
};

use crate::{
    loaded::{Gaps, Loaded, assert_balanced, with},
    way::of_opens,
};

const OPENS: u64 = 20_000;
const EXECS: usize = 60;

#[test]
fn a_flood_of_opens_loses_opens_alone_and_exactly() {
    let mut loaded = Loaded::new([1 << 22, 1 << 16], with(Family::Files, Only::default()));
    let mut gaps = Gaps::new(&loaded);
    let mut pids = Vec::new();
    for round in 0..EXECS {
        for _ in 0..OPENS / EXECS as u64 {
            File::open("/dev/null").unwrap();
        }
        let mut child = Command::new("/bin/true").arg(round.to_string()).spawn().unwrap();
        pids.push(child.id());
        child.wait().unwrap();
    }
    loaded.detach();
    let counters = loaded.counters();
    assert_balanced(&counters);
    assert!(of_opens(&counters, |hook| hook.seen) >= OPENS / EXECS as u64 * EXECS as u64);
    assert!(of_opens(&counters, |hook| hook.lost) > 0, "the ring was meant to overflow: {counters:?}");

    let mut records = 0;
    let mut execs = Vec::new();
    let end = loaded.programs.critical.produced();
    loaded.programs.critical.drain(end, |bytes| {
        let event = decode(bytes).unwrap();
        gaps.take(event.header());
        records += 1;
        if let Event::Exec(exec) = event {
            execs.push(exec.record.state.task.tgid);
        }
    });
    assert_eq!(gaps.of(RING_CRITICAL), 0, "a critical record is missing");
    let unseen = pids.iter().filter(|pid| !execs.contains(pid)).count() as u64;
    assert!(unseen <= loaded.missed(&[Hook::Exec]), "{unseen} execs are not seen");
    let lost = loaded.programs.counters.lost().unwrap();
    assert_eq!(lost[RING_CRITICAL as usize], 0);
    let all_lost: u64 = counters.iter().map(|counters| counters.lost_bulk).sum();
    assert_eq!(lost[RING_BULK as usize], all_lost);
    let submitted: u64 = counters.iter().map(|counters| counters.submitted - counters.submitted_bulk).sum();
    assert_eq!(records, submitted);

    let mut received = 0;
    let end = loaded.programs.bulk.produced();
    loaded.programs.bulk.drain(end, |bytes| {
        let event = decode(bytes).unwrap();
        gaps.take(event.header());
        received += 1;
    });
    let submitted: u64 = counters.iter().map(|counters| counters.submitted_bulk).sum();
    assert_eq!(received, submitted);
    // After the last record that had room there may be losses that no later number shows.
    let next = loaded.programs.sequences.read().unwrap();
    let numbers: u64 = next[RING_BULK as usize].iter().sum();
    assert_eq!(numbers, submitted + all_lost);
    assert!(gaps.of(RING_BULK) <= all_lost);
}

#[test]
fn a_flood_of_execs_shrinks_records_and_counts_what_is_lost() {
    let mut loaded = Loaded::new([1 << 16, 1 << 16], Wants::posture());
    let long = "x".repeat(3000);
    for _ in 0..EXECS {
        Command::new("/bin/true").arg(&long).status().unwrap();
    }
    loaded.detach();
    let counters = loaded.counters();
    assert_balanced(&counters);
    let exec = counters[Hook::Exec as usize];
    assert!(exec.shrunk > 0, "{exec:?}");
    assert!(exec.lost > 0, "{exec:?}");

    let (mut received, mut shrunk) = (0, 0);
    let end = loaded.programs.critical.produced();
    loaded.programs.critical.drain(end, |bytes| {
        let event = decode(bytes).unwrap();
        received += 1;
        if let Event::Exec(exec) = event
            && exec.record.header.flags & header_flag::SHRUNK != 0
        {
            assert!(exec.argv.0.is_empty() && exec.exe.is_empty());
            assert_ne!(exec.record.state.task.tgid, 0);
            assert_ne!(exec.record.state.caps.bounding, 0);
            shrunk += 1;
        }
    });
    assert_eq!(shrunk, exec.shrunk);
    let sum = |field: fn(&agent_abi::hook::HookCounters) -> u64| -> u64 { counters.iter().map(field).sum() };
    assert_eq!(received, sum(|counters| counters.submitted));
    let numbers: u64 = loaded.programs.sequences.read().unwrap()[RING_CRITICAL as usize].iter().sum();
    assert_eq!(numbers, sum(|counters| counters.submitted + counters.lost));
}

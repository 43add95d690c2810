//! Floods: all that happened is in one sum or another, on each CPU, and what is critical is delivered.

use std::{
    collections::HashSet,
    fs::File,
    num::NonZeroU32,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Instant,
};

use agent_abi::{
    hook::{HOOKS, Hook, HookCounters},
    map::{RING_BULK, RING_CRITICAL},
    record::header_flag,
};
use kestrel_agent::{
    decode::{Event, decode},
    filter::{Filter, Limit},
    syscall::{Family, Only, Wants},
};

use crate::{
    group::Group,
    loaded::{DEADLINE, Gaps, Loaded, assert_balanced, with},
    way::{OPEN_HOOKS, of_opens},
};

const THREADS: usize = 8;
const OPENS: u64 = 5000;
const EXECS: usize = 40;

/// The sums of [`assert_balanced`], on each CPU by itself.
fn assert_balanced_per_cpu(loaded: &Loaded) {
    for hook in Hook::ALL {
        for (cpu, counters) in loaded.programs.counters.of(hook).unwrap().into_iter().enumerate() {
            assert_eq!(counters.seen, counters.accounted(), "{} on CPU {cpu}: {counters:?}", hook.name());
        }
    }
}

/// Threads that open files as fast as they can, with execs in between. Nobody reads. Returns the
/// processes that were run.
fn flood() -> HashSet<u32> {
    let execs_done = AtomicBool::new(false);
    let mut pids = HashSet::new();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let mut opens = 0;
                while opens < OPENS || !execs_done.load(Ordering::Relaxed) {
                    drop(File::open("/dev/null"));
                    opens += 1;
                }
            });
        }
        for round in 0..EXECS {
            let mut child = Command::new("/bin/true").arg(round.to_string()).spawn().unwrap();
            pids.insert(child.id());
            child.wait().unwrap();
        }
        execs_done.store(true, Ordering::Relaxed);
    });
    pids
}

/// Every critical record is there, in its order, and the bulk ring's sums are those of the hooks.
fn assert_delivered(loaded: &mut Loaded, mut gaps: Gaps, pids: &HashSet<u32>) {
    let counters = loaded.counters();
    let sum = |field: fn(&HookCounters) -> u64| -> u64 { counters.iter().map(field).sum() };
    let lost = loaded.programs.counters.lost().unwrap();
    assert_eq!(lost[RING_CRITICAL as usize], 0, "a flood of bulk records evicts nothing critical");
    assert_eq!(lost[RING_BULK as usize], sum(|counters| counters.lost_bulk));
    let (mut received, mut execs, mut exits) = ([0; 2], HashSet::new(), HashSet::new());
    let programs = &mut loaded.programs;
    for (ring, received) in [&mut programs.critical, &mut programs.bulk].into_iter().zip(&mut received) {
        let end = ring.produced();
        ring.drain(end, |bytes| {
            let event = decode(bytes).unwrap();
            gaps.take(event.header());
            *received += 1;
            match event {
                Event::Exec(exec) => drop(execs.insert(exec.record.state.task.tgid)),
                Event::Exit(exit) => drop(exits.insert(exit.task.tgid)),
                _ => {}
            }
        });
    }
    assert_eq!(gaps.of(RING_CRITICAL), 0, "a critical record is missing");
    for (seen, hook) in [(&execs, Hook::Exec), (&exits, Hook::Exit)] {
        let unseen = pids.difference(seen).count() as u64;
        assert!(
            unseen <= loaded.missed(&[hook]),
            "{unseen} of {} are not seen by {}",
            pids.len(),
            hook.name()
        );
    }
    assert_eq!(received[0], sum(|counters| counters.submitted - counters.submitted_bulk));
    assert_eq!(received[1], sum(|counters| counters.submitted_bulk));
}

fn flooded(filter: &Filter) -> (Loaded, [HookCounters; HOOKS]) {
    let mut loaded = Loaded::new([1 << 22, 1 << 16], with(Family::Files, Only::default()));
    loaded.programs.filters.set(filter).unwrap();
    let gaps = Gaps::new(&loaded);
    let pids = flood();
    loaded.detach();
    let counters = loaded.counters();
    assert_balanced(&counters);
    assert_balanced_per_cpu(&loaded);
    assert_delivered(&mut loaded, gaps, &pids);
    let seen = of_opens(&counters, |hook| hook.seen) + loaded.missed(&OPEN_HOOKS);
    assert!(seen >= THREADS as u64 * OPENS, "{counters:?}");
    (loaded, counters)
}

#[test]
fn of_a_flood_of_opens_each_is_accounted_for() {
    let (_, counters) = flooded(&Filter::default());
    assert!(of_opens(&counters, |hook| hook.lost) > 0, "the ring was meant to overflow: {counters:?}");
    assert_eq!(of_opens(&counters, |hook| hook.throttled), 0);
}

#[test]
fn of_a_throttled_flood_each_is_accounted_for() {
    let limit = Limit { rate: NonZeroU32::new(100).unwrap(), burst: NonZeroU32::new(200).unwrap() };
    let (loaded, counters) = flooded(&Filter { limit: Some(limit), ..Filter::default() });
    let (throttled, submitted) =
        (of_opens(&counters, |hook| hook.throttled), of_opens(&counters, |hook| hook.submitted));
    assert!(throttled > submitted, "{counters:?}");
    let mut buckets = 0;
    loaded.programs.buckets.read(|_, bucket| buckets += bucket.throttled).unwrap();
    assert_eq!(buckets, counters.iter().map(|counters| counters.throttled).sum::<u64>());
}

#[test]
fn a_flood_of_execs_in_one_group_costs_another_no_posture() {
    const FLOODS: usize = 3;
    const RING_BYTES: u32 = 1 << 20;
    let mut loaded = Loaded::new([RING_BYTES, 1 << 16], Wants::posture());
    let mut gaps = Gaps::new(&loaded);
    let (loud, quiet) = (Group::new(), Group::new());
    let quiet_id = quiet.id();
    let long = "x".repeat(3000);
    let ended = AtomicBool::new(false);
    let (told, shrunk, missing) = thread::scope(|scope| {
        let critical = &mut loaded.programs.critical;
        let reader = scope.spawn(|| {
            let (mut told, mut shrunk) = (HashSet::new(), 0);
            loop {
                // What was there when all had ended is read once more.
                let is_last = ended.load(Ordering::Acquire);
                // Late on purpose: the ring is filled beyond the mark at which records shrink.
                if is_last || critical.backlog() > u64::from(RING_BYTES) / 5 * 4 {
                    let end = critical.produced();
                    critical.drain(end, |bytes| {
                        let event = decode(bytes).unwrap();
                        gaps.take(event.header());
                        let Event::Exec(exec) = event else { return };
                        let state = &exec.record.state;
                        assert_ne!(state.caps.bounding, 0, "posture is in each record");
                        shrunk += u64::from(exec.record.header.flags & header_flag::SHRUNK != 0);
                        if state.cgroup_id == quiet_id {
                            told.insert(state.task.tgid);
                        }
                    });
                }
                if is_last {
                    return (told, shrunk, gaps.of(RING_CRITICAL));
                }
                thread::yield_now();
            }
        });
        let script = format!("i=0; while [ $i -lt 150 ]; do /bin/true {long}; i=$((i+1)); done");
        let mut floods: Vec<_> = (0..FLOODS).map(|_| loud.start(&script)).collect();
        for _ in 0..EXECS {
            quiet.run("exec /bin/true");
        }
        let start = Instant::now();
        while !floods.iter_mut().all(|flood| flood.try_wait().unwrap().is_some()) {
            assert!(start.elapsed() < DEADLINE * 3, "the flood does not end");
            thread::yield_now();
        }
        ended.store(true, Ordering::Release);
        reader.join().unwrap()
    });
    loaded.detach();
    let counters = loaded.counters();
    assert_balanced(&counters);
    assert_balanced_per_cpu(&loaded);
    let lost = loaded.programs.counters.lost().unwrap()[RING_CRITICAL as usize];
    let told = told.len() as u64;
    let missed = loaded.missed(&[Hook::Exec]);
    eprintln!("told {told} of {EXECS}, {shrunk} shrunk, {lost} lost, {missed} missed");
    assert!(shrunk > 0 && shrunk == counters[Hook::Exec as usize].shrunk);
    assert!(missing <= lost);
    assert_eq!(lost, 0, "the reader read all the time");
    assert!(told + missed >= EXECS as u64, "a posture is missing that is not counted");
}

//! Agent and collector are killed, and the network between them is cut: what a program did is in the
//! store once, or an account names what is not.
//!
//! `KESTREL_FAULT_ROUNDS` says how many faults (20; 200 at night), `KESTREL_FAULT_SEED` which.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::{env, thread, time::Duration};

use kestrel_tests::lab::{
    agent::Agent,
    collector::{Collector, Options},
    delivery::{Delivering, wait_delivered},
    island::{Cut, Island},
    lock::KernelLock,
    poll,
    tally::{Counted, Counter, Tally},
    watch::Watcher,
};

/// A program every so often: a few hundred a second.
const PAUSE: Duration = Duration::from_millis(2);
/// Longest that a fault lasts.
const FAULT: Duration = Duration::from_secs(3);
/// A half-open connection is noticed within 20 s, and connecting anew may wait for 30.
const LIMIT: Duration = Duration::from_secs(90);
/// What a killed agent had read and not told is less than that, on a machine that has little time for it too; the
/// time it is away comes on top.
const BLIND: Duration = Duration::from_secs(5);

/// What happens.
#[derive(Clone, Copy, Debug)]
enum Fault {
    KillAgent,
    KillCollector,
    KillBoth,
    CollectorAway(Duration),
    Network(Cut, Duration),
}

/// SplitMix64: the same seed makes the same faults.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn time(&mut self, most: Duration) -> Duration {
        Duration::from_millis(self.below(u64::try_from(most.as_millis()).unwrap()))
    }

    fn fault(&mut self) -> Fault {
        match self.below(8) {
            0..=2 => Fault::KillAgent,
            3 => Fault::KillCollector,
            4 => Fault::KillBoth,
            5 => Fault::CollectorAway(self.time(FAULT)),
            _ => {
                let cut = [Cut::Both, Cut::Towards, Cut::From][usize::try_from(self.below(3)).unwrap()];
                Fault::Network(cut, self.time(FAULT))
            }
        }
    }
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

/// The faults themselves take their time; nothing is waited for here.
fn carry_out(fault: Fault, agent: &mut Agent, collector: &mut Collector, island: &Island) {
    match fault {
        Fault::KillAgent => {
            agent.kill().unwrap();
            agent.launch().unwrap();
        }
        Fault::KillCollector => {
            collector.kill().unwrap();
            collector.launch().unwrap();
        }
        Fault::KillBoth => {
            agent.kill().unwrap();
            collector.kill().unwrap();
            collector.launch().unwrap();
            agent.launch().unwrap();
        }
        Fault::CollectorAway(time) => {
            collector.kill().unwrap();
            thread::sleep(time);
            collector.launch().unwrap();
        }
        Fault::Network(cut, time) => {
            island.cut(cut).unwrap();
            thread::sleep(time);
            island.heal();
        }
    }
}

/// Waits until every number is in the store or accounted for.
fn wait_whole(counted: &Counted, watcher: &mut Watcher) -> Tally {
    let mut last = Tally::default();
    let whole = poll::until("each exec to be in the store or accounted for", LIMIT, || {
        let Ok(past) = watcher.past(Counted::filter()) else { return Ok(false) };
        assert!(past.missed.is_empty(), "the store misses {:?}", past.missed);
        last = counted.tally(&past.events);
        assert!(last.doubled.is_empty(), "twice in the store: {:?}", last.doubled);
        Ok(last.is_whole())
    });
    assert!(whole.is_ok(), "{last:#?}");
    last
}

#[test]
fn what_is_executed_is_stored_once_or_accounted_for_under_faults() {
    let _alone = KernelLock::acquire().unwrap();
    let rounds = number("KESTREL_FAULT_ROUNDS").unwrap_or(20);
    let seed = number("KESTREL_FAULT_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    println!("{rounds} faults of seed {seed}");
    let mut random = Random(seed);
    let dir = tempfile::tempdir().unwrap();
    let island = Island::new().unwrap();
    let mut collector = Collector::start(&Options {
        wrapper: island.wrapper().map(Into::into).to_vec(),
        address: Some(island.address().into()),
        ..Options::default()
    })
    .unwrap();
    let endpoint = collector.endpoint();
    let mut agent = Delivering::to(&endpoint).start(dir.path()).unwrap();
    let counter = Counter::start(dir.path(), u64::MAX, PAUSE).unwrap();
    let mut kills: u32 = 0;
    for round in 0..rounds {
        // Some faults come before the agent has recovered from the one before.
        thread::sleep(random.time(Duration::from_millis(1500)));
        let fault = random.fault();
        println!("{round}: {fault:?}");
        kills += u32::from(matches!(fault, Fault::KillAgent | Fault::KillBoth));
        carry_out(fault, &mut agent, &mut collector, &island);
    }
    let counted = counter.stop().unwrap();
    wait_delivered(&agent, LIMIT).unwrap();
    let mut watcher = Watcher::new(&endpoint).unwrap();
    let tally = wait_whole(&counted, &mut watcher);
    println!(
        "{} executed, {} stored, {} blind, {} lost",
        tally.executed, tally.stored, tally.blind, tally.lost
    );
    assert!(tally.executed > 100 * rounds.min(20), "the counter has hardly counted: {}", tally.executed);
    // Nothing was full, so nothing may be lost but what a killed agent held.
    assert_eq!((tally.gaps, tally.lost), (0, 0), "{}", tally.accounts);
    for blind in &tally.blinds {
        let length = Duration::from_nanos(blind.end() - blind.start());
        assert!(length < BLIND, "blind for {length:?}: {}", tally.accounts);
    }
    assert!(tally.blinds.len() <= usize::try_from(kills).unwrap(), "{kills} kills: {}", tally.accounts);
    let nodes = watcher.nodes().unwrap();
    assert_eq!(nodes.iter().map(|node| node.unexplained_events).sum::<u64>(), 0, "{nodes:?}");
}

#[test]
fn an_outbox_that_is_full_names_what_it_dropped() {
    let _alone = KernelLock::acquire().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut collector = Collector::start(&Options::default()).unwrap();
    let endpoint = collector.endpoint();
    collector.stop().unwrap();
    let small = "outbox:\n  detections_bytes: 1MiB\n";
    let agent = Delivering { config: small, ..Delivering::to(&endpoint) }.start(dir.path()).unwrap();
    let counted = Counter::start(dir.path(), 6000, Duration::ZERO).unwrap().finish().unwrap();
    collector.launch().unwrap();
    wait_delivered(&agent, LIMIT).unwrap();
    let tally = wait_whole(&counted, &mut Watcher::new(&endpoint).unwrap());
    println!(
        "{} executed, {} stored, {} in gaps of {}",
        tally.executed, tally.stored, tally.lost, tally.gaps
    );
    assert!(tally.gaps > 0 && tally.stored > 0 && tally.blind == 0, "{tally:?}");
}

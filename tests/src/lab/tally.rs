//! Holds what a counting program did against what a collector has of it.
//!
//! Each exec is in the store once, or an account of the loss covers it: a gap or a loss with its
//! exact number, or a time in which the agent was blind.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    fs,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use kestrel_proto::v1::{Envelope, EventKind, Filter, Lane, record::Event};

use super::{artifact, poll, watch::Watcher};

/// The program, as long as it counts. Dropping it ends it.
#[derive(Debug)]
pub struct Counter {
    run: String,
    log: PathBuf,
    child: Child,
}

impl Counter {
    /// Starts counting: a program every so often, so many in all.
    pub fn start(dir: &Path, count: u64, pause: Duration) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let run = format!("run-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let log = dir.join(format!("{run}.log"));
        let child = Command::new(artifact::trigger("counter")?)
            .arg(&run)
            .arg(count.to_string())
            .arg(pause.as_micros().to_string())
            .arg(&log)
            .stdin(Stdio::null())
            .spawn()
            .context("cannot start the counter")?;
        Ok(Self { run, log, child })
    }

    /// Lets it end by itself, and tells what it did.
    pub fn finish(mut self) -> Result<Counted> {
        let status = self.child.wait()?;
        ensure!(status.success(), "the counter ended with {status}");
        self.counted()
    }

    /// Ends it, and tells what it did.
    pub fn stop(mut self) -> Result<Counted> {
        self.child.kill()?;
        self.child.wait()?;
        self.counted()
    }

    fn counted(&self) -> Result<Counted> {
        let text = fs::read_to_string(&self.log)?;
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let executed = whole.lines().map(|line| {
            let numbers: Vec<u64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
            let [number, from, to] = numbers[..] else { anyhow::bail!("not three numbers: {line}") };
            Ok((number, from..=to))
        });
        Ok(Counted { run: self.run.clone(), executed: executed.collect::<Result<_>>()? })
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a counting program did: each number, and the boottime within which it was executed.
#[derive(Clone, Debug)]
pub struct Counted {
    run: String,
    executed: BTreeMap<u64, RangeInclusive<u64>>,
}

/// What became of it.
#[derive(Debug, Default)]
pub struct Tally {
    /// Executed.
    pub executed: u64,
    /// In the store.
    pub stored: u64,
    /// More than once in the store.
    pub doubled: Vec<u64>,
    /// Not in the store, and within a time in which the agent says it was blind.
    pub blind: u64,
    /// Not in the store, and within a gap or a loss.
    pub lost: u64,
    /// Not in the store, and nobody says why.
    pub unexplained: Vec<u64>,
    /// Times in which the agent was blind, in nanoseconds of boottime.
    pub blinds: Vec<RangeInclusive<u64>>,
    /// Numbers that the gaps of the lane name.
    pub gaps: u64,
    /// Accounts of losses, as text.
    pub accounts: String,
}

impl Counted {
    /// The events that matter here.
    pub fn filter() -> Filter {
        Filter { kinds: vec![EventKind::Exec.into(), EventKind::Loss.into()], ..Filter::default() }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.executed.len()
    }

    /// Per second, from the first to the last; `None` for fewer than two.
    pub fn per_second(&self) -> Option<f64> {
        let (first, last) = (self.executed.first_key_value()?.1, self.executed.last_key_value()?.1);
        let seconds = Duration::from_nanos(last.end().checked_sub(*first.start())?).as_secs_f64();
        (self.len() > 1).then(|| self.len() as f64 / seconds)
    }

    /// Whether nothing was executed.
    pub fn is_empty(&self) -> bool {
        self.executed.is_empty()
    }

    /// Holds it against events of a store.
    pub fn tally(&self, events: &[Envelope]) -> Tally {
        let mut tally = Tally { executed: self.executed.len() as u64, ..Tally::default() };
        let mut seen: HashMap<u64, u64> = HashMap::new();
        // Room for so many in that time.
        let mut rooms: Vec<(RangeInclusive<u64>, u64)> = Vec::new();
        for envelope in events {
            match envelope.record.as_ref().and_then(|record| record.event.as_ref()) {
                Some(Event::Exec(_)) => {
                    if let Some(number) = self.number(envelope) {
                        *seen.entry(number).or_default() += 1;
                    }
                }
                Some(Event::Gap(gap)) if gap.lane() == Lane::Detections => {
                    let count = gap.to_sequence - gap.from_sequence + 1;
                    tally.gaps += count;
                    let _ = writeln!(tally.accounts, "gap of {count}: {gap:?}");
                    rooms.push((gap.from_boottime_ns..=gap.to_boottime_ns, count));
                }
                Some(Event::Loss(loss)) => {
                    let _ = writeln!(tally.accounts, "{loss:?}");
                    if let Some(interval) = &loss.interval {
                        rooms.push((interval.from_boottime_ns..=interval.to_boottime_ns, loss.lost));
                    }
                }
                Some(Event::Blind(blind)) => {
                    let _ = writeln!(tally.accounts, "{blind:?}");
                    if let Some(interval) = &blind.interval {
                        tally.blinds.push(interval.from_boottime_ns..=interval.to_boottime_ns);
                    }
                }
                _ => {}
            }
        }
        for (number, when) in &self.executed {
            let overlaps =
                |time: &RangeInclusive<u64>| time.start() <= when.end() && when.start() <= time.end();
            match seen.get(number) {
                Some(1) => tally.stored += 1,
                Some(_) => {
                    tally.stored += 1;
                    tally.doubled.push(*number);
                }
                None if tally.blinds.iter().any(overlaps) => tally.blind += 1,
                None => match rooms.iter_mut().find(|(time, room)| *room > 0 && overlaps(time)) {
                    Some((_, room)) => {
                        *room -= 1;
                        tally.lost += 1;
                    }
                    None => tally.unexplained.push(*number),
                },
            }
        }
        tally
    }

    /// Waits until each is in the store, once.
    pub fn wait_stored(&self, watcher: &mut Watcher, limit: Duration) -> Result<()> {
        let mut last = Tally::default();
        poll::until("each exec to be in the store", limit, || {
            // The collector may be on its way up.
            let Ok(past) = watcher.past(Self::filter()) else { return Ok(false) };
            last = self.tally(&past.events);
            Ok(last.is_whole() && last.stored == last.executed)
        })
        .with_context(|| format!("{last:?}"))
    }

    fn number(&self, envelope: &Envelope) -> Option<u64> {
        let argv = &envelope.process.as_ref()?.argv;
        let [name, run, number] = &argv[..] else { return None };
        if &name[..] != b"counted" || run[..] != *self.run.as_bytes() {
            return None;
        }
        std::str::from_utf8(number).ok()?.parse().ok()
    }
}

impl Tally {
    /// Whether each is in the store, or accounted for.
    pub fn is_whole(&self) -> bool {
        self.doubled.is_empty()
            && self.unexplained.is_empty()
            && self.stored + self.blind + self.lost == self.executed
    }
}

#[cfg(test)]
mod tests {
    use kestrel_proto::v1::{Blind, Exec, Gap, Interval, Process, Record};

    use super::*;

    fn envelope(event: Event, argv: &[&str]) -> Envelope {
        let argv = argv.iter().map(|word| word.as_bytes().to_vec().into()).collect();
        Envelope {
            record: Some(Record { event: Some(event), ..Record::default() }),
            process: Some(Process { argv, ..Process::default() }),
            ..Envelope::default()
        }
    }

    fn exec(number: &str) -> Envelope {
        envelope(Event::Exec(Exec::default()), &["counted", "run", number])
    }

    fn counted(count: u64) -> Counted {
        let executed = (1..=count).map(|number| (number, number * 10..=number * 10 + 1)).collect();
        Counted { run: "run".to_owned(), executed }
    }

    #[test]
    fn once_each_is_whole() {
        let tally = counted(2).tally(&[exec("1"), exec("2"), exec("3")]);
        assert!(tally.is_whole() && tally.stored == 2, "{tally:?}");
        assert!(!counted(2).tally(&[exec("1"), exec("2"), exec("2")]).is_whole(), "doubled");
        assert!(!counted(2).tally(&[exec("1")]).is_whole(), "missing");
    }

    #[test]
    fn a_gap_covers_as_many_as_it_names_and_a_blind_time_all_in_it() {
        let gap = |from_sequence, to_sequence| {
            let lane = Lane::Detections.into();
            let gap = Gap {
                lane,
                from_sequence,
                to_sequence,
                from_boottime_ns: 20,
                to_boottime_ns: 31,
                ..Gap::default()
            };
            envelope(Event::Gap(gap), &[])
        };
        assert!(counted(3).tally(&[exec("1"), gap(5, 6)]).is_whole());
        let tally = counted(3).tally(&[exec("1"), gap(5, 5)]);
        assert_eq!(tally.unexplained, [3]);
        let interval = Some(Interval { from_boottime_ns: 5, to_boottime_ns: 21, ..Interval::default() });
        let blind = envelope(Event::Blind(Blind { reason: String::new(), interval }), &[]);
        let tally = counted(3).tally(&[blind]);
        assert_eq!((tally.blind, tally.unexplained), (2, vec![3]));
    }
}

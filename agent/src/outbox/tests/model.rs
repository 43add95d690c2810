//! Whatever is done to an outbox: each number that was given arrives or is named by a gap, in order.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Append {
        lane: usize,
        count: u64,
        padding: usize,
    },
    Send {
        max_bytes: usize,
    },
    /// The oldest batch that is not acknowledged.
    Ack,
    Connect,
    Sync,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3_usize, 1..20_u64, 0..400_usize)
            .prop_map(|(lane, count, padding)| Step::Append { lane, count, padding }),
        6 => (1..8_000_usize).prop_map(|max_bytes| Step::Send { max_bytes }),
        4 => Just(Step::Ack),
        1 => Just(Step::Connect),
        1 => Just(Step::Sync),
        1 => Just(Step::Reopen),
    ]
}

type Key = (u64, Lane);

/// The collector, and what was given to the outbox.
#[derive(Default)]
struct Model {
    given: BTreeMap<Key, u64>,
    arrived: BTreeMap<Key, BTreeSet<u64>>,
    gaps: BTreeMap<Key, BTreeSet<u64>>,
    watermarks: BTreeMap<Key, u64>,
    // Of this connection.
    next: BTreeMap<Key, u64>,
    in_flight: std::collections::VecDeque<(Key, u64)>,
    next_boottime: u64,
}

impl Model {
    fn connect(&mut self, outbox: &Outbox) {
        let watermarks: Vec<_> = self
            .watermarks
            .iter()
            .map(|((epoch, lane), sequence)| Watermark { epoch: *epoch, lane: *lane, sequence: *sequence })
            .collect();
        outbox.resume(&watermarks);
        self.next.clear();
        self.in_flight.clear();
    }

    fn take(&mut self, batch: &OutgoingBatch) {
        let key = (batch.epoch, batch.lane);
        let next = self.next.entry(key).or_insert(1);
        assert!(batch.first_sequence >= *next, "{} after {next}", batch.first_sequence);
        *next = batch.last_sequence() + 1;
        assert!(batch.last_sequence() <= self.given[&key]);
        self.in_flight.push_back((key, batch.last_sequence()));
        self.arrived.entry(key).or_default().extend(batch.first_sequence..=batch.last_sequence());
        for (index, record) in batch.records.iter().enumerate() {
            let record = v1::Record::decode(record.clone()).unwrap();
            if let Some(v1::record::Event::Gap(gap)) = record.event {
                let lane = Lane::from_proto(gap.lane).unwrap();
                let key = (gap.epoch, lane);
                assert!(gap.to_sequence <= self.given[&key], "{gap:?}");
                self.gaps.entry(key).or_default().extend(gap.from_sequence..=gap.to_sequence);
            } else {
                // Its own content, not another's.
                let number = batch.first_sequence + index as u64;
                assert_eq!(record.wall_unix_ns as u64, number % 1_000, "{key:?}");
                let key = DefinitionKey::Process { start_ticks: 1, tgid: (number % 3) as u32, exec_id: 2 };
                assert!(batch.refers.iter().any(|definition| definition.key == key));
            }
        }
    }

    fn ack(&mut self, outbox: &Outbox) {
        if let Some(((epoch, lane), sequence)) = self.in_flight.pop_front() {
            outbox.ack(epoch, lane, sequence);
            let watermark = self.watermarks.entry((epoch, lane)).or_default();
            *watermark = sequence.max(*watermark);
        }
    }

    fn note(&mut self, outbox: &Outbox, last: PerLane<u64>) {
        let epoch = outbox.epochs().last().unwrap().epoch;
        for lane in Lane::ALL {
            self.given.insert((epoch, lane), last[lane.index()]);
        }
    }
}

fn run(steps: Vec<Step>) {
    let folder = tempfile::tempdir().unwrap();
    let mut outbox = open(folder.path());
    let mut model = Model::default();
    model.connect(&outbox);
    for step in steps {
        // Gaps take numbers, too.
        let appended = outbox.append(&mut Vec::new());
        model.note(&outbox, appended.last);
        match step {
            Step::Append { lane, count, padding } => {
                let lane = Lane::ALL[lane];
                let first = appended.last[lane.index()] + 1;
                let items = (first..first + count).map(|number| {
                    model.next_boottime += 1;
                    let exec = v1::Exec { process: None, filename: vec![b'x'; padding].into() };
                    let record = v1::Record {
                        boottime_ns: model.next_boottime,
                        wall_unix_ns: (number % 1_000) as i64,
                        event: Some(v1::record::Event::Exec(exec)),
                    };
                    let refers = vec![definition((number % 3) as u32)];
                    let at = Clock { boottime_ns: model.next_boottime, wall_ns: 1 };
                    Item { lane, at, record: record.encode_to_vec().into(), refers }
                });
                let appended = outbox.append(&mut items.collect());
                assert!(appended.on_disk);
                model.note(&outbox, appended.last);
            }
            Step::Send { max_bytes } => {
                let batch = outbox.next_batch(max_bytes);
                model.note(&outbox, outbox.append(&mut Vec::new()).last);
                if let Some(batch) = batch {
                    model.take(&batch);
                }
            }
            Step::Ack => model.ack(&outbox),
            Step::Connect => model.connect(&outbox),
            Step::Sync => assert!(outbox.sync()),
            Step::Reopen => {
                drop(outbox);
                outbox = open(folder.path());
                model.connect(&outbox);
            }
        }
        let status = outbox.status();
        for lane in status.lanes {
            assert!(lane.bytes <= lane.capacity_bytes + 20_000, "{lane:?}");
        }
        assert_eq!(status.memory_only, None);
    }
    model.connect(&outbox);
    while let Some(batch) = outbox.next_batch(10_000) {
        model.note(&outbox, outbox.append(&mut Vec::new()).last);
        model.take(&batch);
        model.ack(&outbox);
    }
    for (key, last) in &model.given {
        let missing: Vec<_> = (1..=*last)
            .filter(|number| {
                let is_in = |numbers: &BTreeMap<Key, BTreeSet<u64>>| {
                    numbers.get(key).is_some_and(|numbers| numbers.contains(number))
                };
                !is_in(&model.arrived) && !is_in(&model.gaps)
            })
            .collect();
        assert!(missing.is_empty(), "{key:?} {missing:?} of {last}");
    }
    let status = outbox.status();
    assert_eq!(status.lanes.map(|lane| (lane.events, lane.bytes, lane.memory_bytes)), [(0, 0, 0); 3]);
    assert_eq!(outbox.epochs().len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 400, ..ProptestConfig::default() })]
    #[test]
    fn every_number_arrives_or_is_in_a_gap(steps in proptest::collection::vec(step(), 1..80)) {
        run(steps);
    }
}

//! Nothing is lost or doubled, and what goes on in order goes on with its names.

use bytes::Bytes;
use hashbrown::HashSet;
use proptest::prelude::*;

use super::*;
use crate::{outbox::Lane, telemetry::label::Label as _, time::Clock};

const WAIT: Duration = Duration::from_secs(2);
const ROOM: usize = 8 * 1024;

struct Test {
    waiting: Waiting,
    telemetry: Arc<Telemetry>,
    now: Instant,
    out: Vec<Item>,
    next: u32,
}

fn id(number: u8) -> ContainerId {
    ContainerId::parse(format!("{number:064x}").as_bytes()).unwrap()
}

/// The definition of a container; versions above 0 have names.
fn definition(number: u8, version: u32) -> Definition {
    let key = DefinitionKey::Container { id: id(number), version };
    Definition { key, body: Bytes::from(vec![number; 10]) }
}

fn process(number: u8) -> Definition {
    let key = DefinitionKey::Process { start_ticks: 1, tgid: u32::from(number), exec_id: 1 };
    Definition { key, body: Bytes::from(vec![number; 20]) }
}

fn number_of(item: &Item) -> u32 {
    u32::from_le_bytes(item.record[..4].try_into().unwrap())
}

fn container_of(item: &Item) -> Option<(ContainerId, u32)> {
    item.refers.iter().find_map(|definition| match definition.key {
        DefinitionKey::Container { id, version } => Some((id, version)),
        DefinitionKey::Process { .. } => None,
    })
}

impl Test {
    fn new() -> Self {
        let telemetry = Arc::new(Telemetry::new(&[]));
        let mut waiting = Waiting::new(WAIT, Arc::clone(&telemetry));
        waiting.max_bytes = ROOM;
        Self { waiting, telemetry, now: Instant::now(), out: Vec::new(), next: 0 }
    }

    /// The next event, of so many bytes more than its number.
    fn event(&mut self, way: Way, of: Of, bytes: usize) -> Exported {
        let number = self.next;
        self.next += 1;
        let mut record = number.to_le_bytes().to_vec();
        record.resize(4 + bytes, 0);
        let (names, refers) = match of {
            Of::Nobody => (Naming::None, vec![]),
            Of::Asked(of) => (Naming::Asked(id(of)), vec![process(of), definition(of, 0)]),
            Of::Named(of) => (Naming::Named(id(of)), vec![process(of), definition(of, number + 1)]),
            Of::Refused(of) => (Naming::Refused(id(of)), vec![definition(of, 0)]),
            Of::Gone(of) => (Naming::Gone(id(of)), vec![definition(of, 0)]),
        };
        let lane = if way == Way::Bulk { Lane::Bulk } else { Lane::Detections };
        let item = Item { lane, at: Clock::default(), record: record.into(), refers };
        Exported { item, names }
    }

    /// Gives a buffer; returns the numbers of those that went on.
    fn give(&mut self, way: Way, events: &[Of]) -> Vec<u32> {
        let mut events: Vec<_> = events.iter().map(|&of| self.event(way, of, 0)).collect();
        let before = self.out.len();
        self.waiting.take(way, &mut events, self.now, &mut self.out);
        self.waiting.measure();
        self.out[before..].iter().map(number_of).collect()
    }

    fn tick(&mut self, after: Duration) -> Vec<u32> {
        let before = self.out.len();
        self.now += after;
        self.waiting.tick(self.now, &mut self.out);
        self.waiting.measure();
        self.out[before..].iter().map(number_of).collect()
    }

    fn version(&self, number: u32) -> u32 {
        let item = self.out.iter().find(|item| number_of(item) == number).unwrap();
        container_of(item).unwrap().1
    }

    fn ended(&self, why: NameWaitEnd) -> u64 {
        self.telemetry.name_wait.ended.of(why).get()
    }

    fn told(&self) -> [u64; 3] {
        Way::ALL.map(|way| self.waiting.told(way))
    }
}

/// Whose an event is, and what is known of that container.
#[derive(Clone, Copy, Debug)]
enum Of {
    Nobody,
    Asked(u8),
    Named(u8),
    Refused(u8),
    Gone(u8),
}

#[test]
fn what_waits_goes_on_with_the_name_and_before_what_brought_it() {
    let mut test = Test::new();
    assert_eq!(test.give(Way::Lifecycle, &[Of::Asked(1), Of::Nobody, Of::Asked(2)]), [1]);
    assert_eq!(test.give(Way::Bulk, &[Of::Asked(1)]), [0_u32; 0]);
    assert_eq!(test.told(), [0, 0, 0]);
    assert_eq!(test.telemetry.name_wait.events.get(), 3);
    assert_eq!(test.give(Way::Lifecycle, &[Of::Named(1), Of::Nobody]), [0, 3, 4, 5]);
    assert_eq!(test.told(), [0, 0, 1], "an event of the first buffer of lifecycle waits");
    for number in [0, 3, 4] {
        assert_eq!(test.version(number), 5);
    }
    let first = &test.out.iter().find(|item| number_of(item) == 0).unwrap().refers;
    assert_eq!(first[0], process(1), "who did it stays");
    assert_eq!(test.give(Way::Rare, &[Of::Named(2)]), [2, 6], "whichever way it comes");
    assert_eq!(test.told(), [2, 1, 1]);
    assert_eq!((test.ended(NameWaitEnd::Named), test.telemetry.name_wait.taken.get()), (3, 3));
    assert_eq!((test.telemetry.name_wait.events.get(), test.telemetry.name_wait.bytes.get()), (0, 0));
}

#[test]
fn a_container_is_waited_for_once_and_for_so_long() {
    let mut test = Test::new();
    assert!(test.give(Way::Lifecycle, &[Of::Asked(1)]).is_empty());
    assert!(test.tick(WAIT / 2).is_empty());
    assert!(test.give(Way::Lifecycle, &[Of::Asked(1), Of::Asked(2)]).is_empty());
    assert_eq!(test.tick(WAIT / 2), [0, 1], "of the first so much time has passed since its first");
    assert_eq!(test.give(Way::Bulk, &[Of::Asked(1)]), [3]);
    // Late, with no tick before.
    test.now += WAIT;
    assert_eq!(test.give(Way::Bulk, &[Of::Asked(2)]), [2, 4]);
    assert_eq!((test.ended(NameWaitEnd::Deadline), test.told()), (5, [2, 0, 2]));
    // Its name has come: were it to be asked for again, it would be waited for again.
    assert_eq!(test.give(Way::Lifecycle, &[Of::Named(1), Of::Asked(1)]), [5]);
}

#[test]
fn what_will_not_be_named_does_not_wait_longer() {
    let mut test = Test::new();
    assert!(test.give(Way::Bulk, &[Of::Asked(1), Of::Asked(2)]).is_empty());
    assert_eq!(test.give(Way::Lifecycle, &[Of::Refused(1)]), [0, 2]);
    assert_eq!(test.give(Way::Lifecycle, &[Of::Gone(2)]), [1, 3], "its end comes last");
    assert_eq!((test.ended(NameWaitEnd::Refused), test.ended(NameWaitEnd::Gone)), (1, 1));
    assert!(test.give(Way::Rare, &[Of::Asked(3)]).is_empty());
    test.waiting.finish(&mut test.out);
    assert_eq!((test.version(4), test.ended(NameWaitEnd::Stop), test.told()), (0, 1, [2, 1, 1]));
}

#[test]
fn with_no_room_the_oldest_goes_on() {
    let mut test = Test::new();
    let full = u32::try_from(ROOM / (OVERHEAD + 4 + 30)).unwrap();
    for _ in 0..full {
        assert!(test.give(Way::Bulk, &[Of::Asked(1)]).is_empty());
    }
    assert_eq!(test.give(Way::Bulk, &[Of::Asked(2)]), [0]);
    assert_eq!(test.ended(NameWaitEnd::Room), 1);
    assert!(test.telemetry.name_wait.bytes.get() <= ROOM as u64);
    assert_eq!(test.told(), [0, 0, 1]);
    assert_eq!(test.give(Way::Bulk, &[Of::Named(1)]).len() as u32, full, "the others waited on");
}

fn of() -> impl Strategy<Value = Of> {
    let container = 0..4_u8;
    prop_oneof![
        2 => Just(Of::Nobody),
        12 => container.clone().prop_map(Of::Asked),
        2 => container.clone().prop_map(Of::Named),
        1 => container.clone().prop_map(Of::Refused),
        1 => container.prop_map(Of::Gone),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Give(Way, Vec<(Of, usize)>),
    Tick(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let way = prop::sample::select(&Way::ALL[..]);
    prop_oneof![
        8 => (way, prop::collection::vec((of(), 0..600_usize), 0..12))
            .prop_map(|(way, events)| Step::Give(way, events)),
        1 => (0..3000_u64).prop_map(Step::Tick),
    ]
}

proptest! {
    #[test]
    fn nothing_is_lost_or_doubled_and_order_is_kept(steps in prop::collection::vec(step(), 0..60)) {
        let mut test = Test::new();
        // By number: the buffer that each event came in, and whether its names were asked for.
        let mut given: Vec<(Way, u64, bool)> = Vec::new();
        let mut buffers = [0_u64; 3];
        for step in steps {
            match step {
                Step::Tick(ms) => drop(test.tick(Duration::from_millis(ms))),
                Step::Give(way, events) => {
                    let mut events: Vec<_> =
                        events.iter().map(|&(of, bytes)| test.event(way, of, bytes)).collect();
                    let asked = |event: &Exported| matches!(event.names, Naming::Asked(_));
                    given.extend(events.iter().map(|event| (way, buffers[way as usize], asked(event))));
                    buffers[way as usize] += 1;
                    let last = events.last().map(|event| event.names);
                    test.waiting.take(way, &mut events, test.now, &mut test.out);
                    test.waiting.measure();
                    if let Some(Naming::Named(id) | Naming::Refused(id) | Naming::Gone(id)) = last {
                        prop_assert!(test.waiting.held.iter().all(|held| held.container != id));
                    }
                }
            }
            let out: HashSet<u32> = test.out.iter().map(number_of).collect();
            prop_assert_eq!(out.len(), test.out.len(), "none twice");
            // Told is what comes before the first buffer with an event that is not out.
            for way in Way::ALL {
                let open = (0..).zip(&given).filter(|(number, (its, ..))| *its == way && !out.contains(number));
                let first = open.map(|(_, (_, buffer, _))| *buffer).min();
                prop_assert_eq!(test.waiting.told(way), first.unwrap_or(buffers[way as usize]));
            }
            let NameWaitCounts { events, bytes, taken, ended } = counts(&test.telemetry);
            prop_assert_eq!(taken, events + ended);
            prop_assert_eq!(events as usize + out.len(), given.len());
            prop_assert!(bytes <= ROOM as u64 && (bytes == 0) == (events == 0));
        }
        test.waiting.finish(&mut test.out);
        prop_assert_eq!(test.out.len(), given.len());
        let mut last = HashMap::new();
        let mut named = 0;
        for item in &test.out {
            let number = number_of(item);
            let Some((id, version)) = container_of(item) else { continue };
            let before = last.insert((id, item.lane), number);
            prop_assert!(before.is_none_or(|before| before < number), "in order");
            named += u64::from(version != 0 && given[number as usize].2);
        }
        prop_assert_eq!(named, test.ended(NameWaitEnd::Named));
        prop_assert!(test.waiting.asked.values().all(|asked| asked.held == 0));
        prop_assert_eq!(test.waiting.by_way, [0; 3]);
    }
}

struct NameWaitCounts {
    events: u64,
    bytes: u64,
    taken: u64,
    ended: u64,
}

fn counts(telemetry: &Telemetry) -> NameWaitCounts {
    let name_wait = &telemetry.name_wait;
    NameWaitCounts {
        events: name_wait.events.get(),
        bytes: name_wait.bytes.get(),
        taken: name_wait.taken.get(),
        ended: NameWaitEnd::ALL.iter().map(|&end| name_wait.ended.of(end).get()).sum(),
    }
}

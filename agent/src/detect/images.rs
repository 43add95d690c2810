//! What was read of processes' images, for rules that ask for the hash of a file or for an environment.

use std::{
    collections::VecDeque,
    sync::mpsc::{SyncSender, TrySendError},
};

use hashbrown::HashMap;

use crate::{
    context::Context,
    image::{Answer, ImageId, Parts, Question, Times},
    telemetry::{
        Images as Counters, Queues,
        label::{Queue, QueueDrop},
    },
};

/// Most images of which something is known, and most bytes of their environments. The oldest go.
const IMAGES: usize = 4096;
const BYTES: usize = 4 << 20;

/// What is known of an image.
#[derive(Default)]
pub(super) struct Image {
    asked: Parts,
    answered: Parts,
    /// SHA-256 of its file in hex.
    pub(super) hash: Option<[u8; 64]>,
    /// Of its file.
    pub(super) times: Option<Times>,
    /// Variables, each with a NUL at its end.
    pub(super) environment: Option<Box<[u8]>>,
}

/// Images by who runs them.
#[derive(Default)]
pub(super) struct Images {
    known: HashMap<ImageId, Image>,
    order: VecDeque<ImageId>,
    bytes: usize,
    /// Answers that came before all was read that happened before them.
    fresh: Vec<Answer>,
    reader: Option<SyncSender<Question>>,
}

impl Images {
    /// Asks there from now on.
    pub(super) fn connect(&mut self, reader: SyncSender<Question>) {
        self.reader = Some(reader);
    }

    /// Whether anybody can be asked.
    pub(super) const fn can_ask(&self) -> bool {
        self.reader.is_some()
    }

    /// What is known of these parts of an image; `None`: nobody has read them yet.
    pub(super) fn get(&self, id: &ImageId, parts: Parts) -> Option<&Image> {
        self.known.get(id).filter(|image| image.answered.has(parts))
    }

    /// Whether an answer is on its way.
    pub(super) fn is_awaited(&self, id: &ImageId, parts: Parts) -> bool {
        self.known.get(id).is_some_and(|image| !image.answered.has(parts))
    }

    /// Asks for what is not asked for yet. False where that finds no room.
    pub(super) fn ask(&mut self, question: Question, queues: &Queues, counters: &Counters) -> bool {
        let Some(reader) = &self.reader else { return false };
        let asked = self.known.get(&question.id).map_or(Parts::NONE, |image| image.asked);
        let parts = question.parts.without(asked);
        if parts == Parts::NONE {
            return true;
        }
        if let Err(error) = reader.try_send(Question { parts, ..question }) {
            let why = match error {
                TrySendError::Full(_) => QueueDrop::Full,
                TrySendError::Disconnected(_) => QueueDrop::Closed,
            };
            queues.dropped.of(Queue::ImageReads, why).add(1);
            return false;
        }
        let order = &mut self.order;
        let image = self.known.entry(question.id).or_insert_with(|| {
            order.push_back(question.id);
            Image::default()
        });
        image.asked = asked.with(parts);
        if self.order.len() > IMAGES {
            self.evict(counters);
        }
        true
    }

    /// Takes an answer, to be believed when all is read that happened before it.
    pub(super) fn take(&mut self, answer: Answer) {
        self.fresh.push(answer);
    }

    /// Whether there are answers to be believed.
    pub(super) const fn has_fresh(&self) -> bool {
        !self.fresh.is_empty()
    }

    /// Believes what came. An image that was replaced before it was read was not read.
    pub(super) fn believe(&mut self, context: &Context, counters: &Counters) {
        for answer in std::mem::take(&mut self.fresh) {
            let Answer { id, parts, read_ns, hash, times, environment } = answer;
            let process = context.process_by_id(id.process);
            let is_it = process.is_none_or(|process| {
                let now = process.state.exec_id;
                now == id.exec_id || (now == id.exec_id + 1 && process.exec_ns > read_ns)
            });
            let Some(image) = self.known.get_mut(&id) else { continue };
            image.answered = image.answered.with(parts);
            if !is_it {
                counters.replaced.add(1);
                continue;
            }
            image.hash = hash.map(hex).or(image.hash);
            image.times = times.or(image.times);
            if let Some(environment) = environment {
                self.bytes += environment.len();
                image.environment = Some(environment);
            }
        }
        while self.bytes > BYTES {
            self.evict(counters);
        }
        counters.known.set(self.known.len() as u64);
    }

    fn evict(&mut self, counters: &Counters) {
        let oldest = self.order.pop_front().and_then(|id| self.known.remove(&id));
        if let Some(image) = oldest {
            self.bytes -= image.environment.map_or(0, |environment| environment.len());
            counters.evicted.add(1);
        }
    }
}

fn hex(hash: [u8; 32]) -> [u8; 64] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = [0; 64];
    for (two, byte) in hex.as_chunks_mut::<2>().0.iter_mut().zip(hash) {
        *two = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xf)]];
    }
    hex
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use agent_abi::record::FileRef;

    use super::*;
    use crate::{
        context::{Host, Limits, ProcessId},
        telemetry::Telemetry,
    };

    fn question(tgid: u32, parts: Parts) -> Question {
        let id = ImageId { process: ProcessId { start_ticks: 1, tgid }, exec_id: 1 };
        Question { id, file: FileRef::default(), parts }
    }

    fn answer(tgid: u32, bytes: usize) -> Answer {
        Answer {
            id: question(tgid, Parts::NONE).id,
            parts: Parts::ENVIRONMENT,
            read_ns: 0,
            hash: None,
            times: None,
            environment: Some(vec![b'x'; bytes].into()),
        }
    }

    #[test]
    fn a_part_is_asked_for_once_and_where_there_is_room() {
        let telemetry = Telemetry::new(&[]);
        let mut images = Images::default();
        let (sender, asked) = sync_channel(2);
        let ask = |images: &mut Images, parts| {
            images.ask(question(50, parts), &telemetry.queues, &telemetry.images)
        };
        assert!(!ask(&mut images, Parts::HASH), "nobody reads");
        images.connect(sender);
        let both = Parts::HASH.with(Parts::ENVIRONMENT);
        assert!(ask(&mut images, Parts::HASH) && ask(&mut images, Parts::HASH) && ask(&mut images, both));
        let parts: Vec<_> = asked.try_iter().map(|question| question.parts).collect();
        assert_eq!(parts, [Parts::HASH, Parts::ENVIRONMENT]);
        let mut other = |tgid| images.ask(question(tgid, both), &telemetry.queues, &telemetry.images);
        assert!(other(51) && other(52) && !other(53));
        assert_eq!(telemetry.queues.dropped.of(Queue::ImageReads, QueueDrop::Full).get(), 1);
    }

    #[test]
    fn images_and_their_bytes_are_bounded() {
        let telemetry = Telemetry::new(&[]);
        let mut images = Images::default();
        let (sender, _asked) = sync_channel(IMAGES + 8);
        images.connect(sender);
        let context = Context::new(
            Limits { processes: 64, containers: 64, cgroups: 64 },
            Host { mnt_ns: 1, pid_ns: 2, hierarchy: 0 },
        );
        for tgid in 1..=IMAGES as u32 + 4 {
            assert!(images.ask(question(tgid, Parts::ENVIRONMENT), &telemetry.queues, &telemetry.images));
        }
        assert_eq!((images.known.len(), telemetry.images.evicted.get()), (IMAGES, 4));
        for tgid in 1..100 {
            images.take(answer(tgid, 64 << 10));
        }
        images.believe(&context, &telemetry.images);
        assert!(images.bytes <= BYTES && images.bytes > BYTES - (64 << 10), "{}", images.bytes);
        let sum: usize =
            images.known.values().filter_map(|it| it.environment.as_ref()).map(|it| it.len()).sum();
        assert_eq!((sum, images.known.len()), (images.bytes, images.order.len()));
        assert_eq!(telemetry.images.known.get(), images.known.len() as u64);
    }

    #[test]
    fn hashes_are_told_in_hex() {
        let mut hash = [0; 32];
        (hash[0], hash[31]) = (0x1f, 0xa0);
        let hex = String::from_utf8(hex(hash).to_vec()).unwrap();
        assert!(hex.starts_with("1f00") && hex.ends_with("00a0"));
    }
}

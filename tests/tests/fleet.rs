//! Two hundred nodes at one collector, one of which floods it.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::{fs, sync::Arc};

use kestrel_proto::v1::{EventKind, Filter, collector_message::Message};
use kestrel_tests::lab::{
    collector::{Collector, Options},
    fleet::{Busy, Connection, Ended, Frame, Heard},
    watch::Watcher,
};
use tokio::{runtime::Builder, sync::Notify, task::JoinSet};

const NODES: u64 = 200;
/// Events in a batch, and batches of each node that behaves.
const BATCH: u64 = 50;
const BATCHES: u64 = 10;
/// What a node may send, and what it may send at once.
const PER_SECOND: u64 = 2000;
/// Of the collector, with 200 connections.
const MEMORY: u64 = 512 << 20;

struct Agent {
    busy: Busy,
    connection: Connection,
    acked: u64,
    pauses: u64,
}

impl Agent {
    async fn connect(collector: &Collector, number: u64) -> Self {
        let busy = Busy::new(&format!("node-{number}"), number + 1);
        let mut connection = Connection::open(collector.grpc()).await.unwrap();
        connection.send(&Frame::of(&busy.hello()).unwrap()).await.unwrap();
        let mut agent = Self { busy, connection, acked: 0, pauses: 0 };
        let welcome = agent.hear().await.unwrap();
        assert!(matches!(welcome, Message::Welcome(_)), "{welcome:?}");
        agent
    }

    async fn hear(&mut self) -> Result<Message, Ended> {
        match self.connection.hear().await.unwrap() {
            Heard::Message(message) => Ok(*message),
            Heard::Ended(ended) => Err(ended),
        }
    }

    /// Until everything up to that number is acknowledged.
    async fn wait_acked(&mut self, sequence: u64) {
        while self.acked < sequence {
            match self.hear().await.unwrap() {
                Message::Ack(ack) => self.acked = ack.watermark.unwrap().sequence,
                Message::Pressure(_) => self.pauses += 1,
                Message::Welcome(_) => panic!("a second welcome"),
            }
        }
    }

    /// One batch after the other, each when the one before is on disk.
    async fn behave(&mut self) {
        for batch in 1..=BATCHES {
            let frame = Frame::of(&self.busy.batch(BATCH)).unwrap();
            self.connection.send(&frame).await.unwrap();
            self.wait_acked(batch * BATCH).await;
        }
    }

    /// Sends as much as it is let, whatever the collector says, until it is told to stop. How many
    /// were acknowledged.
    async fn flood(self, stop: Arc<Notify>) -> u64 {
        let Self { mut busy, connection, .. } = self;
        let (mut up, mut down) = connection.split();
        let mut acked = 0;
        let hearing = async {
            loop {
                match down.hear().await.unwrap() {
                    Heard::Message(message) => {
                        if let Message::Ack(ack) = *message {
                            acked = ack.watermark.unwrap().sequence;
                        }
                    }
                    Heard::Ended(ended) => panic!("{ended:?}"),
                }
            }
        };
        let sending = async {
            loop {
                up.send(&Frame::of(&busy.batch(BATCH)).unwrap()).await.unwrap();
            }
        };
        tokio::select! {
            () = hearing => {}
            () = sending => {}
            () = stop.notified() => {}
        }
        acked
    }
}

fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[test]
fn one_that_floods_does_not_harm_the_others() {
    let config = format!("quota:\n  events_per_second: {PER_SECOND}\n");
    let collector = Collector::start(&Options { config, ..Options::default() }).unwrap();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (flooded, behaved) = runtime.block_on(async {
        let stop = Arc::new(Notify::new());
        let flooder = Agent::connect(&collector, 0).await;
        let flood = tokio::spawn(flooder.flood(Arc::clone(&stop)));
        let mut agents = JoinSet::new();
        for number in 1..NODES {
            let mut agent = Agent::connect(&collector, number).await;
            agents.spawn(async move {
                agent.behave().await;
                agent.acked
            });
        }
        let mut behaved = 0;
        while let Some(acked) = agents.join_next().await {
            behaved += acked.unwrap();
        }
        stop.notify_one();
        (flood.await.unwrap(), behaved)
    });
    assert_eq!(behaved, (NODES - 1) * BATCHES * BATCH);
    let resident = resident(collector.pid().unwrap());
    println!("{behaved} of {} nodes, {flooded} of the one that floods, {} MiB", NODES - 1, resident >> 20);
    assert!(resident < MEMORY, "{resident}");
    assert!(flooded > BATCHES * BATCH, "it did not flood");
    let mut watcher = Watcher::new(&collector.endpoint()).unwrap();
    let filter = Filter { kinds: vec![EventKind::Exec.into()], ..Filter::default() };
    let past = watcher.past(filter).unwrap();
    let of_behaved = past.events.iter().filter(|event| event.node != "node-0").count() as u64;
    assert_eq!(of_behaved, behaved, "each is in the store");
    let of_flooder: Vec<_> =
        past.events.iter().filter(|event| event.node == "node-0").map(|event| event.sequence).collect();
    assert!(of_flooder.windows(2).all(|pair| pair[0] + 1 == pair[1]), "without a hole, in order");
    assert!(of_flooder.len() as u64 >= flooded, "what was acknowledged is there");
    assert_eq!(watcher.nodes().unwrap().len() as u64, NODES);
}

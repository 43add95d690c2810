//! Durable events per second: several nodes send as fast as the collector acknowledges. What they
//! send is encoded and compressed before the clock starts, so both cores are nearly the collector's.

use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use kestrel_proto::v1::{Lane, collector_message::Message};
use kestrel_tests::lab::{
    collector::{Collector, Options},
    fleet::{Busy, Connection, Frame, Heard},
};
use tokio::task::JoinSet;

use crate::{
    bars, interrupt,
    report::{Measure, Unit},
    stats::Estimate,
};

/// Nodes that send at a time.
const NODES: u64 = 8;
/// Execs in a batch.
const BATCH: u64 = 256;
/// Batches of a node in a round.
const BATCHES: usize = 100;
/// Batches of a node that are not acknowledged, as an agent has it.
const WINDOW: usize = 64;
/// No limit that is reached.
const QUOTA: &str = "quota:\n  events_per_second: 10000000\n  bytes_per_second: 10GiB\n";

struct Node {
    busy: Busy,
    connection: Connection,
    frames: Vec<Frame>,
}

impl Node {
    async fn connect(collector: &Collector, number: u64) -> Result<Self> {
        let busy = Busy::new(&format!("node-{number}"), number + 1);
        let mut connection = Connection::open(collector.grpc()).await?;
        connection.send(&Frame::of(&busy.hello())?).await?;
        match connection.hear().await? {
            Heard::Message(message) if matches!(*message, Message::Welcome(_)) => {}
            other => bail!("no welcome: {other:?}"),
        }
        Ok(Self { busy, connection, frames: Vec::new() })
    }

    fn prepare(&mut self) -> Result<()> {
        self.frames = (0..BATCHES).map(|_| Frame::of(&self.busy.batch(BATCH))).collect::<Result<_>>()?;
        Ok(())
    }

    /// Sends what was prepared, until the last of it is acknowledged.
    async fn deliver(mut self) -> Result<Self> {
        let mut acked = 0;
        for (sent, frame) in std::mem::take(&mut self.frames).iter().enumerate() {
            while sent - acked >= WINDOW {
                acked += self.ack().await?;
            }
            self.connection.send(frame).await?;
        }
        while acked < BATCHES {
            acked += self.ack().await?;
        }
        ensure!(acked == BATCHES, "more acknowledged than sent");
        Ok(self)
    }

    /// How many more batches are on the collector's disk.
    async fn ack(&mut self) -> Result<usize> {
        let message = match self.connection.hear().await? {
            Heard::Message(message) => *message,
            Heard::Ended(ended) => bail!("the collector ended the stream: {ended:?}"),
        };
        let Message::Ack(ack) = message else { bail!("not an acknowledgement: {message:?}") };
        let mark = ack.watermark.context("an acknowledgement of nothing")?;
        ensure!(mark.lane() == Lane::Detections && mark.epoch == self.busy.epoch(), "of another outbox");
        let batches = self.busy.acknowledged(mark.sequence) / BATCH;
        Ok(usize::try_from(batches)?)
    }
}

pub(super) async fn measure(rounds: usize) -> Result<Vec<Measure>> {
    let collector =
        Collector::start(&Options { config: QUOTA.to_owned(), on_disk: true, ..Options::default() })?;
    let mut nodes = Vec::new();
    for number in 0..NODES {
        nodes.push(Node::connect(&collector, number).await?);
    }
    let (mut rates, mut bytes) = (Vec::new(), 0);
    // The first warms up.
    for round in 0..=rounds {
        interrupt::check()?;
        let mut running = JoinSet::new();
        for mut node in nodes.drain(..) {
            node.prepare()?;
            bytes += node.frames.iter().map(Frame::bytes).sum::<usize>();
            running.spawn(async move { node.deliver().await });
        }
        let start = Instant::now();
        while let Some(node) = running.join_next().await {
            nodes.push(node??);
        }
        let took = start.elapsed();
        if round > 0 {
            rates.push((NODES * BATCH) as f64 * BATCHES as f64 / took.as_secs_f64());
        }
    }
    let sent = (rounds + 1) as f64 * (NODES * BATCH) as f64 * BATCHES as f64;
    let rate = Estimate::of(&rates).context("too few rounds for an interval")?;
    let note =
        format!("{NODES} nodes, {BATCH} a batch, fdatasync before each ack, two cores with the senders'");
    Ok(vec![
        Measure::new("durable exec events", rate, Unit::PerSecond).held_against(bars::DURABLE).note(note),
        Measure::exact("on the wire, full batches", bytes as f64 / sent, Unit::Bytes).note("per exec event"),
    ])
}

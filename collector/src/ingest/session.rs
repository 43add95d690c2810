//! One connection of an agent, from its hello to its end.

mod answers;
mod backlog;

use std::{
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use hashbrown::HashMap;
use kestrel_proto::{
    SCHEMA,
    v1::{self, AgentMessage, CollectorMessage, PressureReason, agent_message::Message, record::Event},
};
use kestrel_tls::Peer;
use prost::Message as _;
use tokio::{
    sync::{mpsc, watch},
    time::{self, MissedTickBehavior},
};
use tonic::{Status, Streaming};

use super::{
    Connected, Ingest, MAX_MESSAGE_BYTES, Refusal,
    dedup::{Offer, Watermarks},
    definitions::Definitions,
    nodes::Lease,
    quota::Bucket,
    validate,
};
use crate::{
    log::{Condition, Content, FrameBody, Prepared, Source},
    telemetry::{MessageKind, PressureLabel},
};
use answers::Answers;
use backlog::{Backlog, Progress, Settled};

/// How often it is said of a peer that it is not read.
const HELD_BACK: time::Duration = time::Duration::from_secs(5);
/// What an agent is asked to wait while the disk takes nothing.
const DISK_PAUSE_MS: u32 = 1000;

/// Serves a connection until either side ends it.
pub(super) async fn run(
    ingest: Arc<Ingest>,
    peer: Option<Peer>,
    messages: Streaming<AgentMessage>,
    answers: mpsc::Sender<Result<CollectorMessage, Status>>,
) {
    let telemetry = &ingest.telemetry;
    let address = peer.as_ref().map(|peer| peer.address.to_string()).unwrap_or_default();
    let answers = Answers::new(answers, ingest.options.answer_time);
    telemetry.ingest.connections.inc();
    let ended = serve(&ingest, peer.as_ref(), messages, &answers).await;
    telemetry.ingest.connections.dec();
    let Err(End { refusal, node }) = ended else { return };
    telemetry.ingest.refused(refusal.reason());
    let node = node.as_deref().unwrap_or_default();
    if refusal.is_ordinary() {
        tracing::info!(%address, node, reason = %refusal, "agent's stream ended");
    } else {
        tracing::warn!(%address, node, reason = %refusal, "agent's stream refused");
    }
    answers.end(refusal.into()).await;
}

/// Why a stream ended, and whose it was.
struct End {
    refusal: Refusal,
    node: Option<Arc<str>>,
}

async fn serve(
    ingest: &Ingest,
    peer: Option<&Peer>,
    mut messages: Streaming<AgentMessage>,
    answers: &Answers,
) -> Result<(), End> {
    let nameless = |refusal| End { refusal, node: None };
    let hello = tokio::select! {
        hello = time::timeout(ingest.options.hello_time, messages.message()) => hello
            .map_err(|_| nameless(Refusal::TooSlow("no hello in time")))?
            .map_err(|status| nameless(Refusal::of(&status)))?,
        () = ingest.stopping.cancelled() => return Err(nameless(Refusal::Stopping)),
    };
    let Some(AgentMessage { message: Some(Message::Hello(hello)) }) = hello else {
        return Err(nameless(Refusal::Invalid("the first message has to be a hello".to_owned())));
    };
    ingest.telemetry.ingest.message(MessageKind::Hello);
    greet(ingest, peer, &hello).map_err(nameless)?;
    let (cluster, node): (Arc<str>, Arc<str>) = (hello.cluster.as_str().into(), hello.node.as_str().into());
    let named = |refusal| End { refusal, node: Some(Arc::clone(&node)) };
    let lease = tokio::select! {
        lease = ingest.nodes.take(&cluster, &node) => lease.map_err(named)?,
        () = ingest.stopping.cancelled() => return Err(named(Refusal::Stopping)),
    };
    let source = Source { cluster, node: Arc::clone(&node), boot_id: hello.boot_id.as_str().into() };
    let mut session = Session::new(ingest, lease, source, &hello);
    let ended = session.begin(hello, answers).await;
    let ended = match ended {
        Ok(()) => session.deliver(&mut messages, answers).await,
        Err(refusal) => Err(refusal),
    };
    session.end().await;
    ended.map_err(named)
}

/// Whether it may speak at all.
fn greet(ingest: &Ingest, peer: Option<&Peer>, hello: &v1::Hello) -> Result<(), Refusal> {
    validate::hello(hello)?;
    let identity = peer.and_then(|peer| peer.identity.as_ref());
    if identity.is_some_and(|identity| !identity.may_speak_for(&hello.node)) {
        return Err(Refusal::NotItsNode(hello.node.clone()));
    }
    let clusters = &ingest.options.clusters;
    if !clusters.is_empty() && !clusters.contains(&hello.cluster) {
        return Err(Refusal::NotItsCluster(hello.cluster.clone()));
    }
    Ok(())
}

struct Session<'a> {
    ingest: &'a Ingest,
    lease: Lease,
    source: Source,
    /// Boot id of each outbox.
    epochs: HashMap<u64, Arc<str>>,
    /// What is on the disk or on its way.
    accepted: Watermarks,
    definitions: Definitions,
    backlog: Backlog,
    condition: watch::Receiver<Condition>,
    /// The disk took nothing when it was last asked.
    stalled: bool,
    /// The quota is used up until then.
    resume: Option<time::Instant>,
    /// Dropped with the connection.
    _connected: Connected,
}

impl<'a> Session<'a> {
    fn new(ingest: &'a Ingest, mut lease: Lease, source: Source, hello: &v1::Hello) -> Self {
        let epochs: HashMap<u64, Arc<str>> =
            hello.epochs.iter().map(|epoch| (epoch.epoch, epoch.boot_id.as_str().into())).collect();
        let numbers: Vec<_> = epochs.keys().copied().collect();
        let quota = ingest.options.quota;
        lease.state.bucket.get_or_insert_with(|| Bucket::new(quota, Instant::now()));
        // From then on the disk's state is known here before it is anywhere else. Outboxes that were
        // not listed then are asked for too: a node may have had more than one agent.
        let first = lease.state.watermarks.is_none();
        let watermarks = lease.state.watermarks.get_or_insert_default();
        if first {
            watermarks.extend(&ingest.registry.watermarks(&source.cluster, &source.node, &numbers));
        }
        watermarks.retain(&numbers);
        Self {
            ingest,
            accepted: watermarks.clone(),
            _connected: ingest.registry.connected(&source),
            lease,
            source,
            epochs,
            definitions: Definitions::new(Arc::clone(&ingest.definitions)),
            backlog: Backlog::new(ingest.log.clone(), Arc::clone(&ingest.room), ingest.room_kib),
            condition: ingest.log.condition(),
            stalled: false,
            resume: None,
        }
    }

    async fn begin(&mut self, hello: v1::Hello, answers: &Answers) -> Result<(), Refusal> {
        let welcome = v1::Welcome {
            schema: SCHEMA,
            watermarks: self.accepted.to_proto(),
            max_message_bytes: MAX_MESSAGE_BYTES as u64,
            wall_unix_ns: now_unix_ns(),
        };
        tracing::info!(
            node = %self.source.node,
            cluster = %self.source.cluster,
            version = %hello.agent_version.escape_debug(),
            "agent connected"
        );
        self.append(self.source.clone(), Content::Hello(hello), None)?;
        self.until_ended(answers.welcome(welcome)).await?
    }

    async fn deliver(
        &mut self,
        messages: &mut Streaming<AgentMessage>,
        answers: &Answers,
    ) -> Result<(), Refusal> {
        let mut held_back = time::interval(HELD_BACK);
        held_back.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut closed = false;
        loop {
            if !self.stalled {
                self.backlog.start();
            }
            if closed && self.backlog.is_empty() {
                return Ok(());
            }
            let reads =
                !closed && self.resume.is_none() && self.backlog.has_room(self.ingest.options.gather_bytes);
            tokio::select! {
                biased;
                () = self.lease.replaced() => return Err(Refusal::Replaced),
                () = self.ingest.stopping.cancelled() => return Err(Refusal::Stopping),
                progress = self.backlog.progress() => match progress {
                    Progress::Settled(settled) => self.settle(settled, answers).await?,
                    Progress::Roomy => {}
                },
                writes = writes(&mut self.condition), if self.stalled => {
                    writes?;
                    self.stalled = false;
                }
                () = sleep_until(self.resume) => self.resume = None,
                _ = held_back.tick(), if !reads && !closed => self.ingest.registry.held_back(&self.source),
                message = messages.message(), if reads => match message {
                    Ok(Some(AgentMessage { message: Some(message) })) => self.take(message, answers).await?,
                    Ok(Some(AgentMessage { message: None })) => {
                        return Err(Refusal::Invalid("a message that this schema does not know".to_owned()));
                    }
                    // The agent has said all: it waits for the acks.
                    Ok(None) => closed = true,
                    Err(status) => return Err(Refusal::of(&status)),
                },
            }
        }
    }

    async fn take(&mut self, message: Message, answers: &Answers) -> Result<(), Refusal> {
        let telemetry = &self.ingest.telemetry.ingest;
        match message {
            Message::Hello(_) => Err(Refusal::Invalid("a second hello".to_owned())),
            Message::Heartbeat(heartbeat) => {
                telemetry.message(MessageKind::Heartbeat);
                validate::heartbeat(&heartbeat)?;
                self.ingest.registry.heard(&self.source, heartbeat);
                Ok(())
            }
            Message::Inventory(inventory) => {
                telemetry.message(MessageKind::Inventory);
                validate::inventory(&inventory)?;
                let entries = inventory.containers.len() + inventory.findings.len();
                let bytes = inventory.encoded_len();
                self.append(self.source.clone(), Content::Inventory(inventory), None)?;
                self.pay(entries, bytes, answers).await
            }
            Message::Batch(batch) => {
                telemetry.message(MessageKind::Batch);
                self.batch(batch, answers).await
            }
        }
    }

    async fn batch(&mut self, mut batch: v1::Batch, answers: &Answers) -> Result<(), Refusal> {
        validate::batch(&batch)?;
        let (epoch, lane, first) = (batch.epoch, batch.lane(), batch.first_sequence);
        let Some(boot_id) = self.epochs.get(&epoch) else {
            return Err(Refusal::Invalid(format!("epoch {epoch:016x} is not in the hello")));
        };
        let source = Source { boot_id: Arc::clone(boot_id), ..self.source.clone() };
        let telemetry = &self.ingest.telemetry.ingest;
        self.definitions.learn(&batch)?;

        let count = batch.records.len();
        let Offer { known, hole } = self.accepted.offer(epoch, lane, first, count);
        telemetry.duplicates.inc_by(known as u64);
        let mut bytes = 0;
        if known == count {
            self.acknowledge_known(epoch, lane, first + count as u64 - 1, answers).await?;
        } else {
            if let Some(hole) = hole {
                telemetry.holes.inc_by(hole.end() - hole.start() + 1);
            }
            if known > 0 {
                batch.records.drain(..known);
                batch.first_sequence += known as u64;
            }
            let events = || batch.records.iter().filter_map(|record| record.event.as_ref());
            telemetry.count(events());
            for event in events() {
                if let Event::Gap(gap) = event {
                    telemetry.gaps.inc_by(gap.to_sequence - gap.from_sequence + 1);
                }
            }
            let unknown = self.definitions.unknown;
            for frame in self.definitions.complete(batch) {
                let last = frame.first_sequence + frame.records.len() as u64 - 1;
                let mark = v1::Watermark { epoch, lane: lane.into(), sequence: last };
                bytes += self.append(source.clone(), Content::Batch(frame), Some(mark))?;
                self.accepted.advance(epoch, lane, last);
            }
            telemetry.unknown_references.inc_by(self.definitions.unknown - unknown);
        }
        self.pay(count, bytes, answers).await
    }

    /// Of a batch that is here already: the agent may have missed the ack.
    async fn acknowledge_known(
        &mut self,
        epoch: u64,
        lane: v1::Lane,
        last: u64,
        answers: &Answers,
    ) -> Result<(), Refusal> {
        let durable = self.lease.state.watermarks.as_ref().map_or(0, |here| here.of(epoch, lane));
        // What is still on its way is acknowledged when it is there.
        if last > durable {
            return Ok(());
        }
        let mark = v1::Watermark { epoch, lane: lane.into(), sequence: durable };
        self.until_ended(answers.ack(mark)).await?
    }

    /// Puts a frame behind those that wait. Gives its bytes.
    fn append(
        &mut self,
        source: Source,
        content: Content,
        mark: Option<v1::Watermark>,
    ) -> Result<usize, Refusal> {
        let body = FrameBody { source, received_unix_ns: now_unix_ns(), content };
        let frame = Prepared::new(body).map_err(|error| Refusal::Invalid(error.sentence()))?;
        let bytes = frame.raw_bytes();
        self.ingest.telemetry.ingest.bytes.inc_by(bytes as u64);
        self.backlog.push(frame, mark);
        Ok(bytes)
    }

    /// Takes it from the quota.
    async fn pay(&mut self, events: usize, bytes: usize, answers: &Answers) -> Result<(), Refusal> {
        let Some(bucket) = &mut self.lease.state.bucket else { return Ok(()) };
        let Some(wait) = bucket.take(events, bytes, Instant::now()) else { return Ok(()) };
        self.resume = Some(time::Instant::now() + wait);
        let pause_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
        self.pressure(PressureReason::Quota, PressureLabel::Quota, pause_ms, answers).await
    }

    async fn settle(&mut self, settled: Settled, answers: &Answers) -> Result<(), Refusal> {
        match settled {
            Settled::Durable(marks) => {
                let here = self.lease.state.watermarks.get_or_insert_default();
                let acks = newest(marks);
                for mark in &acks {
                    here.advance(mark.epoch, mark.lane(), mark.sequence);
                }
                for mark in acks {
                    self.until_ended(answers.ack(mark)).await??;
                }
                Ok(())
            }
            Settled::NoRoom => {
                self.stalled = true;
                let (reason, label) = (PressureReason::DiskFull, PressureLabel::DiskFull);
                self.pressure(reason, label, DISK_PAUSE_MS, answers).await
            }
            Settled::Closed => Err(Refusal::NoLog),
        }
    }

    async fn pressure(
        &mut self,
        reason: PressureReason,
        label: PressureLabel,
        pause_ms: u32,
        answers: &Answers,
    ) -> Result<(), Refusal> {
        self.ingest.telemetry.ingest.pressure(label);
        let pressure = v1::Pressure { reason: reason.into(), pause_ms };
        self.until_ended(answers.pressure(pressure)).await?
    }

    /// Waits for something that depends on the peer.
    async fn until_ended<T>(&mut self, future: impl Future<Output = T>) -> Result<T, Refusal> {
        tokio::select! {
            done = future => Ok(done),
            () = self.lease.replaced() => Err(Refusal::Replaced),
            () = self.ingest.stopping.cancelled() => Err(Refusal::Stopping),
        }
    }

    /// What is on its way to the log is settled before the node is let go: the next connection has
    /// to know. What was not asked for yet was not acknowledged, and comes again.
    async fn end(&mut self) {
        if let Some(Settled::Durable(marks)) = self.backlog.last().await {
            let here = self.lease.state.watermarks.get_or_insert_default();
            marks.iter().for_each(|mark| here.advance(mark.epoch, mark.lane(), mark.sequence));
        }
    }
}

/// The last of each outbox and lane.
fn newest(marks: Vec<v1::Watermark>) -> Vec<v1::Watermark> {
    let mut newest: Vec<v1::Watermark> = Vec::new();
    for mark in marks {
        match newest.iter_mut().find(|known| (known.epoch, known.lane) == (mark.epoch, mark.lane)) {
            Some(known) => known.sequence = mark.sequence.max(known.sequence),
            None => newest.push(mark),
        }
    }
    newest
}

async fn writes(condition: &mut watch::Receiver<Condition>) -> Result<(), Refusal> {
    let writes = condition.wait_for(|condition| *condition == Condition::Writing).await;
    writes.map(|_| ()).map_err(|_| Refusal::NoLog)
}

async fn sleep_until(at: Option<time::Instant>) {
    match at {
        Some(at) => time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn now_unix_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

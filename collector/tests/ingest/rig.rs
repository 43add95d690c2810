//! A server with a log, and agents.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use kestrel_collector::{
    ingest::{Connected, Ingest, IngestService, Options, Registry},
    log::{self, Content, Frame, Log, Source},
    telemetry::Telemetry,
};
use kestrel_proto::v1::{
    self, AgentMessage, CollectorMessage, agent_message::Message, collector_message,
    ingest_client::IngestClient, record::Event,
};
use kestrel_tls::{Limits, ListenAddress, Listener, Security};
use tempfile::TempDir;
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Status, Streaming,
    codec::CompressionEncoding,
    transport::{Channel, Endpoint, Server},
};

pub(crate) const EPOCH: u64 = 0xe0c4;
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Watermarks from the log, as the state has them.
#[derive(Default)]
pub(crate) struct Recorder {
    watermarks: Mutex<HashMap<(String, u64, i32), u64>>,
    pub(crate) heartbeats: AtomicU64,
    pub(crate) held_back: AtomicU64,
}

impl Recorder {
    fn of(log: &Log) -> Self {
        let recorder = Self::default();
        for frame in log.reader(1) {
            let frame = frame.unwrap();
            if let Content::Batch(batch) = &frame.body.content {
                let key = (frame.body.source.node.to_string(), batch.epoch, batch.lane);
                let last = batch.first_sequence + batch.records.len() as u64 - 1;
                recorder.watermarks.lock().unwrap().insert(key, last);
            }
        }
        recorder
    }
}

impl Registry for Recorder {
    fn watermarks(&self, _: &str, node: &str, epochs: &[u64]) -> Vec<v1::Watermark> {
        let watermarks = self.watermarks.lock().unwrap();
        let mine = watermarks.iter().filter(|((of, epoch, _), _)| of == node && epochs.contains(epoch));
        mine.map(|(&(_, epoch, lane), &sequence)| v1::Watermark { epoch, lane, sequence }).collect()
    }

    fn connected(&self, _: &Source) -> Connected {
        Box::new(())
    }

    fn heard(&self, _: &Source, _: v1::Heartbeat) {
        self.heartbeats.fetch_add(1, Relaxed);
    }

    fn held_back(&self, _: &Source) {
        self.held_back.fetch_add(1, Relaxed);
    }
}

pub(crate) struct Rig {
    pub(crate) log: Log,
    pub(crate) ingest: Arc<Ingest>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) address: SocketAddr,
    server: JoinHandle<()>,
    _dir: Option<TempDir>,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut rig = Self::at(dir.path(), options, Security::Plain).await;
        rig._dir = Some(dir);
        rig
    }

    pub(crate) async fn at(dir: &Path, options: Options, security: Security) -> Self {
        let (log, _) = Log::open(&dir.join("log"), log::Options::default()).unwrap();
        let recorder = Arc::new(Recorder::of(&log));
        let telemetry = Arc::new(Telemetry::default());
        let registry: Arc<dyn Registry> = Arc::clone(&recorder) as _;
        let ingest = Ingest::new(log.clone(), registry, Arc::clone(&telemetry), options);
        let address = ListenAddress::Tcp("127.0.0.1:0".parse().unwrap());
        let listener = Listener::bind(&address, security, Limits::default()).await.unwrap();
        let address = listener.address().unwrap();
        let service = IngestService::new(Arc::clone(&ingest));
        let server = tokio::spawn(async move {
            let server = Server::builder().initial_stream_window_size(1 << 20).add_service(service);
            server.serve_with_incoming(listener.incoming()).await.unwrap();
        });
        Self { log, ingest, telemetry, recorder, address, server, _dir: None }
    }

    pub(crate) async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        // A small window, so that a peer that does not read fills it soon.
        endpoint.initial_stream_window_size(65_535).connect().await.unwrap()
    }

    /// An agent that said hello and was welcomed.
    pub(crate) async fn agent(&self, node: &str) -> Agent {
        let mut agent = self.stranger().await;
        agent.send(Message::Hello(hello(node))).await;
        agent.welcomed().await;
        agent
    }

    /// Somebody who has said nothing yet.
    pub(crate) async fn stranger(&self) -> Agent {
        Agent::over(self.channel().await).await
    }

    /// All events of the log, with the node's name, outbox, lane and number.
    pub(crate) fn events(&self) -> Vec<(String, u64, i32, u64)> {
        let mut events = Vec::new();
        for frame in self.frames() {
            let Content::Batch(batch) = &frame.body.content else { continue };
            let node = frame.body.source.node.to_string();
            for at in 0..batch.records.len() as u64 {
                events.push((node.clone(), batch.epoch, batch.lane, batch.first_sequence + at));
            }
        }
        events
    }

    pub(crate) fn numbers(&self, node: &str) -> Vec<u64> {
        self.events().into_iter().filter(|event| event.0 == node).map(|event| event.3).collect()
    }

    pub(crate) fn frames(&self) -> Vec<Arc<Frame>> {
        self.log.reader(1).map(Result::unwrap).collect()
    }

    pub(crate) async fn stop(self) {
        self.ingest.stop().await;
        self.log.close().await;
        self.server.abort();
    }
}

pub(crate) struct Agent {
    messages: mpsc::Sender<AgentMessage>,
    answers: Streaming<CollectorMessage>,
    pub(crate) welcome: v1::Welcome,
}

impl Agent {
    pub(crate) async fn over(channel: Channel) -> Self {
        let mut client = IngestClient::new(channel).send_compressed(CompressionEncoding::Zstd);
        let (messages, stream) = mpsc::channel(1024);
        let answers = client.deliver(ReceiverStream::new(stream)).await.unwrap().into_inner();
        Self { messages, answers, welcome: v1::Welcome::default() }
    }

    pub(crate) async fn send(&self, message: Message) {
        // The stream may have ended: the answer says why.
        let _ = self.messages.send(AgentMessage { message: Some(message) }).await;
    }

    pub(crate) async fn batch(&self, lane: v1::Lane, first: u64, count: usize) {
        self.send(Message::Batch(batch(lane, first, count))).await;
    }

    pub(crate) async fn welcomed(&mut self) {
        match self.answer().await.unwrap() {
            collector_message::Message::Welcome(welcome) => self.welcome = welcome,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn answer(&mut self) -> Result<collector_message::Message, Status> {
        let answer = timeout(DEADLINE, self.answers.message()).await.expect("no answer in time")?;
        Ok(answer.expect("the stream ended").message.unwrap())
    }

    /// Waits until everything up to there is on the disk.
    pub(crate) async fn acked(&mut self, lane: v1::Lane, sequence: u64) {
        loop {
            if let collector_message::Message::Ack(ack) = self.answer().await.unwrap() {
                let mark = ack.watermark.unwrap();
                if mark.lane() == lane && mark.sequence >= sequence {
                    assert_eq!(mark.sequence, sequence);
                    return;
                }
            }
        }
    }

    /// Why the stream ended.
    pub(crate) async fn ended(&mut self) -> Status {
        loop {
            match timeout(DEADLINE, self.answers.message()).await.expect("the stream does not end") {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it ended without a reason"),
                Err(status) => return status,
            }
        }
    }

    /// Says that nothing follows, and waits for the end.
    pub(crate) async fn finish(mut self) {
        drop(self.messages);
        while timeout(DEADLINE, self.answers.message()).await.unwrap().unwrap().is_some() {}
    }
}

pub(crate) fn hello(node: &str) -> v1::Hello {
    v1::Hello {
        schema: 1,
        cluster: "test".to_owned(),
        node: node.to_owned(),
        boot_id: "b00t".to_owned(),
        epochs: vec![v1::Epoch { epoch: EPOCH, boot_id: "b00t".to_owned() }],
        boottime_ns: 5,
        ..v1::Hello::default()
    }
}

pub(crate) fn batch(lane: v1::Lane, first: u64, count: usize) -> v1::Batch {
    let records = (first..).take(count).map(exec).collect();
    v1::Batch { epoch: EPOCH, lane: lane.into(), first_sequence: first, records, ..v1::Batch::default() }
}

pub(crate) fn id(tgid: u32) -> v1::ProcessId {
    v1::ProcessId { start_ticks: 77, tgid, exec_id: Some(1) }
}

pub(crate) fn exec(number: u64) -> v1::Record {
    let tgid = u32::try_from(number % 30_000).unwrap() + 1;
    let exec = v1::Exec { process: Some(id(tgid)), filename: format!("/bin/{number}").into() };
    v1::Record { boottime_ns: number + 1, wall_unix_ns: 9, event: Some(Event::Exec(exec)) }
}

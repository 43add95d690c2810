//! A small collector: it keeps what it gets, drops what it has, and acknowledges. It can be told to
//! misbehave.

use std::{
    collections::{BTreeMap, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use kestrel_proto::{SCHEMA, v1};
use kestrel_tls::{Limits, ListenAddress, Listener, Peer, Security};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming, codec::CompressionEncoding, transport::Server};
use v1::{
    agent_message::Message as Up,
    collector_message::Message as Down,
    ingest_server::{Ingest, IngestServer},
};

/// An event that it never takes: one of this boottime.
pub const POISON: u64 = 666;

/// How it behaves. All off: as it should.
#[derive(Clone, Debug, Default)]
pub struct Manners {
    /// Ends the stream with this instead of a welcome.
    pub turned_away: Option<Status>,
    /// Takes batches and says nothing.
    pub is_mute: bool,
    /// Keeps nothing of a batch, and says nothing.
    pub is_forgetful: bool,
    /// Stops reading after so many batches of a connection.
    pub reads: Option<usize>,
    /// Ends a connection with an error after so many batches.
    pub hangs_up_after: Option<usize>,
    /// Asks for a pause with the first batch of a connection.
    pub pause: Option<Duration>,
    /// Acknowledges so many more than there are.
    pub boasts: u64,
}

/// A batch as it came.
#[derive(Clone, Debug)]
pub struct Arrived {
    pub connection: usize,
    pub lane: v1::Lane,
    pub first: u64,
    pub processes: usize,
}

/// What it has.
#[derive(Debug, Default)]
pub struct Store {
    pub hellos: Vec<v1::Hello>,
    pub batches: Vec<Arrived>,
    /// By epoch and lane.
    pub events: BTreeMap<(u64, i32), BTreeMap<u64, v1::Record>>,
    pub heartbeats: Vec<v1::Heartbeat>,
    pub inventories: Vec<v1::Inventory>,
    /// What was wrong with what it got.
    pub wrong: Vec<String>,
}

impl Store {
    pub fn of(&self, lane: v1::Lane) -> Vec<&v1::Record> {
        let of_lane = self.events.iter().filter(|((_, of), _)| *of == i32::from(lane));
        of_lane.flat_map(|(_, events)| events.values()).collect()
    }

    fn watermark(&self, epoch: u64, lane: i32) -> u64 {
        self.events.get(&(epoch, lane)).and_then(|events| events.keys().last().copied()).unwrap_or(0)
    }

    fn watermarks(&self, hello: &v1::Hello) -> Vec<v1::Watermark> {
        let of = |epoch: u64| {
            let of_epoch = self.events.keys().filter(move |(of, _)| *of == epoch);
            of_epoch.map(move |&(_, lane)| v1::Watermark {
                epoch,
                lane,
                sequence: self.watermark(epoch, lane),
            })
        };
        hello.epochs.iter().flat_map(|epoch| of(epoch.epoch)).collect()
    }
}

/// Shared with the server.
#[derive(Clone, Debug, Default)]
pub struct Collector {
    pub store: Arc<Mutex<Store>>,
    pub manners: Arc<Mutex<Manners>>,
}

impl Collector {
    /// Serves until the value that comes back is dropped.
    pub async fn serve(&self, security: Security) -> Served {
        self.serve_at(SocketAddr::from(([127, 0, 0, 1], 0)), security).await
    }

    pub async fn serve_at(&self, address: SocketAddr, security: Security) -> Served {
        let listener =
            Listener::bind(&ListenAddress::Tcp(address), security, Limits::default()).await.unwrap();
        let address = listener.address().unwrap();
        let service = IngestServer::new(self.clone())
            .accept_compressed(CompressionEncoding::Zstd)
            .send_compressed(CompressionEncoding::Zstd);
        let server = Server::builder().add_service(service).serve_with_incoming(listener.incoming());
        let task = tokio::spawn(async move { server.await.unwrap() });
        Served { address, task }
    }

    pub fn behave(&self, change: impl FnOnce(&mut Manners)) {
        change(&mut self.manners.lock().unwrap());
    }

    pub fn look<T>(&self, at: impl FnOnce(&Store) -> T) -> T {
        at(&self.store.lock().unwrap())
    }
}

pub struct Served {
    pub address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tonic::async_trait]
impl Ingest for Collector {
    type DeliverStream = ReceiverStream<Result<v1::CollectorMessage, Status>>;

    async fn deliver(
        &self,
        request: Request<Streaming<v1::AgentMessage>>,
    ) -> Result<Response<Self::DeliverStream>, Status> {
        let peer = request.extensions().get::<Peer>().cloned().unwrap();
        let mut messages = request.into_inner();
        let Some(v1::AgentMessage { message: Some(Up::Hello(hello)) }) = messages.message().await? else {
            return Err(Status::invalid_argument("no hello"));
        };
        if peer.identity.is_some_and(|identity| !identity.may_speak_for(&hello.node)) {
            return Err(Status::permission_denied(format!("the certificate is not that of {}", hello.node)));
        }
        if let Some(status) = self.manners.lock().unwrap().turned_away.clone() {
            return Err(status);
        }
        let (down, answers) = mpsc::channel(64);
        let collector = self.clone();
        tokio::spawn(async move {
            if let Err(status) = collector.connection(hello, messages, &down).await {
                let _ = down.send(Err(status)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}

type Answers = mpsc::Sender<Result<v1::CollectorMessage, Status>>;

impl Collector {
    async fn connection(
        &self,
        hello: v1::Hello,
        mut messages: Streaming<v1::AgentMessage>,
        down: &Answers,
    ) -> Result<(), Status> {
        let (number, watermarks) = {
            let mut store = self.store.lock().unwrap();
            let watermarks = store.watermarks(&hello);
            store.hellos.push(hello);
            (store.hellos.len(), watermarks)
        };
        let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let welcome = v1::Welcome {
            schema: SCHEMA,
            watermarks,
            max_message_bytes: 4 << 20,
            wall_unix_ns: wall.as_nanos() as i64,
        };
        say(down, Down::Welcome(welcome)).await;
        let mut known = HashSet::new();
        let mut batches = 0;
        while let Some(message) = messages.message().await? {
            let manners = self.manners.lock().unwrap().clone();
            match message.message {
                Some(Up::Batch(batch)) => {
                    batches += 1;
                    if manners.reads.is_some_and(|reads| batches > reads) {
                        std::future::pending::<()>().await;
                    }
                    if manners.hangs_up_after.is_some_and(|after| batches > after) {
                        return Err(Status::unavailable("hangs up"));
                    }
                    let acked = self.take(number, batch, &mut known, manners.is_forgetful)?;
                    if let Some(pause) = manners.pause.filter(|_| batches == 1) {
                        let pause_ms = pause.as_millis() as u32;
                        let reason = v1::PressureReason::Quota.into();
                        say(down, Down::Pressure(v1::Pressure { reason, pause_ms })).await;
                    }
                    if !manners.is_mute && !manners.is_forgetful {
                        let sequence = acked.sequence + manners.boasts;
                        let watermark = Some(v1::Watermark { sequence, ..acked });
                        say(down, Down::Ack(v1::Ack { watermark })).await;
                    }
                }
                Some(Up::Heartbeat(heartbeat)) => self.store.lock().unwrap().heartbeats.push(heartbeat),
                Some(Up::Inventory(inventory)) => self.store.lock().unwrap().inventories.push(inventory),
                Some(Up::Hello(_)) | None => return Err(Status::invalid_argument("a second hello")),
            }
        }
        Ok(())
    }

    fn take(
        &self,
        connection: usize,
        batch: v1::Batch,
        known: &mut HashSet<(u64, u32)>,
        is_forgetful: bool,
    ) -> Result<v1::Watermark, Status> {
        let mut store = self.store.lock().unwrap();
        let v1::Batch { epoch, lane, first_sequence, processes, containers: _, forget, records } = batch;
        if records.iter().any(|record| record.boottime_ns == POISON) {
            return Err(Status::invalid_argument("poison"));
        }
        if forget {
            known.clear();
        }
        for process in &processes {
            let id = process.id.unwrap();
            if !known.insert((id.start_ticks, id.tgid)) {
                store.wrong.push(format!("process {} was sent twice", id.tgid));
            }
        }
        for record in &records {
            if let Some(v1::record::Event::Exec(exec)) = &record.event {
                let id = exec.process.unwrap();
                if !known.contains(&(id.start_ticks, id.tgid)) {
                    store.wrong.push(format!("process {} was never sent", id.tgid));
                }
            }
        }
        store.batches.push(Arrived {
            connection,
            lane: v1::Lane::try_from(lane).unwrap(),
            first: first_sequence,
            processes: processes.len(),
        });
        let mut sequence = first_sequence + records.len() as u64 - 1;
        if !is_forgetful {
            let before = store.watermark(epoch, lane);
            let events = store.events.entry((epoch, lane)).or_default();
            for (number, record) in (first_sequence..).zip(records) {
                if number > before {
                    events.insert(number, record);
                }
            }
            sequence = sequence.max(before);
        }
        Ok(v1::Watermark { epoch, lane, sequence })
    }
}

async fn say(down: &Answers, message: Down) {
    // The agent may be gone.
    let _ = down.send(Ok(v1::CollectorMessage { message: Some(message) })).await;
}

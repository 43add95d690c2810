//! gRPC as it is on the wire, so that one process can play many agents, and bad ones: messages are
//! encoded and compressed before they are needed, and sent as they are.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, bail};
use bytes::{Buf, Bytes, BytesMut};
use h2::{
    RecvStream, SendStream,
    client::{self, ResponseFuture},
};
use http::{HeaderMap, Request};
use kestrel_proto::v1::{AgentMessage, CollectorMessage, collector_message::Message};
use prost::Message as _;
use tokio::{net::TcpStream, task::JoinHandle};

const METHOD: &str = "/kestrel.v1.Ingest/Deliver";
const LIMIT: Duration = Duration::from_secs(60);

/// A message as it is on the wire: flag, length, bytes.
#[derive(Clone, Debug)]
pub struct Frame(Bytes);

impl Frame {
    /// Compressed, as agents do.
    pub fn of(message: &AgentMessage) -> Result<Self> {
        let bytes = zstd::bulk::compress(&message.encode_to_vec(), 3)?;
        Ok(Self::raw(true, &bytes))
    }

    /// Whatever these bytes are.
    #[must_use]
    pub fn raw(compressed: bool, bytes: &[u8]) -> Self {
        let mut frame = BytesMut::with_capacity(bytes.len() + 5);
        frame.extend_from_slice(&[u8::from(compressed)]);
        frame.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        frame.extend_from_slice(bytes);
        Self(frame.freeze())
    }

    /// Bytes on the wire, but for those of HTTP/2's frames.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.len()
    }
}

/// A connection of an agent to a collector.
#[derive(Debug)]
pub struct Connection {
    up: Up,
    down: Down,
}

/// What goes to the collector.
#[derive(Debug)]
pub struct Up(SendStream<Bytes>);

/// What comes from it. Dropping it ends the connection.
#[derive(Debug)]
pub struct Down {
    response: Option<ResponseFuture>,
    receive: Option<RecvStream>,
    received: BytesMut,
    driver: JoinHandle<()>,
}

/// What a collector says.
#[derive(Debug)]
pub enum Heard {
    /// A message.
    Message(Box<Message>),
    /// It ended the stream.
    Ended(Ended),
}

/// How a collector ended a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// gRPC status code.
    pub code: i32,
    /// Its reason.
    pub message: String,
}

impl Connection {
    /// Connects and opens the stream.
    pub async fn open(collector: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(collector).await?;
        stream.set_nodelay(true)?;
        let (client, connection) = client::handshake(stream).await?;
        // An error of the connection shows in its stream too.
        let driver = tokio::spawn(async move { drop(connection.await) });
        let mut client = client.ready().await?;
        let request = Request::post(format!("http://{collector}{METHOD}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-encoding", "zstd")
            .header("grpc-accept-encoding", "identity")
            .body(())?;
        let (response, send) = client.send_request(request, false)?;
        let down = Down { response: Some(response), receive: None, received: BytesMut::new(), driver };
        Ok(Self { up: Up(send), down })
    }

    /// Both ways apart.
    #[must_use]
    pub fn split(self) -> (Up, Down) {
        (self.up, self.down)
    }

    /// As [`Up::send`]; where the collector has ended the stream, its reason is the error.
    pub async fn send(&mut self, frame: &Frame) -> Result<()> {
        let Err(error) = self.up.send(frame).await else { return Ok(()) };
        loop {
            match self.down.hear().await {
                Ok(Heard::Message(_)) => {}
                Ok(Heard::Ended(ended)) => bail!("the collector ended the stream: {ended:?}"),
                Err(_) => return Err(error),
            }
        }
    }

    /// As [`Down::hear`].
    pub async fn hear(&mut self) -> Result<Heard> {
        self.down.hear().await
    }
}

impl Up {
    /// Sends a message, waiting for room as HTTP/2 wants it.
    pub async fn send(&mut self, frame: &Frame) -> Result<()> {
        let mut rest = frame.0.clone();
        while !rest.is_empty() {
            self.0.reserve_capacity(rest.len());
            let capacity = std::future::poll_fn(|context| self.0.poll_capacity(context)).await;
            let capacity = capacity.context("the stream has ended")??;
            let part = rest.split_to(capacity.min(rest.len()));
            self.0.send_data(part, false)?;
        }
        Ok(())
    }
}

impl Down {
    /// The next message, or the end.
    pub async fn hear(&mut self) -> Result<Heard> {
        tokio::time::timeout(LIMIT, self.next()).await.context("the collector says nothing")?
    }

    async fn next(&mut self) -> Result<Heard> {
        if let Some(response) = self.response.take() {
            let (head, body) = response.await?.into_parts();
            if let Some(ended) = ended(&head.headers) {
                return Ok(Heard::Ended(ended));
            }
            self.receive = Some(body);
        }
        let body = self.receive.as_mut().context("the stream has ended")?;
        loop {
            if let Some(message) = take(&mut self.received)? {
                return Ok(Heard::Message(Box::new(message)));
            }
            match body.data().await {
                Some(data) => {
                    let data = data?;
                    body.flow_control().release_capacity(data.len())?;
                    self.received.extend_from_slice(&data);
                }
                None => {
                    let trailers = body.trailers().await?.unwrap_or_default();
                    return Ok(Heard::Ended(ended(&trailers).context("an end without a status")?));
                }
            }
        }
    }
}

impl Drop for Down {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn take(received: &mut BytesMut) -> Result<Option<Message>> {
    let Some(head) = received.first_chunk::<5>() else { return Ok(None) };
    let [flag, length @ ..] = *head;
    let length = usize::try_from(u32::from_be_bytes(length))?;
    if received.len() < 5 + length {
        return Ok(None);
    }
    if flag != 0 {
        bail!("an answer is compressed, which was not asked for");
    }
    received.advance(5);
    let message = CollectorMessage::decode(received.split_to(length).freeze())?;
    Ok(Some(message.message.context("an answer without a message")?))
}

fn ended(headers: &HeaderMap) -> Option<Ended> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let code = text("grpc-status")?.parse().ok()?;
    Some(Ended { code, message: text("grpc-message").unwrap_or_default().to_owned() })
}

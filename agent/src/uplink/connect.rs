//! From nothing to a welcome.

use std::time::Duration;

use kestrel_proto::{SCHEMA, v1};
use kestrel_tls::{ClientTls, Connector};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Streaming,
    client::Grpc,
    codec::CompressionEncoding,
    codegen::http::uri::PathAndQuery,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

use super::{
    Settings,
    drift::drift,
    end::End,
    wire::{AgentMessage, Payload},
};
use crate::{
    config,
    outbox::{EpochId, Lane, Watermark},
    pipeline::clock,
};

const DELIVER: &str = "/kestrel.v1.Ingest/Deliver";
/// Longest answer: acks and a welcome with some watermarks.
const ANSWER_BYTES: usize = 1 << 20;

/// Makes connections, each with the certificates of the moment.
#[derive(Debug)]
pub(super) struct Dialer {
    uplink: config::Uplink,
    /// Once the files were there: they may come later than the agent.
    tls: Option<ClientTls>,
    connect_time: Duration,
    answer_time: Duration,
    ping: Duration,
}

/// A connection on which the collector has welcomed the agent.
pub(super) struct Connection {
    pub(super) outbound: mpsc::Sender<AgentMessage>,
    pub(super) inbound: Streaming<v1::CollectorMessage>,
    pub(super) welcome: Welcome,
}

/// What the collector said.
pub(super) struct Welcome {
    pub(super) watermarks: Vec<Watermark>,
    /// Largest message that it takes.
    pub(super) max_message_bytes: usize,
    pub(super) drift_ns: Option<i64>,
}

impl Dialer {
    pub(super) const fn new(uplink: config::Uplink, settings: &Settings) -> Self {
        Self {
            uplink,
            tls: None,
            connect_time: settings.connect_time,
            answer_time: settings.answer_time,
            ping: settings.ping,
        }
    }

    /// Connects, says hello, waits for the welcome.
    pub(super) async fn dial(
        &mut self,
        settings: &Settings,
        epochs: Vec<EpochId>,
    ) -> Result<Connection, End> {
        let channel = self.channel().await?;
        // One message: what is behind it waits here, where it can still change.
        let (outbound, messages) = mpsc::channel(1);
        let asked = clock::now();
        let hello = Payload::Hello(hello(settings, epochs, asked));
        // The channel is empty and its receiver is there.
        let _ = outbound.try_send(hello.into());
        let mut client = Grpc::new(channel)
            .send_compressed(CompressionEncoding::Zstd)
            .accept_compressed(CompressionEncoding::Zstd)
            .max_decoding_message_size(ANSWER_BYTES);
        let answered = async {
            client.ready().await.map_err(|error| End::Unreachable(kestrel_tls::reason(&error)))?;
            let codec = ProstCodec::<AgentMessage, v1::CollectorMessage>::default();
            let request = Request::new(ReceiverStream::new(messages));
            let response = client.streaming(request, PathAndQuery::from_static(DELIVER), codec).await?;
            let mut inbound = response.into_inner();
            let first = inbound.message().await?.ok_or(End::Closed)?;
            Ok::<_, End>((inbound, first))
        };
        let (inbound, first) = timeout(self.answer_time, answered).await.map_err(|_| End::NoWelcome)??;
        let answered = clock::now();
        let Some(v1::collector_message::Message::Welcome(welcome)) = first.message else {
            return Err(End::Protocol("its first message is no welcome"));
        };
        let drift_ns = drift(asked.wall_ns, answered.wall_ns, welcome.wall_unix_ns);
        let max_message_bytes = usize::try_from(welcome.max_message_bytes).unwrap_or(usize::MAX);
        let watermarks = welcome.watermarks.iter().filter_map(watermark).collect();
        Ok(Connection { outbound, inbound, welcome: Welcome { watermarks, max_message_bytes, drift_ns } })
    }

    async fn channel(&mut self) -> Result<Channel, End> {
        let unreachable =
            |error: &(dyn std::error::Error + 'static)| End::Unreachable(kestrel_tls::reason(error));
        let config::Uplink { endpoint, tls, drain_timeout: _ } = &self.uplink;
        if let (None, Some(tls)) = (&self.tls, tls) {
            let opened = ClientTls::open(tls.material.clone()).map_err(|error| unreachable(&error))?;
            self.tls = Some(opened);
        }
        let server_name = tls.as_ref().and_then(|tls| tls.server_name.as_deref());
        let connector = Connector::new(endpoint.clone(), self.tls.clone(), server_name, self.connect_time)
            .map_err(|error| unreachable(&error))?;
        let deadline = Instant::now() + self.connect_time * 2;
        let target = Endpoint::from_shared(endpoint.uri())
            .map_err(|error| unreachable(&error))?
            // A peer that is gone without a word is noticed, also while there is nothing to say.
            .http2_keep_alive_interval(self.ping)
            .keep_alive_timeout(self.ping * 2)
            .keep_alive_while_idle(true);
        match timeout_at(deadline, target.connect_with_connector(connector)).await {
            Ok(connected) => connected.map_err(|error| unreachable(&error)),
            Err(_elapsed) => Err(End::Unreachable(format!("{endpoint} did not answer in time"))),
        }
    }
}

fn hello(settings: &Settings, epochs: Vec<EpochId>, now: crate::time::Clock) -> v1::Hello {
    let Settings { cluster, node, boot_id, kernel, .. } = settings;
    let epochs = epochs.into_iter().map(|EpochId { epoch, boot_id }| v1::Epoch { epoch, boot_id });
    v1::Hello {
        schema: SCHEMA,
        cluster: cluster.clone(),
        node: node.clone(),
        boot_id: boot_id.clone(),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        kernel: kernel.clone(),
        epochs: epochs.collect(),
        wall_unix_ns: i64::try_from(now.wall_ns).unwrap_or(i64::MAX),
        boottime_ns: now.boottime_ns,
    }
}

/// `None` for a lane that is not known here.
pub(super) fn watermark(watermark: &v1::Watermark) -> Option<Watermark> {
    let v1::Watermark { epoch, lane, sequence } = *watermark;
    Some(Watermark { epoch, lane: Lane::from_proto(lane)?, sequence })
}

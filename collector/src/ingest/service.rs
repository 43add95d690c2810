//! `kestrel.v1.Ingest` as tonic serves it. Not the generated server: that one decodes a message
//! before anybody can say how much memory it may take.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use kestrel_proto::v1::{AgentMessage, CollectorMessage, ingest_server::SERVICE_NAME};
use kestrel_tls::Peer;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    codec::{CompressionEncoding, EnabledCompressionEncodings},
    codegen::{Body as HttpBody, Service, StdError, http},
    server::{Grpc, NamedService, StreamingService},
};

use super::{Ingest, MAX_MESSAGE_BYTES, decode::AgentCodec, session};

/// Answers on their way to a peer.
const ANSWERS: usize = 64;
const DELIVER: &str = "/kestrel.v1.Ingest/Deliver";

/// Serves agents.
#[derive(Clone, Debug)]
pub struct IngestService(Arc<Ingest>);

impl IngestService {
    /// With everything shared between connections.
    #[must_use]
    pub fn new(ingest: Arc<Ingest>) -> Self {
        Self(ingest)
    }
}

impl NamedService for IngestService {
    const NAME: &'static str = SERVICE_NAME;
}

type Answer<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<B> Service<http::Request<B>> for IngestService
where
    B: HttpBody + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let ingest = Arc::clone(&self.0);
        Box::pin(async move {
            if request.uri().path() != DELIVER {
                return Ok(Status::unimplemented("no such method").into_http());
            }
            let mut encodings = EnabledCompressionEncodings::default();
            encodings.enable(CompressionEncoding::Zstd);
            let mut grpc = Grpc::new(AgentCodec)
                .apply_compression_config(encodings, EnabledCompressionEncodings::default())
                .apply_max_message_size_config(Some(MAX_MESSAGE_BYTES), None);
            Ok(grpc.streaming(Deliver(ingest), request).await)
        })
    }
}

struct Deliver(Arc<Ingest>);

impl StreamingService<AgentMessage> for Deliver {
    type Response = CollectorMessage;
    type ResponseStream = ReceiverStream<Result<CollectorMessage, Status>>;
    type Future = Answer<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<AgentMessage>>) -> Self::Future {
        let ingest = Arc::clone(&self.0);
        let (answers, stream) = mpsc::channel(ANSWERS);
        let peer = request.extensions().get::<Peer>().cloned();
        // A task of its own: what it asked of the log has to be settled even if the peer is gone.
        let session = session::run(Arc::clone(&ingest), peer, request.into_inner(), answers);
        ingest.sessions.spawn(session);
        Box::pin(async move { Ok(Response::new(ReceiverStream::new(stream))) })
    }
}

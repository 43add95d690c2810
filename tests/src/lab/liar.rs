//! A runtime's socket behind which somebody changes the answers: what a runtime says is not what is so.

use std::{
    convert::Infallible,
    future::Future,
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll},
    thread::{self, JoinHandle},
};

use anyhow::{Context as _, Result};
use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use k8s_cri::v1::ContainerStatusResponse;
use prost::Message;
use tokio::{
    net::{UnixListener, UnixStream},
    runtime::Builder,
    sync::oneshot,
};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{
    Request, Response, Status,
    body::Body,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    server::{Grpc, NamedService, UnaryService},
    transport::{Channel, Endpoint, Server, Uri},
};
use tower::Service;

/// Changes what is said of a container.
pub type Lie = fn(&mut ContainerStatusResponse);

const STATUS: &str = "/runtime.v1.RuntimeService/ContainerStatus";

/// Passes calls on to the runtime and its answers back, all but those on containers as they are.
#[derive(Debug)]
pub struct Liar {
    socket: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<Result<()>>>,
}

impl Liar {
    /// Listens on `socket` for the runtime at `honest`.
    pub fn start(socket: &Path, honest: &Path, lie: Lie) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let listener = {
            let _in_runtime = runtime.enter();
            UnixListener::bind(socket).with_context(|| format!("cannot listen on {}", socket.display()))?
        };
        let honest = honest.to_owned();
        let serving = thread::spawn(move || {
            runtime.block_on(async {
                let honest = connect(honest);
                Server::builder()
                    .add_service(Runtime(Passing { honest: honest.clone(), lie }))
                    .add_service(Images(Passing { honest, lie }))
                    .serve_with_incoming_shutdown(UnixListenerStream::new(listener), async {
                        let _ = stopped.await;
                    })
                    .await
            })?;
            Ok(())
        });
        Ok(Self { socket: socket.to_owned(), stop: Some(stop), serving: Some(serving) })
    }

    /// Where it listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Ends it, once its clients are gone.
    pub fn stop(mut self) -> Result<()> {
        drop(self.stop.take());
        let serving = self.serving.take().context("it was stopped")?;
        serving.join().map_err(|_panic| anyhow::anyhow!("the liar panicked"))?
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        drop(self.stop.take());
    }
}

fn connect(honest: PathBuf) -> Channel {
    let connector = tower::service_fn(move |_: Uri| {
        let honest = honest.clone();
        async move { Ok::<_, std::io::Error>(TokioIo::new(UnixStream::connect(honest).await?)) }
    });
    Endpoint::from_static("http://localhost").connect_with_connector_lazy(connector)
}

#[derive(Clone)]
struct Passing {
    honest: Channel,
    lie: Lie,
}

impl Passing {
    fn pass(&self, request: http::Request<Body>) -> Answer {
        let path = request.uri().path_and_query().cloned();
        let call = Call { passing: self.clone(), path };
        Box::pin(async move { Ok(Grpc::new(AsItIs).unary(call, request).await) })
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

struct Call {
    passing: Passing,
    path: Option<PathAndQuery>,
}

impl UnaryService<Bytes> for Call {
    type Response = Bytes;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Bytes>, Status>> + Send>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let Passing { honest, lie } = self.passing.clone();
        let path = self.path.clone();
        Box::pin(async move {
            let path = path.ok_or_else(|| Status::internal("a call without a path"))?;
            let is_status = path.as_str() == STATUS;
            let mut client = tonic::client::Grpc::new(honest);
            client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
            let answer = client.unary(Request::new(request.into_inner()), path, AsItIs).await?.into_inner();
            if !is_status {
                return Ok(Response::new(answer));
            }
            let mut status = ContainerStatusResponse::decode(answer)
                .map_err(|error| Status::internal(error.to_string()))?;
            lie(&mut status);
            Ok(Response::new(status.encode_to_vec().into()))
        })
    }
}

macro_rules! service {
    ($service:ident, $name:literal) => {
        #[derive(Clone)]
        struct $service(Passing);

        impl NamedService for $service {
            const NAME: &'static str = $name;
        }

        impl Service<http::Request<Body>> for $service {
            type Response = http::Response<Body>;
            type Error = Infallible;
            type Future = Answer;

            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
                Poll::Ready(Ok(()))
            }

            fn call(&mut self, request: http::Request<Body>) -> Answer {
                self.0.pass(request)
            }
        }
    };
}

service!(Runtime, "runtime.v1.RuntimeService");
service!(Images, "runtime.v1.ImageService");

/// Messages that nobody looks into.
#[derive(Clone, Copy)]
struct AsItIs;

impl Codec for AsItIs {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for AsItIs {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for AsItIs {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

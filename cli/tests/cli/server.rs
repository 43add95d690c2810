//! A Watch service that answers what a test tells it to, and remembers what it was asked.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
};

use kestrel_proto::v1::{
    self,
    watch_server::{Watch, WatchServer},
};
use kestrel_tls::{Limits, ListenAddress, Listener, Security};
use tokio::sync::oneshot;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, codec::CompressionEncoding};

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What it answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    pub findings: Vec<v1::FindingsResponse>,
    pub inventory: Vec<v1::InventoryResponse>,
    pub nodes: Vec<v1::Node>,
    pub status: v1::StatusResponse,
    /// One list a call of Tail, the last one for all that follow; an error ends the call.
    pub tail: Vec<Vec<Result<v1::tail_response::Response, Status>>>,
    /// After the last answer a follower waits.
    pub hold: bool,
}

#[derive(Clone, Debug)]
struct Scripted {
    script: Arc<Script>,
    asked: Arc<Mutex<Asked>>,
}

/// What it was asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub tail: Vec<v1::TailRequest>,
    pub findings: Vec<v1::FindingsRequest>,
    pub inventory: Vec<v1::InventoryRequest>,
}

/// It runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Asked>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(script: Script) -> Self {
        Self::start_with(script, Security::Plain)
    }

    pub(crate) fn start_with(script: Script, security: Security) -> Self {
        let asked = Arc::<Mutex<Asked>>::default();
        let service = Scripted { script: Arc::new(script), asked: Arc::clone(&asked) };
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let any = ListenAddress::parse("127.0.0.1:0").unwrap();
                let listener = Listener::bind(&any, security, Limits::default()).await.unwrap();
                tell.send(listener.address().unwrap()).unwrap();
                let service = WatchServer::new(service).send_compressed(CompressionEncoding::Zstd);
                let serve = tonic::transport::Server::builder()
                    .add_service(service)
                    .serve_with_incoming(listener.incoming());
                tokio::select! {
                    served = serve => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self { address: told.recv().unwrap(), asked, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn asked(&self) -> Asked {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[tonic::async_trait]
impl Watch for Scripted {
    type TailStream = Answers<v1::TailResponse>;
    type FindingsStream = Answers<v1::FindingsResponse>;
    type InventoryStream = Answers<v1::InventoryResponse>;

    async fn tail(&self, request: Request<v1::TailRequest>) -> Result<Response<Self::TailStream>, Status> {
        let request = request.into_inner();
        let follow = request.follow;
        let number = {
            let mut asked = self.asked.lock().unwrap();
            asked.tail.push(request);
            asked.tail.len() - 1
        };
        let all = &self.script.tail;
        let answers = all.get(number).or(all.last()).cloned().unwrap_or_default();
        let answers = answers
            .into_iter()
            .map(|answer| answer.map(|response| v1::TailResponse { response: Some(response) }));
        let answers = tokio_stream::iter(answers.collect::<Vec<_>>());
        Ok(Response::new(if follow && self.script.hold {
            Box::pin(answers.chain(tokio_stream::pending()))
        } else {
            Box::pin(answers)
        }))
    }

    async fn findings(
        &self,
        request: Request<v1::FindingsRequest>,
    ) -> Result<Response<Self::FindingsStream>, Status> {
        self.asked.lock().unwrap().findings.push(request.into_inner());
        Ok(Response::new(Box::pin(tokio_stream::iter(self.script.findings.clone()).map(Ok))))
    }

    async fn inventory(
        &self,
        request: Request<v1::InventoryRequest>,
    ) -> Result<Response<Self::InventoryStream>, Status> {
        self.asked.lock().unwrap().inventory.push(request.into_inner());
        Ok(Response::new(Box::pin(tokio_stream::iter(self.script.inventory.clone()).map(Ok))))
    }

    async fn nodes(&self, _: Request<v1::NodesRequest>) -> Result<Response<v1::NodesResponse>, Status> {
        Ok(Response::new(v1::NodesResponse { nodes: self.script.nodes.clone() }))
    }

    async fn status(&self, _: Request<v1::StatusRequest>) -> Result<Response<v1::StatusResponse>, Status> {
        Ok(Response::new(self.script.status.clone()))
    }
}

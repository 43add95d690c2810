//! What a collector tells whoever watches.

use std::time::Duration;

use anyhow::{Result, ensure};
use kestrel_proto::v1::{
    self, Envelope, Filter, Missed, TailRequest, tail_request::Start, tail_response::Response,
    watch_client::WatchClient,
};
use tokio::runtime::{Builder, Runtime};
use tonic::transport::{Channel, Endpoint};

const LIMIT: Duration = Duration::from_secs(60);

/// A client of a collector. Its calls wait for their answer.
#[derive(Debug)]
pub struct Watcher {
    runtime: Runtime,
    client: WatchClient<Channel>,
}

/// All that a collector has, in its order.
#[derive(Debug, Default)]
pub struct Past {
    /// Events.
    pub events: Vec<Envelope>,
    /// What it could not give.
    pub missed: Vec<Missed>,
}

impl Watcher {
    /// Of the collector at this endpoint; connects when asked.
    pub fn new(endpoint: &str) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let endpoint = Endpoint::from_shared(endpoint.to_owned())?.connect_timeout(Duration::from_secs(5));
        let client = {
            let _entered = runtime.enter();
            WatchClient::new(endpoint.connect_lazy()).max_decoding_message_size(16 << 20)
        };
        Ok(Self { runtime, client })
    }

    /// Every event from the oldest on that fits.
    pub fn past(&mut self, filter: Filter) -> Result<Past> {
        let request =
            TailRequest { filter: Some(filter), start: Some(Start::Oldest(v1::Oldest {})), follow: false };
        let Self { runtime, client } = self;
        runtime.block_on(async {
            let mut past = Past::default();
            let all = async {
                let mut stream = client.tail(request).await?.into_inner();
                while let Some(response) = stream.message().await? {
                    match response.response {
                        Some(Response::Event(event)) => past.events.push(event),
                        Some(Response::Missed(missed)) => past.missed.push(missed),
                        Some(Response::Reached(_)) | None => {}
                    }
                }
                Ok::<_, tonic::Status>(())
            };
            tokio::time::timeout(LIMIT, all).await??;
            Ok(past)
        })
    }

    /// Findings as they are now, resolved ones too.
    pub fn findings(&mut self) -> Result<Vec<v1::FindingsResponse>> {
        let request = v1::FindingsRequest { filter: None, resolved: true };
        let Self { runtime, client } = self;
        runtime.block_on(async {
            let mut stream = client.findings(request).await?.into_inner();
            let mut findings = Vec::new();
            while let Some(response) = tokio::time::timeout(LIMIT, stream.message()).await?? {
                ensure!(response.finding.is_some(), "an answer without a finding");
                findings.push(response);
            }
            Ok(findings)
        })
    }

    /// Containers as they are now.
    pub fn inventory(&mut self) -> Result<Vec<v1::InventoryResponse>> {
        let Self { runtime, client } = self;
        runtime.block_on(async {
            let mut stream = client.inventory(v1::InventoryRequest::default()).await?.into_inner();
            let mut containers = Vec::new();
            while let Some(response) = tokio::time::timeout(LIMIT, stream.message()).await?? {
                containers.push(response);
            }
            Ok(containers)
        })
    }

    /// Nodes as they are now.
    pub fn nodes(&mut self) -> Result<Vec<v1::Node>> {
        let Self { runtime, client } = self;
        let nodes = client.nodes(v1::NodesRequest::default());
        Ok(runtime.block_on(async { tokio::time::timeout(LIMIT, nodes).await })??.into_inner().nodes)
    }

    /// The collector itself.
    pub fn status(&mut self) -> Result<v1::StatusResponse> {
        let Self { runtime, client } = self;
        let status = client.status(v1::StatusRequest {});
        Ok(runtime.block_on(async { tokio::time::timeout(LIMIT, status).await })??.into_inner())
    }
}

//! Watch: what people and programs ask the collector. Read-only.

mod access;
mod list;
mod status;
pub mod tail;
#[cfg(test)]
mod tests;

use std::{fmt, pin::Pin, sync::Arc};

use kestrel_proto::v1::{
    FindingsRequest, FindingsResponse, InventoryRequest, InventoryResponse, NodesRequest, NodesResponse,
    StatusRequest, StatusResponse, TailRequest, TailResponse, watch_server::Watch,
};
use tokio::{sync::Semaphore, time::Instant};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::{
    alert::Alerts,
    live::{Filter, Live},
    log::Log,
    state::State,
};

/// What of the collector is not as it should be, each with what to do.
pub type Health = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

/// What a watcher may use up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Tails at once.
    pub tails: usize,
    /// Lists that are being sent at once.
    pub lists: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { tails: 64, lists: 16 }
    }
}

/// Answers watchers.
#[derive(Clone)]
pub struct WatchService {
    log: Log,
    state: State,
    live: Live,
    alerts: Alerts,
    health: Health,
    started: Instant,
    tails: Arc<Semaphore>,
    lists: Arc<Semaphore>,
    stop: CancellationToken,
}

impl fmt::Debug for WatchService {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WatchService").field("tails", &self.tails).finish_non_exhaustive()
    }
}

impl WatchService {
    /// `health` is asked at each status; `stop` ends all tails.
    #[must_use]
    pub fn new(
        log: Log,
        state: State,
        live: Live,
        alerts: Alerts,
        health: Health,
        limits: Limits,
        stop: CancellationToken,
    ) -> Self {
        Self {
            log,
            state,
            live,
            alerts,
            health,
            started: Instant::now(),
            tails: Arc::new(Semaphore::new(limits.tails)),
            lists: Arc::new(Semaphore::new(limits.lists)),
            stop,
        }
    }

    /// Tails that are being sent.
    #[must_use]
    pub fn tails(&self) -> &Semaphore {
        &self.tails
    }
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Watch for WatchService {
    type TailStream = ReceiverStream<Result<TailResponse, Status>>;
    type FindingsStream = Answers<FindingsResponse>;
    type InventoryStream = Answers<InventoryResponse>;

    async fn tail(&self, request: Request<TailRequest>) -> Result<Response<Self::TailStream>, Status> {
        access::may_watch(request.extensions())?;
        let permit = Arc::clone(&self.tails)
            .try_acquire_owned()
            .map_err(|_| Status::resource_exhausted("this collector serves no more tails at once"))?;
        let (log, live) = (self.log.clone(), self.live.clone());
        let tail = tail::start(log, live, request.into_inner(), permit, self.stop.clone()).await?;
        Ok(Response::new(tail))
    }

    async fn findings(
        &self,
        request: Request<FindingsRequest>,
    ) -> Result<Response<Self::FindingsStream>, Status> {
        access::may_watch(request.extensions())?;
        let FindingsRequest { filter, resolved } = request.into_inner();
        let filter = checked(filter)?;
        let permit = self.list_permit()?;
        let findings = list::findings(&self.state, &filter, resolved);
        Ok(Response::new(list::stream(findings, permit)))
    }

    async fn inventory(
        &self,
        request: Request<InventoryRequest>,
    ) -> Result<Response<Self::InventoryStream>, Status> {
        access::may_watch(request.extensions())?;
        let filter = checked(request.into_inner().filter)?;
        let permit = self.list_permit()?;
        let containers = list::containers(&self.state, &filter);
        Ok(Response::new(list::stream(containers, permit)))
    }

    async fn nodes(&self, request: Request<NodesRequest>) -> Result<Response<NodesResponse>, Status> {
        access::may_watch(request.extensions())?;
        let filter = checked(request.into_inner().filter)?;
        Ok(Response::new(NodesResponse { nodes: list::nodes(&self.state, &filter) }))
    }

    async fn status(&self, request: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        access::may_watch(request.extensions())?;
        Ok(Response::new(self.report()))
    }
}

impl WatchService {
    fn list_permit(&self) -> Result<tokio::sync::OwnedSemaphorePermit, Status> {
        Arc::clone(&self.lists)
            .try_acquire_owned()
            .map_err(|_| Status::resource_exhausted("this collector sends no more lists at once"))
    }
}

fn checked(filter: Option<kestrel_proto::v1::Filter>) -> Result<Filter, Status> {
    Filter::try_from(filter.unwrap_or_default()).map_err(|error| Status::invalid_argument(error.to_string()))
}

//! Calls to the runtime, each bounded in time and size.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use k8s_cri::v1::{
    ContainerFilter, ContainerStatus, ContainerStatusRequest, ContainerStatusResponse, ImageSpec,
    ImageStatusRequest, ListContainersRequest, PodSandboxStatusRequest, PodSandboxStatusResponse,
    VersionRequest, image_service_client::ImageServiceClient, runtime_service_client::RuntimeServiceClient,
};
use thiserror::Error;
use tokio::{net::UnixStream, time::timeout};
use tonic::{
    Code, Response, Status,
    transport::{Channel, Endpoint, Uri},
};

use super::{
    RuntimeVersion, Settings,
    answer::{Sandbox, of_container, of_sandbox},
    declared::Info,
    image::{self, Images},
};
use crate::context::{ContainerId, Names, PendingReason};

/// Sockets that are tried in this order where none is configured.
pub const SOCKETS: &[&str] = &[
    "/run/containerd/containerd.sock",
    "/run/k3s/containerd/containerd.sock",
    "/run/k0s/containerd.sock",
    "/var/snap/microk8s/common/run/containerd.sock",
    "/run/crio/crio.sock",
    "/var/run/crio/crio.sock",
    "/run/cri-dockerd.sock",
    "/var/run/cri-dockerd.sock",
];

/// Longest reference to an image that is asked for.
const IMAGE_BYTES: usize = 512;

/// Why the runtime did not name a container.
#[derive(Debug, Error)]
pub enum CriError {
    /// No socket to ask.
    #[error("no CRI socket was found")]
    NoSocket,
    /// No answer in time.
    #[error("the runtime did not answer within {0:?}")]
    Timeout(Duration),
    /// It does not know the id.
    #[error("the runtime does not know the container")]
    NotKnown,
    /// Its answer is on something else.
    #[error("the runtime answered on another container")]
    WrongAnswer,
    /// The call failed.
    #[error("call to the runtime failed")]
    Call(#[source] Box<Status>),
}

impl CriError {
    /// As posture shows it.
    #[must_use]
    pub const fn reason(&self) -> PendingReason {
        match self {
            Self::NoSocket => PendingReason::NoRuntime,
            Self::Timeout(_) | Self::Call(_) => PendingReason::RuntimeUnavailable,
            Self::NotKnown | Self::WrongAnswer => PendingReason::NotKnown,
        }
    }
}

/// A runtime, connected when it is asked, and again after it was restarted.
#[derive(Clone, Debug)]
pub(super) struct Client {
    service: RuntimeServiceClient<Channel>,
    image_service: ImageServiceClient<Channel>,
    images: Images,
    socket: Option<PathBuf>,
    call_timeout: Duration,
}

impl Client {
    pub(super) fn new(settings: &Settings) -> Self {
        let socket = settings.socket.clone();
        let at = socket.clone();
        let connector = tower::service_fn(move |_: Uri| {
            let at = at.clone();
            async move {
                // Looked for at each connection: a runtime may come later than the agent.
                let path = find(at.as_deref()).ok_or(io::ErrorKind::NotFound)?;
                Ok::<_, io::Error>(TokioIo::new(UnixStream::connect(path).await?))
            }
        });
        // The address is not used; the connector decides.
        let channel = Endpoint::from_static("http://localhost")
            .connect_timeout(settings.call_timeout)
            .connect_with_connector_lazy(connector);
        let most = settings.message_bytes;
        Self {
            service: RuntimeServiceClient::new(channel.clone()).max_decoding_message_size(most),
            image_service: ImageServiceClient::new(channel).max_decoding_message_size(most),
            images: Images::default(),
            socket,
            call_timeout: settings.call_timeout,
        }
    }

    /// Names of a container or of a pod's sandbox.
    pub(super) async fn names(&self, id: &ContainerId) -> Result<Names, CriError> {
        if find(self.socket.as_deref()).is_none() {
            return Err(CriError::NoSocket);
        }
        let id = id.as_str();
        let status = match self.container_status(id).await {
            Err(CriError::NotKnown) => {
                let sandbox = self.sandbox_status(id).await?;
                return of_sandbox(id, sandbox).ok_or(CriError::WrongAnswer);
            }
            other => other?,
        };
        if status.status.as_ref().is_none_or(|status| status.id != id) {
            return Err(CriError::WrongAnswer);
        }
        let info = Info::parse(status.info.get("info"));
        let sandbox = match &info.sandbox_id {
            Some(sandbox) => Some(sandbox.clone()),
            None => self.sandbox_of(id).await?,
        };
        let sandbox = match sandbox {
            None => None,
            Some(sandbox) => match self.sandbox_status(&sandbox).await {
                Ok(response) => Sandbox::of(&sandbox, response),
                // The pod's labels are lost, but not its names.
                Err(CriError::NotKnown) => None,
                Err(error) => return Err(error),
            },
        };
        let image_created = match &status.status {
            Some(status) => self.image_created(status).await,
            None => None,
        };
        of_container(id, status, info, sandbox, image_created).ok_or(CriError::WrongAnswer)
    }

    /// Which runtime it is.
    pub(super) async fn version(&self) -> Result<RuntimeVersion, CriError> {
        if find(self.socket.as_deref()).is_none() {
            return Err(CriError::NoSocket);
        }
        let response = self.within(self.service.clone().version(VersionRequest::default())).await?;
        RuntimeVersion::of(&response.runtime_name, &response.runtime_version).ok_or(CriError::WrongAnswer)
    }

    async fn container_status(&self, id: &str) -> Result<ContainerStatusResponse, CriError> {
        let request = ContainerStatusRequest { container_id: id.to_owned(), verbose: true };
        self.within(self.service.clone().container_status(request)).await
    }

    /// When the container's image was built. A name does not wait for it longer than one call.
    async fn image_created(&self, status: &ContainerStatus) -> Option<i64> {
        let image = status.image.as_ref().map_or("", |image| &image.image);
        let reference = [status.image_ref.as_str(), image]
            .into_iter()
            .find(|reference| !reference.is_empty() && reference.len() <= IMAGE_BYTES)?;
        if let Some(created) = self.images.get(reference) {
            return created;
        }
        let spec = ImageSpec { image: reference.to_owned(), ..ImageSpec::default() };
        let request = ImageStatusRequest { image: Some(spec), verbose: true };
        match self.within(self.image_service.clone().image_status(request)).await {
            Ok(response) => {
                let created = image::created(response.info.get("info"));
                self.images.answered(reference, created);
                created
            }
            Err(CriError::NotKnown) => None,
            Err(error) => {
                tracing::debug!(%error, "the runtime does not tell of an image");
                self.images.failed();
                None
            }
        }
    }

    async fn sandbox_status(&self, id: &str) -> Result<PodSandboxStatusResponse, CriError> {
        let request = PodSandboxStatusRequest { pod_sandbox_id: id.to_owned(), verbose: true };
        self.within(self.service.clone().pod_sandbox_status(request)).await
    }

    /// The sandbox of a container, for runtimes whose verbose status does not tell.
    async fn sandbox_of(&self, id: &str) -> Result<Option<String>, CriError> {
        let filter = ContainerFilter { id: id.to_owned(), ..ContainerFilter::default() };
        let request = ListContainersRequest { filter: Some(filter) };
        let list = match self.within(self.service.clone().list_containers(request)).await {
            Err(CriError::NotKnown) => return Ok(None),
            list => list?,
        };
        let found = list.containers.into_iter().find(|container| container.id == id);
        Ok(found
            .map(|container| container.pod_sandbox_id)
            .filter(|sandbox| !sandbox.is_empty() && sandbox.len() <= 64))
    }

    async fn within<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, CriError> {
        match timeout(self.call_timeout, call).await {
            Err(_elapsed) => Err(CriError::Timeout(self.call_timeout)),
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) if unknown(&status) => Err(CriError::NotKnown),
            Ok(Err(status)) => Err(CriError::Call(Box::new(status))),
        }
    }
}

/// Whether the runtime says that it does not know the id. containerd before 1.6 and cri-dockerd do
/// not always say so by the code.
fn unknown(status: &Status) -> bool {
    match status.code() {
        Code::NotFound => true,
        Code::Unknown => {
            let message = status.message().as_bytes();
            let says =
                |words: &[u8]| message.windows(words.len()).any(|window| window.eq_ignore_ascii_case(words));
            says(b"not found") || says(b"no such container") || says(b"does not exist")
        }
        _ => false,
    }
}

/// The configured socket, or the first that is there.
fn find(configured: Option<&Path>) -> Option<&Path> {
    match configured {
        Some(path) => Some(path).filter(|path| path.exists()),
        None => SOCKETS.iter().map(Path::new).find(|path| path.exists()),
    }
}

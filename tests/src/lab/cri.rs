//! A blocking client of the Container Runtime Interface that does what a kubelet does.

use std::{
    collections::BTreeMap,
    fmt, fs,
    future::Future,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use hyper_util::rt::TokioIo;
use k8s_cri::v1::{
    self, image_service_client::ImageServiceClient, runtime_service_client::RuntimeServiceClient,
};
use serde_json::Value;
use tokio::{net::UnixStream, runtime::Runtime};
use tonic::transport::{Channel, Endpoint, Uri};

use super::{
    kubelet::Folders,
    poll, request,
    spec::{ContainerSpec, PodSpec},
};

/// No call of a test takes this long.
const LIMIT: Duration = Duration::from_secs(30);

/// A pod that runs.
#[derive(Clone, Debug)]
pub struct Pod {
    /// The id of its sandbox.
    pub sandbox: String,
    /// What was asked for.
    pub spec: PodSpec,
    /// Its containers, in the order of the spec.
    pub containers: Vec<Container>,
}

/// A container that runs.
#[derive(Clone, Debug)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Its name within the pod.
    pub name: String,
    /// How often it was restarted.
    pub attempt: u32,
    /// The pid of its first process, as the host sees it.
    pub pid: u32,
    /// Its control group, in every hierarchy.
    pub cgroup: String,
}

/// What `exec` gave.
#[derive(Clone, Debug)]
pub struct Output {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// What the runtime says of a container.
#[derive(Clone, Debug)]
pub struct ContainerInfo {
    /// The pid of its first process; 0 when it has ended.
    pub pid: u32,
    /// Whether it runs.
    pub running: bool,
    /// How it ended, once it has.
    pub exit_code: i32,
    /// Its OCI spec, as runc got it.
    pub oci: Value,
    /// Its image, by a name that the runtime knows it by.
    pub image: String,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

/// The client. It blocks, so it is not for use within an async runtime.
pub struct Cri {
    tokio: Runtime,
    runtime: RuntimeServiceClient<Channel>,
    images: ImageServiceClient<Channel>,
}

impl fmt::Debug for Cri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cri").finish_non_exhaustive()
    }
}

/// Sends a request on a clone of the client, as the generated clients want `&mut`.
macro_rules! call {
    ($self:ident . $client:ident . $method:ident ( $request:expr )) => {{
        let mut client = $self.$client.clone();
        let request = $request;
        $self
            .wait(async move { client.$method(request).await })
            .with_context(|| concat!("CRI call ", stringify!($method)).to_owned())
    }};
}

impl Cri {
    /// Connects to the socket of a runtime.
    pub fn connect(socket: &Path) -> Result<Self> {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let socket: PathBuf = socket.to_owned();
        // The address is not used: every connection goes to the socket.
        let endpoint = Endpoint::from_static("http://cri").timeout(LIMIT);
        let channel = tokio.block_on(endpoint.connect_with_connector(tower::service_fn(move |_: Uri| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        })))?;
        let runtime = RuntimeServiceClient::new(channel.clone()).max_decoding_message_size(64 << 20);
        let images = ImageServiceClient::new(channel);
        Ok(Self { tokio, runtime, images })
    }

    /// Whether the runtime takes pods. Its network is never ready, which pods on the host's do not need.
    pub fn is_ready(&self) -> bool {
        let status = call!(self.runtime.status(v1::StatusRequest { verbose: false }));
        let conditions = status.ok().and_then(|reply| reply.status).map(|status| status.conditions);
        conditions
            .into_iter()
            .flatten()
            .any(|condition| condition.r#type == "RuntimeReady" && condition.status)
    }

    /// The tags of all images the runtime knows.
    pub fn image_tags(&self) -> Result<Vec<String>> {
        let reply = call!(self.images.list_images(v1::ListImagesRequest { filter: None }))?;
        Ok(reply.images.into_iter().flat_map(|image| image.repo_tags).collect())
    }

    /// Names with a digest of all images the runtime knows.
    pub fn image_digests(&self) -> Result<Vec<String>> {
        let reply = call!(self.images.list_images(v1::ListImagesRequest { filter: None }))?;
        Ok(reply.images.into_iter().flat_map(|image| image.repo_digests).collect())
    }

    /// Runs a pod, its containers one after the other.
    pub fn run_pod(&self, spec: &PodSpec, folders: &Folders) -> Result<Pod> {
        fs::create_dir_all(&folders.logs)?;
        let config = request::sandbox(spec, folders);
        let request = v1::RunPodSandboxRequest { config: Some(config.clone()), ..Default::default() };
        let sandbox = call!(self.runtime.run_pod_sandbox(request))?.pod_sandbox_id;
        let mut pod = Pod { sandbox, spec: spec.clone(), containers: Vec::new() };
        for container in &spec.init_containers {
            self.run_to_end(&pod, &config, folders, container)
                .with_context(|| format!("init container {}", container.name))?;
        }
        for container in &spec.containers {
            let container = self.run_container(&pod, &config, folders, container, 0)?;
            pod.containers.push(container);
        }
        Ok(pod)
    }

    /// Ends a pod's container and runs it again: another id, the next attempt.
    pub fn restart(&self, pod: &mut Pod, name: &str, folders: &Folders) -> Result<()> {
        let named = |container: &Container| container.name == name;
        let old = pod.containers.iter().position(named).context("no container of that name")?;
        let spec = pod.spec.containers.iter().find(|spec| spec.name == name).context("a spec for each")?;
        self.remove_container(&pod.containers[old].id)?;
        let attempt = pod.containers[old].attempt + 1;
        let sandbox = request::sandbox(&pod.spec, folders);
        pod.containers[old] = self.run_container(pod, &sandbox, folders, spec, attempt)?;
        Ok(())
    }

    fn run_to_end(
        &self,
        pod: &Pod,
        sandbox: &v1::PodSandboxConfig,
        folders: &Folders,
        spec: &ContainerSpec,
    ) -> Result<()> {
        let container = self.run_container(pod, sandbox, folders, spec, 0)?;
        let info = poll::until_some("its end", LIMIT, || {
            Ok(Some(self.info(&container.id)?).filter(|info| !info.running))
        })?;
        let log = Path::new(&sandbox.log_directory).join(format!("{}.log", spec.name));
        let log = fs::read_to_string(log).unwrap_or_default();
        ensure!(info.exit_code == 0, "it ended with {}: {log}", info.exit_code);
        Ok(())
    }

    fn run_container(
        &self,
        pod: &Pod,
        sandbox: &v1::PodSandboxConfig,
        folders: &Folders,
        spec: &ContainerSpec,
        attempt: u32,
    ) -> Result<Container> {
        let request = v1::CreateContainerRequest {
            pod_sandbox_id: pod.sandbox.clone(),
            config: Some(request::container(&pod.spec, spec, folders, attempt)?),
            sandbox_config: Some(sandbox.clone()),
        };
        let id = call!(self.runtime.create_container(request))?.container_id;
        call!(self.runtime.start_container(v1::StartContainerRequest { container_id: id.clone() }))?;
        let pid = self.info(&id)?.pid;
        Ok(Container { cgroup: pod.spec.cgroup(&id), name: spec.name.clone(), attempt, id, pid })
    }

    /// Runs a program in a container and waits for its end.
    pub fn exec<'a>(&self, container_id: &str, command: impl IntoIterator<Item = &'a str>) -> Result<Output> {
        let request = v1::ExecSyncRequest {
            container_id: container_id.to_owned(),
            cmd: command.into_iter().map(str::to_owned).collect(),
            timeout: LIMIT.as_secs().cast_signed(),
        };
        let reply = call!(self.runtime.exec_sync(request))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Output { code: reply.exit_code, stdout: text(&reply.stdout), stderr: text(&reply.stderr) })
    }

    /// What the runtime says of a container.
    pub fn info(&self, container_id: &str) -> Result<ContainerInfo> {
        let request = v1::ContainerStatusRequest { container_id: container_id.to_owned(), verbose: true };
        let reply = call!(self.runtime.container_status(request))?;
        let status = reply.status.context("a reply without a status")?;
        let info: Value = serde_json::from_str(reply.info.get("info").context("a reply without details")?)?;
        let pid = info["pid"].as_u64().unwrap_or_default();
        Ok(ContainerInfo {
            pid: u32::try_from(pid)?,
            running: status.state() == v1::ContainerState::ContainerRunning,
            exit_code: status.exit_code,
            oci: info["runtimeSpec"].clone(),
            annotations: status.annotations.clone().into_iter().collect(),
            image: status.image.map(|image| image.image).unwrap_or_default(),
        })
    }

    /// Asks a container to stop, and ends it after some seconds.
    pub fn stop_container(&self, container_id: &str, seconds: i64) -> Result<()> {
        let stop = v1::StopContainerRequest { container_id: container_id.to_owned(), timeout: seconds };
        call!(self.runtime.stop_container(stop))?;
        Ok(())
    }

    /// Stops a container and removes it.
    pub fn remove_container(&self, container_id: &str) -> Result<()> {
        let container_id = container_id.to_owned();
        let stop = v1::StopContainerRequest { container_id: container_id.clone(), timeout: 0 };
        call!(self.runtime.stop_container(stop))?;
        call!(self.runtime.remove_container(v1::RemoveContainerRequest { container_id }))?;
        Ok(())
    }

    /// Stops a pod and removes it with its containers.
    pub fn remove_pod(&self, sandbox: &str) -> Result<()> {
        let pod_sandbox_id = sandbox.to_owned();
        let stop = v1::StopPodSandboxRequest { pod_sandbox_id: pod_sandbox_id.clone() };
        call!(self.runtime.stop_pod_sandbox(stop))?;
        call!(self.runtime.remove_pod_sandbox(v1::RemovePodSandboxRequest { pod_sandbox_id }))?;
        Ok(())
    }

    /// The ids of all sandboxes.
    pub fn sandboxes(&self) -> Result<Vec<String>> {
        let reply = call!(self.runtime.list_pod_sandbox(v1::ListPodSandboxRequest { filter: None }))?;
        Ok(reply.items.into_iter().map(|sandbox| sandbox.id).collect())
    }

    /// Removes every pod; tries them all before it fails.
    pub fn remove_all_pods(&self) -> Result<()> {
        let failed: Vec<_> =
            self.sandboxes()?.iter().filter_map(|sandbox| self.remove_pod(sandbox).err()).collect();
        ensure!(failed.is_empty(), "cannot remove all pods: {failed:#?}");
        Ok(())
    }

    fn wait<T>(&self, reply: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>) -> Result<T> {
        Ok(self.tokio.block_on(reply)?.into_inner())
    }
}

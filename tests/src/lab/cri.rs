//! A blocking client of the Container Runtime Interface that does what a kubelet does.

use std::{
    collections::HashMap,
    fmt, fs,
    future::Future,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use hyper_util::rt::TokioIo;
use k8s_cri::v1::{
    self, NamespaceMode, NamespaceOption, SecurityProfile, image_service_client::ImageServiceClient,
    runtime_service_client::RuntimeServiceClient, security_profile::ProfileType,
};
use serde_json::Value;
use tokio::{net::UnixStream, runtime::Runtime};
use tonic::transport::{Channel, Endpoint, Uri};

use super::{
    image, poll,
    spec::{ContainerSpec, PodSpec, Seccomp},
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

    /// Runs a pod, its containers one after the other.
    pub fn run_pod(&self, spec: &PodSpec, log_dir: &Path) -> Result<Pod> {
        fs::create_dir_all(log_dir)?;
        let config = sandbox_config(spec, log_dir);
        let request = v1::RunPodSandboxRequest { config: Some(config.clone()), ..Default::default() };
        let sandbox = call!(self.runtime.run_pod_sandbox(request))?.pod_sandbox_id;
        let mut pod = Pod { sandbox, spec: spec.clone(), containers: Vec::new() };
        for container in &spec.init_containers {
            self.run_to_end(&pod, &config, container)
                .with_context(|| format!("init container {}", container.name))?;
        }
        for container in &spec.containers {
            let container = self.run_container(&pod, &config, container, 0)?;
            pod.containers.push(container);
        }
        Ok(pod)
    }

    /// Ends a pod's container and runs it again: another id, the next attempt.
    pub fn restart(&self, pod: &mut Pod, name: &str, log_dir: &Path) -> Result<()> {
        let named = |container: &Container| container.name == name;
        let old = pod.containers.iter().position(named).context("no container of that name")?;
        let spec = pod.spec.containers.iter().find(|spec| spec.name == name).context("a spec for each")?;
        self.remove_container(&pod.containers[old].id)?;
        let attempt = pod.containers[old].attempt + 1;
        pod.containers[old] = self.run_container(pod, &sandbox_config(&pod.spec, log_dir), spec, attempt)?;
        Ok(())
    }

    fn run_to_end(&self, pod: &Pod, sandbox: &v1::PodSandboxConfig, spec: &ContainerSpec) -> Result<()> {
        let container = self.run_container(pod, sandbox, spec, 0)?;
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
        spec: &ContainerSpec,
        attempt: u32,
    ) -> Result<Container> {
        let request = v1::CreateContainerRequest {
            pod_sandbox_id: pod.sandbox.clone(),
            config: Some(container_config(&pod.spec, spec, attempt)),
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

fn kubelet_labels(pod: &PodSpec) -> HashMap<String, String> {
    [("name", &pod.name), ("namespace", &pod.namespace), ("uid", &pod.uid)]
        .map(|(key, value)| (format!("io.kubernetes.pod.{key}"), value.clone()))
        .into()
}

fn sandbox_config(pod: &PodSpec, log_dir: &Path) -> v1::PodSandboxConfig {
    let mut labels = kubelet_labels(pod);
    labels.extend(pod.labels.clone());
    v1::PodSandboxConfig {
        metadata: Some(v1::PodSandboxMetadata {
            name: pod.name.clone(),
            uid: pod.uid.clone(),
            namespace: pod.namespace.clone(),
            attempt: 0,
        }),
        log_directory: log_dir.to_string_lossy().into_owned(),
        labels,
        annotations: HashMap::from([("kubernetes.io/config.source".to_owned(), "api".to_owned())]),
        linux: Some(v1::LinuxPodSandboxConfig {
            cgroup_parent: pod.cgroup_parent(),
            security_context: Some(v1::LinuxSandboxSecurityContext {
                namespace_options: Some(namespaces(pod)),
                privileged: pod.containers.iter().any(|container| container.privileged),
                seccomp: Some(profile(&Seccomp::RuntimeDefault)),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn container_config(pod: &PodSpec, spec: &ContainerSpec, attempt: u32) -> v1::ContainerConfig {
    let mut labels = kubelet_labels(pod);
    labels.insert("io.kubernetes.container.name".to_owned(), spec.name.clone());
    let annotations = HashMap::from([
        ("io.kubernetes.container.restartCount".to_owned(), attempt.to_string()),
        ("io.kubernetes.pod.terminationGracePeriod".to_owned(), "30".to_owned()),
    ]);
    v1::ContainerConfig {
        metadata: Some(v1::ContainerMetadata { name: spec.name.clone(), attempt }),
        image: Some(v1::ImageSpec {
            image: spec.image.clone().unwrap_or_else(|| image::APP.to_owned()),
            ..Default::default()
        }),
        command: spec.command.clone(),
        envs: spec
            .env
            .iter()
            .map(|(key, value)| v1::KeyValue { key: key.clone(), value: value.clone() })
            .collect(),
        mounts: [(&spec.mounts, false), (&spec.read_only_mounts, true)]
            .into_iter()
            .flat_map(|(mounts, readonly)| mounts.iter().map(move |mount| (mount, readonly)))
            .map(|((host, inside), readonly)| v1::Mount {
                host_path: host.to_string_lossy().into_owned(),
                container_path: inside.to_string_lossy().into_owned(),
                readonly,
                ..Default::default()
            })
            .collect(),
        labels,
        annotations,
        log_path: format!("{}.log", spec.name),
        linux: Some(v1::LinuxContainerConfig {
            resources: Some(v1::LinuxContainerResources { oom_score_adj: 1000, ..Default::default() }),
            security_context: Some(v1::LinuxContainerSecurityContext {
                capabilities: Some(v1::Capability {
                    add_capabilities: spec.add.clone(),
                    drop_capabilities: spec.drop.clone(),
                    ..Default::default()
                }),
                privileged: spec.privileged,
                namespace_options: Some(namespaces(pod)),
                run_as_user: spec.run_as_user.map(|value| v1::Int64Value { value }),
                run_as_group: spec.run_as_group.map(|value| v1::Int64Value { value }),
                supplemental_groups: spec.groups.clone(),
                readonly_rootfs: spec.read_only_root,
                no_new_privs: spec.no_new_privs,
                masked_paths: hidden(spec, &["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list"]),
                readonly_paths: hidden(spec, &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"]),
                seccomp: Some(profile(&spec.seccomp)),
                ..Default::default()
            }),
        }),
        ..Default::default()
    }
}

/// Paths that the runtime hides from all but privileged containers.
fn hidden(spec: &ContainerSpec, paths: &[&str]) -> Vec<String> {
    let paths = if spec.privileged { &[] } else { paths };
    paths.iter().map(|path| (*path).to_owned()).collect()
}

fn namespaces(pod: &PodSpec) -> NamespaceOption {
    let pid = if pod.host_pid { NamespaceMode::Node } else { NamespaceMode::Container };
    NamespaceOption {
        network: NamespaceMode::Node.into(),
        pid: pid.into(),
        ipc: NamespaceMode::Pod.into(),
        ..Default::default()
    }
}

fn profile(seccomp: &Seccomp) -> SecurityProfile {
    let (profile_type, localhost_ref) = match seccomp {
        Seccomp::Unconfined => (ProfileType::Unconfined, String::new()),
        Seccomp::RuntimeDefault => (ProfileType::RuntimeDefault, String::new()),
        Seccomp::Localhost(path) => (ProfileType::Localhost, path.to_string_lossy().into_owned()),
    };
    SecurityProfile { profile_type: profile_type.into(), localhost_ref }
}

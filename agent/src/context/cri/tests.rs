//! Against runtimes that behave badly, each in its way.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use k8s_cri::v1::{
    self, image_service_server::ImageService, image_service_server::ImageServiceServer,
    runtime_service_server::RuntimeService, runtime_service_server::RuntimeServiceServer,
};
use tempfile::TempDir;
use tokio::{net::UnixListener, task::JoinHandle};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Request, Response, Status, transport::Server};

use super::*;
use crate::context::{ContainerRole, DeclaredPort};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Manner {
    Honest,
    Hangs,
    Fails,
    KnowsNothing,
    AnswersOnAnother,
    SaysNothing,
    Exaggerates,
    NotJson,
    TooLong,
    /// Its verbose status does not name the sandbox.
    Terse,
    /// It does not answer on images.
    HasNoImages,
}

#[derive(Clone, Debug)]
struct Fake {
    manner: Arc<Mutex<Manner>>,
    calls: Arc<AtomicUsize>,
    image_calls: Arc<AtomicUsize>,
}

const SANDBOX: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn texts(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

impl Fake {
    fn manner(&self) -> Manner {
        *self.manner.lock().unwrap()
    }

    fn set(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    async fn before(&self) -> Result<Manner, Status> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let manner = self.manner();
        match manner {
            Manner::Hangs => std::future::pending().await,
            Manner::Fails => Err(Status::internal("\u{1b}[31mbroken")),
            Manner::KnowsNothing => Err(Status::not_found("no such container")),
            _ => Ok(manner),
        }
    }

    async fn status(&self, id: String) -> Result<v1::ContainerStatusResponse, Status> {
        let manner = self.before().await?;
        if id == SANDBOX {
            return Err(Status::not_found("it is a sandbox"));
        }
        if manner == Manner::SaysNothing {
            return Ok(v1::ContainerStatusResponse::default());
        }
        let sandbox = if manner == Manner::Terse { "" } else { SANDBOX };
        let mut info = format!(
            r#"{{"sandboxID":"{sandbox}","pid":42,"runtimeSpec":{{"process":{{"user":{{"uid":7}},"noNewPrivileges":true}}}}}}"#
        );
        let mut labels = texts(&[
            ("io.kubernetes.pod.name", "web-5d4f8c7b9d-x2x4z"),
            ("io.kubernetes.pod.namespace", "shop"),
            ("io.kubernetes.pod.uid", "0b6b3b1c"),
            ("io.kubernetes.container.name", "web"),
        ]);
        let mut status = v1::ContainerStatus {
            id,
            image: Some(v1::ImageSpec { image: "registry/web:1".into(), ..Default::default() }),
            image_ref: format!("registry/web@sha256:{}", "b".repeat(64)),
            annotations: texts(&[
                ("io.kubernetes.container.restartCount", "0"),
                ("io.kubernetes.container.ports", r#"[{"containerPort":8080,"hostPort":80}]"#),
            ]),
            resources: Some(v1::ContainerResources {
                linux: Some(v1::LinuxContainerResources {
                    memory_limit_in_bytes: 4096,
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        };
        match manner {
            Manner::Terse => info = r#"{"pid":42}"#.into(),
            Manner::NotJson => info = "\u{0}{nonsense".into(),
            Manner::AnswersOnAnother => status.id = "b".repeat(64),
            Manner::Exaggerates => {
                for n in 0..1000 {
                    labels.insert(format!("label-{n}"), "ä".repeat(1000));
                }
                labels.insert("k".repeat(10_000), String::new());
                labels.insert("io.kubernetes.pod.name".into(), "p".repeat(10_000));
                status.image_ref = "sha256:nonsense".into();
            }
            Manner::TooLong => status.message = "m".repeat(8 << 20),
            _ => {}
        }
        status.labels = labels;
        Ok(v1::ContainerStatusResponse { status: Some(status), info: texts(&[("info", &info)]) })
    }

    async fn sandbox(&self, id: String) -> Result<v1::PodSandboxStatusResponse, Status> {
        self.before().await?;
        if id != SANDBOX {
            return Err(Status::not_found("no such sandbox"));
        }
        let metadata = v1::PodSandboxMetadata {
            name: "web-5d4f8c7b9d-x2x4z".into(),
            uid: "0b6b3b1c".into(),
            namespace: "shop".into(),
            attempt: 0,
        };
        let labels = texts(&[("pod-template-hash", "5d4f8c7b9d"), ("app", "web")]);
        let options = v1::NamespaceOption { network: v1::NamespaceMode::Node.into(), ..Default::default() };
        let status = v1::PodSandboxStatus {
            id,
            metadata: Some(metadata),
            labels,
            linux: Some(v1::LinuxPodSandboxStatus {
                namespaces: Some(v1::Namespace { options: Some(options) }),
            }),
            runtime_handler: "kata-qemu".into(),
            ..Default::default()
        };
        let info = r#"{"runtimeSpec":{"linux":{"sysctl":{"kernel.msgmax":"1"}}}}"#;
        let info = texts(&[("info", info)]);
        Ok(v1::PodSandboxStatusResponse { status: Some(status), info, ..Default::default() })
    }

    async fn list(&self, id: String) -> Result<v1::ListContainersResponse, Status> {
        self.before().await?;
        let container = v1::Container { id, pod_sandbox_id: SANDBOX.into(), ..Default::default() };
        Ok(v1::ListContainersResponse { containers: vec![container] })
    }
}

/// The service, with every call that the agent must never make refused.
macro_rules! service {
    ($($name:ident($request:ident) -> $response:ident;)*) => {
        #[tonic::async_trait]
        impl RuntimeService for Fake {
            type GetContainerEventsStream = tokio_stream::Empty<Result<v1::ContainerEventResponse, Status>>;

            async fn container_status(
                &self,
                request: Request<v1::ContainerStatusRequest>,
            ) -> Result<Response<v1::ContainerStatusResponse>, Status> {
                self.status(request.into_inner().container_id).await.map(Response::new)
            }

            async fn pod_sandbox_status(
                &self,
                request: Request<v1::PodSandboxStatusRequest>,
            ) -> Result<Response<v1::PodSandboxStatusResponse>, Status> {
                self.sandbox(request.into_inner().pod_sandbox_id).await.map(Response::new)
            }

            async fn list_containers(
                &self,
                request: Request<v1::ListContainersRequest>,
            ) -> Result<Response<v1::ListContainersResponse>, Status> {
                self.list(request.into_inner().filter.unwrap_or_default().id).await.map(Response::new)
            }

            async fn version(
                &self,
                _: Request<v1::VersionRequest>,
            ) -> Result<Response<v1::VersionResponse>, Status> {
                let manner = self.before().await?;
                let (runtime_name, runtime_version) = match manner {
                    Manner::SaysNothing => Default::default(),
                    Manner::Exaggerates => ("n".repeat(10_000), "v".repeat(10_000)),
                    _ => ("containerd".to_owned(), "2.0.1".to_owned()),
                };
                let answer = v1::VersionResponse { runtime_name, runtime_version, ..Default::default() };
                Ok(Response::new(answer))
            }

            async fn get_container_events(
                &self,
                _: Request<v1::GetEventsRequest>,
            ) -> Result<Response<Self::GetContainerEventsStream>, Status> {
                Err(Status::unimplemented("not asked for"))
            }

            $(async fn $name(&self, _: Request<v1::$request>) -> Result<Response<v1::$response>, Status> {
                Err(Status::unimplemented("not asked for"))
            })*
        }
    };
}

service! {
    run_pod_sandbox(RunPodSandboxRequest) -> RunPodSandboxResponse;
    stop_pod_sandbox(StopPodSandboxRequest) -> StopPodSandboxResponse;
    remove_pod_sandbox(RemovePodSandboxRequest) -> RemovePodSandboxResponse;
    list_pod_sandbox(ListPodSandboxRequest) -> ListPodSandboxResponse;
    create_container(CreateContainerRequest) -> CreateContainerResponse;
    start_container(StartContainerRequest) -> StartContainerResponse;
    stop_container(StopContainerRequest) -> StopContainerResponse;
    remove_container(RemoveContainerRequest) -> RemoveContainerResponse;
    update_container_resources(UpdateContainerResourcesRequest) -> UpdateContainerResourcesResponse;
    reopen_container_log(ReopenContainerLogRequest) -> ReopenContainerLogResponse;
    exec_sync(ExecSyncRequest) -> ExecSyncResponse;
    exec(ExecRequest) -> ExecResponse;
    attach(AttachRequest) -> AttachResponse;
    port_forward(PortForwardRequest) -> PortForwardResponse;
    container_stats(ContainerStatsRequest) -> ContainerStatsResponse;
    list_container_stats(ListContainerStatsRequest) -> ListContainerStatsResponse;
    pod_sandbox_stats(PodSandboxStatsRequest) -> PodSandboxStatsResponse;
    list_pod_sandbox_stats(ListPodSandboxStatsRequest) -> ListPodSandboxStatsResponse;
    update_runtime_config(UpdateRuntimeConfigRequest) -> UpdateRuntimeConfigResponse;
    status(StatusRequest) -> StatusResponse;
    checkpoint_container(CheckpointContainerRequest) -> CheckpointContainerResponse;
    list_metric_descriptors(ListMetricDescriptorsRequest) -> ListMetricDescriptorsResponse;
    list_pod_sandbox_metrics(ListPodSandboxMetricsRequest) -> ListPodSandboxMetricsResponse;
    runtime_config(RuntimeConfigRequest) -> RuntimeConfigResponse;
}

/// As above, of images.
macro_rules! image_service {
    ($($name:ident($request:ident) -> $response:ident;)*) => {
        #[tonic::async_trait]
        impl ImageService for Fake {
            async fn image_status(
                &self,
                request: Request<v1::ImageStatusRequest>,
            ) -> Result<Response<v1::ImageStatusResponse>, Status> {
                self.image_calls.fetch_add(1, Ordering::Relaxed);
                if self.manner() == Manner::HasNoImages {
                    return std::future::pending().await;
                }
                let v1::ImageStatusRequest { image, verbose } = request.into_inner();
                assert!(verbose && image.is_some_and(|image| image.image.starts_with("registry/web@")));
                let info = r#"{"imageSpec":{"created":"2024-02-29T12:34:56Z"}}"#;
                Ok(Response::new(v1::ImageStatusResponse { image: None, info: texts(&[("info", info)]) }))
            }

            $(async fn $name(&self, _: Request<v1::$request>) -> Result<Response<v1::$response>, Status> {
                Err(Status::unimplemented("not asked for"))
            })*
        }
    };
}

image_service! {
    list_images(ListImagesRequest) -> ListImagesResponse;
    pull_image(PullImageRequest) -> PullImageResponse;
    remove_image(RemoveImageRequest) -> RemoveImageResponse;
    image_fs_info(ImageFsInfoRequest) -> ImageFsInfoResponse;
}

struct Bench {
    folder: TempDir,
    fake: Fake,
    server: Option<JoinHandle<()>>,
    questions: mpsc::Sender<Question>,
    answers: mpsc::Receiver<Answer>,
}

impl Bench {
    fn new(manner: Manner, change: impl FnOnce(&mut Settings)) -> Self {
        let mut bench = Self::without_server(change);
        bench.fake.set(manner);
        bench.serve();
        bench
    }

    fn without_server(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings {
            socket: Some(socket(folder.path())),
            call_timeout: Duration::from_millis(100),
            retry_first: Duration::from_millis(5),
            retry_most: Duration::from_millis(20),
            attempts: 1000,
            ..Settings::default()
        };
        change(&mut settings);
        let (questions, asked) = mpsc::channel(16);
        let (given, answers) = mpsc::channel(16);
        tokio::spawn(run(settings, asked, given));
        let fake = Fake {
            manner: Arc::new(Mutex::new(Manner::Honest)),
            calls: Arc::default(),
            image_calls: Arc::default(),
        };
        Self { folder, fake, server: None, questions, answers }
    }

    fn serve(&mut self) {
        let path = socket(self.folder.path());
        let _ = std::fs::remove_file(&path);
        let listener = UnixListenerStream::new(UnixListener::bind(path).unwrap());
        let service = RuntimeServiceServer::new(self.fake.clone());
        let images = ImageServiceServer::new(self.fake.clone());
        self.server = Some(tokio::spawn(async move {
            let server = Server::builder().add_service(service).add_service(images);
            server.serve_with_incoming(listener).await.unwrap();
        }));
    }

    async fn ask(&self, cgroup: u64, id: &str) {
        let key = ContainerKey { hierarchy: 0, cgroup };
        let id = ContainerId::parse(id.as_bytes()).unwrap();
        self.questions.send(Question { key, id, runtime: Runtime::Unknown }).await.unwrap();
    }

    async fn answer(&mut self) -> Answer {
        tokio::time::timeout(Duration::from_secs(20), self.answers.recv()).await.unwrap().unwrap()
    }

    async fn names(&mut self) -> Arc<Names> {
        loop {
            if let Ok(names) = self.answer().await.result {
                return names;
            }
        }
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("cri.sock")
}

fn id() -> String {
    "c".repeat(64)
}

#[tokio::test]
async fn containers_and_sandboxes_are_named() {
    let mut bench = Bench::new(Manner::Honest, |_| {});
    bench.ask(1, &id()).await;
    let names = bench.names().await;
    assert_eq!(names.role, ContainerRole::Workload);
    assert_eq!((names.pod.as_str(), names.namespace.as_str()), ("web-5d4f8c7b9d-x2x4z", "shop"));
    assert_eq!((names.owner.kind, names.owner.name.as_str()), ("Deployment", "web"));
    assert_eq!(names.container, "web");
    assert_eq!(names.labels["app"], "web");
    assert_eq!(names.image, "registry/web:1");
    assert_eq!(names.image_digest, Some(format!("sha256:{}", "b".repeat(64))));
    assert_eq!(names.init_pid, Some(42));
    assert_eq!(names.declared.run_as_user, Some(7));
    assert_eq!(names.declared.ports, Some(vec![DeclaredPort { port: 8080, is_udp: false }]));
    assert_eq!(names.declared.host_ports, Some(vec![80]));
    assert_eq!(names.declared.sysctls, Some(vec!["kernel.msgmax".to_owned()]));
    assert_eq!(names.declared.limits.and_then(|limits| limits.memory), Some(4096));
    let hosts = (names.declared.host_pid, names.declared.host_network, names.declared.host_ipc);
    assert_eq!(hosts, (Some(false), Some(true), Some(false)));
    assert!(names.sandboxed_runtime);
    assert_eq!(names.image_created, Some(1_709_210_096));

    bench.ask(2, SANDBOX).await;
    let names = bench.names().await;
    assert_eq!(names.role, ContainerRole::Sandbox);
    assert_eq!(names.pod, "web-5d4f8c7b9d-x2x4z");
    assert_eq!(names.container, "");
    assert!(names.sandboxed_runtime);
    assert_eq!(names.declared.host_network, Some(true));
}

#[tokio::test]
async fn a_runtime_tells_which_it_is() {
    let bench = Bench::new(Manner::Honest, |_| {});
    let settings = Settings { socket: Some(socket(bench.folder.path())), ..Settings::default() };
    let containerd = RuntimeVersion { name: "containerd".to_owned(), version: "2.0.1".to_owned() };
    let (told, mut telling) = mpsc::channel(1);
    let watching =
        tokio::spawn(watch_version(settings.clone(), move |version| told.try_send(version).unwrap()));
    let first = tokio::time::timeout(Duration::from_secs(20), telling.recv()).await.unwrap();
    assert_eq!(first, Some(containerd));
    watching.abort();

    let client = Client::new(&settings);
    bench.fake.set(Manner::Exaggerates);
    let long = client.version().await.unwrap();
    assert_eq!((long.name.len(), long.version.len()), (128, 128));
    bench.fake.set(Manner::SaysNothing);
    assert!(matches!(client.version().await, Err(CriError::WrongAnswer)));
    bench.fake.set(Manner::Fails);
    assert!(matches!(client.version().await, Err(CriError::Call(_))));
}

#[tokio::test]
async fn an_image_is_asked_for_once() {
    let mut bench = Bench::new(Manner::Honest, |_| {});
    for cgroup in 1..4 {
        bench.ask(cgroup, &id()).await;
        assert!(bench.names().await.image_created.is_some());
    }
    assert_eq!(bench.fake.image_calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_image_service_that_hangs_costs_one_call_and_no_name() {
    let mut bench = Bench::new(Manner::HasNoImages, |_| {});
    for cgroup in 1..4 {
        bench.ask(cgroup, &id()).await;
        assert_eq!(bench.names().await.image_created, None);
    }
    assert_eq!(bench.fake.image_calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn the_sandbox_is_found_without_the_verbose_status() {
    let mut bench = Bench::new(Manner::Terse, |_| {});
    bench.ask(1, &id()).await;
    let names = bench.names().await;
    assert_eq!(names.owner.kind, "Deployment");
    assert_eq!(names.declared.no_new_privs, None);
}

/// Asks a runtime of that manner, then makes it honest.
async fn reason_then_names(manner: Manner, reason: PendingReason) {
    let mut bench = Bench::new(manner, |_| {});
    bench.ask(1, &id()).await;
    let first = bench.answer().await;
    assert_eq!(first.result.unwrap_err(), reason, "{manner:?}");
    bench.fake.set(Manner::Honest);
    assert_eq!(bench.names().await.container, "web", "{manner:?}");
}

#[tokio::test]
async fn every_misbehaviour_has_its_reason_and_is_got_over() {
    reason_then_names(Manner::Hangs, PendingReason::RuntimeUnavailable).await;
    reason_then_names(Manner::Fails, PendingReason::RuntimeUnavailable).await;
    reason_then_names(Manner::TooLong, PendingReason::RuntimeUnavailable).await;
    reason_then_names(Manner::KnowsNothing, PendingReason::NotKnown).await;
    reason_then_names(Manner::AnswersOnAnother, PendingReason::NotKnown).await;
    reason_then_names(Manner::SaysNothing, PendingReason::NotKnown).await;
}

#[tokio::test]
async fn what_is_no_json_costs_only_what_it_would_have_told() {
    let mut bench = Bench::new(Manner::NotJson, |_| {});
    bench.ask(1, &id()).await;
    let names = bench.names().await;
    assert_eq!(names.container, "web");
    assert_eq!((names.declared.run_as_user, names.declared.no_new_privs), (None, None));
    // By CRI itself.
    assert!(names.declared.ports.is_some() && names.declared.limits.is_some());
}

#[tokio::test]
async fn long_texts_are_cut() {
    let mut bench = Bench::new(Manner::Exaggerates, |_| {});
    bench.ask(1, &id()).await;
    let names = bench.names().await;
    assert_eq!(names.pod.len(), 256);
    assert_eq!(names.image_digest, None);
    assert!(names.labels.len() <= 128);
    assert!(names.labels.iter().all(|(key, value)| key.len() <= 317 && value.len() <= 256));
}

#[tokio::test]
async fn a_runtime_that_comes_late_and_one_that_restarts_are_asked() {
    let mut bench = Bench::without_server(|_| {});
    bench.ask(1, &id()).await;
    assert_eq!(bench.answer().await.result.unwrap_err(), PendingReason::NoRuntime);
    bench.serve();
    bench.names().await;

    // A restart: connections break, the socket is a new one.
    let server = bench.server.take().unwrap();
    server.abort();
    let _ = server.await;
    bench.ask(2, &id()).await;
    bench.serve();
    bench.names().await;
}

#[tokio::test]
async fn a_dead_socket_is_not_an_absent_one() {
    let mut bench = Bench::without_server(|_| {});
    drop(UnixListener::bind(socket(bench.folder.path())).unwrap());
    bench.ask(1, &id()).await;
    assert_eq!(bench.answer().await.result.unwrap_err(), PendingReason::RuntimeUnavailable);
}

#[tokio::test]
async fn questions_are_bounded_and_asked_once() {
    let mut bench = Bench::new(Manner::Hangs, |settings| {
        settings.pending = 2;
        settings.call_timeout = Duration::from_secs(600);
    });
    bench.ask(1, &id()).await;
    bench.ask(1, &id()).await;
    bench.ask(2, &id()).await;
    bench.ask(3, &id()).await;
    let answer = bench.answer().await;
    assert_eq!(answer.key.cgroup, 3);
    assert_eq!(answer.result.unwrap_err(), PendingReason::QueueFull);
}

#[tokio::test]
async fn a_container_is_given_up_after_its_attempts() {
    let mut bench = Bench::new(Manner::KnowsNothing, |settings| settings.attempts = 3);
    bench.ask(1, &id()).await;
    for _ in 0..2 {
        // When the reason is told, and when it is given up.
        assert_eq!(bench.answer().await.result.unwrap_err(), PendingReason::NotKnown);
    }
    // Each attempt asked for a container and for a sandbox.
    assert_eq!(bench.fake.calls.load(Ordering::Relaxed), 6);
    bench.fake.set(Manner::Honest);
    bench.ask(1, &id()).await;
    bench.names().await;
}

#[tokio::test]
async fn it_ends_with_its_channels() {
    let (questions, asked) = mpsc::channel(1);
    let (given, answers) = mpsc::channel(1);
    let task = tokio::spawn(run(Settings::default(), asked, given));
    drop(questions);
    task.await.unwrap();
    drop(answers);
}

#[test]
fn pauses_grow_to_their_bound() {
    let settings = Settings::default();
    for attempts in 1..100 {
        for most in [settings.retry_not_known, settings.retry_most] {
            let pause = pause(&settings, attempts, most);
            assert!(pause <= most);
            assert!(pause >= settings.retry_first / 2);
        }
    }
    assert!(pause(&settings, 50, settings.retry_most) >= settings.retry_most / 2);
}

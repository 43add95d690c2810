//! From a runtime's answer to [`Names`]. Texts in it were chosen by workloads: they are cut to
//! stated lengths and otherwise kept as they are.

use std::collections::{BTreeMap, HashMap};

use k8s_cri::v1::{
    ContainerStatusResponse, Mount, MountPropagation, NamespaceMode, PodSandboxStatus,
    PodSandboxStatusResponse,
};

use super::{
    declared::Info,
    kernel,
    owner::owner,
    ports::{self, Ports},
    resources,
};
use crate::context::{ContainerRole, Declared, DeclaredMount, Names};

/// Longest name, uid, or value of a label.
const NAME_BYTES: usize = 256;
/// Longest key of a label: a prefix of 253, a slash and a name of 63.
const KEY_BYTES: usize = 317;
/// Most labels.
const LABELS: usize = 128;
/// Most mounts that are kept, and the longest path of one.
const MOUNTS: usize = 128;
const PATH_BYTES: usize = 4096;
/// Longest reference to an image.
const IMAGE_BYTES: usize = 512;

const POD_NAME: &str = "io.kubernetes.pod.name";
const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
const POD_UID: &str = "io.kubernetes.pod.uid";
const CONTAINER_NAME: &str = "io.kubernetes.container.name";

/// What the runtime tells of a pod's sandbox.
pub(super) struct Sandbox {
    status: PodSandboxStatus,
    info: Info,
}

impl Sandbox {
    /// `None`: the answer is on another sandbox, or on none.
    pub(super) fn of(id: &str, response: PodSandboxStatusResponse) -> Option<Self> {
        let status = response.status.filter(|status| status.id == id)?;
        Some(Self { status, info: Info::parse(response.info.get("info")) })
    }
}

/// Names of a container of a pod. `None`: the answer is on another container, or on none.
pub(super) fn of_container(
    id: &str,
    response: ContainerStatusResponse,
    info: Info,
    sandbox: Option<Sandbox>,
    image_created: Option<i64>,
) -> Option<Names> {
    let status = response.status.filter(|status| status.id == id)?;
    let own = labels(&status.labels);
    let mut declared = info.declared;
    let mut sandboxed_runtime = info.own_kernel;
    declared.sysctls = None;
    declared.mounts = Some(status.mounts.iter().take(MOUNTS).map(mount).collect());
    let (metadata, pod_labels) = match sandbox {
        Some(Sandbox { status, info }) => {
            of_pod(&status, &mut declared);
            sandboxed_runtime |= kernel::is_own_by_handler(&status.runtime_handler);
            declared.sysctls = info.declared.sysctls;
            (status.metadata.unwrap_or_default(), labels(&status.labels))
        }
        None => Default::default(),
    };
    let text = |key: &str, other: &str| own.get(key).cloned().unwrap_or_else(|| bounded(other, NAME_BYTES));
    let pod = text(POD_NAME, &metadata.name);
    let image = status.image.unwrap_or_default();
    let asked = [&image.user_specified_image, &image.image];
    let resources = status.resources.and_then(|resources| resources.linux);
    declared.limits = resources::either(resources.as_ref().map(resources::of_status), declared.limits);
    if let Some(Ports { own, of_host }) = ports::ports(&status.labels, &status.annotations) {
        (declared.ports, declared.host_ports) = (Some(own), Some(of_host));
    }
    let user = status.user.and_then(|user| user.linux).and_then(|user| u32::try_from(user.uid).ok());
    declared.run_as_user = declared.run_as_user.or(user);
    Some(Names {
        role: ContainerRole::Workload,
        owner: owner(&pod_labels, &pod),
        pod,
        namespace: text(POD_NAMESPACE, &metadata.namespace),
        pod_uid: text(POD_UID, &metadata.uid),
        container: text(CONTAINER_NAME, &status.metadata.unwrap_or_default().name),
        labels: pod_labels,
        image: asked
            .into_iter()
            .find(|name| !name.is_empty())
            .map_or_else(String::new, |name| bounded(name, IMAGE_BYTES)),
        image_digest: digest(&status.image_ref),
        init_pid: info.init_pid,
        service_account: None,
        sandboxed_runtime,
        image_created,
        declared,
    })
}

/// Names of a pod's sandbox. `None`: the answer is on another sandbox, or on none.
pub(super) fn of_sandbox(id: &str, response: PodSandboxStatusResponse) -> Option<Names> {
    let Sandbox { status, info } = Sandbox::of(id, response)?;
    let mut declared = info.declared;
    of_pod(&status, &mut declared);
    let sandboxed_runtime = info.own_kernel || kernel::is_own_by_handler(&status.runtime_handler);
    let metadata = status.metadata.unwrap_or_default();
    let labels = labels(&status.labels);
    let pod = bounded(&metadata.name, NAME_BYTES);
    Some(Names {
        role: ContainerRole::Sandbox,
        owner: owner(&labels, &pod),
        pod,
        namespace: bounded(&metadata.namespace, NAME_BYTES),
        pod_uid: bounded(&metadata.uid, NAME_BYTES),
        container: String::new(),
        labels,
        image: String::new(),
        image_digest: None,
        init_pid: info.init_pid,
        service_account: None,
        sandboxed_runtime,
        image_created: None,
        declared,
    })
}

/// What the pod's sandbox tells of its containers, where they do not.
fn of_pod(sandbox: &PodSandboxStatus, declared: &mut Declared) {
    let namespaces = sandbox.linux.as_ref().and_then(|linux| linux.namespaces.as_ref());
    let Some(options) = namespaces.and_then(|namespaces| namespaces.options.as_ref()) else { return };
    let is_host = |mode: i32| NamespaceMode::try_from(mode).ok().map(|mode| mode == NamespaceMode::Node);
    declared.host_pid = declared.host_pid.or(is_host(options.pid));
    declared.host_network = declared.host_network.or(is_host(options.network));
    declared.host_ipc = declared.host_ipc.or(is_host(options.ipc));
}

/// Labels within their bounds. Which ones are dropped when there are too many does not depend on
/// the map's order.
fn labels(labels: &HashMap<String, String>) -> BTreeMap<String, String> {
    let mut kept: Vec<_> = labels.iter().filter(|(key, _)| key.len() <= KEY_BYTES).collect();
    kept.sort_unstable();
    // The ones that name the pod stay in any case.
    kept.sort_by_key(|(key, _)| !key.starts_with("io.kubernetes."));
    kept.into_iter().take(LABELS).map(|(key, value)| (key.clone(), bounded(value, NAME_BYTES))).collect()
}

/// With the words that Falco has for how mounts spread.
fn mount(mount: &Mount) -> DeclaredMount {
    DeclaredMount {
        source: bounded(&mount.host_path, PATH_BYTES),
        destination: bounded(&mount.container_path, PATH_BYTES),
        writable: !mount.readonly,
        propagation: match mount.propagation() {
            MountPropagation::PropagationPrivate => "private",
            MountPropagation::PropagationHostToContainer => "rslave",
            MountPropagation::PropagationBidirectional => "rshared",
        },
    }
}

/// `sha256:…` of a reference.
fn digest(reference: &str) -> Option<String> {
    let digest = reference.rsplit('@').next()?;
    let hex = digest.strip_prefix("sha256:")?;
    (hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| digest.to_owned())
}

/// At most `max` bytes of `text`, whole characters.
pub(super) fn bounded(text: &str, max: usize) -> String {
    text[..text.floor_char_boundary(max)].to_owned()
}

//! The controls that Kestrel verifies: what each is, which standards ask for it, how to fix it.
//!
//! The one table of them. How a control is judged is the agent's; `docs/controls/` is made from here.

#[macro_use]
mod text;

mod behaviour;
mod confinement;
mod control;
mod control_plane;
mod files;
mod host;
mod image;
mod namespaces;
mod network;
mod page;
mod profile;
mod resources;
mod secrets;
mod workload_rights;

pub use control::{Control, Item, Pss, PssLevel, Scope, Severity};
pub use page::{page, table};
pub use profile::Profile;

macro_rules! controls {
    ($($id:ident = $module:ident :: $name:ident;)*) => {
        /// Names a control; its place in [`CONTROLS`]. Not stored anywhere: files hold slugs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum ControlId {
            $(#[doc = concat!("See `", stringify!($module), ".rs`.")] $id,)*
        }

        /// Number of controls.
        pub const CONTROL_COUNT: usize = [$(ControlId::$id),*].len();

        /// Every control, in the order of [`ControlId`]: those of tasks first, then those of containers, then
        /// those of the node.
        pub static CONTROLS: [Control; CONTROL_COUNT] = TABLE;

        const TABLE: [Control; CONTROL_COUNT] = [$($module::$name),*];
    };
}

controls! {
    Privileged = workload_rights::PRIVILEGED;
    RunAsNonRoot = workload_rights::RUN_AS_NON_ROOT;
    NoNewPrivileges = workload_rights::NO_NEW_PRIVILEGES;
    Seccomp = workload_rights::SECCOMP;
    Capabilities = workload_rights::CAPABILITIES;
    AddedCapabilities = workload_rights::ADDED_CAPABILITIES;
    HostPid = namespaces::HOST_PID;
    HostNetwork = namespaces::HOST_NETWORK;
    HostIpc = namespaces::HOST_IPC;
    HostUts = namespaces::HOST_UTS;
    HostCgroup = namespaces::HOST_CGROUP;
    HostUsers = namespaces::HOST_USERS;
    Entered = behaviour::ENTERED;
    LeftContainer = behaviour::LEFT_CONTAINER;
    GainedPrivileges = behaviour::GAINED_PRIVILEGES;
    ThreadsDiffer = behaviour::THREADS_DIFFER;
    RuntimeDrift = behaviour::RUNTIME_DRIFT;
    AdminTools = behaviour::ADMIN_TOOLS;
    ReadOnlyRoot = files::READ_ONLY_ROOT;
    WritableExecutable = files::WRITABLE_EXECUTABLE;
    HostPath = files::HOST_PATH;
    SensitiveMounts = files::SENSITIVE_MOUNTS;
    ProcMount = files::PROC_MOUNT;
    HostDevices = files::HOST_DEVICES;
    ServiceAccountToken = files::SERVICE_ACCOUNT_TOKEN;
    MemoryLimit = resources::MEMORY_LIMIT;
    CpuLimit = resources::CPU_LIMIT;
    PidsLimit = resources::PIDS_LIMIT;
    OpenFilesLimit = resources::OPEN_FILES_LIMIT;
    LsmProfile = confinement::LSM_PROFILE;
    UndeclaredPorts = network::UNDECLARED_PORTS;
    PlaintextPorts = network::PLAINTEXT_PORTS;
    HostPorts = network::HOST_PORTS;
    Sysctls = network::SYSCTLS;
    SecretsInEnvironment = secrets::SECRETS_IN_ENVIRONMENT;
    SecretsInArguments = secrets::SECRETS_IN_ARGUMENTS;
    ImageRegistry = image::IMAGE_REGISTRY;
    ImageTag = image::IMAGE_TAG;
    ImageAge = image::IMAGE_AGE;
    HostLockdown = host::LOCKDOWN;
    HostUnprivilegedBpf = host::UNPRIVILEGED_BPF;
    HostUnprivilegedUserNamespaces = host::UNPRIVILEGED_USER_NAMESPACES;
    HostLsm = host::LSM;
    HostPtraceScope = host::PTRACE_SCOPE;
    HostCorePattern = host::CORE_PATTERN;
    ApiserverAnonymousAuth = control_plane::APISERVER_ANONYMOUS_AUTH;
    ApiserverAuthorization = control_plane::APISERVER_AUTHORIZATION;
    ApiserverAdmissionPlugins = control_plane::APISERVER_ADMISSION_PLUGINS;
    ApiserverAuditLog = control_plane::APISERVER_AUDIT_LOG;
    ApiserverAuditPolicy = control_plane::APISERVER_AUDIT_POLICY;
    ApiserverProfiling = control_plane::APISERVER_PROFILING;
    ApiserverEncryptionAtRest = control_plane::APISERVER_ENCRYPTION_AT_REST;
    ApiserverTls = control_plane::APISERVER_TLS;
    ApiserverEtcdTls = control_plane::APISERVER_ETCD_TLS;
    ControllerManagerProfiling = control_plane::CONTROLLER_MANAGER_PROFILING;
    SchedulerProfiling = control_plane::SCHEDULER_PROFILING;
    EtcdClientCertAuth = control_plane::ETCD_CLIENT_CERT_AUTH;
    EtcdPeerCertAuth = control_plane::ETCD_PEER_CERT_AUTH;
    EtcdTls = control_plane::ETCD_TLS;
    KubeletAnonymousAuth = control_plane::KUBELET_ANONYMOUS_AUTH;
    KubeletAuthorization = control_plane::KUBELET_AUTHORIZATION;
    KubeletClientCa = control_plane::KUBELET_CLIENT_CA;
    KubeletReadOnlyPort = control_plane::KUBELET_READ_ONLY_PORT;
    KubeletTls = control_plane::KUBELET_TLS;
}

/// How many controls of tasks there are; they are the first of [`CONTROLS`].
pub const TASK_CONTROLS: usize = count(Scope::Task);
/// How many controls of containers there are; they follow those of tasks.
pub const CONTAINER_CONTROLS: usize = count(Scope::Container);
/// How many controls of the node there are; they are the last.
pub const NODE_CONTROLS: usize = count(Scope::Node);

const fn count(scope: Scope) -> usize {
    let mut count = 0;
    let mut index = 0;
    while index < CONTROL_COUNT {
        assert!(TABLE[index].id as usize == index, "the table is in the order of the ids");
        assert!(
            index == 0 || TABLE[index - 1].scope as u8 <= TABLE[index].scope as u8,
            "scopes are in order"
        );
        if TABLE[index].scope as u8 == scope as u8 {
            count += 1;
        }
        index += 1;
    }
    count
}

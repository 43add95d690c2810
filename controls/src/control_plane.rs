//! How the parts of Kubernetes on the node are set up, as the CIS Kubernetes Benchmark asks.

use crate::{Control, ControlId, Item, Scope, Severity};

const COST: &str = "the program of each process is looked up, and the arguments and configuration files of \
    the parts of Kubernetes \
     among them are read, when the agent starts and now and then after";

macro_rules! control_plane_unknown {
    () => {
        "its arguments could not be read; it runs inside of another program (k3s, rke2, kubelite, \
         hyperkube), or in a \
         container that has no name yet"
    };
    ($reason:literal) => {
        concat!($reason, "; ", control_plane_unknown!())
    };
}

pub(crate) const APISERVER_ANONYMOUS_AUTH: Control = Control {
    id: ControlId::ApiserverAnonymousAuth,
    slug: "apiserver-anonymous-auth",
    title: "Anonymous requests to the API server",
    scope: Scope::Node,
    severity: Severity::Medium,
    pss: None,
    cis: &["1.2.1"],
    nsa: Some("Authentication and authorization: Authentication"),
    nist: Some("4.3.2 Unauthorized access"),
    attack: &["T1190", "T1613"],
    checklists: &[Item::A("API authentication and authorization")],
    detective: false,
    exempts_sandbox: false,
    fails: "anonymous requests are let in, and not only to /livez, /readyz and /healthz",
    observed: "--anonymous-auth of kube-apiserver (true where it is not given), and anonymous in the file \
        of --authentication-config",
    unknown: control_plane_unknown!("the file of --authentication-config could not be read"),
    cost: COST,
    fix: "Set --anonymous-auth=false on kube-apiserver, or from Kubernetes 1.32 on limit anonymous requests \
        to the paths of probes in --authentication-config.",
    yaml: include_str!("../yaml/apiserver-anonymous-auth.yaml"),
};

pub(crate) const APISERVER_AUTHORIZATION: Control = Control {
    id: ControlId::ApiserverAuthorization,
    slug: "apiserver-authorization",
    title: "Authorization of the API server",
    scope: Scope::Node,
    severity: Severity::Critical,
    pss: None,
    cis: &["1.2.6", "1.2.7", "1.2.8"],
    nsa: Some("Authentication and authorization: Role-based access control"),
    nist: Some("4.3.1 Unbounded administrative access"),
    attack: &["T1078", "T1609"],
    checklists: &[
        Item::A("RBAC implemented"),
        Item::A("API authentication and authorization"),
        Item::B("RBAC configured"),
    ],
    detective: false,
    exempts_sandbox: false,
    fails: "AlwaysAllow is among the authorizers, or Node or RBAC is not",
    observed: "--authorization-mode of kube-apiserver (AlwaysAllow where it is not given), or the file of \
        --authorization-config",
    unknown: control_plane_unknown!("the file of --authorization-config could not be read"),
    cost: COST,
    fix: "Set --authorization-mode=Node,RBAC on kube-apiserver.",
    yaml: include_str!("../yaml/apiserver-authorization.yaml"),
};

pub(crate) const APISERVER_ADMISSION_PLUGINS: Control = Control {
    id: ControlId::ApiserverAdmissionPlugins,
    slug: "apiserver-admission-plugins",
    title: "Admission plugins of the API server",
    scope: Scope::Node,
    severity: Severity::High,
    pss: None,
    cis: &["1.2.10", "1.2.12", "1.2.13", "1.2.14"],
    nsa: Some("Network separation and hardening: Control plane hardening"),
    nist: Some("4.3.5 Orchestrator node trust"),
    attack: &["T1078", "T1610"],
    checklists: &[Item::A("Principle of least privilege")],
    detective: false,
    exempts_sandbox: false,
    fails: "NodeRestriction is not enabled, AlwaysAdmit is, or PodSecurity, ServiceAccount or \
        NamespaceLifecycle is disabled",
    observed: "--enable-admission-plugins and --disable-admission-plugins of kube-apiserver",
    unknown: control_plane_unknown!(),
    cost: COST,
    fix: "Set --enable-admission-plugins=NodeRestriction on kube-apiserver, and take AlwaysAdmit out of it \
        and every plugin out of --disable-admission-plugins.",
    yaml: include_str!("../yaml/apiserver-admission-plugins.yaml"),
};

pub(crate) const APISERVER_AUDIT_LOG: Control = Control {
    id: ControlId::ApiserverAuditLog,
    slug: "apiserver-audit-log",
    title: "Audit log of the API server",
    scope: Scope::Node,
    severity: Severity::Medium,
    pss: None,
    cis: &["1.2.16", "1.2.17", "1.2.18", "1.2.19"],
    nsa: Some("Audit Logging and Threat Detection: Logging"),
    nist: Some("4.3.2 Unauthorized access"),
    attack: &["T1562", "T1070"],
    checklists: &[Item::A("Audit logging configured"), Item::B("Audit logging enabled")],
    detective: false,
    exempts_sandbox: false,
    fails: "no audit log is written, or it is set to keep less than 30 days, 10 files or files of 100 MB",
    observed: "--audit-log-path, --audit-log-maxage, --audit-log-maxbackup and --audit-log-maxsize of \
        kube-apiserver",
    unknown: control_plane_unknown!(
        "the log goes to standard output or a webhook, so how long it is kept is not told"
    ),
    cost: COST,
    fix: "Set --audit-log-path, --audit-log-maxage=30, --audit-log-maxbackup=10 and --audit-log-maxsize=100 \
        on kube-apiserver.",
    yaml: include_str!("../yaml/apiserver-audit-log.yaml"),
};

pub(crate) const APISERVER_AUDIT_POLICY: Control = Control {
    id: ControlId::ApiserverAuditPolicy,
    slug: "apiserver-audit-policy",
    title: "Audit policy of the API server",
    scope: Scope::Node,
    severity: Severity::Medium,
    pss: None,
    cis: &["3.2.1"],
    nsa: Some("Audit Logging and Threat Detection: Logging"),
    nist: Some("4.3.2 Unauthorized access"),
    attack: &["T1562", "T1070"],
    checklists: &[
        Item::A("Audit logging configured"),
        Item::B("Audit logging enabled"),
        Item::B("Audit policy configured"),
    ],
    detective: false,
    exempts_sandbox: false,
    fails: "there is no audit policy, or none of its rules writes anything",
    observed: "--audit-policy-file of kube-apiserver and the rules in it",
    unknown: control_plane_unknown!("the policy could not be read"),
    cost: COST,
    fix: "Write an audit policy that logs at least the metadata of requests, and set --audit-policy-file on \
        kube-apiserver.",
    yaml: include_str!("../yaml/apiserver-audit-policy.yaml"),
};

pub(crate) const APISERVER_PROFILING: Control = Control {
    id: ControlId::ApiserverProfiling,
    slug: "apiserver-profiling",
    title: "Profiling of the API server",
    scope: Scope::Node,
    severity: Severity::Low,
    pss: None,
    cis: &["1.2.15"],
    nsa: Some("Network separation and hardening: Control plane hardening"),
    nist: Some("4.3.2 Unauthorized access"),
    attack: &["T1613", "T1499"],
    checklists: &[],
    detective: false,
    exempts_sandbox: false,
    fails: "profiles can be taken over the network",
    observed: "--profiling of kube-apiserver (true where it is not given)",
    unknown: control_plane_unknown!(),
    cost: COST,
    fix: "Set --profiling=false on kube-apiserver.",
    yaml: include_str!("../yaml/apiserver-profiling.yaml"),
};

pub(crate) const APISERVER_ENCRYPTION_AT_REST: Control = Control {
    id: ControlId::ApiserverEncryptionAtRest,
    slug: "apiserver-encryption-at-rest",
    title: "Encryption of Secrets at rest",
    scope: Scope::Node,
    severity: Severity::Medium,
    pss: None,
    cis: &["1.2.27", "1.2.28"],
    nsa: Some("Network separation and hardening: Secrets"),
    nist: Some("4.3.2 Unauthorized access"),
    attack: &["T1552", "T1005"],
    checklists: &[Item::A("Data encryption at rest"), Item::B("Kubernetes secrets encrypted at rest")],
    detective: false,
    exempts_sandbox: false,
    fails: "Secrets are written to etcd as they are: no provider is configured, or the first one for \
        Secrets is not aescbc, kms or secretbox",
    observed: "the file of --encryption-provider-config of kube-apiserver: names of providers only, never \
        keys",
    unknown: control_plane_unknown!("the file could not be read"),
    cost: COST,
    fix: "Set --encryption-provider-config on kube-apiserver with kms, secretbox or aescbc first, and write \
        every Secret again.",
    yaml: include_str!("../yaml/apiserver-encryption-at-rest.yaml"),
};

pub(crate) const APISERVER_TLS: Control = Control {
    id: ControlId::ApiserverTls,
    slug: "apiserver-tls",
    title: "TLS of the API server",
    scope: Scope::Node,
    severity: Severity::High,
    pss: None,
    cis: &["1.2.24", "1.2.25"],
    nsa: Some("Network separation and hardening: Encryption"),
    nist: Some("4.3.2 Unauthorized access"),
    attack: &["T1040", "T1557"],
    checklists: &[
        Item::A("TLS encryption for all communications"),
        Item::A("Data encryption in transit"),
        Item::B("TLS/mTLS enabled"),
        Item::A("API authentication and authorization"),
    ],
    detective: false,
    exempts_sandbox: false,
    fails: "the certificate, its key, or the authority of client certificates is not set",
    observed: "--tls-cert-file, --tls-private-key-file and --client-ca-file of kube-apiserver",
    unknown: control_plane_unknown!(),
    cost: COST,
    fix: "Set --tls-cert-file, --tls-private-key-file and --client-ca-file on kube-apiserver.",
    yaml: include_str!("../yaml/apiserver-tls.yaml"),
};

pub(crate) const APISERVER_ETCD_TLS: Control = Control {
    id: ControlId::ApiserverEtcdTls,
    slug: "apiserver-etcd-tls",
    title: "TLS from the API server to etcd",
    scope: Scope::Node,
    severity: Severity::High,
    pss: None,
    cis: &["1.2.23", "1.2.26"],
    nsa: Some("Network separation and hardening: Control plane hardening"),
    nist: Some("4.3.2 Unauthorized access"),
    attack: &["T1040", "T1557"],
    checklists: &[
        Item::A("TLS encryption for all communications"),
        Item::A("Data encryption in transit"),
        Item::B("TLS/mTLS enabled"),
    ],
    detective: false,
    exempts_sandbox: false,
    fails: "the client certificate, its key, or the authority for etcd is not set, or etcd is spoken to by \
        http",
    observed: "--etcd-certfile, --etcd-keyfile, --etcd-cafile and the schemes of --etcd-servers of \
        kube-apiserver",
    unknown: control_plane_unknown!(),
    cost: COST,
    fix: "Set --etcd-certfile, --etcd-keyfile and --etcd-cafile on kube-apiserver, and https in \
        --etcd-servers.",
    yaml: include_str!("../yaml/apiserver-etcd-tls.yaml"),
};

pub(crate) const CONTROLLER_MANAGER_PROFILING: Control = Control {
    id: ControlId::ControllerManagerProfiling,
    slug: "controller-manager-profiling",
    title: "Profiling of the controller manager",
    scope: Scope::Node,
    severity: Severity::Low,
    pss: None,
    cis: &["1.3.2"],
    nsa: Some("Network separation and hardening: Control plane hardening"),
    nist: Some("4.3.2 Unauthorized access"),
    attack: &["T1613", "T1499"],
    checklists: &[],
    detective: false,
    exempts_sandbox: false,
    fails: "profiles can be taken over the network",
    observed: "--profiling of kube-controller-manager (true where it is not given)",
    unknown: control_plane_unknown!(),
    cost: COST,
    fix: "Set --profiling=false on kube-controller-manager.",
    yaml: include_str!("../yaml/controller-manager-profiling.yaml"),
};

pub(crate) const SCHEDULER_PROFILING: Control = Control {
    id: ControlId::SchedulerProfiling,
    slug: "scheduler-profiling",
    title: "Profiling of the scheduler",
    scope: Scope::Node,
    severity: Severity::Low,
    pss: None,
    cis: &["1.4.1"],
    nsa: Some("Network separation and hardening: Control plane hardening"),
    nist: Some("4.3.2 Unauthorized access"),
    attack: &["T1613", "T1499"],
    checklists: &[],
    detective: false,
    exempts_sandbox: false,
    fails: "profiles can be taken over the network",
    observed: "enableProfiling in the file of --config of kube-scheduler, or --profiling where no file is \
        given (true where neither says)",
    unknown: control_plane_unknown!("the file of --config could not be read"),
    cost: COST,
    fix: "Set --profiling=false on kube-scheduler, or enableProfiling: false in its configuration file.",
    yaml: include_str!("../yaml/scheduler-profiling.yaml"),
};

pub(crate) const ETCD_CLIENT_CERT_AUTH: Control = Control {
    id: ControlId::EtcdClientCertAuth,
    slug: "etcd-client-cert-auth",
    title: "Client certificates of etcd",
    scope: Scope::Node,
    severity: Severity::Critical,
    pss: None,
    cis: &["2.2"],
    nsa: Some("Network separation and hardening: Control plane hardening"),
    nist: Some("4.3.2 Unauthorized access"),
    attack: &["T1078", "T1552"],
    checklists: &[Item::A("API authentication and authorization")],
    detective: false,
    exempts_sandbox: false,
    fails: "clients of etcd need no certificate",
    observed: "client-cert-auth of etcd: in its configuration file, flag or variable",
    unknown: control_plane_unknown!("the configuration file or the environment of etcd could not be read"),
    cost: COST,
    fix: "Set --client-cert-auth=true and --trusted-ca-file on etcd.",
    yaml: include_str!("../yaml/etcd-client-cert-auth.yaml"),
};

pub(crate) const ETCD_PEER_CERT_AUTH: Control = Control {
    id: ControlId::EtcdPeerCertAuth,
    slug: "etcd-peer-cert-auth",
    title: "Peer certificates of etcd",
    scope: Scope::Node,
    severity: Severity::High,
    pss: None,
    cis: &["2.5"],
    nsa: Some("Network separation and hardening: Control plane hardening"),
    nist: Some("4.3.2 Unauthorized access"),
    attack: &["T1078", "T1557"],
    checklists: &[Item::A("API authentication and authorization")],
    detective: false,
    exempts_sandbox: false,
    fails: "members of etcd need no certificate to speak to each other",
    observed: "peer-client-cert-auth of etcd: in its configuration file, flag or variable",
    unknown: control_plane_unknown!("the configuration file or the environment of etcd could not be read"),
    cost: COST,
    fix: "Set --peer-client-cert-auth=true and --peer-trusted-ca-file on etcd.",
    yaml: include_str!("../yaml/etcd-peer-cert-auth.yaml"),
};

pub(crate) const ETCD_TLS: Control = Control {
    id: ControlId::EtcdTls,
    slug: "etcd-tls",
    title: "TLS of etcd",
    scope: Scope::Node,
    severity: Severity::High,
    pss: None,
    cis: &["2.1", "2.3", "2.4", "2.6"],
    nsa: Some("Network separation and hardening: Control plane hardening"),
    nist: Some("4.3.2 Unauthorized access"),
    attack: &["T1040", "T1557"],
    checklists: &[
        Item::A("TLS encryption for all communications"),
        Item::A("Data encryption in transit"),
        Item::B("TLS/mTLS enabled"),
    ],
    detective: false,
    exempts_sandbox: false,
    fails: "a certificate or key of etcd, for clients or peers, is not set, or etcd signs its own",
    observed: "cert-file, key-file, auto-tls and those for peers of etcd: in its configuration file, flag \
        or variable",
    unknown: control_plane_unknown!("the configuration file or the environment of etcd could not be read"),
    cost: COST,
    fix: "Set --cert-file, --key-file, --peer-cert-file and --peer-key-file on etcd, and neither --auto-tls \
        nor --peer-auto-tls.",
    yaml: include_str!("../yaml/etcd-tls.yaml"),
};

pub(crate) const KUBELET_ANONYMOUS_AUTH: Control = Control {
    id: ControlId::KubeletAnonymousAuth,
    slug: "kubelet-anonymous-auth",
    title: "Anonymous requests to the kubelet",
    scope: Scope::Node,
    severity: Severity::High,
    pss: None,
    cis: &["4.2.1"],
    nsa: Some("Authentication and authorization: Authentication"),
    nist: Some("4.3.5 Orchestrator node trust"),
    attack: &["T1190", "T1609", "T1613"],
    checklists: &[Item::A("API authentication and authorization")],
    detective: false,
    exempts_sandbox: false,
    fails: "anonymous requests are let in",
    observed: "--anonymous-auth of kubelet, or authentication.anonymous.enabled in the file of --config \
        (false where the file does not say, true where there is none)",
    unknown: control_plane_unknown!(
        "the file of --config could not be read, or a folder of --config-dir may change it"
    ),
    cost: COST,
    fix: "Set authentication.anonymous.enabled: false in the configuration of the kubelet.",
    yaml: include_str!("../yaml/kubelet-anonymous-auth.yaml"),
};

pub(crate) const KUBELET_AUTHORIZATION: Control = Control {
    id: ControlId::KubeletAuthorization,
    slug: "kubelet-authorization",
    title: "Authorization of the kubelet",
    scope: Scope::Node,
    severity: Severity::Critical,
    pss: None,
    cis: &["4.2.2"],
    nsa: Some("Authentication and authorization: Role-based access control"),
    nist: Some("4.3.5 Orchestrator node trust"),
    attack: &["T1609", "T1610"],
    checklists: &[
        Item::A("API authentication and authorization"),
        Item::A("RBAC implemented"),
        Item::B("RBAC configured"),
    ],
    detective: false,
    exempts_sandbox: false,
    fails: "whoever is let in may do everything",
    observed: "--authorization-mode of kubelet, or authorization.mode in the file of --config (Webhook \
        where the file does not say, AlwaysAllow where there is none)",
    unknown: control_plane_unknown!(
        "the file of --config could not be read, or a folder of --config-dir may change it"
    ),
    cost: COST,
    fix: "Set authorization.mode: Webhook in the configuration of the kubelet.",
    yaml: include_str!("../yaml/kubelet-authorization.yaml"),
};

pub(crate) const KUBELET_CLIENT_CA: Control = Control {
    id: ControlId::KubeletClientCa,
    slug: "kubelet-client-ca",
    title: "Client certificates of the kubelet",
    scope: Scope::Node,
    severity: Severity::High,
    pss: None,
    cis: &["4.2.3"],
    nsa: Some("Authentication and authorization: Authentication"),
    nist: Some("4.3.5 Orchestrator node trust"),
    attack: &["T1078", "T1609"],
    checklists: &[Item::A("API authentication and authorization")],
    detective: false,
    exempts_sandbox: false,
    fails: "no authority of client certificates is set, so the API server cannot prove who it is",
    observed: "--client-ca-file of kubelet, or authentication.x509.clientCAFile in the file of --config",
    unknown: control_plane_unknown!(
        "the file of --config could not be read, or a folder of --config-dir may change it"
    ),
    cost: COST,
    fix: "Set authentication.x509.clientCAFile in the configuration of the kubelet.",
    yaml: include_str!("../yaml/kubelet-client-ca.yaml"),
};

pub(crate) const KUBELET_READ_ONLY_PORT: Control = Control {
    id: ControlId::KubeletReadOnlyPort,
    slug: "kubelet-read-only-port",
    title: "Read-only port of the kubelet",
    scope: Scope::Node,
    severity: Severity::Medium,
    pss: None,
    cis: &["4.2.4"],
    nsa: Some("Authentication and authorization: Authentication"),
    nist: Some("4.3.5 Orchestrator node trust"),
    attack: &["T1613", "T1046"],
    checklists: &[Item::A("No unnecessary ports exposed")],
    detective: false,
    exempts_sandbox: false,
    fails: "the kubelet tells of its pods on a port without authentication",
    observed: "--read-only-port of kubelet, or readOnlyPort in the file of --config (0 where the file does \
        not say, 10255 where there is none)",
    unknown: control_plane_unknown!(
        "the file of --config could not be read, or a folder of --config-dir may change it"
    ),
    cost: COST,
    fix: "Set readOnlyPort: 0 in the configuration of the kubelet.",
    yaml: include_str!("../yaml/kubelet-read-only-port.yaml"),
};

pub(crate) const KUBELET_TLS: Control = Control {
    id: ControlId::KubeletTls,
    slug: "kubelet-tls",
    title: "TLS of the kubelet",
    scope: Scope::Node,
    severity: Severity::Low,
    pss: None,
    cis: &["4.2.9"],
    nsa: Some("Network separation and hardening: Encryption"),
    nist: Some("4.3.5 Orchestrator node trust"),
    attack: &["T1040", "T1557"],
    checklists: &[
        Item::A("TLS encryption for all communications"),
        Item::A("Data encryption in transit"),
        Item::B("TLS/mTLS enabled"),
    ],
    detective: false,
    exempts_sandbox: false,
    fails: "the kubelet serves with a certificate that it signed itself: neither a certificate and its key \
        nor serverTLSBootstrap is set",
    observed: "--tls-cert-file, --tls-private-key-file and --rotate-server-certificates of kubelet, or \
        tlsCertFile, tlsPrivateKeyFile and serverTLSBootstrap in the file of --config",
    unknown: control_plane_unknown!(
        "the file of --config could not be read, or a folder of --config-dir may change it"
    ),
    cost: COST,
    fix: "Set serverTLSBootstrap: true in the configuration of the kubelet and approve its certificate \
        requests, or set tlsCertFile and tlsPrivateKeyFile.",
    yaml: include_str!("../yaml/kubelet-tls.yaml"),
};

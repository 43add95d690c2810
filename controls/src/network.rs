//! Ports of a container, and settings of its network.

use crate::{Control, ControlId, Item, Pss, PssLevel, Scope, Severity};

pub(crate) const UNDECLARED_PORTS: Control = Control {
    id: ControlId::UndeclaredPorts,
    slug: "undeclared-ports",
    title: "Undeclared ports",
    scope: Scope::Container,
    severity: Severity::Medium,
    pss: None,
    cis: &[],
    nsa: Some("Network separation and hardening"),
    nist: Some("4.4.4 App vulnerabilities"),
    attack: &["T1571"],
    checklists: &[Item::A("No unnecessary ports exposed")],
    detective: false,
    exempts_sandbox: true,
    fails: "a port is listened on that the pod does not declare",
    observed: "the sockets that the container's processes hold (/proc/PID/fd) and that listen \
        (/proc/PID/net), against the ports that the pod declares (the annotation \
        io.kubernetes.container.ports, through CRI)",
    unknown: container_unknown!("what the pod declares is not known, as without a CRI socket"),
    cost: "the descriptors of the container's processes, read from /proc at each look; where it holds sockets, \
        the kernel's tables of sockets a few times at its start and every ten minutes, for these take the kernel \
        milliseconds",
    fix: "Declare the port in containers[].ports, or make the program listen on 127.0.0.1 only.",
    yaml: include_str!("../yaml/undeclared-ports.yaml"),
};

pub(crate) const PLAINTEXT_PORTS: Control = Control {
    id: ControlId::PlaintextPorts,
    slug: "plaintext-ports",
    title: "Plain text on ports",
    scope: Scope::Container,
    severity: Severity::Medium,
    pss: None,
    cis: &[],
    nsa: Some("Network separation and hardening: Encryption"),
    nist: Some("4.3.3 Poorly separated inter-container network traffic"),
    attack: &["T1040", "T1557"],
    checklists: &[
        Item::A("TLS encryption for all communications"),
        Item::A("Data encryption in transit"),
        Item::B("TLS/mTLS enabled"),
    ],
    detective: false,
    exempts_sandbox: true,
    fails: "a connection to a port began with something else than TLS",
    observed: "the first bytes of the connections to each port, both ways (cgroup_skb)",
    unknown: container_unknown!(
        "no connection was seen, or its first bytes were too few to tell; the first bytes of connections \
        are not read on this node"
    ),
    cost: "the first bytes of each connection, which a program of the kernel copies, and nothing of what \
        follows",
    fix: "Serve the port with TLS, or through a mesh that does.",
    yaml: include_str!("../yaml/plaintext-ports.yaml"),
};

pub(crate) const HOST_PORTS: Control = Control {
    id: ControlId::HostPorts,
    slug: "host-ports",
    title: "Host ports",
    scope: Scope::Container,
    severity: Severity::Medium,
    pss: Some(Pss { level: PssLevel::Baseline, field: "Host Ports" }),
    cis: &["5.2.12"],
    nsa: Some("Kubernetes Pod security: Pod security enforcement"),
    nist: Some("4.3.3 Poorly separated inter-container network traffic"),
    attack: &["T1133"],
    checklists: &[Item::A("No unnecessary ports exposed"), Item::B("Pod Security Standards enforced")],
    detective: false,
    exempts_sandbox: true,
    fails: "a port of the node leads to the container",
    observed: "the host ports that the pod declares (the annotation io.kubernetes.container.ports, through \
        CRI): the rules that the network plugin makes of them are not read",
    unknown: container_unknown!("what the pod declares is not known, as without a CRI socket"),
    cost: "none: the runtime tells it with the container's name",
    fix: "Remove hostPort, and let a Service or an Ingress lead to the pod.",
    yaml: include_str!("../yaml/host-ports.yaml"),
};

pub(crate) const SYSCTLS: Control = Control {
    id: ControlId::Sysctls,
    slug: "sysctls",
    title: "Sysctls",
    scope: Scope::Container,
    severity: Severity::Medium,
    pss: Some(Pss { level: PssLevel::Baseline, field: "Sysctls" }),
    cis: &[],
    nsa: Some("Kubernetes Pod security: Pod security enforcement"),
    nist: Some("4.4.3 Insecure container runtime configurations"),
    attack: &["T1611"],
    checklists: &[Item::B("Pod Security Standards enforced")],
    detective: false,
    exempts_sandbox: true,
    fails: "a kernel parameter is set for the pod that is not among those that the standards call safe",
    observed: "the parameters in the specification by which the runtime made the pod's sandbox; what they are now \
        can be read only from inside its namespaces",
    unknown: container_unknown!("the specification is not known, as without a CRI socket"),
    cost: "none: the runtime tells it with the container's name",
    fix: "Remove all but the safe ones from securityContext.sysctls.",
    yaml: include_str!("../yaml/sysctls.yaml"),
};

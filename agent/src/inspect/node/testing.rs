//! A node in a folder, for tests. Processes have the root `TGID/own-root`.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
};

use super::NodePaths;

/// Arguments of a `kube-apiserver` as kubeadm 1.31 starts it.
pub(crate) const APISERVER: &[&str] = &[
    "kube-apiserver",
    "--advertise-address=10.0.0.10",
    "--allow-privileged=true",
    "--authorization-mode=Node,RBAC",
    "--client-ca-file=/etc/kubernetes/pki/ca.crt",
    "--enable-admission-plugins=NodeRestriction",
    "--enable-bootstrap-token-auth=true",
    "--etcd-cafile=/etc/kubernetes/pki/etcd/ca.crt",
    "--etcd-certfile=/etc/kubernetes/pki/apiserver-etcd-client.crt",
    "--etcd-keyfile=/etc/kubernetes/pki/apiserver-etcd-client.key",
    "--etcd-servers=https://127.0.0.1:2379",
    "--kubelet-client-certificate=/etc/kubernetes/pki/apiserver-kubelet-client.crt",
    "--kubelet-client-key=/etc/kubernetes/pki/apiserver-kubelet-client.key",
    "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
    "--proxy-client-cert-file=/etc/kubernetes/pki/front-proxy-client.crt",
    "--proxy-client-key-file=/etc/kubernetes/pki/front-proxy-client.key",
    "--requestheader-allowed-names=front-proxy-client",
    "--requestheader-client-ca-file=/etc/kubernetes/pki/front-proxy-ca.crt",
    "--secure-port=6443",
    "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
    "--service-account-key-file=/etc/kubernetes/pki/sa.pub",
    "--service-account-signing-key-file=/etc/kubernetes/pki/sa.key",
    "--service-cluster-ip-range=10.96.0.0/12",
    "--tls-cert-file=/etc/kubernetes/pki/apiserver.crt",
    "--tls-private-key-file=/etc/kubernetes/pki/apiserver.key",
];

/// Arguments of an `etcd` as kubeadm 1.31 starts it.
pub(crate) const ETCD: &[&str] = &[
    "etcd",
    "--advertise-client-urls=https://10.0.0.10:2379",
    "--cert-file=/etc/kubernetes/pki/etcd/server.crt",
    "--client-cert-auth=true",
    "--data-dir=/var/lib/etcd",
    "--experimental-initial-corrupt-check=true",
    "--experimental-watch-progress-notify-interval=5s",
    "--initial-advertise-peer-urls=https://10.0.0.10:2380",
    "--initial-cluster=master=https://10.0.0.10:2380",
    "--key-file=/etc/kubernetes/pki/etcd/server.key",
    "--listen-client-urls=https://127.0.0.1:2379,https://10.0.0.10:2379",
    "--listen-metrics-urls=http://127.0.0.1:2381",
    "--listen-peer-urls=https://10.0.0.10:2380",
    "--name=master",
    "--peer-cert-file=/etc/kubernetes/pki/etcd/peer.crt",
    "--peer-client-cert-auth=true",
    "--peer-key-file=/etc/kubernetes/pki/etcd/peer.key",
    "--peer-trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt",
    "--snapshot-count=10000",
    "--trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt",
];

/// Arguments of a `kubelet` as kubeadm 1.31 starts it.
pub(crate) const KUBELET: &[&str] = &[
    "/usr/bin/kubelet",
    "--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf",
    "--kubeconfig=/etc/kubernetes/kubelet.conf",
    "--config=/var/lib/kubelet/config.yaml",
    "--container-runtime-endpoint=unix:///var/run/containerd/containerd.sock",
    "--pod-infra-container-image=registry.k8s.io/pause:3.10",
];

/// The configuration that kubeadm 1.31 writes for it.
pub(crate) const KUBELET_CONFIG: &str = "\
apiVersion: kubelet.config.k8s.io/v1beta1
authentication:
  anonymous:
    enabled: false
  webhook:
    cacheTTL: 0s
    enabled: true
  x509:
    clientCAFile: /etc/kubernetes/pki/ca.crt
authorization:
  mode: Webhook
  webhook:
    cacheAuthorizedTTL: 0s
    cacheUnauthorizedTTL: 0s
cgroupDriver: systemd
clusterDNS:
- 10.96.0.10
clusterDomain: cluster.local
containerRuntimeEndpoint: \"\"
cpuManagerReconcilePeriod: 0s
healthzBindAddress: 127.0.0.1
healthzPort: 10248
kind: KubeletConfiguration
logging:
  flushFrequency: 0
  options:
    json:
      infoBufferSize: \"0\"
rotateCertificates: true
staticPodPath: /etc/kubernetes/manifests
streamingConnectionIdleTimeout: 0s
";

/// An encryption configuration, as the documentation of Kubernetes has it.
pub(crate) const ENCRYPTION: &str = "\
---
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources:
      - events
    providers:
      - identity: {}
  - resources:
      - secrets
      - configmaps
    providers:
      - aescbc:
          keys:
            - name: key1
              secret: c2VjcmV0IGlzIHNlY3VyZQ==
      - identity: {} # old ones stay readable
";

/// An audit policy.
pub(crate) const AUDIT_POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages:
  - RequestReceived
rules:
  - level: None
    users: [\"system:kube-proxy\"]
    verbs: [watch]
  - level: Metadata
    resources:
      - group: \"\"
        resources: [secrets, configmaps]
  - level: RequestResponse
";

/// Words as `/proc/PID/cmdline` has them.
pub(crate) fn cmdline(words: &[&str]) -> Vec<u8> {
    words.iter().flat_map(|word| word.bytes().chain([0])).collect()
}

/// A folder that looks like a node.
pub(crate) struct Tree(tempfile::TempDir);

impl Tree {
    /// A node whose kernel passes every control.
    pub(crate) fn hardened() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        tree.write("proc/sys/kernel/osrelease", "6.12.48\n");
        tree.write("proc/sys/kernel/unprivileged_bpf_disabled", "2\n");
        tree.write("proc/sys/kernel/unprivileged_userns_clone", "0\n");
        tree.write("proc/sys/kernel/yama/ptrace_scope", "1\n");
        tree.write(
            "proc/sys/kernel/core_pattern",
            "|/usr/lib/systemd/systemd-coredump %P %u %g %s %t %c %h %d\n",
        );
        tree.write("proc/sys/user/max_user_namespaces", "127234\n");
        tree.write("sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
        tree.write("sys/kernel/security/lsm", "lockdown,capability,yama,apparmor,bpf,ima");
        tree.write("root/usr/lib/systemd/systemd-coredump", "");
        tree.mode("root/usr/lib/systemd/systemd-coredump", 0o755);
        tree
    }

    pub(crate) fn paths(&self) -> NodePaths {
        let at = |name| self.0.path().join(name);
        NodePaths { proc: at("proc"), sys: at("sys"), root: at("root") }
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.0.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn link(&self, target: &str, name: &str) {
        symlink(target, self.0.path().join(name)).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.0.path().join(name)).unwrap();
    }

    /// A process that executes a file with these words; again: another program of it.
    pub(crate) fn process(&self, tgid: u32, executable: &str, words: &[&str]) {
        let _ = fs::remove_dir_all(self.0.path().join(format!("proc/{tgid}")));
        fs::create_dir_all(self.0.path().join(format!("{tgid}/own-root"))).unwrap();
        self.write(&format!("proc/{tgid}/cmdline"), cmdline(words));
        self.write(&format!("proc/{tgid}/environ"), "");
        self.link(executable, &format!("proc/{tgid}/exe"));
        self.link(&format!("../../{tgid}/own-root"), &format!("proc/{tgid}/root"));
    }
}

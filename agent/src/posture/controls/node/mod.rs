//! Controls of the node, held against what was read of it ([`crate::inspect::node`]).

mod apiserver;
mod audit;
mod component;
mod core_pattern;
mod etcd;
mod kernel;
mod kubelet;
mod profiling;
mod user_namespaces;

use crate::posture::control::{NODE_CONTROLS, NodeControl};

/// Controls of the node, in the order of their ids.
pub static NODE: [NodeControl; NODE_CONTROLS] = [
    kernel::LOCKDOWN,
    kernel::UNPRIVILEGED_BPF,
    user_namespaces::CONTROL,
    kernel::LSM,
    kernel::PTRACE_SCOPE,
    core_pattern::CONTROL,
    apiserver::ANONYMOUS_AUTH,
    apiserver::AUTHORIZATION,
    apiserver::ADMISSION_PLUGINS,
    audit::LOG,
    audit::POLICY,
    profiling::APISERVER,
    apiserver::ENCRYPTION_AT_REST,
    apiserver::TLS,
    apiserver::ETCD_TLS,
    profiling::CONTROLLER_MANAGER,
    profiling::SCHEDULER,
    etcd::CLIENT_CERT_AUTH,
    etcd::PEER_CERT_AUTH,
    etcd::TLS,
    kubelet::ANONYMOUS_AUTH,
    kubelet::AUTHORIZATION,
    kubelet::CLIENT_CA,
    kubelet::READ_ONLY_PORT,
    kubelet::TLS,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        inspect::node::{Candidate, Home, read, testing::Tree},
        posture::{Outcome, Scope},
    };

    #[test]
    fn a_node_of_which_nothing_is_read_passes_nothing() {
        let empty = tempfile::tempdir().unwrap();
        let at = |name| empty.path().join(name);
        let paths = crate::inspect::node::NodePaths { proc: at("proc"), sys: at("sys"), root: at("root") };
        let facts = read(&paths, &[Candidate { tgid: 1, home: Home::Host }]);
        for control in &NODE {
            assert_eq!(control.id.control().scope, Scope::Node);
            let outcome = (control.check)(&facts).outcome;
            let is_of_host = control.id.slug().starts_with("host-");
            assert_eq!(matches!(outcome, Outcome::Unknown(_)), is_of_host, "{}: {outcome:?}", control.id);
            assert_eq!(outcome == Outcome::NotApplicable, !is_of_host, "{}: {outcome:?}", control.id);
        }
    }

    #[test]
    fn a_hardened_kernel_passes() {
        let tree = Tree::hardened();
        let facts = read(&tree.paths(), &[]);
        for control in &NODE[..5] {
            let judgement = (control.check)(&facts);
            assert_eq!(judgement.outcome, Outcome::Pass, "{}: {judgement:?}", control.id);
        }
    }
}

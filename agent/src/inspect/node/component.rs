//! The parts of Kubernetes that run on this node, found among its processes.
//!
//! A part is known by the file that it executes: name and first argument a workload chooses itself. It has to be
//! a process of the host, or one of a pod in the namespace `kube-system`; a workload that calls its program
//! `etcd` is none. Where a part cannot be seen, because it may run inside of another program or in a container
//! that has no name yet, that is said, and is not the same as that it does not run.

use std::{os::fd::OwnedFd, path::Path};

use rustix::fs::readlinkat;

use super::{
    Arguments,
    arguments::truth,
    config::{
        AuditPolicy, Authentication, Authorization, Encryption, EtcdConfig, KubeletConfig, SchedulerConfig,
    },
    file::{configuration, folder, kernel_file, not_read, root_of},
};
use crate::inspect::{NotRead, Read};

/// Longest command line or environment that is read.
const TEXT_BYTES: u64 = 256 << 10;
/// Most processes of one part that are looked at.
const RUNNING: usize = 8;

/// Whose a process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Home {
    /// The host's.
    Host,
    /// That of a pod.
    Pod {
        /// Its namespace.
        namespace: String,
    },
    /// That of a container of which no name is known.
    Unnamed,
}

/// A process that may be a part of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The process.
    pub tgid: u32,
    /// Whose it is.
    pub home: Home,
}

/// Why a part may run without being seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hidden {
    /// It runs inside of this program, whose arguments do not tell.
    Inside(&'static str),
    /// A container of which no name is known runs a program of that name.
    Unnamed,
    /// There is a process of which it was not read what it executes.
    NotRead(NotRead),
    /// There are more processes of it than are looked at.
    TooMany,
}

/// What was found of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<T> {
    /// Its processes: mostly one.
    pub running: Vec<T>,
    /// Why there may be another.
    pub hidden: Option<Hidden>,
}

impl<T> Default for Found<T> {
    fn default() -> Self {
        Self { running: Vec::new(), hidden: None }
    }
}

impl<T> Found<T> {
    pub(super) fn map<U>(self, read: fn(T) -> U) -> Found<U> {
        Found { running: self.running.into_iter().map(read).collect(), hidden: self.hidden }
    }

    /// Another reason; the first stays, but that there are too many counts most.
    fn hide(&mut self, why: Hidden) {
        if self.hidden.is_none() || why == Hidden::TooMany {
            self.hidden = Some(why);
        }
    }
}

/// A process of a part.
#[derive(Debug)]
pub(super) struct Process {
    tgid: u32,
    /// Its folder in procfs: stays that of this process.
    folder: OwnedFd,
}

/// The candidates that are one, by part.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    pub(super) apiserver: Found<Process>,
    pub(super) controller_manager: Found<Process>,
    pub(super) scheduler: Found<Process>,
    pub(super) etcd: Found<Process>,
    pub(super) kubelet: Found<Process>,
}

/// Programs that are parts of Kubernetes, or several in one.
const PROGRAMS: [&str; 9] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "etcd",
    "kubelet",
    "k3s",
    "rke2",
    "kubelite",
    "hyperkube",
];

/// Whether the executable at this path may be a part of Kubernetes.
#[must_use]
pub fn may_be(exe_path: &[u8]) -> bool {
    let name = exe_path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    PROGRAMS.iter().any(|program| program.as_bytes() == name)
}

pub(super) fn sort(proc: &Path, candidates: &[Candidate]) -> Sorted {
    let mut sorted = Sorted::default();
    for Candidate { tgid, home } in candidates {
        if matches!(home, Home::Pod { namespace } if namespace != "kube-system") {
            continue;
        }
        match Process::open(proc, *tgid) {
            Ok((process, executable)) => sorted.take(process, &executable, home),
            // It has exited, or has no program: it is a thread of the kernel.
            Err(NotRead::NotThere | NotRead::Gone) => {}
            Err(why) => sorted.hide_all(&Hidden::NotRead(why)),
        }
    }
    sorted
}

impl Sorted {
    fn take(&mut self, process: Process, executable: &str, home: &Home) {
        if let Some(found) = self.named(executable) {
            if *home == Home::Unnamed {
                found.hide(Hidden::Unnamed);
            } else if found.running.len() == RUNNING {
                found.hide(Hidden::TooMany);
            } else {
                found.running.push(process);
            }
            return;
        }
        let Some(program) =
            ["k3s", "rke2", "kubelite", "hyperkube"].into_iter().find(|name| *name == executable)
        else {
            return;
        };
        let why = if *home == Home::Unnamed { Hidden::Unnamed } else { Hidden::Inside(program) };
        let words = match process.text("cmdline") {
            Ok(cmdline) => String::from_utf8_lossy(&cmdline).replace('\0', " "),
            Err(_) => return self.hide_all(&why),
        };
        let has = |wanted: &str| words.split_whitespace().any(|word| word == wanted);
        match program {
            "k3s" | "rke2" if has("server") => self.hide_all(&why),
            // The kubelet of rke2 is a program of its own.
            "k3s" if has("agent") => self.kubelet.hide(why),
            // k3s is also containerd, kubectl and crictl.
            "k3s" | "rke2" => {}
            "kubelite" if has("--start-control-plane=false") => self.kubelet.hide(why),
            "kubelite" => self.hide_all(&why),
            _ => {
                let parts = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet"];
                for part in parts {
                    if (has(part) || has(part.trim_start_matches("kube-")))
                        && let Some(found) = self.named(part)
                    {
                        found.hide(why.clone());
                    }
                }
            }
        }
    }

    fn named(&mut self, name: &str) -> Option<&mut Found<Process>> {
        match name {
            "kube-apiserver" => Some(&mut self.apiserver),
            "kube-controller-manager" => Some(&mut self.controller_manager),
            "kube-scheduler" => Some(&mut self.scheduler),
            "etcd" => Some(&mut self.etcd),
            "kubelet" => Some(&mut self.kubelet),
            _ => None,
        }
    }

    fn hide_all(&mut self, why: &Hidden) {
        let Self { apiserver, controller_manager, scheduler, etcd, kubelet } = self;
        for found in [apiserver, controller_manager, scheduler, etcd, kubelet] {
            found.hide(why.clone());
        }
    }
}

impl Process {
    /// The process, and the name of the file that it executes.
    fn open(proc: &Path, tgid: u32) -> Read<(Self, String)> {
        let folder = folder(&proc.join(tgid.to_string()))?;
        let link = readlinkat(&folder, "exe", Vec::new()).map_err(not_read)?;
        let path = String::from_utf8_lossy(link.as_bytes()).into_owned();
        let path = path.strip_suffix(" (deleted)").unwrap_or(&path);
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        Ok((Self { tgid, folder }, name))
    }

    fn text(&self, name: &str) -> Read<Vec<u8>> {
        kernel_file(&self.folder, name, TEXT_BYTES)
    }

    fn arguments(&self) -> Read<Arguments> {
        Arguments::parse(&self.text("cmdline")?)
    }

    /// Reads a configuration file, as the process sees it.
    fn configuration<C>(&self, path: &str, parse: fn(&str) -> Read<C>) -> Read<C> {
        parse(&configuration(&root_of(&self.folder)?, path)?)
    }

    /// The same, where a flag names one.
    fn named_by<C>(
        &self,
        arguments: &Read<Arguments>,
        flag: &str,
        parse: fn(&str) -> Read<C>,
    ) -> Option<Read<C>> {
        let path = arguments.as_ref().ok()?.path(flag)?;
        Some(self.configuration(path, parse))
    }
}

/// A `kube-apiserver`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiServer {
    /// Its process.
    pub tgid: u32,
    /// Its flags.
    pub arguments: Read<Arguments>,
    /// The file of `--audit-policy-file`, where that is given; so the others.
    pub audit_policy: Option<Read<AuditPolicy>>,
    /// `--encryption-provider-config`.
    pub encryption: Option<Read<Encryption>>,
    /// `--authorization-config`.
    pub authorization: Option<Read<Authorization>>,
    /// `--authentication-config`.
    pub authentication: Option<Read<Authentication>>,
}

impl ApiServer {
    pub(super) fn read(process: Process) -> Self {
        let arguments = process.arguments();
        Self {
            tgid: process.tgid,
            audit_policy: process.named_by(&arguments, "audit-policy-file", AuditPolicy::parse),
            encryption: process.named_by(&arguments, "encryption-provider-config", Encryption::parse),
            authorization: process.named_by(&arguments, "authorization-config", Authorization::parse),
            authentication: process.named_by(&arguments, "authentication-config", Authentication::parse),
            arguments,
        }
    }
}

/// A `kube-controller-manager`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerManager {
    /// Its process.
    pub tgid: u32,
    /// Its flags.
    pub arguments: Read<Arguments>,
}

impl ControllerManager {
    pub(super) fn read(process: Process) -> Self {
        Self { tgid: process.tgid, arguments: process.arguments() }
    }
}

/// A `kube-scheduler`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduler {
    /// Its process.
    pub tgid: u32,
    /// Its flags.
    pub arguments: Read<Arguments>,
    /// The file of `--config`, where that is given.
    pub config: Option<Read<SchedulerConfig>>,
}

impl Scheduler {
    pub(super) fn read(process: Process) -> Self {
        let arguments = process.arguments();
        let config = process.named_by(&arguments, "config", SchedulerConfig::parse);
        Self { tgid: process.tgid, arguments, config }
    }
}

/// A `kubelet`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kubelet {
    /// Its process.
    pub tgid: u32,
    /// Its flags.
    pub arguments: Read<Arguments>,
    /// The file of `--config`, where that is given.
    pub config: Option<Read<KubeletConfig>>,
}

impl Kubelet {
    pub(super) fn read(process: Process) -> Self {
        let arguments = process.arguments();
        let config = process.named_by(&arguments, "config", KubeletConfig::parse);
        Self { tgid: process.tgid, arguments, config }
    }
}

/// An `etcd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Etcd {
    /// Its process.
    pub tgid: u32,
    /// What is in force: what the configuration file says; without one, flags and then variables.
    /// <https://etcd.io/docs/v3.5/op-guide/configuration/>
    pub options: Read<EtcdConfig>,
}

impl Etcd {
    pub(super) fn read(process: Process) -> Self {
        Self { tgid: process.tgid, options: Self::options(&process) }
    }

    fn options(process: &Process) -> Read<EtcdConfig> {
        let arguments = process.arguments()?;
        // The flag names the file whatever the environment says, and the file is all that counts then.
        if let Some(path) = arguments.path("config-file") {
            return process.configuration(path, EtcdConfig::parse);
        }
        let environment = process.text("environ")?;
        let variable = |flag: &str| {
            let name = format!("ETCD_{}", flag.replace('-', "_").to_uppercase());
            let mut variables = environment.split(|byte| *byte == 0);
            let value = variables.find_map(|one| one.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
            value.map(|value| String::from_utf8_lossy(value).into_owned()).filter(|value| !value.is_empty())
        };
        if let Some(path) = variable("config-file") {
            return process.configuration(&path, EtcdConfig::parse);
        }
        let text = |flag: &str| match arguments.last(flag) {
            Some(value) => Some(value.to_owned()),
            None => variable(flag),
        };
        let switch = |flag: &str| match text(flag) {
            Some(value) => truth(&value).map(Some).ok_or(NotRead::NotUnderstood),
            None => Ok(None),
        };
        Ok(EtcdConfig {
            cert_file: text("cert-file"),
            key_file: text("key-file"),
            client_cert_auth: switch("client-cert-auth")?,
            auto_tls: switch("auto-tls")?,
            peer_cert_file: text("peer-cert-file"),
            peer_key_file: text("peer-key-file"),
            peer_client_cert_auth: switch("peer-client-cert-auth")?,
            peer_auto_tls: switch("peer-auto-tls")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::node::{
        NodeFacts, read,
        testing::{APISERVER, ETCD, KUBELET, KUBELET_CONFIG, Tree},
    };

    fn host(tgid: u32) -> Candidate {
        Candidate { tgid, home: Home::Host }
    }

    fn pod(tgid: u32, namespace: &str) -> Candidate {
        Candidate { tgid, home: Home::Pod { namespace: namespace.into() } }
    }

    fn kubeadm() -> Tree {
        let tree = Tree::hardened();
        tree.process(10, "/usr/bin/kubelet", KUBELET);
        tree.write("10/own-root/var/lib/kubelet/config.yaml", KUBELET_CONFIG);
        tree.process(20, "/usr/local/bin/kube-apiserver", APISERVER);
        tree.process(30, "/usr/local/bin/etcd", ETCD);
        tree
    }

    fn facts(tree: &Tree, candidates: &[Candidate]) -> NodeFacts {
        read(&tree.paths(), candidates)
    }

    #[test]
    fn parts_are_known_by_their_executable_and_home() {
        let tree = kubeadm();
        let facts = facts(&tree, &[host(10), pod(20, "kube-system"), pod(30, "kube-system"), host(999)]);
        assert_eq!(facts.kubelet.running.len(), 1);
        assert!(matches!(facts.kubelet.running[0].config, Some(Ok(_))), "{:?}", facts.kubelet);
        assert_eq!(facts.apiserver.running[0].tgid, 20);
        assert_eq!(facts.etcd.running[0].options.as_ref().unwrap().client_cert_auth, Some(true));
        assert_eq!(facts.scheduler, Found::default());
    }

    #[test]
    fn a_workload_that_takes_a_name_is_none() {
        let tree = kubeadm();
        tree.process(40, "/usr/bin/sleep", &["kube-apiserver", "--anonymous-auth=false"]);
        let found = facts(&tree, &[pod(20, "shop"), pod(30, "shop"), host(40)]);
        assert_eq!((found.apiserver, found.etcd), (Found::default(), Found::default()));
        let found = facts(&tree, &[Candidate { tgid: 20, home: Home::Unnamed }]);
        assert_eq!(found.apiserver.hidden, Some(Hidden::Unnamed));
        assert!(found.apiserver.running.is_empty());
    }

    #[test]
    fn a_replaced_executable_keeps_its_name() {
        let tree = kubeadm();
        tree.process(50, "/usr/bin/kubelet (deleted)", KUBELET);
        assert_eq!(facts(&tree, &[host(50)]).kubelet.running.len(), 1);
    }

    #[test]
    fn programs_that_hold_several() {
        let tree = kubeadm();
        let inside = |tgid: u32, name: &str, words: &[&str]| {
            tree.process(tgid, &format!("/var/lib/bin/{name}"), words);
            let facts = facts(&tree, &[host(tgid)]);
            [
                facts.apiserver.hidden,
                facts.controller_manager.hidden,
                facts.scheduler.hidden,
                facts.etcd.hidden,
                facts.kubelet.hidden,
            ]
            .map(|hidden| matches!(hidden, Some(Hidden::Inside(_))))
        };
        assert_eq!(inside(60, "k3s", &["/usr/local/bin/k3s server"]), [true; 5]);
        let kubelet = [false, false, false, false, true];
        assert_eq!(inside(61, "k3s", &["/usr/local/bin/k3s", "agent"]), kubelet);
        assert_eq!(inside(62, "k3s", &["containerd", "-c", "/etc/containerd"]), [false; 5]);
        assert_eq!(inside(63, "rke2", &["/usr/local/bin/rke2 agent"]), [false; 5]);
        assert_eq!(inside(64, "rke2", &["/usr/local/bin/rke2", "server"]), [true; 5]);
        assert_eq!(inside(65, "kubelite", &["/snap/kubelite", "--apiserver-args-file=x"]), [true; 5]);
        assert_eq!(inside(66, "kubelite", &["/snap/kubelite", "--start-control-plane=false"]), kubelet);
        assert_eq!(
            inside(67, "hyperkube", &["hyperkube", "kube-scheduler"]),
            [false, false, true, false, false]
        );
    }

    #[test]
    fn more_than_are_looked_at() {
        let tree = kubeadm();
        let candidates: Vec<_> = (100..100 + RUNNING as u32 + 1).map(host).collect();
        for candidate in &candidates {
            tree.process(candidate.tgid, "/usr/bin/etcd", ETCD);
        }
        let etcd = facts(&tree, &candidates).etcd;
        assert_eq!((etcd.running.len(), etcd.hidden), (RUNNING, Some(Hidden::TooMany)));
    }

    #[test]
    fn options_of_etcd_come_from_one_source() {
        let tree = kubeadm();
        tree.process(70, "/usr/bin/etcd", &["etcd", "-client-cert-auth=false"]);
        tree.write("proc/70/environ", "ETCD_CLIENT_CERT_AUTH=true\0ETCD_CERT_FILE=/a\0ETCD_AUTO_TLS=\0");
        let options = facts(&tree, &[host(70)]).etcd.running.remove(0).options.unwrap();
        assert_eq!((options.client_cert_auth, options.auto_tls), (Some(false), None));
        assert_eq!(options.cert_file.as_deref(), Some("/a"));

        tree.write("70/own-root/etc/etcd.yaml", "client-transport-security:\n  client-cert-auth: true\n");
        tree.write("proc/70/environ", "ETCD_CONFIG_FILE=/etc/etcd.yaml\0ETCD_CERT_FILE=/a\0");
        let options = facts(&tree, &[host(70)]).etcd.running.remove(0).options.unwrap();
        assert_eq!((options.client_cert_auth, options.cert_file), (Some(true), None));

        tree.remove("proc/70/environ");
        assert_eq!(facts(&tree, &[host(70)]).etcd.running[0].options, Err(NotRead::NotThere));
    }

    #[test]
    fn a_configuration_outside_of_the_root_is_not_read() {
        let tree = kubeadm();
        tree.write("outside.yaml", KUBELET_CONFIG);
        tree.remove("10/own-root/var/lib/kubelet/config.yaml");
        tree.link("../../../../outside.yaml", "10/own-root/var/lib/kubelet/config.yaml");
        assert_eq!(facts(&tree, &[host(10)]).kubelet.running[0].config, Some(Err(NotRead::NotThere)));
    }
}

//! Fields that never, or not always, have a value here, and why. A rule that asks for one is warned of.

use std::collections::BTreeMap;

const NO_READS: &str = "what is read and written is not looked at";
const NO_PLUGINS: &str = "there are no plugins";
const NO_STATISTICS: &str = "the kernel's statistics of processes are not read";
const NO_DESCRIPTORS: &str = "descriptors are known when calls work on them only";
const NO_GROUPS: &str = "process groups are not read";
const NO_ENVIRONMENT: &str = "environments of forebears are not read";
const NO_RUNTIME: &str = "the container runtime is not asked for it";
const NO_OBJECTS: &str = "objects of the cluster are not asked for";
const NO_TIMES: &str = "when a pid namespace began is not read";
const NO_LATENCY: &str = "it is not measured, neither here nor in Falco";
const NO_EARLIER: &str = "no event remembers the one before";

/// By reason.
const UNANSWERED: &[(&str, &[&str])] = &[
    (NO_READS, &["evt.buffer", "evt.buflen", "evt.io_dir", "evt.is_syslog"]),
    (NO_PLUGINS, &["evt.pluginname", "evt.plugininfo", "evt.asynctype"]),
    (NO_EARLIER, &["evt.deltatime", "evt.deltatime.s", "evt.deltatime.ns"]),
    (
        NO_LATENCY,
        &["evt.latency", "evt.latency.s", "evt.latency.ns", "evt.latency.human", "evt.wait_latency"],
    ),
    (
        "arguments are told one by one",
        &[
            "evt.args",
            "evt.info",
            "evt.abspath",
            "evt.count.error.file",
            "evt.count.error.net",
            "evt.count.error.memory",
            "evt.count.error.other",
        ],
    ),
    ("whether an open made its file is not told", &["evt.is_open_create"]),
    (NO_ENVIRONMENT, &["proc.aenv"]),
    ("it is known of execve events only", &["proc.cwd"]),
    (
        NO_GROUPS,
        &[
            "proc.vpgid",
            "proc.vpgid.name",
            "proc.vpgid.exe",
            "proc.vpgid.exepath",
            "proc.pgid",
            "proc.pgid.name",
            "proc.pgid.exe",
            "proc.pgid.exepath",
            "proc.is_vpgid_leader",
            "proc.is_pgid_leader",
        ],
    ),
    (NO_TIMES, &["proc.exe_ino.ctime_duration_pidns_start", "proc.pidns_init_start_ts"]),
    (
        NO_STATISTICS,
        &[
            "proc.fdopencount",
            "proc.fdlimit",
            "proc.fdusage",
            "proc.vmsize",
            "proc.vmrss",
            "proc.vmswap",
            "thread.pfmajor",
            "thread.pfminor",
            "thread.exectime",
            "thread.totexectime",
            "thread.cgroups",
            "thread.cgroup",
            "proc.nthreads",
            "proc.nchilds",
            "thread.cpu",
            "thread.cpu.user",
            "thread.cpu.system",
            "thread.vmsize",
            "thread.vmrss",
        ],
    ),
    (
        NO_DESCRIPTORS,
        &[
            "proc.stdin.type",
            "proc.stdout.type",
            "proc.stderr.type",
            "proc.stdin.name",
            "proc.stdout.name",
            "proc.stderr.name",
            "fd.types",
            "fd.uid",
            "fd.name_changed",
            "fdlist.nums",
            "fdlist.names",
            "fdlist.cips",
            "fdlist.sips",
            "fdlist.cports",
            "fdlist.sports",
        ],
    ),
    ("names of services are not looked up", &["fd.cproto", "fd.sproto", "fd.lproto", "fd.rproto"]),
    (
        NO_RUNTIME,
        &[
            "container.image.id",
            "container.mount.mode",
            "container.healthcheck",
            "container.liveness_probe",
            "container.readiness_probe",
            "container.ip",
            "container.cni.json",
            "container.label",
            "container.labels",
            "k8s.pod.sandbox_id",
            "k8s.pod.full_sandbox_id",
            "k8s.pod.ip",
            "k8s.pod.cni.json",
        ],
    ),
    (
        NO_OBJECTS,
        &[
            "k8s.rc.name",
            "k8s.rc.id",
            "k8s.rc.label",
            "k8s.rc.labels",
            "k8s.svc.name",
            "k8s.svc.id",
            "k8s.svc.label",
            "k8s.svc.labels",
            "k8s.ns.id",
            "k8s.ns.label",
            "k8s.ns.labels",
            "k8s.rs.name",
            "k8s.rs.id",
            "k8s.rs.label",
            "k8s.rs.labels",
            "k8s.deployment.name",
            "k8s.deployment.id",
            "k8s.deployment.label",
            "k8s.deployment.labels",
        ],
    ),
];

/// The fields and why, for [`rules::load::Config::unanswered`].
#[must_use]
pub fn unanswered() -> BTreeMap<String, String> {
    let one = |why: &'static str| move |name: &&str| ((*name).to_owned(), why.to_owned());
    UNANSWERED.iter().flat_map(|(why, names)| names.iter().map(one(why))).collect()
}

#[cfg(test)]
mod tests {
    use rules::{compile::Matching, load::Config};

    use crate::detect::{RuleSet, Text};

    #[test]
    fn rules_that_come_with_kestrel_ask_for_what_is_answered() {
        let texts: Vec<_> = rules::default::FILES.iter().map(|(name, text)| Text::new(name, text)).collect();
        let set = RuleSet::load(&texts, &Config::default(), Matching::All).unwrap();
        let warnings = &set.summary().warnings;
        // That an exec has, and they ask it of execs.
        let (known, others): (Vec<_>, Vec<_>) = warnings.iter().partition(|it| it.contains("'proc.cwd'"));
        assert_eq!(others, Vec::<&String>::new());
        assert!(!known.is_empty(), "warnings are made");
        assert!(set.hears_peer_names());
        let deaf = set.without_peer_names();
        let parts = deaf.summary().warnings.iter().filter(|it| it.contains("a part of a host's name"));
        assert_eq!(parts.count(), 3, "{:?}", deaf.summary().warnings);
    }
}

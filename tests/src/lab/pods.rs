//! The demo's pods: one that is as it should be, and one for each way of being wrong.

use std::{fs, path::Path};

use anyhow::Result;
use serde_json::json;

use super::spec::{ContainerSpec, PodSpec, Seccomp};

/// A pod and what is to be found wrong with it.
#[derive(Clone, Debug)]
pub struct DemoPod {
    /// A short name: `good`, `root`, ….
    pub slug: &'static str,
    /// What is wrong, in words.
    pub wrong: &'static str,
    /// The controls it must fail. All others it must pass.
    pub fails: &'static [&'static str],
    /// The pod.
    pub spec: PodSpec,
}

const SLEEP: [&str; 2] = ["/bin/sleep", "2147483647"];

/// All demo pods. Seccomp profiles are written to `profiles`, which must outlive the start of the pods.
pub fn demo(profiles: &Path) -> Result<Vec<DemoPod>> {
    let restricted = || ContainerSpec::restricted("app", SLEEP);
    let localhost = |name, profile| -> Result<_> {
        let path = profiles.join(name);
        fs::write(&path, format!("{profile:#}"))?;
        Ok(Seccomp::Localhost(path))
    };
    Ok(vec![
        DemoPod {
            slug: "good",
            wrong: "nothing: uid 1000, no_new_privs, RuntimeDefault, no capabilities",
            fails: &[],
            spec: pod("checkout", "5d4f8c7b9", "x2x7k", restricted()),
        },
        DemoPod {
            slug: "root",
            wrong: "runs as root",
            fails: &["run-as-non-root"],
            spec: pod("cart", "7c9d6b5f4d", "mk8vq", ContainerSpec { run_as_user: Some(0), ..restricted() }),
        },
        DemoPod {
            slug: "no-seccomp",
            wrong: "no seccomp filter",
            fails: &["seccomp"],
            spec: pod(
                "search",
                "66b8f7d5c",
                "9tz4w",
                ContainerSpec { seccomp: Seccomp::Unconfined, ..restricted() },
            ),
        },
        DemoPod {
            slug: "allow-all-seccomp",
            wrong: "a seccomp filter that allows all",
            fails: &["seccomp"],
            spec: pod(
                "pricing",
                "84c6d9f7b8",
                "h5l2n",
                ContainerSpec { seccomp: localhost("allow-all.json", allow_all())?, ..restricted() },
            ),
        },
        DemoPod {
            slug: "allow-most-seccomp",
            wrong: "a seccomp filter that denies swapon and allows the rest",
            fails: &["seccomp"],
            spec: pod(
                "images",
                "59f8d7c6b4",
                "zq7cd",
                ContainerSpec { seccomp: localhost("deny-swapon.json", deny_swapon())?, ..restricted() },
            ),
        },
        DemoPod {
            slug: "no-nnp",
            wrong: "may gain privileges (no_new_privs is off)",
            fails: &["no-new-privileges"],
            spec: pod("mailer", "6fd7c8b9d5", "4kxw8", ContainerSpec { no_new_privs: false, ..restricted() }),
        },
        DemoPod {
            slug: "privileged",
            wrong: "privileged: root, all capabilities, no seccomp filter",
            fails: &[
                "privileged",
                "run-as-non-root",
                "no-new-privileges",
                "seccomp",
                "capabilities",
                "added-capabilities",
                "proc-mount",
                "host-devices",
            ],
            spec: PodSpec::new("kube-system", "node-tuner-7h2vd")
                .label("app", "node-tuner")
                .label("controller-revision-hash", "6b9c5d8f7")
                .label("pod-template-generation", "1")
                .container(ContainerSpec::privileged("app", SLEEP)),
        },
        DemoPod {
            slug: "setuid",
            wrong: "starts as uid 1000, then becomes root through a set-uid program",
            fails: &["no-new-privileges", "run-as-non-root", "gained-privileges"],
            spec: pod(
                "reports",
                "7b6f9d8c5",
                "w3n9s",
                ContainerSpec {
                    no_new_privs: false,
                    ..ContainerSpec::restricted("app", ["/bin/sh", "-c", "sleep 5; exec setuid-sleep"])
                },
            ),
        },
    ])
}

/// The demo pod of that slug.
pub fn by_slug<'a>(pods: &'a [DemoPod], slug: &str) -> Option<&'a DemoPod> {
    pods.iter().find(|pod| pod.slug == slug)
}

fn pod(app: &str, hash: &str, suffix: &str, container: ContainerSpec) -> PodSpec {
    PodSpec::of_deployment("shop", app, hash, suffix).container(container)
}

/// Mode 2 in `/proc`, and yet no filter worth the name.
fn allow_all() -> serde_json::Value {
    json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    })
}

fn deny_swapon() -> serde_json::Value {
    json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": [{"names": ["swapon"], "action": "SCMP_ACT_ERRNO"}],
    })
}

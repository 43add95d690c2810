//! What is wrong with a container, by `/proc`, the control groups and the OCI spec alone.
//!
//! Shares no code with the agent, and is not clever: it holds for the pods of the lab.

mod limits;
mod mounts;
mod network;
mod rights;
mod secrets;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{
    cri::{Container, ContainerInfo, Cri},
    proc::{self, Credentials},
};

const NET_BIND_SERVICE: u64 = 1 << 10;

/// What runtimes give to a container that asks for nothing: CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID,
/// SETPCAP, NET_BIND_SERVICE, NET_RAW, SYS_CHROOT, MKNOD, AUDIT_WRITE, SETFCAP.
const DEFAULT_CAPABILITIES: u64 = 0xa804_25fb;

/// Controls that only the profile `all` asks for.
pub const ONLY_IN_ALL: [&str; 5] =
    ["host-uts", "host-cgroup", "host-users", "writable-executable-mounts", "open-files-limit"];

/// Slugs of the controls that are violated, each with whether that is by declaration (FAIL) or against it (DRIFT).
pub type Violations = BTreeMap<&'static str, &'static str>;

/// Without what only the profile `all` asks for.
pub fn by_default(mut violations: Violations) -> Violations {
    violations.retain(|slug, _| !ONLY_IN_ALL.contains(slug));
    violations
}

/// What a container violates now, all its processes together.
pub fn of_container(cri: &Cri, container: &Container) -> Result<Violations> {
    of(&cri.info(&container.id)?, container)
}

/// What a container of which this is known violates now, all its processes together.
pub fn of(info: &ContainerInfo, container: &Container) -> Result<Violations> {
    let pids = proc::in_cgroup(&container.cgroup)?;
    ensure!(pids.contains(&container.pid), "{} is not in its own cgroup", container.pid);
    let host = Credentials::of(1)?.cap_bounding;
    let mut all = Violations::new();
    for &pid in &pids {
        let seen = Credentials::of(pid)?;
        all.extend(violations(&seen, &info.oci, host)?);
        all.extend(rights::namespaces(pid, &info.oci)?);
        all.extend(rights::gained(&seen, &info.oci)?);
        all.extend(rights::threads(pid, &seen)?);
        all.extend(rights::program(pid)?);
        all.extend(secrets::arguments(pid)?);
        all.extend(secrets::environment(pid)?);
        all.extend(limits::open_files(pid)?);
    }
    all.extend(mounts::of(container.pid, &info.oci)?);
    all.extend(mounts::devices(container.pid)?);
    all.extend(limits::of(&container.cgroup, &info.oci));
    all.extend(network::of(&pids, info)?);
    all.extend(image(info));
    Ok(all)
}

/// The image is known by a name that may be another one tomorrow.
fn image(info: &ContainerInfo) -> Option<(&'static str, &'static str)> {
    let name = info.image.rsplit('/').next().unwrap_or_default();
    let is_fixed = name.contains("@sha256:")
        || name.split_once(':').is_some_and(|(_, tag)| !tag.is_empty() && tag != "latest");
    (!is_fixed).then_some(("image-tag", "FAIL"))
}

/// What a process with these credentials violates in a container of this spec, on a host with these capabilities.
pub fn violations(seen: &Credentials, oci: &Value, host: u64) -> Result<Violations> {
    let process = &oci["process"];
    let uid = process["user"]["uid"].as_u64().context("a spec without a uid")?;
    let is_nnp = process["noNewPrivileges"].as_bool().unwrap_or(false);
    let filter = &oci["linux"]["seccomp"];
    let given = names(&process["capabilities"]["bounding"]);

    let held =
        seen.cap_bounding | seen.cap_permitted | seen.cap_effective | seen.cap_inheritable | seen.cap_ambient;
    let drift = |declared_well| if declared_well { "DRIFT" } else { "FAIL" };
    let mut all = Violations::new();
    if seen.uid.contains(&0) {
        all.insert("run-as-non-root", drift(uid != 0));
    }
    if !seen.no_new_privs {
        all.insert("no-new-privileges", drift(is_nnp));
    }
    // A filter that lets pass what it does not know is none.
    if seen.seccomp == 0 || filter["defaultAction"] == "SCMP_ACT_ALLOW" {
        all.insert("seccomp", drift(seen.seccomp == 0 && !filter.is_null()));
    }
    if held & !NET_BIND_SERVICE != 0 {
        all.insert("capabilities", drift(given.is_empty()));
    }
    if held & !DEFAULT_CAPABILITIES != 0 {
        all.insert("added-capabilities", drift(given.is_empty()));
    }
    if seen.cap_bounding & host == host {
        all.insert("privileged", drift(given.is_empty()));
    }
    Ok(all)
}

/// The evidence a finding on a control must hold, as far as `/proc` words it.
pub fn evidence(control: &str, seen: &Credentials) -> String {
    let mut text = String::new();
    match control {
        "run-as-non-root" => {
            let [uid, others @ ..] = seen.uid;
            let _ = write!(text, "uid {uid}");
            for (name, id) in ["euid", "suid", "fsuid"].into_iter().zip(others).filter(|&(_, id)| id != uid) {
                let _ = write!(text, ", {name} {id}");
            }
        }
        "no-new-privileges" => {
            let _ = write!(text, "no_new_privs {}", u32::from(seen.no_new_privs));
        }
        "seccomp" if seen.seccomp == 0 => text.push_str("(mode 0)"),
        "seccomp" => text.push_str("seccomp filter allows"),
        _ => {}
    }
    text
}

/// What a process that came into a container has more than the container's first process, as a finding words it.
pub fn gains(entered: &Credentials, init: &Credentials) -> Vec<String> {
    let mut all = Vec::new();
    if entered.uid.contains(&0) && !init.uid.contains(&0) {
        all.push(format!("uid {} (init {})", entered.uid[0], init.uid[0]));
    }
    if entered.cap_permitted & !init.cap_permitted != 0 {
        all.push("capabilities ".to_owned());
    }
    if entered.cap_bounding & !init.cap_bounding != 0 {
        all.push("bounding ".to_owned());
    }
    if !entered.no_new_privs && init.no_new_privs {
        all.push("no_new_privs 0 (init 1)".to_owned());
    }
    if entered.seccomp == 0 && init.seccomp != 0 {
        all.push(format!("seccomp mode 0 (init {})", init.seccomp));
    }
    all
}

fn names(list: &Value) -> BTreeSet<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn restricted() -> (Credentials, Value) {
        let seen = Credentials {
            uid: [1000; 4],
            gid: [0; 4],
            cap_inheritable: 0,
            cap_permitted: 0,
            cap_effective: 0,
            cap_bounding: 0,
            cap_ambient: 0,
            no_new_privs: true,
            seccomp: 2,
            seccomp_filters: Some(1),
            ns_pid: vec![7, 1],
        };
        let oci = json!({
            "process": {"user": {"uid": 1000}, "noNewPrivileges": true},
            "linux": {"seccomp": {"defaultAction": "SCMP_ACT_ERRNO"}},
        });
        (seen, oci)
    }

    #[test]
    fn restricted_violates_nothing() {
        let (seen, oci) = restricted();
        assert_eq!(violations(&seen, &oci, 7).unwrap(), Violations::new());
    }

    #[test]
    fn images_are_fixed_by_a_version_or_a_digest() {
        let of = |image: &str| {
            let oci = json!({});
            let info = ContainerInfo {
                pid: 1,
                running: true,
                exit_code: 0,
                oci,
                image: image.to_owned(),
                annotations: BTreeMap::new(),
            };
            super::image(&info).is_none()
        };
        assert!(of("docker.io/library/app:1"));
        assert!(of("registry:5000/app@sha256:00"));
        assert!(!of("registry:5000/app:latest"));
        assert!(!of("registry:5000/app"));
    }

    #[test]
    fn what_was_not_declared_is_drift() {
        let (seen, oci) = restricted();
        let seen = Credentials { uid: [1000, 0, 0, 0], cap_bounding: 7, seccomp: 0, ..seen };
        let found = violations(&seen, &oci, 7).unwrap();
        let broken = ["run-as-non-root", "seccomp", "capabilities", "added-capabilities", "privileged"];
        assert_eq!(found, Violations::from(broken.map(|slug| (slug, "DRIFT"))));
        assert_eq!(evidence("run-as-non-root", &seen), "uid 1000, euid 0, suid 0, fsuid 0");
    }
}

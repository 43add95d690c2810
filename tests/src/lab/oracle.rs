//! What is wrong with a process, by `/proc/PID/status` and the OCI spec alone.
//!
//! Shares no code with the agent, and is not clever: it holds for the pods of the lab.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{
    cri::{Container, Cri},
    proc::{self, Credentials},
};

const NET_BIND_SERVICE: u64 = 1 << 10;

/// Slugs of the controls that are violated, each with whether that is by declaration (FAIL) or against it (DRIFT).
pub type Violations = BTreeMap<&'static str, &'static str>;

/// What the processes of a container violate now, all together.
pub fn of_container(cri: &Cri, container: &Container) -> Result<Violations> {
    let oci = cri.info(&container.id)?.oci;
    let pids = proc::in_cgroup(&container.cgroup)?;
    ensure!(pids.contains(&container.pid), "{} is not in its own cgroup", container.pid);
    let host = Credentials::of(1)?.cap_bounding;
    let mut all = Violations::new();
    for pid in pids {
        all.extend(violations(&Credentials::of(pid)?, &oci, host)?);
    }
    Ok(all)
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
    fn what_was_not_declared_is_drift() {
        let (seen, oci) = restricted();
        let seen = Credentials { uid: [1000, 0, 0, 0], cap_bounding: 7, seccomp: 0, ..seen };
        let found = violations(&seen, &oci, 7).unwrap();
        assert_eq!(
            found,
            Violations::from(
                ["run-as-non-root", "seccomp", "capabilities", "privileged"].map(|slug| (slug, "DRIFT"))
            )
        );
        assert_eq!(evidence("run-as-non-root", &seen), "uid 1000, euid 0, suid 0, fsuid 0");
    }
}

//! Limits of a container, of its control group and its pod's.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use procfs::process::{LimitValue, Process};
use serde_json::Value;

use super::{super::sweep::cgroup_roots, Violations};

/// What the agent's policy allows if nothing else is said.
const OPEN_FILES: u64 = 1 << 20;

/// Without a limit, the v1 hierarchy has the greatest multiple of a page.
const NO_MEMORY_LIMIT: u64 = 1 << 62;

/// Which limits neither a container nor its pod has.
pub(super) fn of(cgroup: &str, oci: &Value) -> Violations {
    let resources = &oci["linux"]["resources"];
    let is_memory = |text: &str| text.parse::<u64>().is_ok_and(|bytes| bytes < NO_MEMORY_LIMIT);
    let is_cpu = |text: &str| {
        text.split_whitespace().next().is_some_and(|quota| quota.parse::<i64>().is_ok_and(|quota| quota > 0))
    };
    let is_pids = |text: &str| text != "max";
    let mut all = Violations::new();
    let mut check = |slug, is_limited: bool, declared: &Value| {
        if !is_limited {
            let is_declared = declared.as_i64().is_some_and(|limit| limit > 0);
            all.insert(slug, if is_declared { "DRIFT" } else { "FAIL" });
        }
    };
    let memory = ["memory.max", "memory.limit_in_bytes"];
    check("memory-limit", has_limit(cgroup, &memory, is_memory), &resources["memory"]["limit"]);
    let cpu = ["cpu.max", "cpu.cfs_quota_us"];
    check("cpu-limit", has_limit(cgroup, &cpu, is_cpu), &resources["cpu"]["quota"]);
    check("pids-limit", has_limit(cgroup, &["pids.max"], is_pids), &resources["pids"]["limit"]);
    all
}

/// Whether one of these files has a limit, in the group or the one above it, in any hierarchy.
fn has_limit(cgroup: &str, files: &[&str], is_limit: impl Fn(&str) -> bool) -> bool {
    let own = Path::new(cgroup.trim_start_matches('/'));
    let groups = [Some(own), own.parent()];
    cgroup_roots().iter().any(|root| {
        let folders = groups.iter().flatten().map(|group| root.join(group));
        folders
            .flat_map(|folder| files.iter().map(move |file| folder.join(file)))
            .any(|path| fs::read_to_string(path).is_ok_and(|text| is_limit(text.trim())))
    })
}

/// Whether a process may open more files than is allowed.
pub(super) fn open_files(pid: u32) -> Result<Violations> {
    let limits = Process::new(pid.try_into()?)?.limits().context("no limits")?;
    let is_open = match limits.max_open_files.hard_limit {
        LimitValue::Unlimited => true,
        LimitValue::Value(files) => files > OPEN_FILES,
    };
    Ok(is_open.then_some(("open-files-limit", "FAIL")).into_iter().collect())
}

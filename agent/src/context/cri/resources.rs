//! Limits that a pod declares of a container: by CRI's own fields, and by the OCI spec for runtimes that leave
//! those empty, and for processes, of which CRI has none.

use k8s_cri::v1::LinuxContainerResources;
use serde_json::Value;

use crate::inspect::Limits;

/// By `linux.resources` of an OCI spec (config-linux.md of the runtime spec). `None`: not told.
pub(super) fn of_spec(linux: &Value) -> Option<Limits> {
    let resources = linux.get("resources").filter(|value| value.is_object())?;
    let number = |pointer: &str| resources.pointer(pointer).and_then(Value::as_i64);
    let unified =
        |key: &str| resources.get("unified").and_then(|unified| unified.get(key)).and_then(Value::as_str);
    let period = number("/cpu/period").unwrap_or(DEFAULT_PERIOD);
    Some(Limits {
        memory: limit(number("/memory/limit")).or_else(|| most(unified("memory.max"))),
        cpu_millis: millis(number("/cpu/quota"), period).or_else(|| max(unified("cpu.max"))),
        pids: limit(number("/pids/limit")).or_else(|| most(unified("pids.max"))),
    })
}

/// By the status of a container, where 0 is not specified.
pub(super) fn of_status(resources: &LinuxContainerResources) -> Limits {
    let unified = |key: &str| resources.unified.get(key).map(String::as_str);
    Limits {
        memory: limit(Some(resources.memory_limit_in_bytes)).or_else(|| most(unified("memory.max"))),
        cpu_millis: millis(Some(resources.cpu_quota), resources.cpu_period)
            .or_else(|| max(unified("cpu.max"))),
        pids: most(unified("pids.max")),
    }
}

/// What either tells; the first counts.
pub(super) fn either(first: Option<Limits>, second: Option<Limits>) -> Option<Limits> {
    let (Some(first), Some(second)) = (first, second) else { return first.or(second) };
    Some(Limits {
        memory: first.memory.or(second.memory),
        cpu_millis: first.cpu_millis.or(second.cpu_millis),
        pids: first.pids.or(second.pids),
    })
}

/// Microseconds of a period, where none is said (Documentation/scheduler/sched-bwc.rst).
const DEFAULT_PERIOD: i64 = 100_000;

fn limit(number: Option<i64>) -> Option<u64> {
    u64::try_from(number?).ok().filter(|&limit| limit != 0)
}

fn millis(quota: Option<i64>, period: i64) -> Option<u64> {
    let quota = limit(quota)?;
    let period = limit(Some(period)).or_else(|| limit(Some(DEFAULT_PERIOD)))?;
    Some((quota.saturating_mul(1000) / period).max(1))
}

/// A file of cgroup v2: a number, or `max`.
fn most(text: Option<&str>) -> Option<u64> {
    text?.trim().parse().ok()
}

/// `cpu.max`: quota and period.
fn max(text: Option<&str>) -> Option<u64> {
    let (quota, period) = text?.trim().split_once(' ').unwrap_or((text?, "100000"));
    millis(quota.parse().ok(), period.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> Option<Limits> {
        of_spec(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn limits_of_a_spec() {
        let limits = spec(
            r#"{"resources":{"memory":{"limit":268435456},"cpu":{"quota":50000,"period":100000,"shares":2},
            "pids":{"limit":1024}}}"#,
        );
        assert_eq!(
            limits,
            Some(Limits { memory: Some(268_435_456), cpu_millis: Some(500), pids: Some(1024) })
        );
        let none = spec(r#"{"resources":{"memory":{"limit":-1},"cpu":{"quota":-1},"pids":{"limit":0}}}"#);
        assert_eq!(none, Some(Limits::default()));
        let unified = spec(
            r#"{"resources":{"unified":{"memory.max":"4096","cpu.max":"20000 100000","pids.max":"max"}}}"#,
        );
        assert_eq!(unified, Some(Limits { memory: Some(4096), cpu_millis: Some(200), pids: None }));
    }

    #[test]
    fn what_is_not_there_is_not_told() {
        assert_eq!(spec("{}"), None);
        assert_eq!(spec(r#"{"resources":7}"#), None);
        let mixed =
            spec(r#"{"resources":{"memory":7,"cpu":{"quota":"x"},"pids":{"limit":"y"},"unified":[]}}"#);
        assert_eq!(mixed, Some(Limits::default()));
    }

    #[test]
    fn limits_of_a_status() {
        let resources = LinuxContainerResources {
            memory_limit_in_bytes: 4096,
            cpu_quota: 150_000,
            unified: [("pids.max".to_owned(), "9".to_owned())].into(),
            ..Default::default()
        };
        let expected = Limits { memory: Some(4096), cpu_millis: Some(1500), pids: Some(9) };
        assert_eq!(of_status(&resources), expected);
        assert_eq!(of_status(&LinuxContainerResources::default()), Limits::default());
        let other = Limits { pids: Some(7), ..Limits::default() };
        assert_eq!(either(Some(expected), Some(other)), Some(expected));
        assert_eq!(either(Some(Limits::default()), Some(other)), Some(other));
        assert_eq!(either(None, Some(other)), Some(other));
    }
}

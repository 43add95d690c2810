//! Reading the agent's findings.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{
    Lab,
    agent::Agent,
    cri::Pod,
    spec::{ContainerSpec, PodSpec},
};

/// From the moment something can be known to the moment it is in the file, on a machine that is busy.
pub const LIMIT: Duration = Duration::from_secs(20);

/// A container that sleeps until it is ended.
pub const SLEEP: [&str; 2] = ["/bin/sleep", "2147483647"];

/// Whether the line is a finding that tells of a violation.
pub fn is_violation(finding: &Value) -> bool {
    finding["type"] == "finding" && (finding["verdict"] == "FAIL" || finding["verdict"] == "DRIFT")
}

/// Whether the line is a finding on that control.
pub fn is_on(finding: &Value, control: &str) -> bool {
    finding["type"] == "finding" && finding["control"]["slug"] == control
}

/// Whether a finding is a pod's: by its name, or by a container's id where no name is known.
pub fn is_of(finding: &Value, pod: &Pod) -> bool {
    let is_named =
        finding["pod"] == *pod.spec.name && finding["workload"]["namespace"] == *pod.spec.namespace;
    let id = finding["container_id"].as_str().unwrap_or_default();
    is_named || id == pod.sandbox || pod.containers.iter().any(|container| container.id == id)
}

impl Agent {
    /// Control and verdict of the violations found in a pod, the worst so far of each.
    pub fn violations(&self, pod: &Pod) -> Result<BTreeMap<String, String>> {
        let mut all = BTreeMap::new();
        for finding in self.findings()?.iter().filter(|finding| is_violation(finding) && is_of(finding, pod))
        {
            let control = finding["control"]["slug"].as_str().context("a finding without a control")?;
            let verdict = finding["verdict"].as_str().context("a finding without a verdict")?;
            all.entry(control.to_owned())
                // DRIFT is the worse one, and comes first in the alphabet.
                .and_modify(|known: &mut String| *known = verdict.to_owned().min(std::mem::take(known)))
                .or_insert_with(|| verdict.to_owned());
        }
        Ok(all)
    }

    /// Waits until all that has happened so far is in the findings: a pod that violates something is run and found.
    pub fn catch_up(&self, lab: &Lab) -> Result<()> {
        let app = ContainerSpec { run_as_user: Some(0), ..ContainerSpec::restricted("app", SLEEP) };
        let spec = PodSpec::new("kestrel-test", "").container(app);
        let spec = PodSpec { name: format!("marker-{}", spec.uid), ..spec };
        let pod = lab.run(&spec)?;
        self.wait_finding("the marker", LIMIT, |finding| finding["pod"] == *spec.name)?;
        lab.cri().remove_pod(&pod.sandbox)
    }
}

//! Agent, collector and command line with certificates on all sides.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::{
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

use kestrel_tests::lab::{
    agent::Agent,
    artifact,
    certificates::Authority,
    collector::{Collector, Options},
    delivery::{Delivering, wait_delivered},
    lock::KernelLock,
    poll,
};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);

fn kestrel(collector: &Collector, certificates: &Path, args: &[&str]) -> Output {
    Command::new(artifact::binary("kestrel").unwrap())
        .args(["--server", &format!("https://{}", collector.grpc())])
        .arg("--ca")
        .arg(certificates.join("ca.crt"))
        .arg("--cert")
        .arg(certificates.join("tls.crt"))
        .arg("--key")
        .arg(certificates.join("tls.key"))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Why the agent is not connected, as it says itself.
fn reason(agent: &Agent) -> Option<String> {
    let status: Value = serde_json::from_str(&agent.get("/status").ok()?.1).ok()?;
    status["delivery"]["reason"].as_str().map(str::to_owned)
}

#[test]
fn who_has_the_right_certificate_gets_through_and_nobody_else() {
    let _alone = KernelLock::acquire().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (authority, other) = (Authority::new().unwrap(), Authority::new().unwrap());
    let [server, node, viewer, stranger] =
        ["server", "node", "viewer", "stranger"].map(|name| dir.path().join(name));
    authority.issue(&server, &["127.0.0.1"]).unwrap();
    authority.issue(&node, &["node-1.node.kestrel"]).unwrap();
    authority.issue(&viewer, &["viewer.kestrel"]).unwrap();
    other.issue(&stranger, &["viewer.kestrel", "node-1.node.kestrel"]).unwrap();
    let options = Options { certificates: Some(server), ..Options::default() };
    let collector = Collector::start(&options).unwrap();
    let endpoint = format!("https://{}", collector.grpc());
    let delivering = Delivering { certificates: Some(&node), ..Delivering::to(&endpoint) };

    let mut agent = delivering.start(dir.path()).unwrap();
    poll::until("the node to be there", LIMIT, || {
        let nodes = kestrel(&collector, &viewer, &["nodes", "-o", "json"]);
        Ok(String::from_utf8_lossy(&nodes.stdout).contains("node-1"))
    })
    .unwrap();
    wait_delivered(&agent, LIMIT).unwrap();

    let nodes = kestrel(&collector, &node, &["nodes"]);
    let error = String::from_utf8_lossy(&nodes.stderr).into_owned();
    assert_eq!(nodes.status.code(), Some(2), "an agent may not watch: {error}");
    let nodes = kestrel(&collector, &stranger, &["nodes"]);
    assert_eq!(nodes.status.code(), Some(2), "of another authority");
    agent.stop().unwrap();
    drop(agent);

    let wrong = Delivering { node: "node-2", ..delivering.clone() }.start(dir.path()).unwrap();
    let refused = poll::until("the wrong name to be refused", LIMIT, || {
        Ok(reason(&wrong).is_some_and(|reason| reason.contains("node-2")))
    });
    assert!(refused.is_ok(), "{:?}", reason(&wrong));
    drop(wrong);

    let certificates = Some(stranger.as_path());
    let agent = Delivering { certificates, ..delivering }.start(dir.path()).unwrap();
    let refused = poll::until("another authority to be refused", LIMIT, || {
        Ok(reason(&agent).is_some_and(|reason| reason.contains("certificate")))
    });
    assert!(refused.is_ok(), "{:?}", reason(&agent));
    let nodes = kestrel(&collector, &viewer, &["nodes", "-o", "json"]);
    let nodes = String::from_utf8_lossy(&nodes.stdout).into_owned();
    assert!(nodes.contains("node-1") && !nodes.contains("node-2"), "{nodes}");
}

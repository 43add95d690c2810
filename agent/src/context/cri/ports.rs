//! Ports that a pod declares of a container. CRI has no field for them; the kubelet writes them into an
//! annotation (pkg/kubelet/kuberuntime/labels.go).

use std::collections::HashMap;

use serde_json::Value;

use crate::context::DeclaredPort;

/// `containers[].ports` as JSON.
const PORTS: &str = "io.kubernetes.container.ports";
/// Annotations and labels by which a container is known to be a kubelet's.
const HASH: &str = "io.kubernetes.container.hash";
const RESTARTS: &str = "io.kubernetes.container.restartCount";
const POD_UID: &str = "io.kubernetes.pod.uid";

/// Longest annotation that is read.
const PORTS_BYTES: usize = 64 << 10;
/// Most ports.
const PORTS_MOST: usize = 1024;

/// What a pod declares of a container's ports.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ports {
    /// Its own.
    pub(super) own: Vec<DeclaredPort>,
    /// Those of the node that lead to it.
    pub(super) of_host: Vec<u16>,
}

/// The declared ports. `None`: not told. A kubelet leaves the annotation out where there are none.
pub(super) fn ports(
    labels: &HashMap<String, String>,
    annotations: &HashMap<String, String>,
) -> Option<Ports> {
    let Some(text) = annotations.get(PORTS) else {
        let is_kubelets = annotations.contains_key(HASH)
            || labels.contains_key(HASH)
            || (labels.contains_key(POD_UID) && annotations.contains_key(RESTARTS));
        return is_kubelets.then(Ports::default);
    };
    if text.len() > PORTS_BYTES {
        return None;
    }
    let Value::Array(declared) = serde_json::from_str(text).ok()? else { return None };
    if declared.len() > PORTS_MOST {
        return None;
    }
    // One that is not understood may be any.
    let mut own = declared.iter().map(port).collect::<Option<Vec<_>>>()?;
    let of_host = declared.iter().map(host_port).collect::<Option<Vec<_>>>()?;
    let mut of_host: Vec<_> = of_host.into_iter().filter(|&port| port != 0).collect();
    own.sort_unstable();
    own.dedup();
    of_host.sort_unstable();
    of_host.dedup();
    Some(Ports { own, of_host })
}

/// 0: none.
fn host_port(declared: &Value) -> Option<u16> {
    declared.get("hostPort").map_or(Some(0), |port| u16::try_from(port.as_u64()?).ok())
}

fn port(declared: &Value) -> Option<DeclaredPort> {
    let port = u16::try_from(declared.get("containerPort")?.as_u64()?).ok().filter(|&port| port != 0)?;
    let is_udp = match declared.get("protocol") {
        None => false,
        Some(protocol) => protocol.as_str()?.eq_ignore_ascii_case("udp"),
    };
    Some(DeclaredPort { port, is_udp })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(labels: &[&str], annotations: &[(&str, &str)]) -> Option<Ports> {
        let labels = labels.iter().map(|key| ((*key).to_owned(), String::new())).collect();
        let annotations = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        ports(&labels, &annotations.collect())
    }

    #[test]
    fn ports_of_the_annotation() {
        let text = r#"[{"name":"http","hostPort":80,"containerPort":8080,"protocol":"TCP"},
            {"containerPort":53,"protocol":"UDP"},{"containerPort":8080}]"#;
        let own = vec![DeclaredPort { port: 53, is_udp: true }, DeclaredPort { port: 8080, is_udp: false }];
        assert_eq!(of(&[], &[(PORTS, text)]), Some(Ports { own, of_host: vec![80] }));
        assert_eq!(of(&[], &[(PORTS, "[]")]), Some(Ports::default()));
    }

    #[test]
    fn a_kubelets_container_without_it_declares_none() {
        assert_eq!(of(&[], &[(HASH, "1a2b")]), Some(Ports::default()));
        assert_eq!(of(&[HASH], &[]), Some(Ports::default()));
        assert_eq!(of(&[POD_UID], &[(RESTARTS, "0")]), Some(Ports::default()));
        assert_eq!(of(&[POD_UID], &[]), None);
        assert_eq!(of(&[], &[(RESTARTS, "0")]), None);
    }

    #[test]
    fn what_is_not_understood_is_not_told() {
        let long = format!("[{}{{}}]", " ".repeat(PORTS_BYTES));
        let many = format!("[{}]", vec![r#"{"containerPort":1}"#; PORTS_MOST + 1].join(","));
        for text in [
            "",
            "null",
            "{}",
            "[7]",
            "[{}]",
            r#"[{"containerPort":0}]"#,
            r#"[{"containerPort":65536}]"#,
            r#"[{"containerPort":-1}]"#,
            r#"[{"containerPort":"80"}]"#,
            r#"[{"containerPort":80,"hostPort":65536}]"#,
            r#"[{"containerPort":80,"hostPort":"80"}]"#,
            r#"[{"containerPort":80},{"containerPort":80,"protocol":6}]"#,
            long.as_str(),
            many.as_str(),
        ] {
            assert_eq!(of(&[], &[(PORTS, text), (HASH, "1")]), None, "{text}");
        }
    }
}

//! What is in `deploy/kubernetes`: valid, strict, and with nothing that is not needed.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use kestrel_tests::lab::{artifact, manifest};
use serde_json::{Value, json};

/// Places of the node that a pod may have.
const HOST_PATHS: [&str; 5] =
    ["/var/lib/kestrel", "/sys/fs/bpf/kestrel", "/sys/fs/cgroup", "/sys/kernel/security", "/run/containerd"];

#[test]
fn they_are_what_kubernetes_takes() {
    let validator = artifact::tool("kubernetes-validate").unwrap();
    for file in manifests() {
        let output = Command::new(&validator).arg("--strict").arg(&file).output().unwrap();
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
        let objects = objects().into_iter().filter(|(from, _)| *from == file).count();
        assert_eq!(text.matches("passed for resource").count(), objects, "{text}");
    }
    // And it would say so if they were not.
    let wrong = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    let text = fs::read_to_string(kubernetes().join("agent.yaml")).unwrap();
    fs::write(&wrong, text.replace("hostPID:", "hostPid:")).unwrap();
    let output = Command::new(&validator).arg("--strict").arg(wrong.path()).output().unwrap();
    assert!(!output.status.success());
}

#[test]
fn kustomize_applies_all_of_them() {
    let texts = manifest::objects(&kubernetes()).unwrap();
    let kustomization = texts.iter().find(|object| object["kind"] == "Kustomization").unwrap();
    let listed: BTreeSet<_> = kustomization["resources"].as_array().unwrap().iter().map(text).collect();
    let files = manifests().into_iter().map(|file| file.file_name().unwrap().to_str().unwrap().to_owned());
    // The template is not to be applied as it is.
    assert_eq!(listed, files.filter(|file| file != "secrets.example.yaml").collect());
    let namespace = objects().into_iter().find(|(_, object)| object["kind"] == "Namespace").unwrap().1;
    for (file, object) in objects().iter().filter(|(_, object)| object["kind"] != "Namespace") {
        assert_eq!(object["metadata"]["namespace"], namespace["metadata"]["name"], "{}", file.display());
    }
}

#[test]
fn pods_have_no_more_than_they_need() {
    for (name, template) in templates() {
        let spec = &template["spec"];
        assert!(spec["hostNetwork"].is_null() && spec["hostIPC"].is_null(), "{name}");
        assert_eq!(spec["automountServiceAccountToken"], false, "{name}");
        assert_eq!(spec["enableServiceLinks"], false, "{name}");
        assert!(spec["hostPID"].is_null() || name == "kestrel-agent", "{name}");
        assert_eq!(spec["securityContext"]["runAsNonRoot"], true, "{name}");
        assert_eq!(spec["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{name}");
        for volume in spec["volumes"].as_array().into_iter().flatten() {
            let path = &volume["hostPath"]["path"];
            let is_known =
                path.is_null() || (name == "kestrel-agent" && HOST_PATHS.contains(&path.as_str().unwrap()));
            assert!(is_known, "{name}: {path}");
        }
        for container in containers(spec) {
            let what = format!("{name}/{}", text(&container["name"]));
            let context = &container["securityContext"];
            assert_eq!(context["privileged"], false, "{what}");
            assert_eq!(context["allowPrivilegeEscalation"], false, "{what}");
            assert_eq!(context["readOnlyRootFilesystem"], true, "{what}");
            assert_eq!(context["capabilities"]["drop"], json!(["ALL"]), "{what}");
            let is_root = context["runAsNonRoot"] == false;
            assert_eq!(is_root, what == "kestrel-agent/prepare", "{what}");
            let added = match what.as_str() {
                "kestrel-agent/agent" => json!(["BPF", "PERFMON", "SYS_PTRACE", "DAC_READ_SEARCH"]),
                "kestrel-agent/prepare" => json!(["CHOWN"]),
                _ => Value::Null,
            };
            assert_eq!(context["capabilities"]["add"], added, "{what}");
            assert!(context["seccompProfile"].is_null(), "{what}");
            for limit in ["cpu", "memory"] {
                assert!(
                    container["resources"]["limits"][limit].is_string(),
                    "{what} has no limit of {limit}"
                );
                assert!(container["resources"]["requests"][limit].is_string(), "{what} requests no {limit}");
            }
            let image = text(&container["image"]);
            let tag = image.rsplit_once(':').map(|(_, tag)| tag);
            assert!(tag.is_some_and(|tag| tag != "latest" && !tag.contains('/')), "{what}: {image}");
            assert_eq!(tag, Some(env!("CARGO_PKG_VERSION")), "{what}");
        }
    }
}

#[test]
fn what_a_pod_uses_is_there() {
    let objects = objects();
    let named = |kind: &str, name: &Value| {
        objects.iter().any(|(_, object)| object["kind"] == kind && object["metadata"]["name"] == *name)
    };
    for (name, template) in templates() {
        let spec = &template["spec"];
        assert!(named("ServiceAccount", &spec["serviceAccountName"]), "{name}");
        for volume in spec["volumes"].as_array().unwrap() {
            let map = &volume["configMap"]["name"];
            // What a team adds need not be there.
            let is_optional = volume["configMap"]["optional"] == true;
            assert!(map.is_null() || is_optional || named("ConfigMap", map), "{map}");
            let secret = &volume["secret"]["secretName"];
            assert!(secret.is_null() || named("Secret", secret), "{secret}");
        }
    }
    for (_, secret) in objects.iter().filter(|(_, object)| object["kind"] == "Secret") {
        for (key, value) in secret["stringData"].as_object().unwrap() {
            assert!(text(value).starts_with("REPLACE-ME "), "{key} is no placeholder");
        }
    }
}

#[test]
fn nobody_connects_unless_a_policy_says_so() {
    let objects = objects();
    let policies: Vec<_> =
        objects.iter().map(|(_, object)| object).filter(|object| object["kind"] == "NetworkPolicy").collect();
    let both = json!(["Ingress", "Egress"]);
    assert!(policies.iter().all(|policy| policy["spec"]["policyTypes"] == both));
    let all = policies.iter().find(|policy| policy["spec"]["podSelector"] == json!({})).unwrap();
    assert!(all["spec"]["ingress"].is_null() && all["spec"]["egress"].is_null());
    for (name, template) in templates() {
        let labels = template["metadata"]["labels"].as_object().unwrap();
        let selects = |policy: &&&Value| {
            let wanted = policy["spec"]["podSelector"]["matchLabels"].as_object();
            wanted.is_some_and(|wanted| wanted.iter().all(|(key, value)| labels.get(key) == Some(value)))
        };
        let own: Vec<_> = policies.iter().filter(selects).collect();
        assert_eq!(own.len(), 1, "{name}");
        for direction in ["ingress", "egress"] {
            for rule in own[0]["spec"][direction].as_array().unwrap() {
                assert!(
                    rule["ports"].as_array().is_some_and(|ports| !ports.is_empty()),
                    "{name} {direction}"
                );
                let peers = if direction == "ingress" { &rule["from"] } else { &rule["to"] };
                assert!(peers.as_array().is_some_and(|peers| !peers.is_empty()), "{name} {direction}");
            }
        }
    }
}

#[test]
fn configurations_are_good() {
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("rules");
    fs::create_dir(&rules).unwrap();
    let maps: Vec<_> = objects().into_iter().filter(|(_, object)| object["kind"] == "ConfigMap").collect();
    assert_eq!(maps.len(), 2);
    for (_, map) in maps {
        let binary = artifact::binary(&text(&map["metadata"]["name"])).unwrap();
        for (name, content) in map["data"].as_object().unwrap() {
            let file = dir.path().join(name);
            // A folder that is there in the pod, and may be empty.
            let here = text(content).replace("/etc/kestrel/rules", &rules.display().to_string());
            fs::write(&file, here).unwrap();
            let output = Command::new(&binary).arg("check-config").arg(&file).output().unwrap();
            assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

#[test]
fn exemptions_do_not_run_out_unseen() {
    let (_, map) = objects()
        .into_iter()
        .find(|(_, object)| object["kind"] == "ConfigMap" && object["metadata"]["name"] == "kestrel-agent")
        .unwrap();
    let soon = Command::new("date").args(["-u", "-d", "+90 days", "+%F"]).output().unwrap();
    let soon = String::from_utf8(soon.stdout).unwrap();
    for line in text(&map["data"]["agent.yaml"]).lines() {
        if let Some(day) = line.trim().strip_prefix("expires: ") {
            assert!(day > soon.trim(), "{day} is within 90 days: is it still needed?");
        }
    }
}

#[test]
fn the_agents_own_seccomp_profile_denies_by_default() {
    let profile = fs::read_to_string(kubernetes().parent().unwrap().join("seccomp/agent.json")).unwrap();
    let profile: Value = serde_json::from_str(&profile).unwrap();
    assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
    let names: Vec<String> = profile["syscalls"]
        .as_array()
        .unwrap()
        .iter()
        .inspect(|rule| assert_eq!(rule["action"], "SCMP_ACT_ALLOW"))
        .flat_map(|rule| rule["names"].as_array().unwrap().iter().map(text))
        .collect();
    for dangerous in [
        "mount",
        "umount2",
        "unshare",
        "setns",
        "pivot_root",
        "ptrace",
        "process_vm_writev",
        "init_module",
        "finit_module",
        "kexec_load",
        "perf_event_open",
        "keyctl",
        "open_by_handle_at",
        "io_uring_setup",
        "chroot",
    ] {
        assert!(!names.iter().any(|name| name == dangerous), "{dangerous}");
    }
}

fn kubernetes() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("deploy/kubernetes")
}

/// The files that hold objects, and not what kustomize makes of them.
fn manifests() -> Vec<PathBuf> {
    let entries = fs::read_dir(kubernetes()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|file| file.extension().is_some_and(|extension| extension == "yaml"))
        .filter(|file| !file.ends_with("kustomization.yaml"))
        .collect();
    files.sort();
    files
}

fn objects() -> Vec<(PathBuf, Value)> {
    let read = |file: PathBuf| {
        let objects = manifest::read(&file).unwrap();
        objects.into_iter().map(move |object| (file.clone(), object)).collect::<Vec<_>>()
    };
    manifests().into_iter().flat_map(read).collect()
}

/// Names of what makes pods, and the pods' templates.
fn templates() -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (_, object) in objects() {
        let template = &object["spec"]["template"];
        if !template.is_null() {
            all.push((text(&object["metadata"]["name"]), template.clone()));
        }
    }
    assert_eq!(all.len(), 2);
    all
}

fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    ["initContainers", "containers"].into_iter().flat_map(|key| spec[key].as_array().into_iter().flatten())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

//! The declared security context, from the runtime's verbose status. Its JSON is no part of CRI and
//! differs between runtimes and versions: each field is looked up by itself, and one that is not
//! there, or not of its type, is not known.

use serde_json::Value;

use super::{answer::bounded, kernel, resources};
use crate::{
    capability,
    context::{Declared, DeclaredSeccomp},
};

/// Longest JSON that is read; a spec with a large seccomp profile has some 100 KiB.
const INFO_BYTES: usize = 1 << 20;
/// Longest name of a seccomp profile's file.
const PROFILE_BYTES: usize = 512;
/// Longest label of a security module.
const LABEL_BYTES: usize = 256;
/// Longest name of a kernel parameter.
const SYSCTL_BYTES: usize = 256;
/// Most kernel parameters.
const SYSCTLS: usize = 256;

/// What the verbose status tells beyond CRI.
#[derive(Debug, Default)]
pub(super) struct Info {
    pub(super) init_pid: Option<u32>,
    pub(super) sandbox_id: Option<String>,
    /// The runtime runs it in a kernel of its own, by the shim's type.
    pub(super) own_kernel: bool,
    pub(super) declared: Declared,
}

impl Info {
    /// From the `info` map of a status.
    pub(super) fn parse(text: Option<&String>) -> Self {
        let Some(text) = text.filter(|text| text.len() <= INFO_BYTES) else { return Self::default() };
        let Ok(info) = serde_json::from_str::<Value>(text) else { return Self::default() };
        let pid = info.pointer("/pid").and_then(Value::as_u64).and_then(|pid| u32::try_from(pid).ok());
        Self {
            init_pid: pid.filter(|&pid| pid != 0),
            sandbox_id: info
                .pointer("/sandboxID")
                .and_then(Value::as_str)
                .filter(|id| id.len() <= 64)
                .map(str::to_owned),
            own_kernel: info
                .pointer("/runtimeType")
                .and_then(Value::as_str)
                .is_some_and(kernel::is_own_by_type),
            declared: declared(&info),
        }
    }
}

fn declared(info: &Value) -> Declared {
    let process = info.pointer("/runtimeSpec/process").filter(|value| value.is_object());
    let linux = info.pointer("/runtimeSpec/linux").filter(|value| value.is_object());
    let root = info.pointer("/runtimeSpec/root").filter(|value| value.is_object());
    let context = info.pointer("/config/linux/security_context").filter(|value| value.is_object());
    // Go leaves false fields out, so within an object that is there, absence is false.
    let flag = |object: Option<&Value>, key: &str| match object?.get(key) {
        None => Some(false),
        Some(value) => value.as_bool(),
    };
    let user = process.and_then(|process| process.pointer("/user/uid"));
    let user = user.or_else(|| context?.pointer("/run_as_user/value"));
    Declared {
        run_as_user: user.and_then(Value::as_u64).and_then(|uid| u32::try_from(uid).ok()),
        privileged: info.get("privileged").and_then(Value::as_bool).or_else(|| flag(context, "privileged")),
        no_new_privs: flag(process, "noNewPrivileges").or_else(|| flag(context, "no_new_privs")),
        seccomp: context.and_then(profile).or_else(|| filter(linux?)),
        capabilities: process
            .and_then(|process| process.pointer("/capabilities/bounding"))
            .and_then(Value::as_array)
            .map(|names| {
                names.iter().filter_map(Value::as_str).filter_map(capability).fold(0, |set, n| set | 1 << n)
            }),
        read_only_root: flag(root, "readonly").or_else(|| flag(context, "readonly_rootfs")),
        user_namespace: linux.and_then(|linux| linux.get("namespaces")).and_then(Value::as_array).map(
            |namespaces| {
                namespaces
                    .iter()
                    .any(|namespace| namespace.get("type").and_then(Value::as_str) == Some("user"))
            },
        ),
        host_pid: context.and_then(|context| is_host(context, "pid")),
        host_network: context.and_then(|context| is_host(context, "network")),
        host_ipc: context.and_then(|context| is_host(context, "ipc")),
        label: label(process, context),
        ports: None,
        host_ports: None,
        sysctls: linux.and_then(sysctls),
        mounts: None,
        limits: linux.and_then(resources::of_spec),
    }
}

/// Names of the kernel parameters of a specification. Only those of a pod's sandbox say something of the pod.
fn sysctls(linux: &Value) -> Option<Vec<String>> {
    let Some(set) = linux.get("sysctl").filter(|set| !set.is_null()) else { return Some(Vec::new()) };
    let set = set.as_object().filter(|set| set.len() <= SYSCTLS)?;
    Some(set.keys().map(|name| bounded(name, SYSCTL_BYTES)).collect())
}

/// Whether a namespace is the node's, by `namespace_options`. Zero is left out and means the pod's.
fn is_host(context: &Value, namespace: &str) -> Option<bool> {
    let options = context.get("namespace_options").filter(|value| value.is_object())?;
    match options.get(namespace) {
        None => Some(false),
        Some(mode) => match (mode.as_u64(), mode.as_str()) {
            (Some(2), _) | (_, Some("NODE")) => Some(true),
            (Some(0..=3), _) | (_, Some("POD" | "CONTAINER" | "TARGET")) => Some(false),
            _ => None,
        },
    }
}

/// The label that the runtime asks the kernel for; what the pod asked for where that is not told.
fn label(process: Option<&Value>, context: Option<&Value>) -> Option<String> {
    let text = |object: &Value, key: &str| {
        let text = object.get(key)?.as_str().filter(|text| !text.is_empty())?;
        Some(bounded(text, LABEL_BYTES))
    };
    if let Some(process) = process {
        return text(process, "apparmorProfile").or_else(|| text(process, "selinuxLabel"));
    }
    let context = context?;
    let apparmor = context.get("apparmor").filter(|value| value.is_object()).and_then(|profile| {
        let kind = profile.get("profile_type");
        match (kind.and_then(Value::as_u64), kind.and_then(Value::as_str)) {
            _ if kind.is_none() => Some("runtime/default".to_owned()),
            (Some(0), _) | (_, Some("RuntimeDefault")) => Some("runtime/default".to_owned()),
            (Some(1), _) | (_, Some("Unconfined")) => Some("unconfined".to_owned()),
            (Some(2), _) | (_, Some("Localhost")) => text(profile, "localhost_ref"),
            _ => None,
        }
    });
    let selinux = || {
        let options = context.get("selinux_options")?;
        text(options, "type")?;
        let part = |key| text(options, key).unwrap_or_default();
        Some(bounded(&["user", "role", "type", "level"].map(part).join(":"), LABEL_BYTES))
    };
    let label = apparmor.or_else(|| text(context, "apparmor_profile")).or_else(selinux)?;
    Some(label.strip_prefix("localhost/").unwrap_or(&label).to_owned())
}

/// The profile that the pod asked for.
fn profile(context: &Value) -> Option<DeclaredSeccomp> {
    let localhost = |file: &str| DeclaredSeccomp::Localhost(bounded(file, PROFILE_BYTES));
    if let Some(seccomp) = context.get("seccomp").filter(|value| value.is_object()) {
        let file = seccomp.get("localhost_ref").and_then(Value::as_str).unwrap_or_default();
        return match seccomp.get("profile_type") {
            // Zero is left out.
            None => Some(DeclaredSeccomp::RuntimeDefault),
            Some(kind) => match (kind.as_u64(), kind.as_str()) {
                (Some(0), _) | (_, Some("RuntimeDefault")) => Some(DeclaredSeccomp::RuntimeDefault),
                (Some(1), _) | (_, Some("Unconfined")) => Some(DeclaredSeccomp::Unconfined),
                (Some(2), _) | (_, Some("Localhost")) => Some(localhost(file)),
                _ => None,
            },
        };
    }
    match context.get("seccomp_profile_path")?.as_str()? {
        "unconfined" => Some(DeclaredSeccomp::Unconfined),
        "runtime/default" | "docker/default" => Some(DeclaredSeccomp::RuntimeDefault),
        path => path.strip_prefix("localhost/").map(localhost),
    }
}

/// What the runtime made of it.
fn filter(linux: &Value) -> Option<DeclaredSeccomp> {
    Some(match linux.get("seccomp") {
        None | Some(Value::Null) => DeclaredSeccomp::Unconfined,
        Some(value) if value.is_object() => DeclaredSeccomp::Filter,
        Some(_) => return None,
    })
}

fn capability(name: &str) -> Option<usize> {
    let name = name.strip_prefix("CAP_").unwrap_or(name);
    capability::NAMES.iter().position(|known| *known == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::Limits;

    fn parse(text: &str) -> Info {
        Info::parse(Some(&text.to_owned()))
    }

    #[test]
    fn containerd_info() {
        let info = parse(
            r#"{"sandboxID":"ab","pid":4711,"runtimeType":"io.containerd.runc.v2",
            "config":{"metadata":{"name":"web"},"linux":{"security_context":{"run_as_user":{"value":1000},
              "no_new_privs":true,"readonly_rootfs":true,"seccomp":{},"namespace_options":{"pid":1,"network":2}}}},
            "runtimeSpec":{"process":{"user":{"uid":1000,"gid":0},"noNewPrivileges":true,
              "apparmorProfile":"cri-containerd.apparmor.d",
              "capabilities":{"bounding":["CAP_CHOWN","CAP_BPF","CAP_NONSENSE"]}},
              "root":{"path":"rootfs","readonly":true},
              "linux":{"namespaces":[{"type":"pid"},{"type":"user"}],"seccomp":{"defaultAction":"SCMP_ACT_ERRNO"},
              "sysctl":{"net.ipv4.ping_group_range":"0 2147483647"},
              "resources":{"memory":{"limit":4096},"cpu":{"quota":50000,"period":100000},"pids":{"limit":9}}}}}"#,
        );
        assert_eq!(info.init_pid, Some(4711));
        assert_eq!(info.sandbox_id.as_deref(), Some("ab"));
        let expected = Declared {
            run_as_user: Some(1000),
            privileged: Some(false),
            no_new_privs: Some(true),
            seccomp: Some(DeclaredSeccomp::RuntimeDefault),
            capabilities: Some(1 | 1 << 39),
            read_only_root: Some(true),
            user_namespace: Some(true),
            host_pid: Some(false),
            host_network: Some(true),
            host_ipc: Some(false),
            label: Some("cri-containerd.apparmor.d".into()),
            ports: None,
            host_ports: None,
            sysctls: Some(vec!["net.ipv4.ping_group_range".into()]),
            mounts: None,
            limits: Some(Limits { memory: Some(4096), cpu_millis: Some(500), pids: Some(9) }),
        };
        assert_eq!(info.declared, expected);
        assert!(!info.own_kernel);
    }

    #[test]
    fn crio_info_has_no_config() {
        let info = parse(
            r#"{"sandboxID":"ab","pid":7,"privileged":true,
            "runtimeSpec":{"process":{"user":{"uid":0}},"root":{},"linux":{"namespaces":[]}}}"#,
        );
        let expected = Declared {
            run_as_user: Some(0),
            privileged: Some(true),
            no_new_privs: Some(false),
            seccomp: Some(DeclaredSeccomp::Unconfined),
            capabilities: None,
            read_only_root: Some(false),
            user_namespace: Some(false),
            sysctls: Some(Vec::new()),
            mounts: None,
            ..Declared::default()
        };
        assert_eq!(info.declared, expected);
    }

    #[test]
    fn sysctls_of_the_specification() {
        let of = |set: &str| {
            parse(&format!(r#"{{"runtimeSpec":{{"linux":{{"sysctl":{set}}}}}}}"#)).declared.sysctls
        };
        assert_eq!(of(r#"{"kernel.msgmax":"1"}"#), Some(vec!["kernel.msgmax".into()]));
        assert_eq!(of("null"), Some(Vec::new()));
        assert_eq!(of("{}"), Some(Vec::new()));
        assert_eq!(of("[]"), None);
        let many: Vec<_> = (0..=SYSCTLS).map(|n| format!(r#""k{n}":"1""#)).collect();
        assert_eq!(of(&format!("{{{}}}", many.join(","))), None);
        assert_eq!(of(&format!(r#"{{"{}":"1"}}"#, "x".repeat(9999))).unwrap()[0].len(), SYSCTL_BYTES);
    }

    #[test]
    fn namespaces_of_the_node() {
        let of = |options: &str| {
            let text = format!(r#"{{"config":{{"linux":{{"security_context":{options}}}}}}}"#);
            let declared = parse(&text).declared;
            (declared.host_pid, declared.host_network, declared.host_ipc)
        };
        let (yes, no) = (Some(true), Some(false));
        assert_eq!(of(r#"{"namespace_options":{}}"#), (no, no, no));
        assert_eq!(of(r#"{"namespace_options":{"pid":2,"network":0,"ipc":"NODE"}}"#), (yes, no, yes));
        assert_eq!(of(r#"{"namespace_options":{"pid":9,"network":[],"ipc":"X"}}"#), (None, None, None));
        assert_eq!(of("{}"), (None, None, None));
        assert_eq!(of(r#"{"namespace_options":7}"#), (None, None, None));
    }

    #[test]
    fn labels_of_security_modules() {
        let spec = |process: &str| {
            parse(&format!(
                r#"{{"runtimeSpec":{{"process":{process}}},"config":{{"linux":{{"security_context":
                {{"apparmor":{{}}}}}}}}}}"#
            ))
            .declared
            .label
        };
        assert_eq!(spec(r#"{"apparmorProfile":"a"}"#).as_deref(), Some("a"));
        assert_eq!(spec(r#"{"selinuxLabel":"u:r:container_t:s0"}"#).as_deref(), Some("u:r:container_t:s0"));
        assert_eq!(spec("{}"), None);
        let config = |context: &str| {
            parse(&format!(r#"{{"config":{{"linux":{{"security_context":{context}}}}}}}"#)).declared.label
        };
        assert_eq!(config(r#"{"apparmor":{}}"#).as_deref(), Some("runtime/default"));
        assert_eq!(config(r#"{"apparmor":{"profile_type":1}}"#).as_deref(), Some("unconfined"));
        assert_eq!(
            config(r#"{"apparmor":{"profile_type":2,"localhost_ref":"localhost/a"}}"#).as_deref(),
            Some("a")
        );
        assert_eq!(config(r#"{"apparmor_profile":"localhost/a"}"#).as_deref(), Some("a"));
        assert_eq!(config(r#"{"selinux_options":{"type":"spc_t"}}"#).as_deref(), Some("::spc_t:"));
        assert_eq!(config(r#"{"apparmor":{"profile_type":9},"selinux_options":[]}"#), None);
        assert_eq!(config(&format!(r#"{{"apparmor_profile":"{}"}}"#, "x".repeat(9999))).unwrap().len(), 256);
        assert_eq!(config("{}"), None);
    }

    #[test]
    fn a_kernel_of_its_own_by_the_shim() {
        assert!(parse(r#"{"runtimeType":"io.containerd.runsc.v1"}"#).own_kernel);
        assert!(!parse(r#"{"runtimeType":7}"#).own_kernel);
    }

    #[test]
    fn seccomp_profiles() {
        let seccomp = |context: &str| {
            parse(&format!(r#"{{"config":{{"linux":{{"security_context":{context}}}}}}}"#)).declared.seccomp
        };
        use DeclaredSeccomp::{Localhost, RuntimeDefault, Unconfined};
        assert_eq!(seccomp(r#"{"seccomp":{"profile_type":1}}"#), Some(Unconfined));
        assert_eq!(seccomp(r#"{"seccomp":{"profile_type":"Unconfined"}}"#), Some(Unconfined));
        assert_eq!(
            seccomp(r#"{"seccomp":{"profile_type":2,"localhost_ref":"/a.json"}}"#),
            Some(Localhost("/a.json".into()))
        );
        assert_eq!(seccomp(r#"{"seccomp":{"profile_type":9}}"#), None);
        assert_eq!(seccomp(r#"{"seccomp_profile_path":"runtime/default"}"#), Some(RuntimeDefault));
        assert_eq!(seccomp(r#"{"seccomp_profile_path":"localhost/b"}"#), Some(Localhost("b".into())));
        assert_eq!(seccomp(r#"{"seccomp_profile_path":""}"#), None);
        assert_eq!(seccomp("{}"), None);
    }

    #[test]
    fn what_is_not_there_is_not_known() {
        let nothing = [
            "",
            "null",
            "[]",
            "7",
            "{",
            r#""text""#,
            r#"{"pid":-1,"config":[],"runtimeSpec":null}"#,
            r#"{"pid":0,"runtimeSpec":{"process":7,"root":"x","linux":[]}}"#,
            r#"{"pid":99999999999,"config":{"linux":{"security_context":"root"}}}"#,
        ];
        for text in nothing {
            let info = parse(text);
            assert_eq!(info.init_pid, None, "{text}");
            assert_eq!(info.declared, Declared::default(), "{text}");
        }
        assert_eq!(parse(&"[".repeat(100_000)).declared, Declared::default());
        assert_eq!(parse(&format!("\"{}\"", "x".repeat(2 << 20))).declared, Declared::default());
        assert_eq!(Info::parse(None).declared, Declared::default());
        // Fields of another type are not known, and do not take the others along.
        let mixed =
            parse(r#"{"pid":7,"runtimeSpec":{"process":{"user":{"uid":"root"},"noNewPrivileges":"yes"}}}"#);
        assert_eq!(mixed.init_pid, Some(7));
        assert_eq!(mixed.declared.run_as_user, None);
        assert_eq!(mixed.declared.no_new_privs, None);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_panic(text: String) {
            let _ = parse(&text);
        }
    }
}

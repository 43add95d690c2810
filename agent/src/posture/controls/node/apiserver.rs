//! Who the API server lets in, what it lets them do, and how it keeps what it is told.
//!
//! Defaults are those of `kube-apiserver --help`:
//! <https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/>

use super::component::{all_set, each, judged, not_read, shown, switch, unknown};
use crate::{
    inspect::node::{
        ApiServer, Arguments,
        config::{Authentication, Encryption},
    },
    posture::{
        Judgement, UnknownReason,
        control::{ControlId, NodeControl},
    },
};

/// Without the flag anonymous requests are let in. From Kubernetes 1.32 on a file can say so too, and limit them
/// to some paths; flag and file exclude each other.
pub(super) const ANONYMOUS_AUTH: NodeControl = NodeControl {
    id: ControlId::ApiserverAnonymousAuth,
    check: |facts| each(&facts.apiserver, anonymous_auth),
};

/// The paths of probes, which tell nothing of the cluster.
const PROBES: &[&str] = &["/healthz", "/livez", "/readyz"];

fn anonymous_auth(server: &ApiServer, arguments: &Arguments) -> Judgement {
    match &server.authentication {
        Some(Err(why)) if arguments.last("anonymous-auth").is_none() => {
            not_read("file of --authentication-config", *why)
        }
        Some(Ok(Authentication { anonymous: Some(enabled), anonymous_paths })) => {
            let is_probe = |path: &String| PROBES.contains(&path.as_str());
            let is_limited = !anonymous_paths.is_empty() && anonymous_paths.iter().all(is_probe);
            let limit = if anonymous_paths.is_empty() { "" } else { " for paths with conditions" };
            let limit = if is_limited { " for probes only" } else { limit };
            judged(!enabled || is_limited, format!("anonymous.enabled: {enabled}{limit}"))
        }
        _ => switch(arguments, "anonymous-auth", true, false),
    }
}

/// `AlwaysAllow` where neither flag nor file is given.
pub(super) const AUTHORIZATION: NodeControl = NodeControl {
    id: ControlId::ApiserverAuthorization,
    check: |facts| each(&facts.apiserver, authorization),
};

fn authorization(server: &ApiServer, arguments: &Arguments) -> Judgement {
    let modes: Vec<&str> = match &server.authorization {
        Some(Err(why)) => return not_read("file of --authorization-config", *why),
        Some(Ok(authorization)) => authorization.modes.iter().map(String::as_str).collect(),
        None => match arguments.list("authorization-mode").filter(|modes| !modes.is_empty()) {
            Some(modes) => modes,
            None => return judged(false, "--authorization-mode is not set, which means AlwaysAllow"),
        },
    };
    let passes = modes.contains(&"Node") && modes.contains(&"RBAC") && !modes.contains(&"AlwaysAllow");
    judged(passes, format!("authorizers {}", shown(&modes.join(", "))))
}

/// `NodeRestriction` is on only where it is asked for; `PodSecurity`, `ServiceAccount` and `NamespaceLifecycle`
/// are on unless they are disabled. `--admission-control`, where a version still has it, names all that are on.
pub(super) const ADMISSION_PLUGINS: NodeControl = NodeControl {
    id: ControlId::ApiserverAdmissionPlugins,
    check: |facts| each(&facts.apiserver, |_, arguments| admission_plugins(arguments)),
};

const ON_BY_DEFAULT: [&str; 3] = ["PodSecurity", "ServiceAccount", "NamespaceLifecycle"];

fn admission_plugins(arguments: &Arguments) -> Judgement {
    let enabled = arguments.list("enable-admission-plugins").unwrap_or_default();
    let disabled = arguments.list("disable-admission-plugins").unwrap_or_default();
    let all = arguments.list("admission-control");
    let is_on = |plugin: &&str| match &all {
        Some(all) => all.contains(plugin),
        None => enabled.contains(plugin) || ON_BY_DEFAULT.contains(plugin) && !disabled.contains(plugin),
    };
    let mut wrong = Vec::new();
    if !is_on(&"NodeRestriction") {
        wrong.push("NodeRestriction is not enabled".to_owned());
    }
    if is_on(&"AlwaysAdmit") {
        wrong.push("AlwaysAdmit is enabled".to_owned());
    }
    let off = ON_BY_DEFAULT.iter().filter(|plugin| !is_on(plugin));
    wrong.extend(off.map(|plugin| format!("{plugin} is disabled")));
    if wrong.is_empty() {
        judged(true, format!("enabled {}", shown(&all.unwrap_or(enabled).join(", "))))
    } else {
        judged(false, wrong.join(", "))
    }
}

/// The first provider writes. `aesgcm` is not among those that the CIS benchmark takes: its keys have to be
/// changed more often than anybody does.
pub(super) const ENCRYPTION_AT_REST: NodeControl = NodeControl {
    id: ControlId::ApiserverEncryptionAtRest,
    check: |facts| each(&facts.apiserver, encryption),
};

fn encryption(server: &ApiServer, _: &Arguments) -> Judgement {
    let Encryption { providers } = match &server.encryption {
        None => return judged(false, "--encryption-provider-config is not set"),
        Some(Err(why)) => return not_read("file of --encryption-provider-config", *why),
        Some(Ok(encryption)) => encryption,
    };
    match providers.first().map(String::as_str) {
        None => judged(false, "no provider for Secrets"),
        Some(first @ ("aescbc" | "kms" | "secretbox")) => {
            judged(true, format!("Secrets are written by {first}"))
        }
        Some("identity") => judged(false, "Secrets are written by identity, which does not encrypt"),
        Some("aesgcm") => judged(false, "Secrets are written by aesgcm"),
        Some(other) => unknown(
            UnknownReason::ValueNotUnderstood,
            format!("Secrets are written by a provider that is not known: {}", shown(other)),
        ),
    }
}

/// Without them it makes a certificate of its own, and takes no client's.
pub(super) const TLS: NodeControl = NodeControl {
    id: ControlId::ApiserverTls,
    check: |facts| {
        each(&facts.apiserver, |_, arguments| {
            all_set(arguments, &["tls-cert-file", "tls-private-key-file", "client-ca-file"])
        })
    },
};

/// A server of etcd by `http` is spoken to without any of them.
pub(super) const ETCD_TLS: NodeControl = NodeControl {
    id: ControlId::ApiserverEtcdTls,
    check: |facts| {
        each(&facts.apiserver, |_, arguments| {
            let servers = arguments.list("etcd-servers").unwrap_or_default();
            if servers.iter().any(|server| server.starts_with("http://")) {
                return judged(false, "--etcd-servers has one by http");
            }
            all_set(arguments, &["etcd-certfile", "etcd-keyfile", "etcd-cafile"])
        })
    },
};

#[cfg(test)]
mod tests {
    use super::{super::component::testing::apiserver, *};
    use crate::{
        inspect::{NotRead, node::testing::ENCRYPTION},
        posture::Outcome,
    };

    const NOT_THERE: Outcome = Outcome::Unknown(UnknownReason::NotRead(NotRead::NotThere));
    const BROKEN: Outcome = Outcome::Unknown(UnknownReason::NotRead(NotRead::NotUnderstood));

    #[track_caller]
    fn gives(control: NodeControl, more: &[&str], files: &[(&str, &str)], outcome: Outcome, observed: &str) {
        let judgement = (control.check)(&apiserver(more, files));
        assert_eq!((judgement.outcome, judgement.explanation.observed.as_str()), (outcome, observed));
    }

    #[test]
    fn anonymous() {
        let unset = "--anonymous-auth is not set, which means true";
        gives(ANONYMOUS_AUTH, &[], &[], Outcome::Fail, unset);
        gives(ANONYMOUS_AUTH, &["--anonymous-auth=false"], &[], Outcome::Pass, "--anonymous-auth=false");
        gives(ANONYMOUS_AUTH, &["--anonymous-auth"], &[], Outcome::Fail, "--anonymous-auth=true");
        let flag = "--authentication-config=/etc/authn.yaml";
        let file = |outcome, text: &str, observed: &str| {
            let text = format!("kind: AuthenticationConfiguration\n{text}");
            gives(ANONYMOUS_AUTH, &[flag], &[("/etc/authn.yaml", &text)], outcome, observed);
        };
        file(Outcome::Pass, "anonymous: {enabled: false}", "anonymous.enabled: false");
        file(Outcome::Fail, "anonymous: {enabled: true}", "anonymous.enabled: true");
        file(
            Outcome::Pass,
            "anonymous: {enabled: true, conditions: [{path: /livez}, {path: /readyz}]}",
            "anonymous.enabled: true for probes only",
        );
        file(
            Outcome::Fail,
            "anonymous: {enabled: true, conditions: [{path: /livez}, {path: /metrics}]}",
            "anonymous.enabled: true for paths with conditions",
        );
        file(Outcome::Fail, "jwt: []", unset);
        gives(ANONYMOUS_AUTH, &[flag], &[], NOT_THERE, "file of --authentication-config: it is not there");
    }

    #[test]
    fn authorizers() {
        gives(AUTHORIZATION, &[], &[], Outcome::Pass, "authorizers Node, RBAC");
        // A list that is given twice adds up.
        let more = ["--authorization-mode=AlwaysAllow"];
        gives(AUTHORIZATION, &more, &[], Outcome::Fail, "authorizers Node, RBAC, AlwaysAllow");
        let alone = super::super::component::testing::running("/kube-apiserver", &["kube-apiserver"], &[]);
        assert_eq!((AUTHORIZATION.check)(&alone).outcome, Outcome::Fail);
        let flag = "--authorization-config=/etc/authz.yaml";
        let file = |outcome, text: &str, observed: &str| {
            let text = format!("kind: AuthorizationConfiguration\nauthorizers:\n{text}");
            gives(AUTHORIZATION, &[flag], &[("/etc/authz.yaml", &text)], outcome, observed);
        };
        file(Outcome::Pass, "- {type: Node, name: n}\n- {type: RBAC, name: r}", "authorizers Node, RBAC");
        file(Outcome::Fail, "- {type: RBAC, name: r}", "authorizers RBAC");
        gives(AUTHORIZATION, &[flag], &[], NOT_THERE, "file of --authorization-config: it is not there");
    }

    #[test]
    fn plugins() {
        let judge = |more: &[&str], outcome, observed: &str| {
            gives(ADMISSION_PLUGINS, more, &[], outcome, observed);
        };
        judge(&[], Outcome::Pass, "enabled NodeRestriction");
        let more = ["--enable-admission-plugins=AlwaysAdmit"];
        judge(&more, Outcome::Fail, "AlwaysAdmit is enabled");
        let more = ["--disable-admission-plugins=PodSecurity,ServiceAccount"];
        judge(&more, Outcome::Fail, "PodSecurity is disabled, ServiceAccount is disabled");
        judge(
            &["--admission-control=NodeRestriction,PodSecurity,ServiceAccount"],
            Outcome::Fail,
            "NamespaceLifecycle is disabled",
        );
        let alone = super::super::component::testing::running("/kube-apiserver", &["kube-apiserver"], &[]);
        assert_eq!((ADMISSION_PLUGINS.check)(&alone).explanation.observed, "NodeRestriction is not enabled");
    }

    #[test]
    fn providers() {
        let flag = "--encryption-provider-config=/etc/kubernetes/enc.yaml";
        let path = "/etc/kubernetes/enc.yaml";
        let judge = |files: &[(&str, &str)], outcome, observed: &str| {
            gives(ENCRYPTION_AT_REST, &[flag], files, outcome, observed);
        };
        gives(ENCRYPTION_AT_REST, &[], &[], Outcome::Fail, "--encryption-provider-config is not set");
        judge(&[(path, ENCRYPTION)], Outcome::Pass, "Secrets are written by aescbc");
        let first = |provider: &str| ENCRYPTION.replacen("aescbc:", &format!("{provider}:"), 1);
        judge(&[(path, &first("aesgcm"))], Outcome::Fail, "Secrets are written by aesgcm");
        judge(
            &[(path, &first("identity"))],
            Outcome::Fail,
            "Secrets are written by identity, which does not encrypt",
        );
        judge(
            &[(path, &first("rot13"))],
            Outcome::Unknown(UnknownReason::ValueNotUnderstood),
            "Secrets are written by a provider that is not known: rot13",
        );
        judge(&[(path, &ENCRYPTION.replace("secrets", "x"))], Outcome::Fail, "no provider for Secrets");
        judge(&[], NOT_THERE, "file of --encryption-provider-config: it is not there");
        judge(&[(path, "kind: [")], BROKEN, "file of --encryption-provider-config: it is not understood");
    }

    #[test]
    fn certificates() {
        gives(
            TLS,
            &[],
            &[],
            Outcome::Pass,
            "--tls-cert-file=/etc/kubernetes/pki/apiserver.crt, \
             --tls-private-key-file=/etc/kubernetes/pki/apiserver.key, \
             --client-ca-file=/etc/kubernetes/pki/ca.crt",
        );
        gives(TLS, &["--client-ca-file="], &[], Outcome::Fail, "not set: --client-ca-file");
        assert_eq!((ETCD_TLS.check)(&apiserver(&[], &[])).outcome, Outcome::Pass);
        gives(ETCD_TLS, &["--etcd-cafile="], &[], Outcome::Fail, "not set: --etcd-cafile");
        let plain = ["--etcd-servers=https://a:2379,http://b:2379"];
        gives(ETCD_TLS, &plain, &[], Outcome::Fail, "--etcd-servers has one by http");
    }
}

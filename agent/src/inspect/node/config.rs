//! What the configuration files of Kubernetes say, as far as it is judged. Keys of the encryption and whatever
//! else they hold are passed over, and texts of errors, which may quote them, are thrown away.

use std::{collections::BTreeMap, path::Path};

use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};

use crate::inspect::{NotRead, Read};

/// Most entries of a list that are looked at.
const ENTRIES: usize = 10_000;

fn parse<C: DeserializeOwned + Default>(text: &str) -> Read<C> {
    settings::yaml::parse(Path::new(""), text).map_err(|_| NotRead::NotUnderstood)
}

/// A file whose kind is one of `kinds`.
fn of_kind<C: DeserializeOwned>(text: &str, kinds: &[&str]) -> Read<C> {
    /// Looks at the kind first: the rest means something else in another.
    #[derive(Default, Deserialize)]
    struct Kind {
        kind: Option<String>,
    }
    let Kind { kind } = parse(text)?;
    if !kind.is_some_and(|kind| kinds.contains(&kind.as_str())) {
        return Err(NotRead::NotUnderstood);
    }
    parse::<Option<C>>(text)?.ok_or(NotRead::NotUnderstood)
}

/// Of a `KubeletConfiguration`; `None`: it does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KubeletConfig {
    /// `authentication.anonymous.enabled`.
    pub anonymous_auth: Option<bool>,
    /// `authentication.x509.clientCAFile`.
    pub client_ca_file: Option<String>,
    /// `authorization.mode`.
    pub authorization_mode: Option<String>,
    /// `readOnlyPort`.
    pub read_only_port: Option<i64>,
    /// `tlsCertFile`.
    pub tls_cert_file: Option<String>,
    /// `tlsPrivateKeyFile`.
    pub tls_private_key_file: Option<String>,
    /// `serverTLSBootstrap`.
    pub server_tls_bootstrap: Option<bool>,
}

impl KubeletConfig {
    pub(super) fn parse(text: &str) -> Read<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Raw {
            authentication: Option<RawAuthentication>,
            authorization: Option<RawMode>,
            read_only_port: Option<i64>,
            tls_cert_file: Option<String>,
            tls_private_key_file: Option<String>,
            #[serde(rename = "serverTLSBootstrap")]
            server_tls_bootstrap: Option<bool>,
        }
        #[derive(Default, Deserialize)]
        struct RawAuthentication {
            anonymous: Option<RawEnabled>,
            x509: Option<RawX509>,
        }
        #[derive(Deserialize)]
        struct RawEnabled {
            enabled: Option<bool>,
        }
        #[derive(Deserialize)]
        struct RawX509 {
            #[serde(rename = "clientCAFile")]
            client_ca_file: Option<String>,
        }
        #[derive(Deserialize)]
        struct RawMode {
            mode: Option<String>,
        }
        let raw: Raw = of_kind(text, &["KubeletConfiguration"])?;
        let authentication = raw.authentication.unwrap_or_default();
        let said = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(Self {
            anonymous_auth: authentication.anonymous.and_then(|anonymous| anonymous.enabled),
            client_ca_file: said(authentication.x509.and_then(|x509| x509.client_ca_file)),
            authorization_mode: said(raw.authorization.and_then(|authorization| authorization.mode)),
            read_only_port: raw.read_only_port,
            tls_cert_file: said(raw.tls_cert_file),
            tls_private_key_file: said(raw.tls_private_key_file),
            server_tls_bootstrap: raw.server_tls_bootstrap,
        })
    }
}

/// Of a `KubeSchedulerConfiguration`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SchedulerConfig {
    /// `enableProfiling`.
    pub profiling: Option<bool>,
}

impl SchedulerConfig {
    pub(super) fn parse(text: &str) -> Read<Self> {
        #[derive(Deserialize)]
        struct Raw {
            #[serde(rename = "enableProfiling")]
            profiling: Option<bool>,
        }
        let raw: Raw = of_kind(text, &["KubeSchedulerConfiguration"])?;
        Ok(Self { profiling: raw.profiling })
    }
}

/// Of an audit `Policy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditPolicy {
    /// Rules in it.
    pub rules: usize,
    /// Those whose level is not `None`: what matches them is written.
    pub writing: usize,
}

impl AuditPolicy {
    pub(super) fn parse(text: &str) -> Read<Self> {
        #[derive(Deserialize)]
        struct Raw {
            rules: Option<Vec<Rule>>,
        }
        #[derive(Deserialize)]
        struct Rule {
            level: Option<String>,
        }
        let raw: Raw = of_kind(text, &["Policy"])?;
        let rules = bounded(raw.rules)?;
        let writes =
            |rule: &&Rule| matches!(rule.level.as_deref(), Some("Metadata" | "Request" | "RequestResponse"));
        Ok(Self { rules: rules.len(), writing: rules.iter().filter(writes).count() })
    }
}

/// Of an `EncryptionConfiguration`: the providers of Secrets, in their order. The first writes, any reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encryption {
    /// Names of the providers; empty: Secrets are in none of its rules.
    pub providers: Vec<String>,
}

impl Encryption {
    pub(super) fn parse(text: &str) -> Read<Self> {
        #[derive(Deserialize)]
        struct Raw {
            resources: Option<Vec<Rule>>,
        }
        #[derive(Deserialize)]
        struct Rule {
            resources: Option<Vec<String>>,
            // The values are keys, and stay unread.
            providers: Option<Vec<BTreeMap<String, IgnoredAny>>>,
        }
        let raw: Raw = of_kind(text, &["EncryptionConfiguration", "EncryptionConfig"])?;
        for rule in bounded(raw.resources)? {
            // `*.` is the core group, in which Secrets are. The first rule that has them counts.
            let is_of_secrets = |resource: &String| matches!(resource.as_str(), "secrets" | "*." | "*.*");
            if bounded(rule.resources)?.iter().any(is_of_secrets) {
                let providers = bounded(rule.providers)?;
                if providers.iter().any(|provider| provider.len() != 1) {
                    return Err(NotRead::NotUnderstood);
                }
                return Ok(Self { providers: providers.into_iter().flat_map(BTreeMap::into_keys).collect() });
            }
        }
        Ok(Self::default())
    }
}

/// Of an `AuthorizationConfiguration`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authorization {
    /// Types of the authorizers, in their order.
    pub modes: Vec<String>,
}

impl Authorization {
    pub(super) fn parse(text: &str) -> Read<Self> {
        #[derive(Deserialize)]
        struct Raw {
            authorizers: Option<Vec<Authorizer>>,
        }
        #[derive(Deserialize)]
        struct Authorizer {
            #[serde(rename = "type")]
            mode: String,
        }
        let raw: Raw = of_kind(text, &["AuthorizationConfiguration"])?;
        let modes = bounded(raw.authorizers)?.into_iter().map(|authorizer| authorizer.mode).collect();
        Ok(Self { modes })
    }
}

/// Of an `AuthenticationConfiguration`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authentication {
    /// `anonymous.enabled`; `None`: the flag counts.
    pub anonymous: Option<bool>,
    /// The paths to which that is limited; empty: it is not.
    pub anonymous_paths: Vec<String>,
}

impl Authentication {
    pub(super) fn parse(text: &str) -> Read<Self> {
        #[derive(Deserialize)]
        struct Raw {
            anonymous: Option<Anonymous>,
        }
        #[derive(Deserialize)]
        struct Anonymous {
            enabled: Option<bool>,
            conditions: Option<Vec<Condition>>,
        }
        #[derive(Deserialize)]
        struct Condition {
            path: String,
        }
        let raw: Raw = of_kind(text, &["AuthenticationConfiguration"])?;
        let Some(Anonymous { enabled, conditions }) = raw.anonymous else { return Ok(Self::default()) };
        let anonymous_paths = bounded(conditions)?.into_iter().map(|condition| condition.path).collect();
        Ok(Self { anonymous: Some(enabled.unwrap_or(false)), anonymous_paths })
    }
}

/// What is in force of etcd's options; `None`: not given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EtcdConfig {
    /// `cert-file`.
    pub cert_file: Option<String>,
    /// `key-file`.
    pub key_file: Option<String>,
    /// `client-cert-auth`.
    pub client_cert_auth: Option<bool>,
    /// `auto-tls`.
    pub auto_tls: Option<bool>,
    /// `peer-cert-file`.
    pub peer_cert_file: Option<String>,
    /// `peer-key-file`.
    pub peer_key_file: Option<String>,
    /// `peer-client-cert-auth`.
    pub peer_client_cert_auth: Option<bool>,
    /// `peer-auto-tls`.
    pub peer_auto_tls: Option<bool>,
}

impl EtcdConfig {
    pub(super) fn parse(text: &str) -> Read<Self> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        struct Raw {
            client_transport_security: Option<Transport>,
            peer_transport_security: Option<Transport>,
        }
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        struct Transport {
            cert_file: Option<String>,
            key_file: Option<String>,
            client_cert_auth: Option<bool>,
            auto_tls: Option<bool>,
        }
        let raw: Raw = parse(text)?;
        let client = raw.client_transport_security.unwrap_or_default();
        let peer = raw.peer_transport_security.unwrap_or_default();
        Ok(Self {
            cert_file: client.cert_file,
            key_file: client.key_file,
            client_cert_auth: client.client_cert_auth,
            auto_tls: client.auto_tls,
            peer_cert_file: peer.cert_file,
            peer_key_file: peer.key_file,
            peer_client_cert_auth: peer.client_cert_auth,
            peer_auto_tls: peer.auto_tls,
        })
    }
}

fn bounded<T>(list: Option<Vec<T>>) -> Read<Vec<T>> {
    let list = list.unwrap_or_default();
    if list.len() > ENTRIES { Err(NotRead::TooMuch) } else { Ok(list) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::inspect::node::testing::{AUDIT_POLICY, ENCRYPTION, KUBELET_CONFIG};

    #[test]
    fn a_kubelet_of_kubeadm() {
        let config = KubeletConfig::parse(KUBELET_CONFIG).unwrap();
        assert_eq!(config.anonymous_auth, Some(false));
        assert_eq!(config.client_ca_file.as_deref(), Some("/etc/kubernetes/pki/ca.crt"));
        assert_eq!(config.authorization_mode.as_deref(), Some("Webhook"));
        assert_eq!((config.read_only_port, config.tls_cert_file), (None, None));
        // JSON is YAML too, and a section may be left out or be empty.
        let json = r#"{"kind": "KubeletConfiguration", "readOnlyPort": 10255, "authentication": null}"#;
        assert_eq!(KubeletConfig::parse(json).unwrap().read_only_port, Some(10255));
    }

    #[test]
    fn another_kind_is_not_understood() {
        for text in
            ["", "kind: Policy", "just text", "- a\n- b", "kind: KubeletConfiguration\nreadOnlyPort: x"]
        {
            assert_eq!(KubeletConfig::parse(text), Err(NotRead::NotUnderstood), "{text}");
        }
    }

    #[test]
    fn providers_of_secrets() {
        assert_eq!(Encryption::parse(ENCRYPTION).unwrap().providers, ["aescbc", "identity"]);
        assert!(!format!("{:?}", Encryption::parse(ENCRYPTION)).contains("c2VjcmV0"));
        let of = |resource: &str| {
            let text = format!(
                "kind: EncryptionConfiguration\nresources:\n- resources: ['{resource}']\n  providers: [identity: {{}}]\n"
            );
            Encryption::parse(&text).unwrap().providers
        };
        assert_eq!(of("*.*"), ["identity"]);
        assert_eq!(of("*."), ["identity"]);
        assert!(of("configmaps").is_empty());
    }

    #[test]
    fn rules_of_an_audit_policy() {
        assert_eq!(AuditPolicy::parse(AUDIT_POLICY), Ok(AuditPolicy { rules: 3, writing: 2 }));
        let none = "kind: Policy\nrules:\n- level: None\n";
        assert_eq!(AuditPolicy::parse(none), Ok(AuditPolicy { rules: 1, writing: 0 }));
    }

    #[test]
    fn authorizers_and_the_anonymous() {
        let text = "kind: AuthorizationConfiguration\nauthorizers:\n- {type: Node, name: node}\n- {type: RBAC, name: rbac}\n";
        assert_eq!(Authorization::parse(text).unwrap().modes, ["Node", "RBAC"]);
        let text = "kind: AuthenticationConfiguration\nanonymous:\n  enabled: true\n  conditions:\n  - path: /livez\n";
        let authentication = Authentication::parse(text).unwrap();
        assert_eq!((authentication.anonymous, authentication.anonymous_paths.len()), (Some(true), 1));
        assert_eq!(
            Authentication::parse("kind: AuthenticationConfiguration\njwt: []").unwrap().anonymous,
            None
        );
    }

    #[test]
    fn options_of_etcd() {
        let config = EtcdConfig::parse(
            "name: a\nclient-transport-security:\n  cert-file: /a\n  client-cert-auth: true\npeer-transport-security:\n  auto-tls: true\n",
        );
        let config = config.unwrap();
        assert_eq!((config.client_cert_auth, config.cert_file.as_deref()), (Some(true), Some("/a")));
        assert_eq!((config.peer_auto_tls, config.auto_tls), (Some(true), None));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in ".{0,400}", yaml in "(kind: (Policy|KubeletConfiguration|EncryptionConfiguration)\n)?([a-zR]{1,9}: ?(\\[|\\{|- |[0-9a-z])*\n){0,6}") {
            for text in [text, yaml] {
                let _ = KubeletConfig::parse(&text);
                let _ = SchedulerConfig::parse(&text);
                let _ = AuditPolicy::parse(&text);
                let _ = Encryption::parse(&text);
                let _ = Authorization::parse(&text);
                let _ = Authentication::parse(&text);
                let _ = EtcdConfig::parse(&text);
            }
        }
    }
}

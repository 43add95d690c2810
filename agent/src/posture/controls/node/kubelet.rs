//! Who may speak to the kubelet.
//!
//! A flag goes before the configuration file. What neither says has two defaults: with a file those of the file
//! (`SetDefaults_KubeletConfiguration` in Kubernetes' `pkg/kubelet/apis/config/v1beta1/defaults.go`: no
//! anonymous requests, Webhook, no read-only port), without one those that flags had before there were files
//! (`applyLegacyDefaults` in `cmd/kubelet/app/options/options.go`: anonymous requests, `AlwaysAllow`, port 10255).

use super::component::{each, judged, not_read, shown, unknown};
use crate::{
    inspect::node::{Arguments, Kubelet, NodeFacts, arguments::truth, config::KubeletConfig},
    posture::{
        Judgement, UnknownReason,
        control::{ControlId, NodeControl},
    },
};

pub(super) const ANONYMOUS_AUTH: NodeControl = NodeControl {
    id: ControlId::KubeletAnonymousAuth,
    check: |facts| {
        check(facts, |kubelet| {
            let told = kubelet.boolean("anonymous-auth", "authentication.anonymous.enabled", |config| {
                config.anonymous_auth
            })?;
            let told = told.or_default(false, true);
            Ok(judged(!told.value, told.text()))
        })
    },
};

pub(super) const AUTHORIZATION: NodeControl = NodeControl {
    id: ControlId::KubeletAuthorization,
    check: |facts| {
        check(facts, |kubelet| {
            let told = kubelet.text("authorization-mode", "authorization.mode", |config| {
                config.authorization_mode.clone()
            })?;
            let told = told.or_default("Webhook".into(), "AlwaysAllow".into());
            match told.value.as_str() {
                "Webhook" => Ok(judged(true, told.text())),
                "AlwaysAllow" => Ok(judged(false, told.text())),
                _ => Err(unknown(UnknownReason::ValueNotUnderstood, told.text())),
            }
        })
    },
};

pub(super) const CLIENT_CA: NodeControl = NodeControl {
    id: ControlId::KubeletClientCa,
    check: |facts| {
        check(facts, |kubelet| {
            let told = kubelet.text("client-ca-file", "authentication.x509.clientCAFile", |config| {
                config.client_ca_file.clone()
            })?;
            Ok(judged(told.value.is_some(), told.text()))
        })
    },
};

pub(super) const READ_ONLY_PORT: NodeControl = NodeControl {
    id: ControlId::KubeletReadOnlyPort,
    check: |facts| {
        check(facts, |kubelet| {
            let told = kubelet.value(
                "read-only-port",
                "readOnlyPort",
                |text| text.parse::<i64>().ok(),
                |config| config.read_only_port,
            )?;
            let told = told.or_default(0, 10255);
            Ok(judged(told.value == 0, told.text()))
        })
    },
};

/// With neither files nor a certificate that the cluster signs it signs one itself.
pub(super) const TLS: NodeControl = NodeControl {
    id: ControlId::KubeletTls,
    check: |facts| {
        check(facts, |kubelet| {
            let bootstrap =
                kubelet.boolean("rotate-server-certificates", "serverTLSBootstrap", |config| {
                    config.server_tls_bootstrap
                })?;
            let cert = kubelet.text("tls-cert-file", "tlsCertFile", |config| config.tls_cert_file.clone())?;
            let key = kubelet.text("tls-private-key-file", "tlsPrivateKeyFile", |config| {
                config.tls_private_key_file.clone()
            })?;
            Ok(if bootstrap.value == Some(true) {
                judged(true, bootstrap.text())
            } else {
                judged(
                    cert.value.is_some() && key.value.is_some(),
                    format!("{}, {}", cert.text(), key.text()),
                )
            })
        })
    },
};

/// A value, and who says it.
struct Told<T> {
    name: String,
    value: T,
    has_file: bool,
}

impl<T> Told<Option<T>> {
    /// The default where nobody says it: with a file, and without one.
    fn or_default(self, with_file: T, without: T) -> Told<T> {
        let Self { mut name, value, has_file } = self;
        let value = value.unwrap_or_else(|| {
            name.push_str(" is not set, which means");
            if has_file { with_file } else { without }
        });
        Told { name, value, has_file }
    }
}

impl<T: Show> Told<T> {
    fn text(&self) -> String {
        self.value.show(&self.name)
    }
}

trait Show {
    fn show(&self, name: &str) -> String;
}

impl Show for bool {
    fn show(&self, name: &str) -> String {
        format!("{name} {self}")
    }
}

impl Show for i64 {
    fn show(&self, name: &str) -> String {
        format!("{name} {self}")
    }
}

impl Show for String {
    fn show(&self, name: &str) -> String {
        format!("{name} {}", shown(self))
    }
}

impl<T: Show> Show for Option<T> {
    fn show(&self, name: &str) -> String {
        self.as_ref().map_or_else(|| format!("{name} is not set"), |value| value.show(name))
    }
}

/// A kubelet whose arguments were read.
struct Options<'a> {
    kubelet: &'a Kubelet,
    arguments: &'a Arguments,
}

impl Options<'_> {
    fn boolean(
        &self,
        flag: &str,
        key: &str,
        of: fn(&KubeletConfig) -> Option<bool>,
    ) -> Result<Told<Option<bool>>, Judgement> {
        self.value(flag, key, truth, of)
    }

    /// An empty text is none.
    fn text(
        &self,
        flag: &str,
        key: &str,
        of: fn(&KubeletConfig) -> Option<String>,
    ) -> Result<Told<Option<String>>, Judgement> {
        let mut told = self.value(flag, key, |text| Some(text.to_owned()), of)?;
        told.value = told.value.filter(|text| !text.is_empty());
        Ok(told)
    }

    fn value<T>(
        &self,
        flag: &str,
        key: &str,
        parse: fn(&str) -> Option<T>,
        of: fn(&KubeletConfig) -> Option<T>,
    ) -> Result<Told<Option<T>>, Judgement> {
        let has_file = self.kubelet.config.is_some();
        if let Some(text) = self.arguments.last(flag) {
            let name = format!("--{flag}");
            return match parse(text) {
                Some(value) => Ok(Told { name, value: Some(value), has_file }),
                None => Err(unknown(UnknownReason::ValueNotUnderstood, format!("{name}={}", shown(text)))),
            };
        }
        if self.arguments.path("config-dir").is_some() {
            return Err(unknown(
                UnknownReason::NotTold,
                format!("{key} may be set by a file in the folder of --config-dir"),
            ));
        }
        let value = match &self.kubelet.config {
            Some(Ok(config)) => of(config),
            Some(Err(why)) => return Err(not_read("file of --config", *why)),
            None => None,
        };
        let name = if has_file { key.to_owned() } else { format!("--{flag}") };
        Ok(Told { name, value, has_file })
    }
}

fn check(facts: &NodeFacts, judge: fn(&Options<'_>) -> Result<Judgement, Judgement>) -> Judgement {
    each(&facts.kubelet, |kubelet, arguments| {
        judge(&Options { kubelet, arguments }).unwrap_or_else(|unknown| unknown)
    })
}

#[cfg(test)]
mod tests {
    use super::{super::component::testing::running, *};
    use crate::{
        inspect::{
            NotRead,
            node::testing::{KUBELET, KUBELET_CONFIG},
        },
        posture::Outcome,
    };

    const ALL: [NodeControl; 5] = [ANONYMOUS_AUTH, AUTHORIZATION, CLIENT_CA, READ_ONLY_PORT, TLS];
    const PATH: &str = "/var/lib/kubelet/config.yaml";

    fn judge(words: &[&str], config: Option<&str>) -> [(Outcome, String); 5] {
        let files: Vec<_> = config.iter().map(|text| (PATH, *text)).collect();
        let facts = running("/usr/bin/kubelet", words, &files);
        ALL.map(|control| {
            let judgement = (control.check)(&facts);
            (judgement.outcome, judgement.explanation.observed)
        })
    }

    #[track_caller]
    fn gives(words: &[&str], config: Option<&str>, expected: [(Outcome, &str); 5]) {
        assert_eq!(judge(words, config), expected.map(|(outcome, text)| (outcome, text.to_owned())));
    }

    #[test]
    fn kubeadm() {
        gives(
            KUBELET,
            Some(KUBELET_CONFIG),
            [
                (Outcome::Pass, "authentication.anonymous.enabled false"),
                (Outcome::Pass, "authorization.mode Webhook"),
                (Outcome::Pass, "authentication.x509.clientCAFile /etc/kubernetes/pki/ca.crt"),
                (Outcome::Pass, "readOnlyPort is not set, which means 0"),
                (Outcome::Fail, "tlsCertFile is not set, tlsPrivateKeyFile is not set"),
            ],
        );
    }

    #[test]
    fn defaults_with_a_file_and_without() {
        gives(
            KUBELET,
            Some("kind: KubeletConfiguration\nserverTLSBootstrap: true\n"),
            [
                (Outcome::Pass, "authentication.anonymous.enabled is not set, which means false"),
                (Outcome::Pass, "authorization.mode is not set, which means Webhook"),
                (Outcome::Fail, "authentication.x509.clientCAFile is not set"),
                (Outcome::Pass, "readOnlyPort is not set, which means 0"),
                (Outcome::Pass, "serverTLSBootstrap true"),
            ],
        );
        gives(
            &["kubelet", "--kubeconfig=/etc/kubelet.conf"],
            None,
            [
                (Outcome::Fail, "--anonymous-auth is not set, which means true"),
                (Outcome::Fail, "--authorization-mode is not set, which means AlwaysAllow"),
                (Outcome::Fail, "--client-ca-file is not set"),
                (Outcome::Fail, "--read-only-port is not set, which means 10255"),
                (Outcome::Fail, "--tls-cert-file is not set, --tls-private-key-file is not set"),
            ],
        );
    }

    #[test]
    fn flags_go_before_the_file() {
        let flags = [
            "--anonymous-auth",
            "--authorization-mode=AlwaysAllow",
            "--client-ca-file=",
            "--read-only-port=10255",
            "--tls-cert-file=/a",
            "--tls-private-key-file=/b",
        ];
        gives(
            &[KUBELET, &flags].concat(),
            Some(KUBELET_CONFIG),
            [
                (Outcome::Fail, "--anonymous-auth true"),
                (Outcome::Fail, "--authorization-mode AlwaysAllow"),
                (Outcome::Fail, "--client-ca-file is not set"),
                (Outcome::Fail, "--read-only-port 10255"),
                (Outcome::Pass, "--tls-cert-file /a, --tls-private-key-file /b"),
            ],
        );
    }

    #[test]
    fn what_is_not_known() {
        for (config, why) in [(None, NotRead::NotThere), (Some("kind: Pod"), NotRead::NotUnderstood)] {
            for (outcome, observed) in judge(KUBELET, config) {
                assert_eq!(outcome, Outcome::Unknown(UnknownReason::NotRead(why)), "{observed}");
            }
        }
        let folder = [KUBELET, &["--config-dir=/etc/kubelet.d", "--read-only-port=0"]].concat();
        let judged = judge(&folder, Some(KUBELET_CONFIG)).map(|(outcome, _)| outcome);
        let not_told = Outcome::Unknown(UnknownReason::NotTold);
        assert_eq!(judged, [not_told, not_told, not_told, Outcome::Pass, not_told]);
        let odd = judge(&["kubelet", "--anonymous-auth=no", "--authorization-mode=Other"], None);
        let not_understood = Outcome::Unknown(UnknownReason::ValueNotUnderstood);
        assert_eq!((odd[0].0, odd[1].0), (not_understood, not_understood));
    }
}

//! etcd shows what it holds only to who has a certificate. Nothing of it is set unless it is set.

use super::component::{judged, not_read, shown, worst};
use crate::{
    inspect::node::{NodeFacts, config::EtcdConfig},
    posture::{
        Judgement,
        control::{ControlId, NodeControl},
    },
};

pub(super) const CLIENT_CERT_AUTH: NodeControl = NodeControl {
    id: ControlId::EtcdClientCertAuth,
    check: |facts| each(facts, |options| on("client-cert-auth", options.client_cert_auth)),
};

pub(super) const PEER_CERT_AUTH: NodeControl = NodeControl {
    id: ControlId::EtcdPeerCertAuth,
    check: |facts| each(facts, |options| on("peer-client-cert-auth", options.peer_client_cert_auth)),
};

pub(super) const TLS: NodeControl = NodeControl { id: ControlId::EtcdTls, check: |facts| each(facts, tls) };

fn tls(options: &EtcdConfig) -> Judgement {
    for (name, is_on) in [("auto-tls", options.auto_tls), ("peer-auto-tls", options.peer_auto_tls)] {
        if is_on == Some(true) {
            return judged(false, format!("{name} is true: it signs its own certificates"));
        }
    }
    let files = [
        ("cert-file", &options.cert_file),
        ("key-file", &options.key_file),
        ("peer-cert-file", &options.peer_cert_file),
        ("peer-key-file", &options.peer_key_file),
    ];
    let (mut set, mut missing) = (Vec::new(), Vec::new());
    for (name, path) in files {
        match path.as_deref().filter(|path| !path.is_empty()) {
            Some(path) => set.push(format!("{name} {}", shown(path))),
            None => missing.push(name),
        }
    }
    if missing.is_empty() {
        judged(true, set.join(", "))
    } else {
        judged(false, format!("not set: {}", missing.join(", ")))
    }
}

fn on(name: &str, value: Option<bool>) -> Judgement {
    match value {
        Some(value) => judged(value, format!("{name} is {value}")),
        None => judged(false, format!("{name} is not set, which means false")),
    }
}

fn each(facts: &NodeFacts, check: fn(&EtcdConfig) -> Judgement) -> Judgement {
    worst("etcd", &facts.etcd, |etcd| match &etcd.options {
        Ok(options) => check(options),
        Err(why) => not_read("options of etcd", *why),
    })
}

#[cfg(test)]
mod tests {
    use super::{super::component::testing::running, *};
    use crate::{
        inspect::{NotRead, node::testing::ETCD},
        posture::{Outcome, UnknownReason},
    };

    fn outcomes(words: &[&str]) -> [Outcome; 3] {
        let facts = running("/usr/local/bin/etcd", words, &[]);
        [CLIENT_CERT_AUTH, PEER_CERT_AUTH, TLS].map(|control| (control.check)(&facts).outcome)
    }

    #[test]
    fn kubeadm_passes() {
        assert_eq!(outcomes(ETCD), [Outcome::Pass; 3]);
        let facts = running("/usr/local/bin/etcd", ETCD, &[]);
        assert_eq!(
            (CLIENT_CERT_AUTH.check)(&facts),
            Judgement::new(Outcome::Pass, "client-cert-auth is true")
        );
    }

    #[test]
    fn nothing_set_fails() {
        assert_eq!(outcomes(&["etcd", "--data-dir=/var/lib/etcd"]), [Outcome::Fail; 3]);
        let without =
            |name: &str| ETCD.iter().copied().filter(|word| !word.starts_with(name)).collect::<Vec<_>>();
        assert_eq!(outcomes(&without("--peer-key")), [Outcome::Pass, Outcome::Pass, Outcome::Fail]);
        let own = [ETCD, &["--auto-tls"]].concat();
        assert_eq!(outcomes(&own), [Outcome::Pass, Outcome::Pass, Outcome::Fail]);
    }

    #[test]
    fn a_file_that_is_not_there() {
        let unknown = Outcome::Unknown(UnknownReason::NotRead(NotRead::NotThere));
        assert_eq!(outcomes(&["etcd", "--config-file=/etc/etcd.yaml"]), [unknown; 3]);
        let broken = Outcome::Unknown(UnknownReason::NotRead(NotRead::NotUnderstood));
        assert_eq!(outcomes(&["etcd", "--client-cert-auth=sure"]), [broken; 3]);
        assert_eq!((TLS.check)(&running("/usr/bin/x", &["etcd"], &[])).outcome, Outcome::NotApplicable);
    }
}

//! What the API server is asked is written down, and kept.

use super::component::{each, judged, not_read, shown, unknown};
use crate::{
    inspect::node::{ApiServer, Arguments, config::AuditPolicy},
    posture::{
        Judgement, UnknownReason,
        control::{ControlId, NodeControl},
    },
};

/// Days, files and megabytes that the CIS benchmark asks for. Not set, they are 0, which the benchmark does not
/// take, although it means that nothing is removed.
const LEAST: [(&str, u64); 3] =
    [("audit-log-maxage", 30), ("audit-log-maxbackup", 10), ("audit-log-maxsize", 100)];

pub(super) const LOG: NodeControl = NodeControl {
    id: ControlId::ApiserverAuditLog,
    check: |facts| each(&facts.apiserver, |_, arguments| log(arguments)),
};

fn log(arguments: &Arguments) -> Judgement {
    let path = match arguments.path("audit-log-path") {
        Some("-") => {
            return unknown(
                UnknownReason::NotTold,
                "--audit-log-path=-: how long standard output is kept is not told",
            );
        }
        Some(path) => path,
        None if arguments.path("audit-webhook-config-file").is_some() => {
            return unknown(
                UnknownReason::NotTold,
                "sent to a webhook, which does not tell how long it is kept",
            );
        }
        None => return judged(false, "--audit-log-path is not set"),
    };
    let mut observed = format!("--audit-log-path={}", shown(path));
    let (mut passes, mut is_understood) = (true, true);
    for (flag, least) in LEAST {
        let value = arguments.last(flag);
        observed.push_str(&match value {
            Some(value) => format!(", --{flag}={}", shown(value)),
            None => format!(", --{flag} is not set"),
        });
        match value.map(str::parse::<u64>) {
            Some(Ok(value)) => passes &= value >= least,
            Some(Err(_)) => is_understood = false,
            None => passes = false,
        }
    }
    if passes && !is_understood {
        return unknown(UnknownReason::ValueNotUnderstood, observed);
    }
    judged(passes, observed)
}

/// Without a policy nothing is written, whatever the log is.
pub(super) const POLICY: NodeControl =
    NodeControl { id: ControlId::ApiserverAuditPolicy, check: |facts| each(&facts.apiserver, policy) };

fn policy(server: &ApiServer, _: &Arguments) -> Judgement {
    match &server.audit_policy {
        None => judged(false, "--audit-policy-file is not set"),
        Some(Err(why)) => not_read("file of --audit-policy-file", *why),
        Some(Ok(AuditPolicy { rules, writing })) => {
            judged(*writing > 0, format!("{writing} of {rules} rules of the policy write"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::component::testing::apiserver, *};
    use crate::{
        inspect::{NotRead, node::testing::AUDIT_POLICY},
        posture::Outcome,
    };

    const GOOD: [&str; 4] = [
        "--audit-log-path=/var/log/audit.log",
        "--audit-log-maxage=30",
        "--audit-log-maxbackup=10",
        "--audit-log-maxsize=100",
    ];

    fn judge(more: &[&str]) -> (Outcome, String) {
        let judgement = (LOG.check)(&apiserver(more, &[]));
        (judgement.outcome, judgement.explanation.observed)
    }

    #[test]
    fn how_long_it_is_kept() {
        assert_eq!(judge(&[]), (Outcome::Fail, "--audit-log-path is not set".into()));
        assert_eq!(judge(&GOOD), (Outcome::Pass, GOOD.join(", ")));
        for least in &GOOD[1..] {
            let without: Vec<_> = GOOD.iter().copied().filter(|flag| flag != least).collect();
            let (outcome, observed) = judge(&without);
            assert_eq!(outcome, Outcome::Fail, "{observed}");
            assert!(observed.contains("is not set"), "{observed}");
        }
        assert_eq!(judge(&[&GOOD[..], &["--audit-log-maxage=29"]].concat()).0, Outcome::Fail);
        assert_eq!(
            judge(&[&GOOD[..], &["--audit-log-maxage=long"]].concat()).0,
            Outcome::Unknown(UnknownReason::ValueNotUnderstood)
        );
        let not_told = Outcome::Unknown(UnknownReason::NotTold);
        assert_eq!(judge(&["--audit-log-path=-"]).0, not_told);
        assert_eq!(judge(&["--audit-webhook-config-file=/etc/webhook.yaml"]).0, not_told);
    }

    #[test]
    fn rules_that_write() {
        let judge = |more: &[&str], files: &[(&str, &str)]| {
            let judgement = (POLICY.check)(&apiserver(more, files));
            (judgement.outcome, judgement.explanation.observed)
        };
        let flag = ["--audit-policy-file", "/etc/policy.yaml"];
        assert_eq!(judge(&[], &[]), (Outcome::Fail, "--audit-policy-file is not set".into()));
        assert_eq!(
            judge(&flag, &[("/etc/policy.yaml", AUDIT_POLICY)]),
            (Outcome::Pass, "2 of 3 rules of the policy write".into())
        );
        let none = "kind: Policy\nrules: [{level: None}]\n";
        assert_eq!(judge(&flag, &[("/etc/policy.yaml", none)]).0, Outcome::Fail);
        let (outcome, observed) = judge(&flag, &[]);
        assert_eq!(outcome, Outcome::Unknown(UnknownReason::NotRead(NotRead::NotThere)));
        assert_eq!(observed, "file of --audit-policy-file: it is not there");
    }
}

//! Secrets where they should not be.

use crate::{Control, ControlId, Item, Scope, Severity, text::SECRETS_COST};

pub(crate) const SECRETS_IN_ENVIRONMENT: Control = Control {
    id: ControlId::SecretsInEnvironment,
    slug: "secrets-in-environment",
    title: "Secrets in the environment",
    scope: Scope::Container,
    severity: Severity::High,
    pss: None,
    cis: &["5.4.1"],
    nsa: Some("Network separation and hardening: Secrets"),
    nist: Some("4.1.4 Embedded clear text secrets"),
    attack: &["T1552"],
    checklists: &[
        Item::A("No secrets in images"),
        Item::A("Secrets managed externally (not in containers)"),
        Item::B("Secrets stored in Vault/AWS Secrets Manager"),
    ],
    detective: false,
    exempts_sandbox: true,
    fails: "a value in the environment looks like a secret",
    observed: "names and values in /proc/PID/environ, matched on the node; only the place is told, never \
        the value",
    unknown: container_unknown!(),
    cost: SECRETS_COST,
    fix: "Mount the secret as a file, from a SecretProviderClass or an ExternalSecret.",
    yaml: include_str!("../yaml/secrets-in-environment.yaml"),
};

pub(crate) const SECRETS_IN_ARGUMENTS: Control = Control {
    id: ControlId::SecretsInArguments,
    slug: "secrets-in-arguments",
    title: "Secrets in arguments",
    scope: Scope::Container,
    severity: Severity::High,
    pss: None,
    cis: &[],
    nsa: Some("Network separation and hardening: Secrets"),
    nist: Some("4.1.4 Embedded clear text secrets"),
    attack: &["T1552", "T1057"],
    checklists: &[
        Item::A("No secrets in images"),
        Item::A("Secrets managed externally (not in containers)"),
        Item::B("Secrets stored in Vault/AWS Secrets Manager"),
    ],
    detective: false,
    exempts_sandbox: true,
    fails: "an argument of a process looks like a secret",
    observed: "the arguments in /proc/PID/cmdline, matched on the node; only the place is told, never the \
        value",
    unknown: container_unknown!(),
    cost: SECRETS_COST,
    fix: "Give the secret in a file, and its path as the argument.",
    yaml: include_str!("../yaml/secrets-in-arguments.yaml"),
};

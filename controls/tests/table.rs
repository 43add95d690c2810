//! What holds for every control of the table.

use std::collections::BTreeSet;

use controls::{CONTROLS, Control, ControlId, Item, Scope};

/// The items of the container security checklist that a control answers.
const A: &[&str] = &[
    "Base images are from trusted sources",
    "Images are regularly updated",
    "No secrets in images",
    "Containers run as non-root user",
    "Read-only root filesystem",
    "No privileged containers",
    "Capabilities dropped (ALL) and only necessary ones added",
    "Security profiles applied (AppArmor/SELinux)",
    "Seccomp profiles configured",
    "Resource limits set",
    "PID limits configured",
    "No new privileges flag set",
    "TLS encryption for all communications",
    "No unnecessary ports exposed",
    "Secrets managed externally (not in containers)",
    "Data encryption at rest",
    "Data encryption in transit",
    "Audit logging configured",
    "RBAC implemented",
    "Principle of least privilege",
    "API authentication and authorization",
];

/// The items of the pre-deployment checklist that a control answers.
const B: &[&str] = &[
    "All containers run as non-root",
    "Root filesystem is read-only",
    "No privileged containers",
    "All capabilities dropped",
    "Images from trusted registry only",
    "Image tags are immutable (not :latest)",
    "Secrets stored in Vault/AWS Secrets Manager",
    "Kubernetes secrets encrypted at rest",
    "TLS/mTLS enabled",
    "RBAC configured",
    "Token auto-mount disabled",
    "Audit logging enabled",
    "Pod Security Standards enforced",
    "Resource limits required",
    "Audit policy configured",
];

/// Slugs are in files, metrics and exemptions: one may be added, none changed.
const SLUGS: &[&str] = &[
    "privileged",
    "run-as-non-root",
    "no-new-privileges",
    "seccomp",
    "capabilities",
    "added-capabilities",
    "host-pid",
    "host-network",
    "host-ipc",
    "host-uts",
    "host-cgroup",
    "host-users",
    "entered",
    "left-container",
    "gained-privileges",
    "threads-differ",
    "runtime-drift",
    "admin-tools",
    "read-only-root",
    "writable-executable-mounts",
    "host-path",
    "sensitive-mounts",
    "proc-mount",
    "host-devices",
    "service-account-token",
    "memory-limit",
    "cpu-limit",
    "pids-limit",
    "open-files-limit",
    "lsm-profile",
    "undeclared-ports",
    "plaintext-ports",
    "host-ports",
    "sysctls",
    "secrets-in-environment",
    "secrets-in-arguments",
    "image-registry",
    "image-tag",
    "image-age",
    "host-lockdown",
    "host-unprivileged-bpf",
    "host-unprivileged-user-namespaces",
    "host-lsm",
    "host-ptrace-scope",
    "host-core-pattern",
    "apiserver-anonymous-auth",
    "apiserver-authorization",
    "apiserver-admission-plugins",
    "apiserver-audit-log",
    "apiserver-audit-policy",
    "apiserver-profiling",
    "apiserver-encryption-at-rest",
    "apiserver-tls",
    "apiserver-etcd-tls",
    "controller-manager-profiling",
    "scheduler-profiling",
    "etcd-client-cert-auth",
    "etcd-peer-cert-auth",
    "etcd-tls",
    "kubelet-anonymous-auth",
    "kubelet-authorization",
    "kubelet-client-ca",
    "kubelet-read-only-port",
    "kubelet-tls",
];

fn each(holds: impl Fn(&Control) -> bool, what: &str) {
    let wrong: Vec<_> =
        CONTROLS.iter().filter(|control| !holds(control)).map(|control| control.slug).collect();
    assert!(wrong.is_empty(), "{what}: {wrong:?}");
}

#[test]
fn slugs_are_a_contract() {
    let slugs: Vec<_> = CONTROLS.iter().map(|control| control.slug).collect();
    assert_eq!(slugs, SLUGS);
}

#[test]
fn slugs_are_unique_and_kebab_case() {
    let slugs: BTreeSet<_> = CONTROLS.iter().map(|control| control.slug).collect();
    assert_eq!(slugs.len(), CONTROLS.len());
    each(
        |control| {
            control.slug.split('-').all(|word| {
                !word.is_empty()
                    && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            })
        },
        "a slug is words of small letters with - between",
    );
    for control in &CONTROLS {
        assert_eq!(ControlId::from_slug(control.slug), Some(control.id));
    }
}

#[test]
fn every_text_is_there() {
    for control in &CONTROLS {
        let Control { slug, title, fails, observed, unknown, cost, fix, yaml, .. } = control;
        for text in [title, fails, observed, unknown, cost, fix] {
            assert!(!text.is_empty() && text.trim() == *text, "{slug}: {text:?}");
            assert!(!text.contains("  ") && !text.contains('\n'), "{slug}: {text:?}");
            assert!(!text.contains('|'), "{slug}: a table would break: {text:?}");
        }
        assert!(yaml.ends_with('\n'), "{slug}");
    }
}

#[test]
fn a_fix_is_one_sentence_and_other_texts_are_none() {
    each(|control| control.fix.ends_with('.') && !control.fix.contains(". "), "fix");
    each(
        |control| {
            let parts = [control.fails, control.observed, control.unknown, control.cost];
            parts.iter().all(|text| !text.ends_with('.'))
        },
        "others are put into sentences",
    );
}

#[test]
fn what_reads_tasks_says_that_a_machine_hides_them() {
    let of_image = |control: &Control| control.slug.starts_with("image-");
    each(
        |control| {
            control.scope == Scope::Node
                || of_image(control)
                || control.unknown.contains("virtual machine") && control.unknown.contains("gVisor")
        },
        "unknown",
    );
}

#[test]
fn standards_have_their_form() {
    let numbers = |text: &str, parts: usize| {
        text.split('.').count() == parts && text.split('.').all(|part| part.parse::<u8>().is_ok())
    };
    // Section 2, etcd, has no parts.
    let is_cis = |id: &&str| numbers(id, if id.starts_with("2.") { 2 } else { 3 });
    each(|control| control.cis.iter().all(is_cis), "CIS");
    each(
        |control| {
            control.nist.is_none_or(|section| {
                section.split_once(' ').is_some_and(|(id, title)| numbers(id, 3) && !title.is_empty())
            })
        },
        "NIST",
    );
    each(|control| control.nsa.is_none_or(|section| !section.is_empty()), "NSA");
    each(
        |control| {
            !control.attack.is_empty()
                && control.attack.iter().all(|id| {
                    let (technique, sub) = id.split_once('.').unwrap_or((id, "000"));
                    let digits = |text: &str, count| {
                        text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
                    };
                    technique.strip_prefix('T').is_some_and(|number| digits(number, 4)) && digits(sub, 3)
                })
        },
        "ATT&CK",
    );
}

#[test]
fn items_are_in_the_words_of_the_checklists() {
    let mut answered = (BTreeSet::new(), BTreeSet::new());
    for control in &CONTROLS {
        for item in control.checklists {
            let known = match item {
                Item::A(words) => {
                    answered.0.insert(*words);
                    A.contains(words)
                }
                Item::B(words) => {
                    answered.1.insert(*words);
                    B.contains(words)
                }
            };
            assert!(known, "{}: {item:?}", control.slug);
        }
    }
    assert_eq!(answered.0.len(), A.len(), "an item of A is answered by none");
    assert_eq!(answered.1.len(), B.len(), "an item of B is answered by none");
}

#[test]
fn what_a_pod_security_standard_asks_for_answers_its_item() {
    each(
        |control| {
            let item = Item::B("Pod Security Standards enforced");
            control.pss.is_some() == control.checklists.contains(&item)
        },
        "checklists",
    );
}

#[test]
fn the_yaml_can_be_pasted() {
    for control in &CONTROLS {
        let value: serde_json::Value =
            serde_saphyr::from_str(control.yaml).unwrap_or_else(|error| panic!("{}: {error}", control.slug));
        assert!(value.as_object().is_some_and(|map| !map.is_empty()), "{}", control.slug);
    }
}

//! The Pod Security level of a container: the strictest whose fields all hold.
//!
//! Observed, by the controls that stand for the fields; declared, by the security context.

use super::{
    CONTROLS, PssLevel, UnknownReason, Verdict, WORKLOAD_CONTROLS, controls::sysctls, entry::ContainerEntry,
};
use crate::{
    capability::{NET_BIND_SERVICE, RUNTIME_DEFAULT},
    context::{Declared, DeclaredSeccomp},
};

/// A level, from the weakest to the strictest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Nothing is asked for.
    Privileged,
    /// No known way to gain privileges.
    Baseline,
    /// Hardened.
    Restricted,
}

/// `None`: a field cannot be told.
pub(super) fn observed(entry: &ContainerEntry, enabled: &[bool]) -> Option<Level> {
    let mut level = Level::Restricted;
    let mut is_unknown = false;
    for (index, control) in CONTROLS[..WORKLOAD_CONTROLS].iter().enumerate() {
        let Some(pss) = control.pss else { continue };
        let below = match pss.level {
            PssLevel::Baseline => Level::Privileged,
            PssLevel::Restricted => Level::Baseline,
        };
        if !enabled[index] {
            level = level.min(below);
            continue;
        }
        let (verdict, reason) = entry.verdict_with_reason(index);
        match verdict {
            Verdict::Pass => {}
            Verdict::Exempt | Verdict::Fail | Verdict::Drift => level = level.min(below),
            // Where no module labels, there is no label that could violate the field.
            Verdict::Unknown if reason == Some(UnknownReason::NoLabelModule) => {}
            Verdict::Unknown => is_unknown = true,
        }
    }
    (!is_unknown || level == Level::Privileged).then_some(level)
}

/// `None`: what it depends on is not told.
pub(super) fn declared(declared: &Declared) -> Option<Level> {
    let host = [declared.host_pid?, declared.host_network?, declared.host_ipc?];
    let capabilities = declared.capabilities?;
    let has_host_ports = !declared.host_ports.as_ref()?.is_empty();
    let has_sysctls = !declared.sysctls.as_ref()?.iter().all(|name| sysctls::is_safe(name));
    let seccomp = declared.seccomp.as_ref()?;
    let opens_the_node = declared.privileged? || host.contains(&true) || has_host_ports || has_sysctls;
    if opens_the_node || capabilities & !RUNTIME_DEFAULT != 0 {
        return Some(Level::Privileged);
    }
    let is_restricted = declared.no_new_privs?
        && declared.run_as_user? != 0
        && capabilities & !NET_BIND_SERVICE == 0
        && *seccomp != DeclaredSeccomp::Unconfined;
    Some(if is_restricted { Level::Restricted } else { Level::Baseline })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_declared() {
        let restricted = || Declared {
            run_as_user: Some(1000),
            privileged: Some(false),
            no_new_privs: Some(true),
            seccomp: Some(DeclaredSeccomp::RuntimeDefault),
            capabilities: Some(0),
            host_pid: Some(false),
            host_network: Some(false),
            host_ipc: Some(false),
            host_ports: Some(Vec::new()),
            sysctls: Some(vec!["net.ipv4.tcp_syncookies".to_owned()]),
            ..Declared::default()
        };
        assert_eq!(declared(&restricted()), Some(Level::Restricted));
        assert_eq!(declared(&Declared { no_new_privs: Some(false), ..restricted() }), Some(Level::Baseline));
        assert_eq!(declared(&Declared { run_as_user: Some(0), ..restricted() }), Some(Level::Baseline));
        assert_eq!(
            declared(&Declared { capabilities: Some(RUNTIME_DEFAULT), ..restricted() }),
            Some(Level::Baseline)
        );
        assert_eq!(
            declared(&Declared { capabilities: Some(1 << 21), ..restricted() }),
            Some(Level::Privileged)
        );
        assert_eq!(declared(&Declared { host_pid: Some(true), ..restricted() }), Some(Level::Privileged));
        assert_eq!(
            declared(&Declared { host_ports: Some(vec![80]), ..restricted() }),
            Some(Level::Privileged)
        );
        let parameters = Some(vec!["kernel.msgmax".to_owned()]);
        assert_eq!(declared(&Declared { sysctls: parameters, ..restricted() }), Some(Level::Privileged));
        assert_eq!(declared(&Declared { sysctls: None, ..restricted() }), None);
        assert_eq!(declared(&Declared { host_ipc: None, ..restricted() }), None);
        assert_eq!(declared(&Declared::default()), None);
    }
}

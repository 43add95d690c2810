//! The attach report: from what the kernel gave to what each control can see.

use agent_abi::{
    hook::Hook,
    offset::{ABSENT, FIELDS, Offsets},
};

use crate::{
    coverage::{CoverageReport, Support},
    kernel::{Layout, Programs},
    posture::control::{Requirements, TASK},
};

/// What works on this node.
#[must_use]
pub(super) fn report(release: &str, layout: &Layout, programs: &Programs) -> CoverageReport {
    let mut report = CoverageReport::new(release);
    report.tier = tier(programs);
    for &(hook, _) in &programs.hooks {
        report.hook(hook.name(), hook_support(hook, programs));
    }
    for control in TASK {
        report.control(control.id.slug(), control_support(&control.requires, &layout.offsets, programs));
    }
    report.missing_fields.clone_from(&layout.missing);
    report
}

fn tier(programs: &Programs) -> String {
    match &programs.exits {
        Some(exits) => format!("{}: {exits}", programs.tier),
        None => programs.tier.to_string(),
    }
}

fn hook_support(hook: Hook, programs: &Programs) -> Support {
    match programs.hooks.iter().find(|(known, _)| *known == hook) {
        Some((_, Ok(()))) if hook == Hook::Fexit => match &programs.exits {
            Some(exits) if !exits.left.is_empty() => {
                Support::Degraded(format!("sys_exit serves {}", exits.left()))
            }
            _ => Support::Supported,
        },
        Some((_, Ok(()))) => Support::Supported,
        Some((_, Err(reason))) if hook == Hook::TaskScan => {
            Support::Degraded(format!("start scan by /proc instead: {reason}"))
        }
        Some((_, Err(reason))) => Support::Unsupported(reason.clone()),
        // These stand in for it.
        None if hook == Hook::SysExit && programs.exits.is_some() => hook_support(Hook::Fexit, programs),
        None => Support::Unsupported("not loaded".to_owned()),
    }
}

fn control_support(requires: &Requirements, offsets: &Offsets, programs: &Programs) -> Support {
    let missing = |name: &&&str| {
        let index = FIELDS.iter().position(|field| field.name == **name);
        let value = index.and_then(|index| zerocopy::IntoBytes::as_bytes(offsets).chunks_exact(4).nth(index));
        value.is_none_or(|value| value == ABSENT.to_ne_bytes())
    };
    let fields: Vec<_> = requires.fields.iter().filter(missing).copied().collect();
    if !fields.is_empty() {
        return Support::Unsupported(format!("kernel has no {}", fields.join(", ")));
    }
    let failed = |hook: &Hook| matches!(hook_support(*hook, programs), Support::Unsupported(_));
    let hooks: Vec<_> = requires.hooks.iter().copied().filter(failed).map(Hook::name).collect();
    if requires.hooks.contains(&Hook::Exec) && hooks.contains(&Hook::Exec.name()) {
        return Support::Unsupported(format!("hook {} is not attached", Hook::Exec.name()));
    }
    let poorer: Vec<_> = requires.better_with.iter().filter(missing).copied().collect();
    match (hooks.is_empty(), poorer.is_empty()) {
        (true, true) => Support::Supported,
        (false, _) => Support::Degraded(format!("not attached: {}", hooks.join(", "))),
        (true, false) => Support::Degraded(format!("kernel has no {}", poorer.join(", "))),
    }
}

//! Hooks that are attached only where somebody wants them, each at its own kind of place.

use std::{
    fs::File,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
};

use agent_abi::hook::Hook;
use aya::{
    Ebpf,
    programs::{CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, CgroupSysctl, links::FdLink},
};

use super::{
    bpf::{Attach, link_to_cgroup, pin_link},
    cgroup::v2_root,
    form::{Form, Forms},
    pins::{Generation, remove_pin},
    program::{adopt, attach_to_tracepoint, describe, retried},
};
use crate::syscall::HookSet;

/// A program, and where it is attached. A hook may have several.
struct Optional {
    hook: Hook,
    program: &'static str,
    at: At,
}

enum At {
    /// A tracepoint with the kernel's types.
    Tracepoint(&'static str),
    /// One whose parameters differ between kernels: [`Forms`] knows program and tracepoint.
    Form,
    /// All packets of all cgroups, on their way out or in.
    Packets(CgroupSkbAttachType),
    /// The kernel parameters that any cgroup writes.
    Sysctl,
}

const OPTIONAL: [Optional; 11] = [
    Optional {
        hook: Hook::SocketState,
        program: "inet_sock_set_state",
        at: At::Tracepoint("inet_sock_set_state"),
    },
    Optional { hook: Hook::Packet, program: "packet_ingress", at: At::Packets(CgroupSkbAttachType::Ingress) },
    Optional { hook: Hook::Packet, program: "packet_egress", at: At::Packets(CgroupSkbAttachType::Egress) },
    Optional { hook: Hook::CgroupRename, program: "cgroup_rename", at: At::Tracepoint("cgroup_rename") },
    Optional { hook: Hook::CgroupRelease, program: "cgroup_release", at: At::Tracepoint("cgroup_release") },
    Optional { hook: Hook::Signal, program: "signal_generate", at: At::Tracepoint("signal_generate") },
    Optional { hook: Hook::OomKill, program: "", at: At::Form },
    Optional { hook: Hook::SysEnter, program: "", at: At::Form },
    // Completions first: what is submitted before they are seen would wait for its result.
    Optional { hook: Hook::UringComplete, program: "", at: At::Form },
    Optional { hook: Hook::UringSubmit, program: "", at: At::Form },
    Optional { hook: Hook::Sysctl, program: "sysctl", at: At::Sysctl },
];

/// What is needed to attach.
pub(super) struct Scope<'a> {
    pub(super) object: &'a mut Ebpf,
    pub(super) types: &'a aya::Btf,
    pub(super) forms: &'a Forms,
    pub(super) generation: &'a Generation,
    /// The pins are those of programs that run.
    pub(super) adopted: bool,
}

/// Attaches those that are wanted, and detaches those that a former agent wanted. Of a hook that
/// nobody wants there is no result.
pub(super) fn attach(scope: &mut Scope<'_>, wanted: HookSet) -> Vec<(Hook, Result<(), String>)> {
    let mut results: Vec<(Hook, Result<(), String>)> = Vec::new();
    for optional in &OPTIONAL {
        if !wanted.contains(optional.hook) {
            optional.detach(scope.generation);
            continue;
        }
        let result = optional.attach(scope);
        match results.iter_mut().find(|(hook, _)| *hook == optional.hook) {
            Some((_, known)) => *known = known.clone().and(result),
            None => results.push((optional.hook, result)),
        }
    }
    results
}

/// The links' pins.
pub(super) fn pins(generation: &Generation) -> impl Iterator<Item = (Hook, PathBuf)> {
    OPTIONAL.iter().map(|optional| (optional.hook, optional.pin(generation)))
}

impl Optional {
    fn pin(&self, generation: &Generation) -> PathBuf {
        match self.at {
            At::Tracepoint(_) | At::Form | At::Sysctl => generation.link(self.hook),
            At::Packets(CgroupSkbAttachType::Ingress) => generation.link_of(self.hook, "ingress"),
            At::Packets(CgroupSkbAttachType::Egress) => generation.link_of(self.hook, "egress"),
        }
    }

    fn attach(&self, scope: &mut Scope<'_>) -> Result<(), String> {
        let pin = self.pin(scope.generation);
        if let Some(link) = adopt(&pin, scope.adopted) {
            return link;
        }
        let link = match self.at {
            At::Tracepoint(tracepoint) => self.at_tracepoint(scope, self.program, tracepoint),
            At::Form => {
                let Form { program, tracepoint } = scope.forms.of(self.hook)?;
                self.at_tracepoint(scope, program, tracepoint)
            }
            At::Sysctl => return self.at_sysctl(scope, &pin),
            At::Packets(way) => self.at_packets(scope, way),
        }?;
        // The pin keeps the hook attached when this process is gone.
        link.pin(pin).map(|_| ()).map_err(describe)
    }

    fn detach(&self, generation: &Generation) {
        for pin in [self.pin(generation), generation.program(self.hook)] {
            if let Err(error) = remove_pin(&pin) {
                tracing::warn!(hook = self.hook.name(), error = describe(error), "a hook nobody wants stays");
            }
        }
    }

    fn at_tracepoint(
        &self,
        scope: &mut Scope<'_>,
        program: &str,
        tracepoint: &str,
    ) -> Result<FdLink, String> {
        let pin = scope.generation.program(self.hook);
        attach_to_tracepoint(scope.object, program, tracepoint, scope.types, pin)
    }

    fn at_sysctl(&self, scope: &mut Scope<'_>, pin: &Path) -> Result<(), String> {
        let root = v2_root()?;
        let root = File::open(&root).map_err(|error| format!("cannot open {}: {error}", root.display()))?;
        let program = scope.object.program_mut(self.program);
        let program: &mut CgroupSysctl = program
            .ok_or_else(|| format!("the object has no program {}", self.program))?
            .try_into()
            .map_err(describe)?;
        retried(|| program.load()).map_err(describe)?;
        program.pin(scope.generation.program(self.hook)).map_err(describe)?;
        // aya's link of this kind cannot be pinned.
        let program = program.fd().map_err(describe)?;
        link_to_cgroup(program.as_fd(), root.as_fd(), Attach::Sysctl)
            .and_then(|link| pin_link(&link, pin))
            .map_err(describe)
    }

    fn at_packets(&self, scope: &mut Scope<'_>, way: CgroupSkbAttachType) -> Result<FdLink, String> {
        let root = v2_root()?;
        let root = File::open(&root).map_err(|error| format!("cannot open {}: {error}", root.display()))?;
        let program = scope.object.program_mut(self.program);
        let program: &mut CgroupSkb = program
            .ok_or_else(|| format!("the object has no program {}", self.program))?
            .try_into()
            .map_err(describe)?;
        retried(|| program.load()).map_err(describe)?;
        // A link is never alone: those of others stay.
        let id = program.attach(root, way, CgroupAttachMode::Single).map_err(describe)?;
        program.take_link(id).map_err(describe)?.try_into().map_err(describe)
    }
}

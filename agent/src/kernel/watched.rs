//! What says that attached programs run: the pins that keep them attached, and how often the kernel
//! left a run out.

use std::{
    os::fd::{AsRawFd as _, OwnedFd},
    path::PathBuf,
};

use agent_abi::hook::{HOOKS, Hook};

use super::{bpf::open_pin, fexit, lsm, maps::NestingMap, optional, pins::Generation, portable::ATTACHED};

/// Per hook: attached, or why not.
pub(super) type Results = [(Hook, Result<(), String>)];

/// The pins that keep the hooks attached.
pub struct LinkPins {
    paths: Vec<(Hook, PathBuf)>,
}

impl LinkPins {
    pub(super) fn of(generation: &Generation, hooks: &Results) -> Self {
        let is_attached = |hook: Hook| hooks.iter().any(|(known, result)| *known == hook && result.is_ok());
        let single =
            ATTACHED.iter().map(|attached| attached.hook).chain(lsm::HOOKS.iter().map(|lsm| lsm.hook));
        let linked = single.filter(|&hook| is_attached(hook));
        let mut paths: Vec<_> = linked.map(|hook| (hook, generation.link(hook))).collect();
        paths.extend(optional::pins(generation).filter(|&(hook, _)| is_attached(hook)));
        paths.extend(fexit::link_paths(generation).into_iter().map(|path| (Hook::Fexit, path)));
        Self { paths }
    }

    /// A hook whose pin somebody has removed, and with it the hook.
    #[must_use]
    pub fn removed(&self) -> Option<Hook> {
        self.paths.iter().find(|(_, path)| !path.exists()).map(|&(hook, _)| hook)
    }
}

/// Runs that did not happen because a program was already running on that CPU: the same one, which
/// the kernel sees to, or another that it shares a buffer with.
pub struct RecursionCounters {
    programs: Vec<(Hook, OwnedFd)>,
    nesting: NestingMap,
}

impl RecursionCounters {
    pub(super) fn of(generation: &Generation, hooks: &Results, nesting: NestingMap) -> Self {
        let attached = hooks.iter().filter(|(_, result)| result.is_ok());
        let single = attached.filter_map(|&(hook, _)| Some((hook, open_pin(&generation.program(hook))?)));
        let exits = fexit::programs(generation).into_iter().map(|program| (Hook::Fexit, program));
        Self { programs: single.chain(exits).collect(), nesting }
    }

    /// Reads them; kernels before 5.12 have none.
    #[must_use]
    pub fn read(&self) -> Vec<(Hook, u64)> {
        let mut sums = [None; HOOKS];
        let kernels =
            self.programs.iter().filter_map(|(hook, program)| Some((*hook, recursion_misses(program)?)));
        for (hook, misses) in kernels.chain(self.nesting.read()) {
            let sum = &mut sums[hook as usize];
            *sum = Some(sum.unwrap_or(0) + misses);
        }
        Hook::ALL.into_iter().zip(sums).filter_map(|(hook, sum)| Some((hook, sum?))).collect()
    }
}

fn recursion_misses(program: &OwnedFd) -> Option<u64> {
    let path = format!("/proc/self/fdinfo/{}", program.as_raw_fd());
    let info = std::fs::read_to_string(path).ok()?;
    info.lines().find_map(|line| line.strip_prefix("recursion_misses:")?.trim().parse().ok())
}

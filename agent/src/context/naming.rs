//! Takes in what the slow side answers, and what time brings.

use std::sync::Arc;

use super::{
    ContainerKey, ContainerRole, Effect, Enrichment, Names, PendingReason, ProcessId, Stage, Why,
    follow::{Context, set_argv},
    processes::EXE_PATH_BYTES,
};

/// How often it is looked whose names are to be asked for again.
const LOOK_NS: u64 = 1_000_000_000;
/// Until a container is asked for again that found no room in the queue.
const AFTER_FULL_NS: u64 = 1_000_000_000;
/// Until one is asked for again that the runtime, asked repeatedly, did not name.
const AFTER_REFUSAL_NS: u64 = 60_000_000_000;
/// Until one is asked for again whose question was lost on the way.
const AFTER_SILENCE_NS: u64 = 120_000_000_000;

impl Context {
    /// The runtime's answer on a container, or why there is none. Its processes are judged again,
    /// with what was declared.
    pub fn named(
        &mut self,
        key: ContainerKey,
        answer: Result<Arc<Names>, PendingReason>,
        effects: &mut impl FnMut(Effect<'_>),
    ) {
        let now = self.now_ns;
        let Some(kept) = self.containers.get_mut(key) else { return };
        let names = match answer {
            Ok(names) => names,
            Err(reason) => {
                let after = match reason {
                    PendingReason::Asked => AFTER_SILENCE_NS,
                    PendingReason::QueueFull => AFTER_FULL_NS,
                    PendingReason::NoRuntime
                    | PendingReason::RuntimeUnavailable
                    | PendingReason::NotKnown => AFTER_REFUSAL_NS,
                };
                kept.ask_again_ns = Some(now.saturating_add(after));
                // A name once given stays.
                if let Enrichment::Pending(known) = &mut kept.container.enrichment {
                    *known = reason;
                }
                return;
            }
        };
        kept.ask_again_ns = None;
        kept.init_pid = names.init_pid.or(kept.init_pid);
        let (init_pid, init) = (kept.init_pid, kept.container.init);
        let sandbox = names.role == ContainerRole::Sandbox;
        if let Enrichment::Complete(known) = &kept.container.enrichment
            && **known == *names
        {
            return;
        }
        kept.container.enrichment = Enrichment::Complete(names);
        if let Some(pid) = init_pid
            && init.is_none_or(|init| init.tgid != pid)
        {
            let told = self.member_slots(key).find(|&slot| {
                let process = &self.processes[slot].process;
                process.id.tgid == pid && process.stage == Stage::Workload
            });
            if let Some(slot) = told {
                let id = self.processes[slot].process.id;
                self.correct_init(key, id);
            }
        }
        tracing::debug!(cgroup = key.cgroup, sandbox, "container named");
        self.judge_members(key, Why::Named, effects);
    }

    /// Ends what waits for time to pass. To be called between events, some times a second.
    pub fn tick(&mut self, now_ns: u64, effects: &mut impl FnMut(Effect<'_>)) {
        self.now_ns = self.now_ns.max(now_ns);
        let now = self.now_ns;
        self.end_waits(now, effects);
        self.release(now);
        self.containers.end_lingering(now);
        if now.saturating_sub(self.asked_again_ns) < LOOK_NS {
            return;
        }
        self.asked_again_ns = now;
        for kept in self.containers.iter_mut() {
            if !kept.container.gone && kept.ask_again_ns.is_some_and(|at| at <= now) {
                kept.ask_again_ns = Some(now.saturating_add(AFTER_SILENCE_NS));
                let container = &kept.container;
                effects(Effect::NeedName {
                    key: container.key,
                    id: container.id,
                    runtime: container.runtime,
                });
            }
        }
    }

    /// What `/proc` tells of a process that only the scan told of: the kernel's own scan cannot
    /// read another task's arguments. Ignored once an exec was seen.
    pub fn described(&mut self, id: ProcessId, exe_path: Option<&[u8]>, argv: &[u8]) {
        let Some(slot) = self.processes.find_live(id) else { return };
        let process = &mut self.processes[slot].process;
        if process.exec_ns != 0 || !process.argv.is_empty() {
            return;
        }
        set_argv(&mut process.argv, argv);
        if let Some(path) =
            exe_path.filter(|path| process.exe_path.is_empty() && path.len() <= EXE_PATH_BYTES)
        {
            process.exe_path.extend_from_slice(path);
        }
    }

    pub(super) fn ask_later(&mut self, key: ContainerKey, now: u64) {
        if let Some(kept) = self.containers.get_mut(key) {
            kept.ask_again_ns = Some(now.saturating_add(AFTER_SILENCE_NS));
        }
    }
}

//! The agent's kernel programs without its user space: what of the cost is the kernel's.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use agent_abi::hook::Hook;
use anyhow::{Result, anyhow};
use kestrel_agent::{
    filter::{Filter, PathPrefix},
    kernel::{Hooks, Layout, Mounted, Plan},
    syscall::{Beside, Family, Only, Wants},
};

use crate::workload::WANTED_BELOW;

/// As the agent's.
const RING_BYTES: [u32; 2] = [4 << 20, 8 << 20];
const PAUSE: Duration = Duration::from_millis(5);

/// All calls, of opened files those below one path.
fn everything() -> Wants {
    let mut wants = Wants::posture();
    wants.add_family(Family::Files, Only { below: Some(Beside::default()), ..Only::default() });
    for family in [Family::Processes, Family::Network, Family::System] {
        wants.add_family(family, Only::default());
    }
    for hook in [Hook::SocketState, Hook::Packet, Hook::Sysctl] {
        wants.add_hook(hook);
    }
    wants
}

/// Attached programs and the thread that empties their rings. Dropping it detaches them.
pub struct Programs {
    pins: PathBuf,
    hooks: Vec<String>,
    ids: Vec<u32>,
    end: Arc<AtomicBool>,
    drain: Option<JoinHandle<()>>,
}

impl Programs {
    /// Attaches them as the agent does that is to see everything.
    ///
    /// # Errors
    /// When a hook is refused.
    pub fn attach() -> Result<Self> {
        let pins = Path::new("/sys/fs/bpf").join(format!("kestrel-bench-{}", std::process::id()));
        let end = Arc::new(AtomicBool::new(false));
        let mut attached = Self { pins, hooks: Vec::new(), ids: Vec::new(), end, drain: None };
        let layout = Layout::read(Mounted::detect()?.hierarchy, RING_BYTES)?;
        let plan = Plan {
            pin_dir: attached.pins.clone(),
            layout,
            wants: everything(),
            filter: Filter {
                prefixes: vec![PathPrefix::parse(WANTED_BELOW).map_err(anyhow::Error::msg)?],
                ..Filter::default()
            },
            // Those of the floor.
            hooks: Hooks::Portable,
        };
        let mut programs = plan.carry_out()?;
        for (hook, result) in &programs.hooks {
            result.as_ref().map_err(|reason| anyhow!("{}: {reason}", hook.name()))?;
        }
        (attached.ids, attached.hooks) = super::pinned(&attached.pins)?;
        programs.switches.set_agent(std::process::id());
        let end = Arc::clone(&attached.end);
        attached.drain = Some(thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                for ring in [&mut programs.critical, &mut programs.bulk] {
                    let produced = ring.produced();
                    ring.drain(produced, |record| {
                        std::hint::black_box(record.first());
                    });
                }
                thread::sleep(PAUSE);
            }
        }));
        Ok(attached)
    }

    /// The hooks they are on, sorted.
    #[must_use]
    pub fn hooks(&self) -> Vec<String> {
        self.hooks.clone()
    }

    /// Detaches them. Gives the ids of the programs that were attached.
    ///
    /// # Errors
    /// When the pins cannot be removed.
    pub fn detach(mut self) -> Result<Vec<u32>> {
        let ids = std::mem::take(&mut self.ids);
        self.clear()?;
        Ok(ids)
    }

    fn clear(&mut self) -> Result<()> {
        self.end.store(true, Ordering::Relaxed);
        if let Some(drain) = self.drain.take() {
            drain.join().map_err(|_| anyhow!("the thread that empties the rings panicked"))?;
        }
        if self.pins.exists() {
            kestrel_agent::kernel::detach(&self.pins)?;
        }
        Ok(())
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        if let Err(error) = self.clear() {
            crate::complain(&error);
        }
    }
}

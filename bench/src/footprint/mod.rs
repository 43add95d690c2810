//! What the agent uses beside many containers: idle, and with their programs starting others.

mod cgroup;

use std::time::{Duration, Instant};

use anyhow::Result;

pub use cgroup::MemoryCgroup;

use crate::{
    bars, interrupt,
    process::Process,
    report::{Measure, Unit},
};

/// How long each state is watched.
pub const WINDOW: Duration = Duration::from_secs(30);
/// By then the start scan is in and each container was looked into twice.
const SETTLE: Duration = Duration::from_secs(20);
/// Two rounds of looks by the default interval.
const AT_REST: Duration = Duration::from_secs(120);
const SAMPLE: Duration = Duration::from_secs(1);

/// Watches the agent for [`WINDOW`]. `state` says in the report what the containers did.
///
/// # Errors
/// When the agent is gone.
pub fn watch(state: &str, pid: u32, cgroup: Option<&MemoryCgroup>) -> Result<Vec<Measure>> {
    let process = Process::new(pid);
    let mut most = Memory::default();
    let start = Instant::now();
    let before = process.cpu()?;
    while start.elapsed() < WINDOW {
        interrupt::sleep(SAMPLE)?;
        most = most.max(Memory::read(&process, cgroup)?);
    }
    let used = (process.cpu()? - before).as_secs_f64() / start.elapsed().as_secs_f64();
    let Memory { anonymous, maps, working_set, charged } = most;
    let bytes = |what: &str, value: u64| {
        Measure::exact(&format!("{what}, {state}"), value as f64, Unit::Bytes).note("most in the window")
    };
    let mut measures = vec![
        Measure::exact(&format!("agent CPU, {state}"), used, Unit::Cpu).note("of one CPU"),
        bytes("anonymous memory", anonymous).held_against(bars::ANONYMOUS_MEMORY),
        bytes("BPF maps", maps).note("by the kernel's count of the maps that the agent has open"),
    ];
    if cgroup.is_some() {
        measures.push(bytes("cgroup working set", working_set).held_against(bars::CGROUP_MEMORY));
        measures.push(bytes("cgroup charge", charged).note("with page cache that can be had back"));
    }
    Ok(measures)
}

/// Anonymous memory of an agent that has settled.
///
/// # Errors
/// When it is gone.
pub fn anonymous_after_a_while(pid: u32) -> Result<u64> {
    interrupt::sleep(SETTLE)?;
    Process::new(pid).anonymous()
}

/// An agent at rest beside `count` containers, over more than a round of looks into all of them; `alone`:
/// its anonymous memory without any.
///
/// # Errors
/// When it is gone.
pub fn at_rest(pid: u32, count: usize, alone: u64) -> Result<Vec<Measure>> {
    let process = Process::new(pid);
    interrupt::sleep(SETTLE)?;
    let start = Instant::now();
    let before = process.cpu()?;
    interrupt::sleep(AT_REST)?;
    let used = (process.cpu()? - before).as_secs_f64() / start.elapsed().as_secs_f64();
    let each = process.anonymous()?.saturating_sub(alone) as f64 / count as f64;
    Ok(vec![
        Measure::exact(&format!("agent CPU, {count} containers, default configuration"), used, Unit::Cpu)
            .note("of one CPU, over two rounds of looks")
            .held_against(bars::AT_REST),
        Measure::exact("anonymous memory for each of them", each, Unit::Bytes),
    ])
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Memory {
    anonymous: u64,
    maps: u64,
    working_set: u64,
    charged: u64,
}

impl Memory {
    fn read(process: &Process, cgroup: Option<&MemoryCgroup>) -> Result<Self> {
        let (working_set, charged) = match cgroup {
            Some(cgroup) => cgroup.usage()?,
            None => (0, 0),
        };
        Ok(Self { anonymous: process.anonymous()?, maps: process.maps()?, working_set, charged })
    }

    fn max(self, other: Self) -> Self {
        Self {
            anonymous: self.anonymous.max(other.anonymous),
            maps: self.maps.max(other.maps),
            working_set: self.working_set.max(other.working_set),
            charged: self.charged.max(other.charged),
        }
    }
}

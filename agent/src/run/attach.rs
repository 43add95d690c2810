//! The programs, and what they can see on this node.

use agent_abi::offset::{ABSENT, Offsets};
use anyhow::{Error, Result};

use super::{alive::AliveFile, coverage, filter, host::Host, losses::Start, open::Ground, rules};
use crate::{
    coverage::CoverageReport,
    filter::Filter,
    kernel::{Layout, LoadError, Plan, Programs, lockdown},
    pipeline::clock,
};

/// Attached programs.
pub(super) struct Attached {
    pub(super) programs: Programs,
    pub(super) host: Host,
    pub(super) report: CoverageReport,
    pub(super) alive: AliveFile,
    /// What they leave out.
    pub(super) filter: Filter,
    /// How the programs came to run.
    pub(super) how: Start,
    /// When an agent was last alive in this boot of which this one may have to tell something.
    pub(super) before_ns: Option<u64>,
}

/// Attaches the programs, or adopts those that run.
pub(super) fn attach(ground: &Ground) -> Result<Attached> {
    let Ground { config, state, mounted, boot, telemetry, health, rules: configured, .. } = ground;
    let in_force = configured.as_ref().and_then(|(_, start)| start.rules.as_deref());
    let layout = Layout::read(mounted.hierarchy, [config.rings.critical_bytes, config.rings.bulk_bytes])?;
    let alive = AliveFile::new(state.file("alive"), &boot.id);
    let last_alive_ns = alive.read();
    let (wants, files) = rules::wants(&config.streams, in_force);
    let filter = filter::filter(config, files);
    let plan = Plan {
        pin_dir: config.pin_dir.clone(),
        layout: layout.clone(),
        wants,
        filter: filter.clone(),
        hooks: config.hooks,
    };
    let mut programs = plan.carry_out().map_err(explained)?;
    let host = Host::read(mounted, &mut programs.scan, sees_layers(&layout.offsets))?;
    let report = coverage::report(&boot.release, &layout, &programs);
    report.log();
    telemetry.support.set(&report);
    health.set_coverage(report.clone());
    let how = match (programs.adopted, programs.predecessors.is_empty()) {
        (true, _) => Start::Adopted,
        // They were attached until these were.
        (false, false) => Start::Attached { last_alive_ns: None },
        (false, true) => Start::Attached { last_alive_ns },
    };
    // Now and at the end too: an agent may end before its first sample.
    alive.write(clock::boottime_ns());
    let before_ns = match how {
        Start::Adopted => Some(programs.progress.get()?.alive_ns).filter(|&alive_ns| alive_ns != 0),
        Start::Attached { last_alive_ns } => last_alive_ns,
    };
    Ok(Attached { programs, host, report, alive, filter, how, before_ns })
}

/// What the verifier says of it is that it does not know a function.
fn explained(error: LoadError) -> Error {
    if lockdown::hides_kernel_memory() {
        return Error::new(error).context(
            "the kernel is in lockdown mode confidentiality, in which no program may read its memory: nothing can \
             be seen on this node (lockdown=integrity or none would do)",
        );
    }
    error.into()
}

/// Whether the kernel tells which layer of an overlay a file is in.
fn sees_layers(offsets: &Offsets) -> bool {
    offsets.ovl_inode_vfs != ABSENT && offsets.ovl_inode_upper != ABSENT
}

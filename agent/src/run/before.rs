//! What is to be told before anything happens: what is seen and how well, and what was missed before
//! this agent.

use std::sync::{Arc, atomic::AtomicU64};

use agent_abi::hook::Hook;

use anyhow::Result;
use tokio::sync::mpsc;

use super::{
    alive::AliveFile,
    attach::Attached,
    host::Host,
    losses::{self, Losses},
    open::Ground,
    sink::Notice,
    tell,
};
use crate::{
    coverage::Support,
    filter::Filter,
    kernel::{
        self, Buckets, CgroupMap, Filters, InterestTable, LinkPins, Predecessor, Switches, TaskScan,
        UntoldMap,
    },
    output::event::Body,
    pipeline::{Untold, clock},
    source::{Ring, SequenceCheck},
};

/// What is left of the attached programs for those who read them.
pub(super) struct Sources {
    pub(super) critical: Ring,
    pub(super) bulk: Ring,
    pub(super) switches: Switches,
    pub(super) cgroups: CgroupMap,
    pub(super) buckets: Buckets,
    /// They ran before this agent did.
    pub(super) adopted: bool,
    pub(super) predecessors: Vec<Predecessor>,
    pub(super) sequence: SequenceCheck,
    pub(super) scan: TaskScan,
    pub(super) links: LinkPins,
    pub(super) interest: InterestTable,
    pub(super) filters: (Filters, Filter),
    pub(super) host: Host,
    pub(super) alive: AliveFile,
    /// First bytes of connections are seen.
    pub(super) sees_packets: bool,
}

/// What goes on from here.
pub(super) struct Before {
    pub(super) losses: Losses,
    pub(super) untold: Untold,
    /// What it moves.
    pub(super) words: Arc<UntoldMap>,
    /// Boottime at which the hot loop last turned.
    pub(super) beat_ns: Arc<AtomicU64>,
}

/// Puts it into the queue of notices, which nobody reads yet.
pub(super) async fn tell_of(
    attached: Attached,
    ground: &Ground,
    notices: &mpsc::Sender<Notice>,
) -> Result<(Sources, Before)> {
    let Attached { programs, host, report, alive, filter, how, before_ns } = attached;
    for entry in report.hooks.iter().chain(&report.controls) {
        let body = Body::Coverage {
            at: entry.name.clone(),
            state: entry.support.state().to_owned(),
            reason: entry.support.reason().map(str::to_owned),
        };
        tell(notices, body).await;
    }
    let telemetry = &ground.telemetry;
    let beat_ns = Arc::new(AtomicU64::new(clock::boottime_ns()));
    let sequence = SequenceCheck::new(programs.sequences.read()?);
    let words: Arc<UntoldMap> = Arc::new(programs.untold);
    let left = programs.predecessors.iter().map(|predecessor| predecessor.untold);
    // What follows is to be told, and a start can be killed like any agent.
    let (untold, untold_before) =
        Untold::start(Arc::clone(&words) as _, left, before_ns, clock::boottime_ns());
    let (losses, told) = Losses::start(
        how,
        programs.counters,
        programs.progress,
        programs.recursion,
        Arc::clone(&beat_ns),
        Arc::clone(telemetry),
    )?;
    let untold_before = untold_before.map(|(from_ns, to_ns)| losses::killed(from_ns, to_ns, telemetry));
    for body in told.into_iter().chain(untold_before).chain(left_behind(&programs.predecessors)?) {
        tell(notices, body).await;
    }
    let sees_packets = report
        .hooks
        .iter()
        .any(|entry| entry.name == Hook::Packet.name() && entry.support == Support::Supported);
    let sources = Sources {
        critical: programs.critical,
        bulk: programs.bulk,
        switches: programs.switches,
        cgroups: programs.cgroups,
        buckets: programs.buckets,
        adopted: programs.adopted,
        predecessors: programs.predecessors,
        sequence,
        scan: programs.scan,
        links: programs.links,
        interest: programs.interest,
        filters: (programs.filters, filter),
        host,
        alive,
        sees_packets,
    };
    Ok((sources, Before { losses, untold, words, beat_ns }))
}

/// What the rings of other programs lost that nobody told.
fn left_behind(predecessors: &[Predecessor]) -> Result<Vec<Body>, kernel::MapsError> {
    let now = clock::now();
    let mut bodies = Vec::new();
    for predecessor in predecessors {
        bodies.extend(losses::untold(&predecessor.counters.lost()?, &predecessor.progress, now));
    }
    Ok(bodies)
}

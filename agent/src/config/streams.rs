//! Which raw events are wanted, and what is left out of them in the kernel.

use std::{num::NonZeroU32, ops::RangeInclusive, path::PathBuf};

use settings::{
    ConfigError, Key, Mistake, Problem, Spanned,
    check::{Checker, number},
    unit,
};

use super::{
    raw::{RawMute, RawStreams},
    value,
};
use crate::filter::{Limit, PathPrefix};

/// With them no product in the kernel leaves 64 bits.
const RATE: RangeInclusive<usize> = 0..=1_000_000;
const BURST: RangeInclusive<usize> = 1..=10_000_000;
/// Half of what the kernel's table holds: old and new are in it together for a moment.
const PREFIXES: usize = agent_abi::map::FILTER_ENTRIES / 2 - 1;
const EXECUTABLES: usize = agent_abi::map::FILTER_ENTRIES / 2;
/// Each is held against the path of every cgroup that is made.
const CGROUPS: usize = 64;

/// Event streams that no control needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streams {
    /// Whose execs, exits and credential changes go to the collector.
    pub processes: Scope,
    /// Calls on files, but for mounts and the like.
    pub files: Scope,
    /// Which of these.
    pub files_only: FilesOnly,
    /// Below which paths; empty: all.
    pub files_below: Vec<PathPrefix>,
    /// Calls on sockets, connections, DNS.
    pub network: Scope,
    /// Rare calls that change the node or reach into other processes.
    pub system: Scope,
    /// Frequent calls on processes: signals, limits, keys.
    pub signals: Scope,
    /// Raw events that a cgroup may send; `None`: as many as it likes.
    pub limit: Option<Limit>,
}

/// Whose events are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Nobody's.
    #[default]
    Off,
    /// Those of containers, and of whoever is not known to be the host's.
    Containers,
    /// The host's too.
    All,
}

/// Which calls on files are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilesOnly {
    /// All.
    All,
    /// Opens for writing, and calls that change something.
    Writes,
}

/// Whose raw events nobody wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mute {
    /// Files on the host.
    pub executables: Vec<PathBuf>,
    /// Paths of cgroups below the hierarchy's root.
    pub cgroups: Vec<Vec<u8>>,
}

/// What a limit says where nobody does: generous for a service, too little for a flood.
pub(super) const LIMIT: Limit =
    Limit { rate: NonZeroU32::new(1000).unwrap(), burst: NonZeroU32::new(5000).unwrap() };

/// Checks `streams`.
pub(super) fn streams(at: Checker<'_>, raw: RawStreams, into: &mut Streams) -> Result<(), ConfigError> {
    let RawStreams { processes, files, files_only, files_below, network, system, signals, rate, burst } = raw;
    at.text("streams.processes", processes, value::scope, &mut into.processes)?;
    at.text("streams.files", files, value::scope, &mut into.files)?;
    at.text("streams.files_only", files_only, value::files_only, &mut into.files_only)?;
    list(at, "streams.files_below", files_below, PREFIXES, &mut into.files_below, |text, known| {
        let prefix = PathPrefix::parse(text)?;
        match known.iter().any(|known| known.is_same(&prefix)) {
            true => Err(format!("{text:?} is listed twice")),
            false => Ok(prefix),
        }
    })?;
    at.text("streams.network", network, value::scope, &mut into.network)?;
    at.text("streams.system", system, value::scope, &mut into.system)?;
    at.text("streams.signals", signals, value::scope, &mut into.signals)?;
    let known = into.limit.unwrap_or(LIMIT);
    let (mut per_second, mut at_once) = (known.rate.get() as usize, known.burst.get() as usize);
    at.field("streams.rate", rate, number(RATE), &mut per_second)?;
    at.field("streams.burst", burst, number(BURST), &mut at_once)?;
    // Both are within their ranges.
    let whole = |number: usize| u32::try_from(number).ok().and_then(NonZeroU32::new);
    into.limit = whole(per_second).zip(whole(at_once)).map(|(rate, burst)| Limit { rate, burst });
    Ok(())
}

/// Checks `mute`.
pub(super) fn mute(at: Checker<'_>, raw: RawMute, into: &mut Mute) -> Result<(), ConfigError> {
    let RawMute { executables, cgroups } = raw;
    list(at, "mute.executables", executables, EXECUTABLES, &mut into.executables, |text, _| {
        unit::parse_path(text)
    })?;
    list(at, "mute.cgroups", cgroups, CGROUPS, &mut into.cgroups, |text, _| value::cgroup(text))
}

/// Checks the entries of a list, each with its own place.
fn list<V>(
    at: Checker<'_>,
    key: &str,
    raw: Key<Vec<Spanned<String>>>,
    most: usize,
    into: &mut Vec<V>,
    parse: impl Fn(&str, &[V]) -> Result<V, String>,
) -> Result<(), ConfigError> {
    let Some(raw) = raw else { return Ok(()) };
    let mut values = Vec::with_capacity(raw.value.len().min(most));
    for (index, item) in raw.value.into_iter().enumerate() {
        let parsed = match index < most {
            true => parse(&item.value, &values),
            false => Err(format!("expected at most {most} entries")),
        };
        values.push(parsed.map_err(|message| Mistake {
            file: at.file.to_owned(),
            line: item.referenced.line(),
            column: item.referenced.column(),
            key: format!("{key}[{index}]"),
            problem: Problem::Value(message),
        })?);
    }
    *into = values;
    Ok(())
}

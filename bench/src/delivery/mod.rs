//! The way to the collector: how many events it makes durable, what one costs on the wire, and how
//! long it takes from an exec to whoever watches.

mod latency;
mod throughput;
mod wire;

use anyhow::{Context as _, Result};
use tokio::runtime::Builder;

use crate::report::Measure;

/// Measures all of it, with so many rounds where there are rounds.
///
/// # Errors
/// When agent or collector do not run, or end.
pub fn measure(rounds: usize) -> Result<Vec<Measure>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut measures = runtime.block_on(throughput::measure(rounds)).context("durable events")?;
    measures.extend(wire::measure().context("bytes on the wire")?);
    measures.extend(latency::measure().context("exec to tail")?);
    Ok(measures)
}

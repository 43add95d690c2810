//! What is not as it should be, and what to do about it.

mod certificate;
mod collector;
mod kernel;
mod local;
mod nodes;
mod report;

pub use self::report::{Level, Line, Report};

use crate::{
    Failure, Outcome,
    args::{DoctorArgs, Format, Global},
    json,
    look::Look,
    output::Output,
};

/// The command `doctor`.
///
/// # Errors
/// When the collector (or with `--node-local` the agent) cannot be asked; what could be found out is shown
/// before.
pub async fn run(global: &Global, args: &DoctorArgs, look: Look) -> Result<Outcome, Failure> {
    let mut report = Report::default();
    if args.node_local {
        kernel::check(&mut report);
        local::check(args.agent, &mut report).await;
    } else {
        collector::check(global, args, &mut report).await;
    }
    let mut output = Output::stdout();
    for line in report.lines() {
        match global.output {
            format @ (Format::Json | Format::Yaml) => output.object(json::write(line)?, format)?,
            _ => output.line(line.text(look))?,
        }
    }
    output.flush()?;
    report.outcome()
}

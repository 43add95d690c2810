//! What can be asked of rules without a collector: whether they are good, what they are, what they match.

mod args;
mod check;
mod eval;
mod events;
mod explain;
mod files;
mod fixtures;
mod list;
mod opens;
mod test;

pub use self::args::{
    CheckArgs, EvalArgs, ExplainArgs, From, ListArgs, ReplayArgs, RulesArgs, RulesCommand, ShowArgs, TestArgs,
};

use rules::load::Config;

use crate::{Failure, Outcome, args::Global, look::Look};

/// The command `replay`.
///
/// # Errors
/// When rules or the recording cannot be read or used, or nothing can be written.
pub fn replay(global: &Global, args: &ReplayArgs) -> Result<Outcome, Failure> {
    let ReplayArgs { recording, rules, all } = args;
    let args = EvalArgs { rules: rules.clone(), condition: None, events: recording.clone(), all: *all };
    // What we record is what the kernel says.
    let config = Config { resolved_names: true, ..Config::default() };
    eval::run(&args, config, global.output)
}

/// The command `rules`.
///
/// # Errors
/// When rules or events cannot be read or used, or nothing can be written.
pub fn run(global: &Global, args: &RulesArgs, look: Look) -> Result<Outcome, Failure> {
    let format = global.output;
    match &args.command {
        RulesCommand::Check(args) => check::run(args, format),
        RulesCommand::List(args) => list::list(args, format, look),
        RulesCommand::Show(args) => list::show(args, format),
        RulesCommand::Eval(args) => eval::run(args, Config::default(), format),
        RulesCommand::Explain(args) => explain::run(args, format, look),
        RulesCommand::Test(args) => test::run(args, format, look),
    }
}

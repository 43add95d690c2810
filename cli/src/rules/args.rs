//! What can be asked of `rules`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Arguments of `rules`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kestrel rules check falco_rules.yaml local_rules.yaml
  kestrel rules check rules.d -o json | jq '.falco_load_results[].errors'
  kestrel rules list --rules rules.d --tag mitre_execution
  kestrel rules show 'Terminal shell in container' --rules rules.d
  kestrel rules eval --rules rules.d --events session.jsonl.gz --all
  kestrel rules eval --condition 'evt.type = connect and fd.sport = 22' --events session.jsonl.gz
  kestrel rules explain 'Terminal shell in container' event.json --rules rules.d
  kestrel rules test rules.d

Files are read in the order given: a later one may append to what an earlier one defines. Of a folder the
files that end in .yaml or .yml are read, by name. No collector is asked.

Exit codes: 0 fine, 1 check found an error, a test failed or a line of the events was no event, 2 wrong
usage, or rules that cannot be used.")]
pub struct RulesArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: RulesCommand,
}

/// What can be done with rules.
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Say what is wrong or doubtful in files of rules; -o json: as Falco's result
    Check(CheckArgs),
    /// Show rules, with what they are for
    List(ListArgs),
    /// Show one rule with everything put in: its condition, the fields and kinds of events that it asks for
    Show(ShowArgs),
    /// Hold rules or a condition against events, and print the matches as JSON lines
    Eval(EvalArgs),
    /// Say why a rule matches an event or does not, part by part
    Explain(ExplainArgs),
    /// Hold each rule against an event that it must match and one that it must not
    Test(TestArgs),
}

/// Arguments of `rules check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Files and folders of rules, in this order
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Where rules are.
#[derive(Debug, Args)]
pub struct From {
    /// Files and folders of rules, in this order
    #[arg(short, long, required = true, num_args = 1.., value_name = "FILE")]
    pub rules: Vec<PathBuf>,
}

/// Arguments of `rules list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Rules of this name; * is any text
    #[arg(value_name = "RULE")]
    pub names: Vec<String>,
    /// Rules with this tag
    #[arg(long, value_delimiter = ',', value_name = "TAG")]
    pub tag: Vec<String>,
    /// Where rules are.
    #[command(flatten)]
    pub from: From,
}

/// Arguments of `rules show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The rule's name
    #[arg(value_name = "RULE")]
    pub rule: String,
    /// Where rules are.
    #[command(flatten)]
    pub from: From,
}

/// Arguments of `rules eval`.
#[derive(Debug, Args)]
#[command(after_help = "An event is a line: an object of Falco's fields, by itself, below `fields`, or below
`output_fields` as Falco's alerts have it. Plain or gzip, told by the content.")]
pub struct EvalArgs {
    /// Files and folders of rules, in this order
    #[arg(short, long, num_args = 1.., value_name = "FILE", required_unless_present = "condition")]
    pub rules: Vec<PathBuf>,
    /// A condition instead of rules
    #[arg(short, long, value_name = "TEXT", conflicts_with_all = ["rules", "all"])]
    pub condition: Option<String>,
    /// File of events; - is standard input
    #[arg(short, long, value_name = "FILE")]
    pub events: PathBuf,
    /// Also rules that are not enabled, and every rule that matches instead of the first
    #[arg(long)]
    pub all: bool,
}

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The recording, plain or gzip; - is standard input
    #[arg(value_name = "FILE")]
    pub recording: PathBuf,
    /// Files and folders of rules, in this order, instead of those that come with Kestrel
    #[arg(short, long, num_args = 1.., value_name = "FILE")]
    pub rules: Vec<PathBuf>,
    /// Also rules that are not enabled, and every rule that matches instead of the first
    #[arg(long)]
    pub all: bool,
}

/// Arguments of `rules explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The rule's name
    #[arg(value_name = "RULE")]
    pub rule: String,
    /// File of events; - is standard input
    #[arg(value_name = "EVENT.json")]
    pub events: PathBuf,
    /// Of several events, the one with this evt.num
    #[arg(long, value_name = "NUMBER")]
    pub num: Option<u64>,
    /// Where rules are.
    #[command(flatten)]
    pub from: From,
}

/// Arguments of `rules test`.
#[derive(Debug, Args)]
#[command(
    after_help = "A file of fixtures is a list. An entry names a rule and has the fields of an event that it must
match, and what makes that event a benign one (~ takes a field away):

  - rule: Shell in a container
    match: {evt.type: execve, proc.name: sh, container.id: c0ffee}
    miss: {container.id: host}

The fixtures of a folder of rules are the files in its folder `fixtures`, those of a file of rules the
file of that name there. A rule without an event of each kind has failed."
)]
pub struct TestArgs {
    /// Files and folders of rules, in this order
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Files and folders of fixtures instead of those beside the rules
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub fixtures: Vec<PathBuf>,
}

//! What each control says of each workload and node, how much passes, and why what does not does not.

mod args;
mod control;
mod explain;
pub mod explanation;
mod levels;
pub mod matrix;
mod pod;
pub mod said;
pub mod standards;
pub mod summary;

pub use self::{
    args::{ExplainArgs, LevelsArgs, PlaceArgs, PostureArgs, PostureCommand},
    control::{of_slug, rank, severity as said_severity},
};

use kestrel_proto::v1;
use serde::Serialize;

use self::{
    matrix::{OfNode, Workload},
    summary::Summary,
};
use crate::{
    Failure, Outcome,
    args::{Format, Global},
    connect::Server,
    filter, json,
    list::{collect, connect},
    look::Look,
    output::Output,
    say,
    text::posture as text,
};

/// Flags before another question would be for the matrix, and be lost.
fn alone(command: &str, behind: &str) -> Failure {
    Failure::Usage(format!(
        "of the flags before `{command}` only those of every command are taken; {behind} go behind it"
    ))
}

/// The command `posture`.
///
/// # Errors
/// When the collector is not reached or refuses, a control is not known, or nothing can be written.
pub async fn run(global: &Global, args: &PostureArgs, look: Look) -> Result<Outcome, Failure> {
    match &args.command {
        None => matrix(global, args, look).await,
        Some(PostureCommand::Explain(_)) if args.is_matrix() => Err(alone("explain", "-n and --container")),
        Some(PostureCommand::Levels(_)) if args.is_matrix() => {
            Err(alone("levels", "-n, --pod, --container, --node and --all"))
        }
        Some(PostureCommand::Explain(explain)) => explain::run(global, explain, look).await,
        Some(PostureCommand::Levels(levels)) => levels::run(global, levels, look).await,
    }
}

async fn matrix(global: &Global, args: &PostureArgs, look: Look) -> Result<Outcome, Failure> {
    let mut server = connect(global).await?;
    // What controls say is looked at here, so that what passes is counted too.
    let mut inventory = inventory(&mut server, args.places.filter()).await?;
    // Nodes are in no namespace and no pod.
    let mut nodes = match args.places.is_in_pods() {
        true => Vec::new(),
        false => nodes(&mut server, filter::of_nodes(&args.places.node)).await?,
    };
    only(&args.control, &mut inventory, &mut nodes)?;
    let before = inventory.len();
    if !args.places.all {
        inventory.retain(|response| !is_sandbox(response));
    }
    let summary = summary::of(&inventory, &nodes, (before - inventory.len()) as u64);
    let verdicts: Vec<_> = args.verdict.iter().map(|&verdict| filter::verdict_of(verdict)).collect();
    let mut workloads = matrix::workloads(&inventory);
    let mut of_nodes = matrix::nodes(&nodes);
    if !verdicts.is_empty() {
        let takes = |controls: &[said::Said]| controls.iter().any(|said| verdicts.contains(&said.verdict));
        workloads.retain(|row| takes(&row.controls));
        of_nodes.retain(|row| takes(&row.controls));
    }
    if args.summary {
        workloads.clear();
        of_nodes.clear();
    }
    let shown = Shown { workloads, nodes: of_nodes, summary, verdicts, is_summary: args.summary };
    let mut output = Output::stdout();
    shown.write(&mut output, global.output, look)?;
    output.flush()?;
    Ok(Outcome::Fine)
}

/// There is nothing, and nothing was named that should be there.
const NOTHING: &str = "nothing of that kind was judged";

/// What is shown.
struct Shown {
    workloads: Vec<Workload>,
    nodes: Vec<OfNode>,
    summary: Summary,
    verdicts: Vec<v1::Verdict>,
    is_summary: bool,
}

impl Shown {
    fn write(&self, output: &mut Output, format: Format, look: Look) -> Result<(), Failure> {
        let Self { workloads, nodes, summary, verdicts, is_summary } = self;
        if matches!(format, Format::Json | Format::Yaml) {
            for row in workloads {
                output.object(typed("workload", row)?, format)?;
            }
            for row in nodes {
                output.object(typed("node", row)?, format)?;
            }
            output.object(typed("summary", summary)?, format)?;
            return Ok(());
        }
        if workloads.is_empty() && nodes.is_empty() && !is_summary {
            say(NOTHING);
        }
        let mut sections = Vec::new();
        if format == Format::Wide {
            sections.extend(text::wide(workloads, nodes, look));
        } else {
            sections.push(text::matrix(workloads, nodes, verdicts, look));
        }
        sections.push(text::summary(summary, look));
        let mut is_first = true;
        for lines in sections.iter().filter(|lines| !lines.is_empty()) {
            if !std::mem::take(&mut is_first) {
                output.line("")?;
            }
            for line in lines {
                output.line(line)?;
            }
        }
        Ok(())
    }
}

/// An object of its own kind, as a line of JSON.
fn typed(kind: &'static str, row: &impl Serialize) -> std::io::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Typed<'a, T> {
        r#type: &'static str,
        #[serde(flatten)]
        row: &'a T,
    }
    json::write(&Typed { r#type: kind, row })
}

async fn inventory(server: &mut Server, filter: v1::Filter) -> Result<Vec<v1::InventoryResponse>, Failure> {
    let request = v1::InventoryRequest { filter: Some(filter) };
    let stream = server.watch.inventory(request).await.map_err(|status| server.refused(status))?.into_inner();
    collect(server, stream).await
}

async fn nodes(server: &mut Server, filter: v1::Filter) -> Result<Vec<v1::Node>, Failure> {
    let request = v1::NodesRequest { filter: Some(filter) };
    let mut all =
        server.watch.nodes(request).await.map_err(|status| server.refused(status))?.into_inner().nodes;
    all.sort_by(|one, other| (&one.cluster, &one.name).cmp(&(&other.cluster, &other.name)));
    Ok(all)
}

fn is_sandbox(response: &v1::InventoryResponse) -> bool {
    let container = response.container.as_ref().and_then(|posture| posture.container.as_ref());
    container.and_then(|container| container.names.as_ref()).is_some_and(|names| names.sandbox)
}

/// Leaves what these controls say, and what something is said of.
fn only(
    patterns: &[String],
    inventory: &mut Vec<v1::InventoryResponse>,
    nodes: &mut [v1::Node],
) -> Result<(), Failure> {
    if patterns.is_empty() {
        return Ok(());
    }
    let seen = slugs(inventory, nodes);
    for pattern in patterns {
        let known = controls::CONTROLS.iter().map(|control| control.slug).chain(seen.iter().copied());
        if !known.into_iter().any(|slug| control::takes(pattern, slug)) {
            return Err(Failure::Usage(control::unknown(pattern, &seen)));
        }
    }
    let takes =
        |said: &v1::ControlPosture| patterns.iter().any(|pattern| control::takes(pattern, &said.control));
    for posture in inventory.iter_mut().filter_map(|response| response.container.as_mut()) {
        posture.controls.retain(takes);
    }
    inventory
        .retain(|response| response.container.as_ref().is_some_and(|posture| !posture.controls.is_empty()));
    for node in nodes {
        node.controls.retain(takes);
    }
    Ok(())
}

/// Every control of which an agent told.
fn slugs<'a>(inventory: &'a [v1::InventoryResponse], nodes: &'a [v1::Node]) -> Vec<&'a str> {
    let of_containers = inventory.iter().filter_map(|response| response.container.as_ref());
    let all = of_containers
        .flat_map(|posture| &posture.controls)
        .chain(nodes.iter().flat_map(|node| &node.controls));
    let mut slugs: Vec<_> = all.map(|said| said.control.as_str()).collect();
    slugs.sort_unstable();
    slugs.dedup();
    slugs
}

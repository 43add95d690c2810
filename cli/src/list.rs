//! What is true now: findings, containers, nodes.

use kestrel_proto::v1;
use prost::Message;

use crate::{
    Failure, Outcome,
    args::{FindingsArgs, Format, Global, InventoryArgs, NodesArgs},
    connect::{self, Server},
    filter, json,
    look::{Look, Table},
    output::Output,
    say,
    text::{finding, hook, inventory as containers, node},
    time,
};

/// The command `findings`.
///
/// # Errors
/// When the collector is not reached or refuses, or nothing can be written.
pub async fn findings(global: &Global, args: &FindingsArgs, look: Look) -> Result<Outcome, Failure> {
    let mut server = connect(global).await?;
    let request =
        v1::FindingsRequest { filter: Some(filter::of(&args.filter, &[])), resolved: args.resolved };
    let stream = server.watch.findings(request).await.map_err(|status| server.refused(status))?.into_inner();
    let mut all = collect(&server, stream).await?;
    finding::sort(&mut all);
    let rows = |is_wide| finding::table(&all, is_wide, time::now_unix_ns());
    show(global, look, "FindingsResponse", &all, rows, "no findings")?;
    let violated = all.iter().filter_map(|response| response.finding.as_ref()).any(finding::is_violation);
    Ok(if args.exit_code && violated { Outcome::Found } else { Outcome::Fine })
}

/// The command `inventory`.
///
/// # Errors
/// As [`findings`].
pub async fn inventory(global: &Global, args: &InventoryArgs, look: Look) -> Result<Outcome, Failure> {
    let mut server = connect(global).await?;
    let request = v1::InventoryRequest { filter: Some(filter::of(&args.filter, &[])) };
    let stream = server.watch.inventory(request).await.map_err(|status| server.refused(status))?.into_inner();
    let mut all = collect(&server, stream).await?;
    containers::sort(&mut all);
    show(
        global,
        look,
        "InventoryResponse",
        &all,
        |is_wide| containers::table(&all, is_wide),
        "no containers",
    )?;
    Ok(Outcome::Fine)
}

/// The command `nodes`.
///
/// # Errors
/// As [`findings`].
pub async fn nodes(global: &Global, args: &NodesArgs, look: Look) -> Result<Outcome, Failure> {
    let mut server = connect(global).await?;
    let request = v1::NodesRequest { filter: Some(filter::of_nodes(&args.node)) };
    let mut all =
        server.watch.nodes(request).await.map_err(|status| server.refused(status))?.into_inner().nodes;
    all.sort_by(|one, other| (&one.cluster, &one.name).cmp(&(&other.cluster, &other.name)));
    let rows = |is_wide| match args.hooks {
        true => hook::table(&all, is_wide),
        false => node::table(&all, is_wide, time::now_unix_ns()),
    };
    show(global, look, "Node", &all, rows, "no nodes")?;
    Ok(Outcome::Fine)
}

/// Connects, and says aloud when others can listen.
pub(crate) async fn connect(global: &Global) -> Result<Server, Failure> {
    if connect::is_open(&connect::address(global)?) {
        say(&format!("warning: no TLS on the way to {}: others may read along", global.server));
    }
    Ok(Server::connect(global).await?)
}

pub(crate) async fn collect<T>(server: &Server, mut stream: tonic::Streaming<T>) -> Result<Vec<T>, Failure> {
    let mut all = Vec::new();
    while let Some(one) = stream.message().await.map_err(|status| server.refused(status))? {
        all.push(one);
    }
    Ok(all)
}

fn show<M: Message>(
    global: &Global,
    look: Look,
    name: &str,
    all: &[M],
    rows: impl Fn(bool) -> Table,
    none: &str,
) -> Result<(), Failure> {
    let mut output = Output::stdout();
    match global.output {
        format @ (Format::Json | Format::Yaml) => {
            for one in all {
                output.object(json::line(name, one)?, format)?;
            }
        }
        // Not on standard output, where a script would take it for a row.
        _ if all.is_empty() => say(none),
        format => {
            for line in rows(format == Format::Wide).lines(look) {
                output.line(line)?;
            }
        }
    }
    output.flush()?;
    Ok(())
}

//! `posture explain`.

use kestrel_proto::v1;
use serde::Serialize;

use super::{
    args::ExplainArgs,
    control::{self, of_slug, takes},
    explanation::{Explanation, Findings},
    inventory, nodes, pod, slugs, typed,
};
use crate::{
    Failure, Outcome,
    args::{Format, Global},
    connect::Server,
    json,
    list::{collect, connect},
    look::Look,
    output::Output,
    text::posture::explain as text,
    time,
};

/// The command `posture explain`.
pub(super) async fn run(global: &Global, args: &ExplainArgs, look: Look) -> Result<Outcome, Failure> {
    let slug = args.control.as_str();
    let mut server = connect(global).await?;
    let places = v1::Filter {
        namespaces: args.namespace.clone().into_iter().collect(),
        containers: args.container.clone().into_iter().collect(),
        ..Default::default()
    };
    let inventory = inventory(&mut server, places.clone()).await?;
    let nodes = nodes(&mut server, v1::Filter::default()).await?;
    let seen = slugs(&inventory, &nodes);
    if of_slug(slug).is_none() && !seen.contains(&slug) {
        return Err(Failure::Usage(control::unknown(slug, &seen)));
    }
    let containers = containers(&inventory, &args.pod);
    let is_of_node = is_of_node(slug, &nodes);
    let nodes: Vec<_> = match (&args.namespace, &args.container) {
        (None, None) => nodes.iter().filter(|node| takes(&args.pod, &node.name)).collect(),
        _ => Vec::new(),
    };
    if (is_of_node && nodes.is_empty()) || (!is_of_node && containers.is_empty()) {
        return Err(Failure::Usage(nothing(args, &places, is_of_node, containers.len(), nodes.len())));
    }
    let findings = Findings::of(slug, findings(&mut server, slug).await?);
    let explanations: Vec<_> = if is_of_node {
        nodes.into_iter().map(|node| of_node(slug, node, &findings)).collect()
    } else {
        containers.into_iter().map(|response| of_container(slug, response, &findings)).collect()
    };
    let mut output = Output::stdout();
    match global.output {
        format @ (Format::Json | Format::Yaml) => {
            for explanation in &explanations {
                output.object(object(explanation)?, format)?;
            }
            if let Some(control) = of_slug(slug) {
                output.object(typed("control", &Catalogued::of(control))?, format)?;
            }
        }
        _ => {
            for line in text::lines(slug, &explanations, look, time::now_unix_ns()) {
                output.line(line)?;
            }
        }
    }
    output.flush()?;
    Ok(Outcome::Fine)
}

async fn findings(server: &mut Server, slug: &str) -> Result<Vec<v1::FindingsResponse>, Failure> {
    let filter = v1::Filter { controls: vec![slug.to_owned()], ..Default::default() };
    let request = v1::FindingsRequest { filter: Some(filter), resolved: false };
    let stream = server.watch.findings(request).await.map_err(|status| server.refused(status))?.into_inner();
    collect(server, stream).await
}

/// Those of the pod, or of the workload. Sandboxes only where there is nothing else.
fn containers<'a>(inventory: &'a [v1::InventoryResponse], wanted: &str) -> Vec<&'a v1::InventoryResponse> {
    let mut found: Vec<_> = inventory.iter().filter(|response| pod::is_of(response, wanted)).collect();
    if !found.iter().all(|response| super::is_sandbox(response)) {
        found.retain(|response| !super::is_sandbox(response));
    }
    crate::text::inventory::sort_by_place(&mut found);
    found
}

/// By the catalogue; where it does not know the control, by the nodes that told of it.
fn is_of_node(slug: &str, nodes: &[v1::Node]) -> bool {
    match of_slug(slug) {
        Some(control) => control.scope == controls::Scope::Node,
        None => nodes.iter().any(|node| node.controls.iter().any(|said| said.control == slug)),
    }
}

/// What was asked for and is not there.
fn nothing(
    args: &ExplainArgs,
    places: &v1::Filter,
    is_of_node: bool,
    containers: usize,
    nodes: usize,
) -> String {
    let ExplainArgs { pod, control, namespace, container } = args;
    match (is_of_node, containers, nodes) {
        (true, 1.., _) => format!("`{control}` is a control of nodes: give a node's name instead of `{pod}`"),
        (true, ..) => match (namespace, container) {
            (None, None) => format!("there is no node `{pod}`"),
            _ => format!("`{control}` is a control of nodes, which have no namespace and no containers"),
        },
        (false, _, 1..) => {
            format!("`{control}` is a control of containers: give a pod or workload, `{pod}` is a node")
        }
        (false, ..) => pod::none(Some(pod), places),
    }
}

fn of_container(slug: &str, response: &v1::InventoryResponse, findings: &Findings) -> Explanation {
    let v1::InventoryResponse { cluster, node, container: posture, stale } = response;
    let posture = posture.clone().unwrap_or_default();
    let container = posture.container.unwrap_or_default();
    Explanation {
        cluster: cluster.clone(),
        node: node.clone(),
        stale: *stale,
        said: posture.controls.into_iter().find(|said| said.control == slug),
        findings: findings.of_container(cluster, node, &container),
        container: Some(container),
    }
}

fn of_node(slug: &str, node: &v1::Node, findings: &Findings) -> Explanation {
    Explanation {
        cluster: node.cluster.clone(),
        node: node.name.clone(),
        stale: super::matrix::is_stale(node),
        container: None,
        said: node.controls.iter().find(|said| said.control == slug).cloned(),
        findings: findings.of_node(&node.cluster, &node.name),
    }
}

/// An explanation as JSON; what it holds are the messages of the contract.
fn object(explanation: &Explanation) -> std::io::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Object<'a, C, S, F> {
        cluster: &'a str,
        node: &'a str,
        stale: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        container: Option<C>,
        #[serde(skip_serializing_if = "Option::is_none")]
        control: Option<S>,
        findings: Vec<F>,
    }
    let Explanation { cluster, node, stale, container, said, findings } = explanation;
    let container = container.as_ref().map(|container| json::part("Container", container)).transpose()?;
    let control = said.as_ref().map(|said| json::part("ControlPosture", said)).transpose()?;
    let findings = findings.iter().map(|finding| json::part("Finding", finding)).collect::<Result<_, _>>()?;
    typed("explanation", &Object { cluster, node, stale: *stale, container, control, findings })
}

/// What the catalogue says of a control.
#[derive(Debug, Serialize)]
struct Catalogued {
    control: &'static str,
    title: &'static str,
    scope: &'static str,
    severity: controls::Severity,
    detective: bool,
    fails: &'static str,
    observed: &'static str,
    unknown: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pss: Option<Pss>,
    cis: &'static [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    nsa: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nist: Option<&'static str>,
    attack: &'static [&'static str],
    checklist_a: Vec<&'static str>,
    checklist_b: Vec<&'static str>,
    profiles: Vec<&'static str>,
    cost: &'static str,
    fix: &'static str,
    yaml: &'static str,
}

#[derive(Debug, Serialize)]
struct Pss {
    level: controls::PssLevel,
    field: &'static str,
}

impl Catalogued {
    fn of(control: &'static controls::Control) -> Self {
        let items = |wanted: fn(&controls::Item) -> bool| {
            control.checklists.iter().filter(|item| wanted(item)).map(|item| item.words()).collect()
        };
        Self {
            control: control.slug,
            title: control.title,
            scope: control.scope.as_str(),
            severity: control.severity,
            detective: control.detective,
            fails: control.fails,
            observed: control.observed,
            unknown: control.unknown.split("; ").collect(),
            pss: control.pss.map(|pss| Pss { level: pss.level, field: pss.field }),
            cis: control.cis,
            nsa: control.nsa,
            nist: control.nist,
            attack: control.attack,
            checklist_a: items(|item| matches!(item, controls::Item::A(_))),
            checklist_b: items(|item| matches!(item, controls::Item::B(_))),
            profiles: controls::Profile::ALL
                .into_iter()
                .filter(|profile| profile.has(control))
                .map(controls::Profile::as_str)
                .collect(),
            cost: control.cost,
            fix: control.fix,
            yaml: control.yaml,
        }
    }
}

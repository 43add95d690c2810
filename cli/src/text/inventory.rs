//! Containers and what each control says of them.

use inert::inert;
use kestrel_proto::v1;

use crate::{
    look::{Cell, Paint, Table, place},
    text::{paint_of, short_id, verdict},
};

/// Verdicts that are named control by control, the worst first.
const NAMED: [v1::Verdict; 4] =
    [v1::Verdict::Drift, v1::Verdict::Fail, v1::Verdict::Unknown, v1::Verdict::Exempt];

/// All as lines.
#[must_use]
pub fn table(containers: &[v1::InventoryResponse], is_wide: bool) -> Table {
    let mut table = Table::new(if is_wide {
        &["NAMESPACE/POD/CONTAINER", "NODE", "ID", "IMAGE", "WORST", "PASS", "OTHERS"]
    } else {
        &["NAMESPACE/POD/CONTAINER", "NODE", "WORST", "PASS", "OTHERS"]
    });
    for response in containers {
        let Some(posture) = &response.container else { continue };
        let container = posture.container.clone().unwrap_or_default();
        let names = container.names.clone();
        let place = match &names {
            Some(names) if names.sandbox => place([&names.namespace, &names.pod, "(sandbox)"], 60),
            Some(names) => place([&names.namespace, &names.pod, &names.container], 60),
            None => format!("container {} (name PENDING)", short_id(&container.id)),
        };
        let count = |wanted| posture.controls.iter().filter(|control| control.verdict() == wanted).count();
        let worst =
            NAMED.into_iter().find(|&wanted| count(wanted) > 0).unwrap_or(if posture.controls.is_empty() {
                v1::Verdict::Unspecified
            } else {
                v1::Verdict::Pass
            });
        let mut others = Vec::new();
        for named in NAMED {
            let slugs: Vec<_> = posture
                .controls
                .iter()
                .filter(|control| control.verdict() == named)
                .map(|control| inert(&control.control))
                .collect();
            if !slugs.is_empty() {
                others.push(format!("{} {}", verdict(named), slugs.join(",")));
            }
        }
        if response.stale {
            others.push("STALE (node is silent)".to_owned());
        }
        let mut row: Vec<Cell> = vec![place.into(), inert(&response.node).into()];
        if is_wide {
            let image = names.map_or_else(String::new, |names| names.image);
            row.extend([short_id(&container.id).into(), inert(image).into()]);
        }
        row.extend([
            Cell::painted(verdict(worst), paint_of(worst)),
            count(v1::Verdict::Pass).to_string().into(),
            Cell::painted(others.join("; "), if response.stale { Paint::Dim } else { Paint::Plain }),
        ]);
        table.row(row);
    }
    table
}

/// By namespace, pod, container and node.
pub fn sort(containers: &mut [v1::InventoryResponse]) {
    containers.sort_by_cached_key(key);
}

/// As [`sort`], of some of them.
pub fn sort_by_place(containers: &mut [&v1::InventoryResponse]) {
    containers.sort_by_cached_key(|response| key(response));
}

fn key(response: &v1::InventoryResponse) -> (String, String, String, String, String) {
    let container = response.container.clone().and_then(|posture| posture.container).unwrap_or_default();
    let names = container.names.unwrap_or_default();
    (names.namespace, names.pod, names.container, response.node.clone(), container.id)
}

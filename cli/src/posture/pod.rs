//! Which containers are meant by the name of a pod or of a workload.

use kestrel_proto::v1;

use super::control::takes;

/// Whether a container is of the pod, or of the workload.
#[must_use]
pub(super) fn is_of(response: &v1::InventoryResponse, wanted: &str) -> bool {
    let container = response.container.as_ref().and_then(|posture| posture.container.as_ref());
    let Some(container) = container else { return false };
    match &container.names {
        // Named by the front of its id, as it is shown.
        None => wanted.len() >= 4 && container.id.starts_with(wanted),
        Some(names) => {
            let owner = names.workload.as_ref().map_or("", |workload| &workload.name);
            takes(wanted, &names.pod) || (!owner.is_empty() && takes(wanted, owner))
        }
    }
}

/// That there is none, where it was looked for.
#[must_use]
pub(super) fn none(wanted: Option<&str>, places: &v1::Filter) -> String {
    let mut said = match wanted {
        Some(wanted) => format!("there is no pod or workload `{wanted}`"),
        None => "there is no pod".to_owned(),
    };
    for (word, names) in [
        ("named", &places.pods),
        ("with a container", &places.containers),
        ("in namespace", &places.namespaces),
        ("on node", &places.nodes),
    ] {
        let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        if !names.is_empty() {
            said.push_str(&format!(" {word} {}", names.join(" or ")));
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_said_with_where() {
        let text = |text: &str| vec![text.to_owned()];
        let places = v1::Filter { namespaces: text("shop"), containers: text("app"), ..Default::default() };
        assert_eq!(
            none(Some("cart"), &places),
            "there is no pod or workload `cart` with a container `app` in namespace `shop`"
        );
        let pods = vec!["cart".to_owned(), "search-*".to_owned()];
        let places = v1::Filter { pods, nodes: text("worker-1"), ..Default::default() };
        assert_eq!(none(None, &places), "there is no pod named `cart` or `search-*` on node `worker-1`");
    }
}

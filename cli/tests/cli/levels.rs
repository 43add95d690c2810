//! `posture levels`.

use kestrel_proto::v1::{self, PodSecurity, Verdict};
use serde_json::Value;

use crate::{
    data, expect,
    posture::shown_by,
    run,
    server::{Script, Server},
    workloads::{container, controls, on},
};

/// Levels with the verdicts that make them.
fn inventory() -> Vec<v1::InventoryResponse> {
    use PodSecurity::{Baseline, Privileged, Restricted, Unspecified};
    use Verdict::{Drift, Exempt, Fail, Unknown};
    let mut entered = controls(&[
        ("host-pid", Drift),
        ("host-network", Unknown),
        ("lsm-profile", Fail),
        ("seccomp", Exempt),
        ("memory-limit", Fail),
    ]);
    for said in &mut entered {
        match said.control.as_str() {
            "host-pid" => {
                said.observed = Some("the host's pid namespace 4026531836".to_owned());
                said.declared = Some("host pid namespace false".to_owned());
            }
            "lsm-profile" => said.observed = Some(data::HOSTILE.to_owned()),
            _ => {}
        }
    }
    let mut in_part = controls(&[("seccomp", Fail), ("host-path", Unknown)]);
    in_part.retain(|said| said.control != "run-as-non-root");
    let place = |pod, container| ["shop", pod, container];
    let unnamed = v1::ContainerPosture {
        container: Some(v1::Container { id: "d".repeat(64), ..Default::default() }),
        controls: controls(&[("host-path", Unknown)]),
        ..Default::default()
    };
    let newer = container('9', place("newer", "app"), [Baseline, Restricted], controls(&[]));
    let hostile = container('b', [data::HOSTILE; 3], [Restricted, Unspecified], controls(&[]));
    let kept = controls(&[("privileged", Fail), ("added-capabilities", Fail)]);
    vec![
        on(
            "worker-1",
            false,
            container('c', place("cart-7c9d-mk8vq", "app"), [Privileged, Restricted], entered),
        ),
        on("worker-1", false, container('f', place("cart-7c9d-mk8vq", ""), [Unspecified; 2], controls(&[]))),
        on(
            "worker-2",
            true,
            container('e', place("cart-7c9d-x2x4z", "app"), [Unspecified, Restricted], in_part),
        ),
        on("worker-1", false, container('a', ["kube-system", "proxy", "proxy"], [Privileged; 2], kept)),
        on("worker-1", false, hostile),
        on("worker-1", false, newer),
        on("worker-1", false, unnamed),
    ]
}

fn server() -> Server {
    Server::start(Script { inventory: inventory(), ..Default::default() })
}

fn shown(args: &[&str]) -> String {
    shown_by(&server(), &[&["levels"], args].concat())
}

fn objects(args: &[&str]) -> Vec<Value> {
    let text = shown(&[args, &["-o", "json"]].concat());
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn as_people_read_it() {
    let page = shown(&[]);
    expect("posture-levels.txt", &page);
    assert!(page.lines().all(|line| line.chars().count() <= 100), "{page}");
    assert_eq!(page, shown(&["-o", "table"]));
    expect("posture-levels-wide.txt", &shown(&["cart-7c9d-mk8vq", "-o", "wide"]));
}

#[test]
fn as_programs_read_it() {
    expect("posture-levels.jsonl", &shown(&["cart", "-o", "json"]));
    let all = objects(&["cart"]);
    let [app, stale] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((&app["type"], &app["node"]), (&"levels".into(), &"worker-1".into()));
    assert_eq!(app["container"]["names"]["pod"], "cart-7c9d-mk8vq");
    assert_eq!(
        (&app["declared_level"], &app["observed_level"]),
        (&"restricted".into(), &"privileged".into())
    );
    assert_eq!((&app["weaker"], &app["stale"], &stale["stale"]), (&true.into(), &false.into(), &true.into()));
    let weakening = |levels: &Value| {
        let fields = levels["fields"].as_array().unwrap().iter();
        let weakening = fields.filter(|field| field["weakens"] == true);
        weakening
            .map(|field| {
                format!("{}: {}", field["field"].as_str().unwrap(), field["verdict"].as_str().unwrap())
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(weakening(app), ["Host Namespaces: drift", "AppArmor: fail", "Seccomp: exempt"]);
    assert_eq!(weakening(stale), ["Seccomp: fail"]);
    // Unspecified ones are left out, as everywhere.
    assert!(stale.get("observed_level").is_none() && stale["weaker"] == true, "{stale}");
    let fields = stale["fields"].as_array().unwrap();
    let not_told = fields.iter().find(|field| field["field"] == "Running as Non-root").unwrap();
    assert_eq!(not_told["verdict"], "unknown");
    assert_eq!(not_told["controls"][0]["unknown_reason"], "not judged");
    // Nothing of what the workload chose is lost.
    assert!(objects(&[]).iter().any(|one| one["container"]["names"]["namespace"] == data::HOSTILE));
}

#[test]
fn each_container_of_what_was_named_has_its_own() {
    for (args, containers) in [
        (&[][..], 6),
        (&["--all"], 7),
        (&["cart"], 2),
        (&["cart", "proxy"], 3),
        (&["cart-7c9d-mk8vq", "--all"], 2),
        (&["*-x2x4z"], 1),
        (&["dddddddddddd"], 1),
    ] {
        assert_eq!(objects(args).len(), containers, "{args:?}");
    }
    assert!(shown(&["--all"]).contains("shop/cart-7c9d-mk8vq/(sandbox) on worker-1"));
    assert!(!shown(&["--all"]).contains("left out"));
    assert_eq!(
        shown_by(&server(), &["-o", "json", "levels", "cart"]),
        shown(&["cart", "-o", "json"]),
        "flags of every command stand on either side"
    );
}

#[test]
fn filters_reach_the_collector() {
    let server = server();
    let filters = ["-n", "shop", "--pod", "cart-*", "--container", "app", "--node", "worker-1"];
    let (code, _, _) = run(&server, &[&["posture", "levels"], &filters[..]].concat());
    assert_eq!(code, 0);
    let filter = server.asked().inventory.remove(0).filter.unwrap();
    assert_eq!((filter.namespaces, filter.pods), (vec!["shop".to_owned()], vec!["cart-*".to_owned()]));
    assert_eq!((filter.containers, filter.nodes), (vec!["app".to_owned()], vec!["worker-1".to_owned()]));
}

#[test]
fn nothing_is_told_as_nothing() {
    let server = Server::start(Script::default());
    let (code, out, err) = run(&server, &["posture", "levels"]);
    assert_eq!((code, out.as_str(), err.as_str()), (0, "", "kestrel: nothing of that kind was judged\n"));
    let (code, out, err) = run(&server, &["posture", "levels", "-o", "json"]);
    assert_eq!((code, out.as_str(), err.as_str()), (0, "", ""));
}

//! `posture`.

use inert::is_hostile;
use serde_json::Value;

use crate::{
    data, expect, run,
    server::{Script, Server},
    workloads,
};

fn server() -> Server {
    Server::start(Script {
        inventory: workloads::inventory(),
        nodes: workloads::nodes(),
        findings: workloads::findings(),
        ..Default::default()
    })
}

/// What is shown, which has to be well and harmless. How long ago something was changes.
fn shown(args: &[&str]) -> String {
    shown_by(&server(), args)
}

/// As [`shown`], by a collector that knows other things.
pub(crate) fn shown_by(server: &Server, args: &[&str]) -> String {
    let (code, out, err) = run(server, &[&["posture"], args].concat());
    assert_eq!((code, err.as_str()), (0, ""), "{args:?}");
    assert!(!out.chars().any(|char| char != '\n' && is_hostile(char)), "{out}");
    let until = |line: &str| match line.split_once("Z (") {
        Some((front, _)) => format!("{front}Z (AGO)\n"),
        None => format!("{line}\n"),
    };
    out.lines().map(until).collect()
}

fn objects(args: &[&str]) -> Vec<Value> {
    shown(args).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn as_people_read_it() {
    for (name, args) in [
        ("matrix", &[][..]),
        ("wide", &["-o", "wide"]),
        ("summary", &["--summary"]),
        ("explain", &["explain", "cart", "run-as-non-root"]),
        ("explain-node", &["explain", "worker-1", "future-apiserver"]),
    ] {
        expect(&format!("posture-{name}.txt"), &shown(args));
    }
    let page = shown(&[]);
    assert!(page.lines().all(|line| line.chars().count() <= 100), "{page}");
    assert_eq!(page, shown(&["-o", "table"]));
}

#[test]
fn as_programs_read_it() {
    expect("posture.jsonl", &shown(&["-o", "json", "--control", "seccomp,run-as-*,future-*"]));
    expect("posture.yaml", &shown(&["-o", "yaml", "--control", "seccomp,run-as-*,future-*"]));
    expect(
        "posture-explain.jsonl",
        &shown(&["explain", "cart", "run-as-non-root", "-n", "shop", "-o", "json"]),
    );
    let all = objects(&["-o", "json"]);
    let cart = all.iter().find(|one| one["workload"] == "cart").unwrap();
    assert_eq!((&cart["type"], &cart["containers"]), (&"workload".into(), &2.into()));
    assert_eq!(cart["nodes"], serde_json::json!(["worker-1", "worker-2"]));
    assert_eq!(cart["stale_nodes"], serde_json::json!(["worker-2"]));
    assert_eq!((&cart["observed_level"], &cart["worst_severity"]), (&"baseline".into(), &"high".into()));
    let seccomp =
        cart["controls"].as_array().unwrap().iter().find(|said| said["control"] == "seccomp").unwrap();
    assert_eq!((&seccomp["verdict"], &seccomp["containers"]), (&"fail".into(), &2.into()));
    let summary = all.last().unwrap();
    assert_eq!((&summary["type"], &summary["sandboxes_left_out"]), (&"summary".into(), &1.into()));
    assert_eq!(all.iter().filter(|one| one["type"] == "summary").count(), 1);
    // Nothing of what the workload chose is lost.
    assert!(all.iter().any(|one| one["namespace"] == data::HOSTILE));
}

#[test]
fn yaml_says_what_json_says() {
    for args in [
        &["posture"][..],
        &["posture", "explain", "cart", "seccomp"],
        &["posture", "levels"],
        &["inventory"],
        &["nodes"],
        &["findings"],
        &["doctor"],
    ] {
        let server = server();
        let said = |format: &str| run(&server, &[args, &["-o", format]].concat()).1;
        let json: Vec<Value> = said("json").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let yaml = said("yaml");
        assert!(!yaml.chars().any(|char| char != '\n' && is_hostile(char)), "{yaml}");
        let documents = yaml.strip_prefix("---\n").unwrap().split("\n---\n");
        let read: Vec<Value> = documents.map(|document| serde_saphyr::from_str(document).unwrap()).collect();
        // Times go on between the two calls.
        if args != ["doctor"] {
            assert_eq!(read, json, "{args:?}");
        }
    }
}

#[test]
fn filters_choose_rows_and_reach_the_collector() {
    let server = server();
    let (code, _, _) = run(
        &server,
        &["posture", "-n", "shop", "--pod", "cart-*", "--container", "app", "--node", "worker-1"],
    );
    assert_eq!(code, 0);
    let filter = server.asked().inventory.remove(0).filter.unwrap();
    assert_eq!((filter.namespaces, filter.pods), (vec!["shop".to_owned()], vec!["cart-*".to_owned()]));
    assert_eq!((filter.containers, filter.nodes), (vec!["app".to_owned()], vec!["worker-1".to_owned()]));
    assert!(filter.controls.is_empty() && filter.verdicts.is_empty(), "what passes is counted too");

    let out = shown(&["--verdict", "drift"]);
    assert!(
        out.contains("DRIFT run-as-non-root") && !out.contains("proxy") && !out.contains("seccomp"),
        "{out}"
    );
    // What is counted below is the same as without.
    let summary = |out: &str| out.split_once("SUMMARY").unwrap().1.to_owned();
    assert_eq!(summary(&out), summary(&shown(&[])));
    assert!(shown(&["--all"]).contains("shop/cart/(sandbox)"));
    assert!(!shown(&["--all"]).contains("left out"));
    // Nodes are in no namespace.
    assert!(!shown(&["-n", "shop"]).contains("(node "));
    assert!(shown(&["--control", "future-*"]).contains("FAIL future-apiserver"));
}

#[test]
fn what_is_stale_says_so() {
    let out = shown(&["-o", "wide"]);
    assert!(
        out.lines().any(|line| line.contains("shop/cart/app") && line.contains("STALE (worker-2 is silent)")),
        "{out}"
    );
    let out = shown(&["explain", "cart-7c9d6b5f4d-x2x4z", "seccomp"]);
    assert!(out.contains("on worker-2: FAIL, medium") && out.contains("the node is silent"), "{out}");
}

#[test]
fn colours_only_where_they_are_asked_for() {
    let (_, out, _) = run(&server(), &["posture", "--color", "always"]);
    assert!(out.contains("\x1b[1;31mDRIFT\x1b[0m") && out.contains("\x1b[31mFAIL\x1b[0m"), "{out}");
}

#[test]
fn what_is_not_there_is_2_and_one_sentence() {
    for (args, says) in [
        (&["--control", "secomp"][..], "there is no control `secomp`; did you mean `seccomp`?"),
        (&["explain", "cart", "run-as-nonroot"], "did you mean `run-as-non-root`?"),
        (
            &["explain", "nobody", "seccomp", "-n", "shop"],
            "there is no pod or workload `nobody` in namespace `shop`",
        ),
        (&["explain", "cart", "seccomp", "--container", "none"], "with a container `none`"),
        (&["explain", "worker-1", "seccomp"], "`worker-1` is a node"),
        (&["explain", "worker-9", "future-apiserver"], "there is no node `worker-9`"),
        (&["--summary", "explain", "cart", "seccomp"], "-n and --container go behind it"),
        (&["-n", "shop", "levels"], "of the flags before `levels` only those of every command are taken"),
        (&["--summary", "levels", "cart"], "--all go behind it"),
        (&["levels", "cart", "nobody"], "there is no pod or workload `nobody`"),
        (&["levels", "nobody", "-n", "shop"], "there is no pod or workload `nobody` in namespace `shop`"),
        (&["levels", "--pod", "cart", "--node", "none"], "there is no pod named `cart` on node `none`"),
        (&["levels", "--control", "seccomp"], "unexpected argument"),
    ] {
        let server = if args.contains(&"none") { Server::start(Script::default()) } else { server() };
        let (code, out, err) = run(&server, &[&["posture"], args].concat());
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}: {err}");
        assert!(err.contains(says), "{args:?}: {err}");
    }
}

#[test]
fn explanations_go_by_pod_workload_pattern_and_state() {
    for (pod, containers) in
        [("cart", 2), ("cart-7c9d6b5f4d-mk8vq", 1), ("cart-*", 2), ("dddddddddddd", 1), ("*", 4)]
    {
        let all = objects(&["explain", pod, "seccomp", "-o", "json"]);
        assert_eq!(all.iter().filter(|one| one["type"] == "explanation").count(), containers, "{pod}");
        let control = all.last().unwrap();
        assert_eq!((&control["type"], &control["control"]), (&"control".into(), &"seccomp".into()));
    }
    assert_eq!(
        shown(&["-o", "json", "explain", "cart", "seccomp"]),
        shown(&["explain", "cart", "seccomp", "-o", "json"])
    );
    let out = shown(&["explain", "cart", "host-path"]);
    assert!(out.contains("platform: it tunes the kernel, until 2027-12-31"), "{out}");
    let out = shown(&["explain", "cart", "memory-limit"]);
    assert!(
        out.contains("UNKNOWN, medium") && out.contains("the container was not looked into yet"),
        "{out}"
    );
}

#[test]
fn nothing_is_told_as_nothing() {
    let server = Server::start(Script::default());
    let (code, out, err) = run(&server, &["posture"]);
    assert_eq!((code, out.as_str(), err.as_str()), (0, "", "kestrel: nothing of that kind was judged\n"));
    let (code, out, err) = run(&server, &["posture", "-o", "json"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(out, "{\"type\":\"summary\",\"namespaces\":[],\"nodes\":[],\"sandboxes_left_out\":0}\n");
}

use kestrel_proto::v1::{
    Address, Ancestor, Container, ContainerNames, Control, Detection, DetectionField, Finding,
    FindingInstance, NodeStatus, Process, ProcessId, TaskState, Workload, detection::Object,
};
use kestrel_tests::lab::slack::check;
use proptest::prelude::*;
use serde_json::Value;

use super::{super::batch, *};

fn finding(text: &str) -> Finding {
    let text = text.to_owned();
    let instance = FindingInstance {
        exe: text.clone().into_bytes().into(),
        comm: text.clone().into_bytes().into(),
        observed: text.clone(),
        declared: Some(text.clone()),
        ..FindingInstance::default()
    };
    let mut finding = Finding {
        id: text.clone(),
        alert: true,
        control: Some(Control {
            slug: text.clone(),
            title: text.clone(),
            pss: Some(text.clone()),
            cis: Some(text.clone()),
            ..Control::default()
        }),
        workload: Some(Workload { kind: text.clone(), name: text.clone(), namespace: text.clone() }),
        pod: text.clone(),
        container: text.clone(),
        container_id: text.clone(),
        image: text.clone(),
        instances: vec![instance],
        completes: vec![text.clone()],
        fix: text,
        ..Finding::default()
    };
    finding.set_verdict(Verdict::Drift);
    finding.set_severity(Severity::High);
    finding
}

fn notice(kind: Kind, text: &str) -> Notice {
    let mut notice = Notice {
        cluster: text.to_owned(),
        node: text.to_owned(),
        finding: Some(finding(text)),
        ..Notice::default()
    };
    notice.set_kind(kind);
    notice
}

fn node_notice(kind: Kind, text: &str) -> Notice {
    let mut status = NodeStatus { detail: text.to_owned(), ..NodeStatus::default() };
    status.set_condition(NodeCondition::Silent);
    Notice { finding: None, status: Some(status), ..notice(kind, text) }
}

fn detected(text: &str, is_file: bool) -> Detected {
    let hostile = || bytes::Bytes::copy_from_slice(text.as_bytes());
    let owned = || text.to_owned();
    let names = ContainerNames {
        namespace: owned(),
        pod: owned(),
        container: owned(),
        image: owned(),
        workload: Some(Workload { kind: owned(), name: owned(), namespace: owned() }),
        ..ContainerNames::default()
    };
    let peer = Address { ip: owned(), port: 1, path: hostile(), ..Address::default() };
    let object = if is_file { Object::Path(hostile()) } else { Object::Peer(peer) };
    let mut detection = Detection {
        rule: owned(),
        tags: vec![owned(), "T1552.001".to_owned(), "mitre_credential_access".to_owned()],
        output: owned(),
        event_type: owned(),
        fields: vec![
            DetectionField { name: owned(), value: Some(owned()) },
            DetectionField { name: owned(), value: None },
        ],
        ancestors: vec![Ancestor { pid: 1, comm: hostile(), exe: hostile() }; 8],
        held_back: 3,
        pending_names: true,
        object: Some(object),
        ..Detection::default()
    };
    detection.set_priority(Priority::Critical);
    let process = Process {
        id: Some(ProcessId { start_ticks: 1, tgid: 4711, exec_id: None }),
        comm: hostile(),
        exe: hostile(),
        argv: vec![hostile(), hostile()],
        state: Some(TaskState { uid: 1000, euid: 0, ..TaskState::default() }),
        ..Process::default()
    };
    let container = Some(Container { id: owned(), names: Some(names), ..Container::default() });
    Detected { wall_unix_ns: 1_777_636_800_000_000_000, detection, process: Some(process), container }
}

fn detection_notice(text: &str, is_file: bool, count: u64) -> Notice {
    let mut notice = Notice {
        finding: None,
        detected: Some(detected(text, is_file)),
        count,
        held_back: 3 * count,
        follows: count > 1,
        until_unix_ns: 1_777_636_860_000_000_000,
        ..notice(Kind::Detected, text)
    };
    notice.set_kind(Kind::Detected);
    notice
}

fn json(notices: &[Notice], overflow: u64, form: Form) -> Value {
    let batch = Batch { notices, uncertain: false, overflow };
    serde_json::from_slice(&body(&batch, form)).unwrap()
}

/// Every place where Slack would look for markup is empty of it, and nothing moves a cursor.
fn is_inert(message: &Value) {
    let top = message["text"].as_str().unwrap();
    for markup in ["<", ">", "&", "@", "http:", "https:", "://", "www.", "`", "*", "_"] {
        assert!(!top.contains(markup), "{markup} in {top}");
    }
    assert_eq!(message["mrkdwn"], false);
    walk(message);
}

fn walk(value: &Value) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(kind)) = object.get("type") {
                assert!(
                    [
                        "header",
                        "context",
                        "rich_text",
                        "plain_text",
                        "text",
                        "link",
                        "rich_text_section",
                        "rich_text_list",
                        "rich_text_preformatted"
                    ]
                    .contains(&kind.as_str()),
                    "{kind} may have markup"
                );
                if kind == "link" {
                    let url = object["url"].as_str().unwrap();
                    let rest = url.strip_prefix("https://attack.mitre.org/techniques/T").unwrap();
                    assert!(rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'/'), "{url}");
                }
                if kind == "plain_text" {
                    assert_eq!(object["emoji"], false);
                }
            }
            object.values().for_each(walk);
        }
        Value::Array(array) => array.iter().for_each(walk),
        Value::String(text) => {
            // Our own lines of evidence are the only control characters.
            let hostile = |char: char| char != '\n' && inert::is_hostile(char);
            assert!(!text.contains(hostile), "{text:?}");
        }
        _ => {}
    }
}

#[test]
fn hostile_text_does_nothing() {
    for hostile in [
        "<!channel> <!here> <!everyone>",
        "<@U012AB3CD> <#C012> <!subteam^S1>",
        "<https://evil.example|click me>",
        "https://evil.example/?a=1&b=2 www.evil.example mailto:a@evil.example",
        "@here @channel :smile: *b* _i_ ~s~ `c` ```p```",
        "\u{202e}evil\u{2066} \x1b[2J\x07\r\n\n\tx\0",
        "\"},{\"type\":\"section\",\"text\":{\"type\":\"mrkdwn\",\"text\":\"<!channel>\"}}",
        "\u{200b}<\u{200b}!channel>",
        "",
        " ",
    ] {
        for kind in [Kind::Opened, Kind::Worse, Kind::Resolved, Kind::Passed] {
            let one = notice(kind, hostile);
            let node = node_notice(kind, hostile);
            let matches = [(true, 1), (false, 1), (true, 7)];
            let [file, peer, many] =
                matches.map(|(is_file, count)| detection_notice(hostile, is_file, count));
            for notices in [
                vec![one.clone()],
                vec![node.clone()],
                vec![file.clone()],
                vec![peer.clone()],
                vec![many.clone()],
                vec![one, node, file, peer, many],
            ] {
                for form in [Form::Full, Form::Plain] {
                    let message = json(&notices, 0, form);
                    is_inert(&message);
                    assert_eq!(check(&message), Ok(()), "{message:#}");
                }
            }
        }
    }
}

#[test]
fn a_message_says_what_where_since_when_and_how_to_fix() {
    let mut finding = finding("x");
    finding.id = "0123456789abcdef".to_owned();
    finding.control = Some(Control {
        slug: "run-as-non-root".to_owned(),
        title: "Containers must not run as root".to_owned(),
        pss: Some("restricted".to_owned()),
        cis: Some("5.2.7".to_owned()),
        ..Control::default()
    });
    finding.workload = Some(Workload {
        kind: "Deployment".to_owned(),
        name: "cart".to_owned(),
        namespace: "shop".to_owned(),
    });
    finding.pod = "cart-7d4".to_owned();
    finding.container = "app".to_owned();
    finding.image = "registry.example/cart:1".to_owned();
    finding.first_seen_unix_ns = 1_777_636_800_000_000_000;
    finding.fix = "set runAsNonRoot: true".to_owned();
    finding.instances[0].observed = "uid 0".to_owned();
    finding.instances[0].declared = Some("runAsNonRoot: true".to_owned());
    let mut notice = Notice {
        finding: Some(finding),
        node: "n1".to_owned(),
        cluster: "prod".to_owned(),
        ..Notice::default()
    };
    notice.set_kind(Kind::Opened);
    let message = json(std::slice::from_ref(&notice), 0, Form::Full).to_string();
    for said in [
        "🔴 DRIFT · Containers must not run as root",
        "severity high",
        "run-as-non-root",
        "restricted",
        "5.2.7",
        "shop/cart",
        "cart-7d4",
        "app",
        "registry.example/cart:1",
        "n1",
        "prod",
        "2026-05-01 12:00:00 UTC",
        "observed: uid 0",
        "declared: runAsNonRoot: true",
        "set runAsNonRoot: true",
        "0123456789abcdef",
    ] {
        assert!(message.contains(said), "{said} in {message}");
    }
    assert!(!message.contains("epeat"));
    notice.repeat = true;
    assert!(json(&[notice], 0, Form::Full).to_string().contains("(repeat)"));
}

#[test]
fn a_detection_says_what_where_who_and_on_what() {
    let mut detected = detected("sh", true);
    let detection = &mut detected.detection;
    detection.rule = "Read of a secret".to_owned();
    detection.output = "a secret was read".to_owned();
    detection.event_type = "openat".to_owned();
    detection.object = Some(Object::Path("/etc/shadow".into()));
    detection.fields =
        vec![DetectionField { name: "fd.name".to_owned(), value: Some("/etc/shadow.field".to_owned()) }];
    detection.ancestors = ["bash", "sshd"]
        .into_iter()
        .zip([12, 3])
        .map(|(comm, pid)| Ancestor { pid, comm: comm.into(), exe: "/x".into() })
        .collect();
    let names = detected.container.as_mut().unwrap().names.as_mut().unwrap();
    let owner =
        Workload { kind: "Deployment".to_owned(), name: "cart".to_owned(), namespace: "shop".to_owned() };
    names.workload = Some(owner);
    let notice = Notice {
        detected: Some(detected),
        node: "n1".to_owned(),
        cluster: "prod".to_owned(),
        ..detection_notice("x", true, 1)
    };
    let message = json(std::slice::from_ref(&notice), 0, Form::Full);
    assert_eq!(check(&message), Ok(()));
    let text = message.to_string();
    for said in [
        "🚨 CRITICAL · Read of a secret",
        "priority critical",
        "openat",
        "https://attack.mitre.org/techniques/T1552/001/",
        "credential access",
        "shop/cart",
        "n1",
        "prod",
        "2026-05-01 12:00:00 UTC",
        " pid 4711",
        "uid 1000, euid 0",
        "bash (12) ← sshd (3)",
        "/etc/shadow",
        "3 before, by the node",
        "no name yet",
        "a secret was read",
        "fd.name = /etc/shadow.field",
    ] {
        assert!(text.contains(said), "{said} in {text}");
    }
    assert!(!text.contains("times") && !text.contains("first of"));
    let many = Notice { count: 12, follows: true, ..notice.clone() };
    let text = json(std::slice::from_ref(&many), 0, Form::Full).to_string();
    for said in ["(12 times)", "12:01:00 UTC, 12 times, after one that was told", "first of 12"] {
        assert!(text.contains(said), "{said} in {text}");
    }
    let text = json(&[notice, many], 0, Form::Full).to_string();
    assert!(text.contains("13 detections") && text.contains("(13 in all)"), "{text}");
}

#[test]
fn the_webhook_has_all_of_a_detection() {
    let notice = detection_notice("sh", false, 2);
    let batch = Batch { notices: &[notice], uncertain: false, overflow: 0 };
    let hook: Value = serde_json::from_slice(&crate::alert::webhook::body(&batch, Form::Full)).unwrap();
    let alert = &hook["alerts"][0];
    assert_eq!((&alert["kind"], &alert["severity"]), (&"detection".into(), &"critical".into()));
    let detection = &alert["detection"];
    for (field, value) in [
        ("rule", "sh"),
        ("priority", "critical"),
        ("first", "2026-05-01T12:00:00.000Z"),
        ("last", "2026-05-01T12:01:00.000Z"),
        ("peer", "unix sh"),
        ("workload", "sh"),
        ("container_id", "sh"),
    ] {
        assert_eq!(detection[field], value, "{field}");
    }
    assert_eq!(detection["count"], 2);
    assert_eq!(detection["held_back"], 6);
    assert_eq!(detection["follows"], true);
    assert_eq!(detection["techniques"][0]["url"], "https://attack.mitre.org/techniques/T1552/001/");
    assert_eq!(detection["tactics"][0], "credential access");
    assert_eq!(detection["process"]["pid"], 4711);
    assert_eq!(detection["ancestors"].as_array().unwrap().len(), 8);
    assert_eq!(detection["fields"][1]["value"], Value::Null);
    let plain: Value = serde_json::from_slice(&crate::alert::webhook::body(&batch, Form::Plain)).unwrap();
    assert_eq!(plain["not_listed"], 2);
}

#[test]
fn many_share_a_message_and_each_is_named() {
    let notices: Vec<_> = (0..40)
        .map(|number| {
            let mut notice = notice(Kind::Opened, "x");
            let finding = notice.finding.as_mut().unwrap();
            finding.id = format!("id-{number}");
            finding.workload.as_mut().unwrap().name = format!("workload-{number}.");
            notice
        })
        .collect();
    let message = json(&notices, 3, Form::Full);
    assert_eq!(check(&message), Ok(()));
    let text = message.to_string();
    assert!(text.contains("40 findings opened") && text.contains("3 more changes"), "{text}");
    for number in 0..40 {
        assert!(text.contains(&format!("workload-{number}. ")), "{number}");
    }
}

#[test]
fn how_many_go_into_one() {
    for (waiting, taken) in
        [(0, 0), (1, 1), (5, 1), (6, 6), (40, 40), (41, 40), (400, 40), (401, 401), (9000, 5000)]
    {
        assert_eq!(batch::size(waiting), taken);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_message_is_one_that_slack_takes(
        texts in prop::collection::vec((".{0,200}|[<>!@&|:/a-z\\x00-\\x20]{0,900}", 0..4_i32, 0..3_u8), 1..50),
        overflow in 0..3_u64,
    ) {
        let notices: Vec<_> = texts
            .iter()
            .map(|(text, kind, about)| {
                let which = Kind::try_from(*kind).unwrap();
                match about {
                    0 => node_notice(which, text),
                    1 => notice(which, text),
                    _ => detection_notice(text, kind % 2 == 0, 1 + u64::from(kind.unsigned_abs())),
                }
            })
            .collect();
        for form in [Form::Full, Form::Plain] {
            let message = json(&notices, overflow, form);
            is_inert(&message);
            prop_assert_eq!(check(&message), Ok(()));
        }
        let batch = Batch { notices: &notices, uncertain: true, overflow };
        let hook: Value = serde_json::from_slice(&crate::alert::webhook::body(&batch, Form::Full)).unwrap();
        walk(&hook["alerts"][0]["finding"]);
        walk(&hook["alerts"][0]["detection"]);
        prop_assert_eq!(&hook["repeat"], true);
    }
}

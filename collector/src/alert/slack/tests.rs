use kestrel_proto::v1::{Control, Finding, FindingInstance, NodeStatus, Workload};
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
                        "rich_text_section",
                        "rich_text_list",
                        "rich_text_preformatted"
                    ]
                    .contains(&kind.as_str()),
                    "{kind} may have markup"
                );
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
            for notices in [vec![one.clone()], vec![node.clone()], vec![one, node]] {
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
        texts in prop::collection::vec((".{0,200}|[<>!@&|:/a-z\\x00-\\x20]{0,900}", 0..4_i32, any::<bool>()), 1..50),
        overflow in 0..3_u64,
    ) {
        let notices: Vec<_> = texts
            .iter()
            .map(|(text, kind, is_node)| {
                let kind = Kind::try_from(*kind).unwrap();
                if *is_node { node_notice(kind, text) } else { notice(kind, text) }
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
        prop_assert_eq!(&hook["repeat"], true);
    }
}

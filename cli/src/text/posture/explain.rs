//! Why a control says what it says, and how to fix it.

use controls::{Control, Item, Profile};
use inert::inert;
use kestrel_proto::v1;

use super::{answers, bounded, words, wrap};
use crate::{
    look::{Cell, Look, Paint, last_cell, place},
    posture::{explanation::Explanation, of_slug, said_severity},
    text::{count, paint_of, severity, severity_paint, short_id, verdict},
    time,
};

/// The words behind a name begin here.
const INDENT: usize = 14;

/// All as lines.
#[must_use]
pub fn lines(slug: &str, explanations: &[Explanation], look: Look, now_unix_ns: i64) -> Vec<String> {
    let look = bounded(look);
    let mut lines = Vec::new();
    for explanation in explanations {
        one(&mut lines, explanation, look, now_unix_ns);
        lines.push(String::new());
    }
    match of_slug(slug) {
        Some(control) => catalogued(&mut lines, control, look),
        None => lines.push(format!(
            "{}: an agent told of it; this kestrel is older and knows no more of it",
            inert(slug)
        )),
    }
    lines
}

fn one(lines: &mut Vec<String>, explanation: &Explanation, look: Look, now_unix_ns: i64) {
    let Explanation { cluster: _, node, stale, container, said, findings } = explanation;
    let node = inert(node);
    let name = match container.as_ref().map(|container| (&container.names, &container.id)) {
        None => format!("(node {node})"),
        Some((None, id)) => format!("container {} (name PENDING) on {node}", short_id(id)),
        Some((Some(names), _)) => {
            let container = if names.sandbox { "(sandbox)" } else { &names.container };
            format!("{} on {node}", place([&names.namespace, &names.pod, container], 80))
        }
    };
    let mut head = format!("{name}: ");
    let Some(said) = said else {
        head.push_str("not judged by this control; the agent's policy leaves it out");
        lines.push(head);
        return;
    };
    let how_bad = said_severity(said);
    last_cell(&mut head, &Cell::painted(verdict(known(said)), paint_of(known(said))), 10, look);
    if known(said) != v1::Verdict::Pass {
        head.push_str(", ");
        last_cell(&mut head, &Cell::painted(severity(how_bad), severity_paint(how_bad)), 10, look);
    }
    lines.push(head);
    let mut named = |name: &str, text: &str| labelled(lines, name, text, look);
    if *stale {
        named("stale", "the node is silent; this may not be true any more");
    }
    if !said.unknown_reason.is_empty() {
        named("unknown", &inert(&said.unknown_reason));
    }
    if let Some(observed) = &said.observed {
        named("observed", &inert(observed));
    }
    if let Some(declared) = &said.declared {
        named("declared", &inert(declared));
    }
    if let Some(since) = explanation.since_unix_ns() {
        named("since", &format!("{} ({} ago)", time::rfc3339(since), time::ago(since, now_unix_ns)));
    }
    let exemption = said.exemption.as_ref().or_else(|| findings.iter().find_map(|of| of.exemption.as_ref()));
    if let Some(exemption) = exemption {
        named("exempt", &answers(exemption));
    }
    for finding in findings {
        let reopened = match finding.reopened {
            0 => String::new(),
            times => format!(", came back {}", count(times.into(), "time")),
        };
        let images = count(finding.count, "program image");
        labelled(lines, "finding", &format!("{}, {images} so far{reopened}", inert(&finding.id)), look);
        facts(lines, finding, look);
    }
}

/// What it says of each task: who it is, and what the kernel holds of it.
fn facts(lines: &mut Vec<String>, finding: &v1::Finding, look: Look) {
    for instance in &finding.instances {
        let v1::FindingInstance { process, tid, ns_tgid, uid, euid, ns_euid, observed, declared, .. } =
            instance;
        let says = instance.verdict();
        let mut who = Vec::new();
        // Without a process the container, or the node, is meant as a whole.
        if let Some(tgid) = process.as_ref().map(|process| process.tgid).filter(|&tgid| tgid != 0) {
            who.push(format!("pid {tgid}"));
            if *tid != 0 && *tid != tgid {
                who.push(format!("thread {tid}"));
            }
            if *ns_tgid != 0 {
                who.push(format!("ns pid {ns_tgid}"));
            }
            who.push(format!("uid {uid}"));
            if euid != uid {
                who.push(format!("euid {euid}"));
            }
            if let Some(inside) = ns_euid.filter(|inside| inside != euid) {
                who.push(format!("ns euid {inside}"));
            }
        }
        if !instance.exe.is_empty() {
            who.push(inert(&instance.exe));
        }
        if instance.since_unix_ns > 0 {
            who.push(format!("since {}", time::rfc3339(instance.since_unix_ns)));
        }
        let mut cells = vec![Cell::painted(verdict(says), paint_of(says))];
        cells.extend(words(&who.join(", ")));
        lines.extend(wrap(&cells, 4, look));
        let mut fact = format!("observed {}", inert(observed));
        if let Some(declared) = declared {
            fact.push_str(&format!("; declared {}", inert(declared)));
        }
        lines.extend(wrap(&words(&fact), 6, look));
    }
    if finding.more_instances > 0 {
        let of = if finding.instances.is_empty() {
            "tasks of it, of this or other containers"
        } else {
            "more, of this or other containers"
        };
        lines.push(format!("    {} {of}", finding.more_instances));
    }
}

/// What the catalogue says of it.
fn catalogued(lines: &mut Vec<String>, control: &Control, look: Look) {
    let Control { slug, title, severity: how_bad, pss, cis, nsa, nist, attack, checklists, .. } = control;
    lines.push(format!(
        "{slug}: {title} (of each {}, {} unless the policy says otherwise)",
        control.scope.as_str(),
        how_bad.as_str()
    ));
    let mut named = |name: &str, text: &str| labelled(lines, name, text, look);
    named("fails when", control.fails);
    named("observed in", control.observed);
    named("unknown when", control.unknown);
    named("costs", control.cost);
    if let Some(pss) = pss {
        named("PSS", &format!("{}: {}", pss.level.as_str(), pss.field));
    }
    if !cis.is_empty() {
        named("CIS", &cis.join(", "));
    }
    if let Some(nsa) = nsa {
        named("NSA/CISA", nsa);
    }
    if let Some(nist) = nist {
        named("NIST 800-190", nist);
    }
    if !attack.is_empty() {
        named("ATT&CK", &attack.join(", "));
    }
    for item in *checklists {
        match item {
            Item::A(words) => named("checklist A", words),
            Item::B(words) => named("checklist B", words),
        }
    }
    let profiles = Profile::ALL.into_iter().filter(|profile| profile.has(control)).map(Profile::as_str);
    named("profiles", &profiles.collect::<Vec<_>>().join(", "));
    named("fix", control.fix);
    lines.push(String::new());
    lines.extend(control.yaml.lines().map(str::to_owned));
}

/// A name, and what is said under it, inert already.
fn labelled(lines: &mut Vec<String>, name: &str, text: &str, look: Look) {
    let mut wrapped = wrap(&words(text), 2 + INDENT, look);
    if let Some(first) = wrapped.first_mut() {
        let mut line = "  ".to_owned();
        crate::look::cell(&mut line, &Cell::painted(name, Paint::Dim), INDENT - 2, look);
        line.push_str(first.trim_start());
        *first = line;
    }
    lines.append(&mut wrapped);
}

fn known(said: &v1::ControlPosture) -> v1::Verdict {
    crate::posture::said::known(said.verdict())
}

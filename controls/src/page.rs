//! The controls as Markdown: `docs/controls/`.

use crate::{CONTROLS, Control, Item, Profile, Scope};

const MADE: &str = "<!-- Made from the crate `controls`: KESTREL_WRITE_DOCS=1 cargo test -p controls -->\n";

/// One table of all controls for each scope: `docs/controls/README.md`.
#[must_use]
pub fn table() -> String {
    let mut text = format!(
        "{MADE}\n# Controls\n\nWhat Kestrel verifies. FAIL and DRIFT (declared one way, observed another; a \
         step more severe) are\nfindings, UNKNOWN has a reason and is never a PASS. PSS are the Pod \
         Security Standards, CIS the\nCIS Kubernetes Benchmark 1.9; A is the container security \
         checklist and B the pre-deployment one.\n"
    );
    for scope in Scope::ALL {
        let mut controls = CONTROLS.iter().filter(|control| control.scope == scope).peekable();
        if controls.peek().is_none() {
            continue;
        }
        text.push_str(&format!(
            "\n## {}\n\n| control | title | severity | standard | checklist |\n|---|---|---|---|---|\n",
            heading(scope)
        ));
        for control in controls {
            text.push_str(&row(control));
        }
    }
    text.push_str("\n## Profiles\n\nControls that see what is done (detective) are in each.\n\n");
    for profile in Profile::ALL {
        let controls = CONTROLS.iter().filter(|control| profile.has(control) && !control.detective);
        let slugs: Vec<_> = controls.map(|control| format!("`{}`", control.slug)).collect();
        text.push_str(&match profile {
            Profile::All => format!("- `{profile}`: every control\n"),
            _ => format!("- `{profile}`: {}\n", slugs.join(", ")),
        });
    }
    text
}

/// The page of one control: `docs/controls/<slug>.md`.
#[must_use]
pub fn page(control: &Control) -> String {
    let Control {
        id: _,
        slug,
        title,
        scope,
        severity,
        pss,
        cis,
        nsa,
        nist,
        attack,
        checklists,
        detective,
        exempts_sandbox,
        fails,
        observed,
        unknown,
        cost,
        fix,
        yaml,
    } = *control;
    let kind = if detective { ", detective" } else { "" };
    let mut text = format!(
        "{MADE}\n# {title}\n\n`{slug}`: of {}{kind}, severity {}.\n\nFAIL when {fails}.\n",
        of(scope),
        severity.as_str()
    );
    if exempts_sandbox {
        text.push_str("\nPod sandboxes, which the runtime owns, are exempt.\n");
    }
    text.push_str("\n## Asked for by\n\n| | |\n|---|---|\n");
    let pss = pss.map(|pss| format!("{}: {}", capitalised(pss.level.as_str()), pss.field));
    let items = |list: fn(&Item) -> bool| {
        let words: Vec<_> = checklists.iter().filter(|item| list(item)).map(|item| item.words()).collect();
        (!words.is_empty()).then(|| words.join("; "))
    };
    let attack: Vec<_> = attack.iter().map(|id| technique(id)).collect();
    let profiles = Profile::ALL.into_iter().filter(|profile| profile.has(control));
    let profiles: Vec<_> = profiles.map(|profile| format!("`{profile}`")).collect();
    let mappings = [
        ("Pod Security Standards", pss),
        ("CIS Kubernetes Benchmark 1.9", (!cis.is_empty()).then(|| cis.join(", "))),
        ("NSA/CISA Kubernetes Hardening Guide 1.2", nsa.map(str::to_owned)),
        ("NIST SP 800-190", nist.map(str::to_owned)),
        ("MITRE ATT&CK, stands against", (!attack.is_empty()).then(|| attack.join(", "))),
        ("Container security checklist (A)", items(|item| matches!(item, Item::A(_)))),
        ("Pre-deployment checklist (B)", items(|item| matches!(item, Item::B(_)))),
        ("Profiles", Some(profiles.join(", "))),
    ];
    for (name, value) in mappings {
        if let Some(value) = value {
            text.push_str(&format!("| {name} | {value} |\n"));
        }
    }
    text.push_str(&format!("\n## How it is observed\n\n{}.\n\n## UNKNOWN when\n\n", capitalised(observed)));
    for reason in unknown.split("; ") {
        text.push_str(&format!("- {reason}\n"));
    }
    text.push_str(&format!(
        "\n## What it costs\n\n{}.\n\n## Fix\n\n{fix}\n\n```yaml\n{yaml}```\n",
        capitalised(cost)
    ));
    text
}

fn row(control: &Control) -> String {
    let Control { slug, title, severity, .. } = control;
    let mut standard: Vec<_> =
        control.pss.iter().map(|pss| format!("PSS {}", capitalised(pss.level.as_str()))).collect();
    if !control.cis.is_empty() {
        standard.push(format!("CIS {}", control.cis.join(", ")));
    }
    let items: Vec<_> = control
        .checklists
        .iter()
        .map(|item| match item {
            Item::A(words) => format!("A: {words}"),
            Item::B(words) => format!("B: {words}"),
        })
        .collect();
    format!(
        "| [`{slug}`]({slug}.md) | {title} | {} | {} | {} |\n",
        severity.as_str(),
        standard.join("; "),
        items.join("; ")
    )
}

const fn heading(scope: Scope) -> &'static str {
    match scope {
        Scope::Task => "Of each task of a container",
        Scope::Container => "Of a container",
        Scope::Node => "Of the node",
    }
}

const fn of(scope: Scope) -> &'static str {
    match scope {
        Scope::Task => "each task of a container",
        Scope::Container => "a container",
        Scope::Node => "the node",
    }
}

/// Names of fields and files stay as they are.
fn capitalised(text: &str) -> String {
    let word = text.split([' ', ',', ':']).next().unwrap_or_default();
    match text.chars().next() {
        Some(first) if word.chars().all(|letter| letter.is_ascii_lowercase()) => {
            format!("{}{}", first.to_ascii_uppercase(), &text[first.len_utf8()..])
        }
        _ => text.to_owned(),
    }
}

fn technique(id: &str) -> String {
    format!("[{id}](https://attack.mitre.org/techniques/{}/)", id.replace('.', "/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ControlId;

    #[test]
    fn a_page_says_it_all() {
        let page = page(ControlId::Privileged.control());
        for part in [
            "# Privileged Containers",
            "`privileged`: of each task of a container, severity critical.",
            "| Pod Security Standards | Baseline: Privileged Containers |",
            "| CIS Kubernetes Benchmark 1.9 | 5.2.2 |",
            "[T1611](https://attack.mitre.org/techniques/T1611/)",
            "- the host's capabilities were not read\n",
            "Kata, gVisor",
            "        privileged: false\n",
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
    }

    #[test]
    fn what_nobody_asks_for_has_no_line() {
        let page = page(ControlId::HostUsers.control());
        assert!(!page.contains("| Pod Security Standards") && !page.contains("| CIS"), "{page}");
        assert!(page.contains("| Profiles | `all` |"), "{page}");
    }

    #[test]
    fn the_table_has_every_control_once() {
        let table = table();
        for control in &CONTROLS {
            assert_eq!(table.matches(&format!("]({}.md)", control.slug)).count(), 1, "{}", control.slug);
        }
    }

    #[test]
    fn names_of_fields_are_not_capitalised() {
        assert_eq!(capitalised("the flags of a mount"), "The flags of a mount");
        assert_eq!(capitalised("cap_bset of each"), "cap_bset of each");
        assert_eq!(capitalised("memory.max of each"), "memory.max of each");
        assert_eq!(capitalised("/proc/PID/environ"), "/proc/PID/environ");
    }
}

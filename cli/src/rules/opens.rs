//! Of which opens an agent hears for a rule: the others stay in the kernel, unless another rule or a stream wants them.

use rules::{
    compile::{Files, Needs, Programs},
    eval::Condition,
    field::EventType,
};
use serde::Serialize;

/// Calls of which the kernel programs know what they open for.
const CALLS: [&str; 3] = ["open", "openat", "creat"];
/// Prefixes and names by which a text tells of files, at most.
const MOST: usize = 8;

/// What an open must have. As programs read it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Opens {
    /// It is in a container.
    containers: bool,
    /// It is for writing.
    writes: bool,
    /// It did not fail.
    succeeded: bool,
    /// One of these. Absent: any file.
    #[serde(skip_serializing_if = "Option::is_none")]
    any_of: Option<AnyOf>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct AnyOf {
    /// The path begins so.
    prefixes: Vec<String>,
    /// It has all the names of a group.
    names: Vec<Vec<String>>,
    /// It is opened for writing.
    writes: bool,
    /// It was named with two dots in a row.
    dotted: bool,
}

impl Opens {
    /// `None` where the rule asks for no opens.
    pub(super) fn of<'c>(conditions: impl IntoIterator<Item = &'c Condition>) -> Option<Self> {
        let programs = Programs::new(conditions.into_iter().enumerate());
        let needs = |name: &&str| programs.needs(EventType::find(name)?).cloned();
        let Needs { container_only, write_opens_only, files, failed } =
            CALLS.iter().filter_map(needs).reduce(Needs::or)?;
        Some(Self {
            containers: container_only,
            writes: write_opens_only,
            succeeded: failed == Some(Files::default()),
            any_of: files.map(AnyOf::of),
        })
    }

    /// In words.
    pub(super) fn text(&self) -> String {
        let Self { containers, writes, succeeded, any_of } = self;
        let files = any_of.as_ref().filter(|any| !(*writes && any.writes)).map(AnyOf::text);
        let parts = [
            containers.then(|| "in containers".to_owned()),
            writes.then(|| "for writing".to_owned()),
            succeeded.then(|| "that succeed".to_owned()),
            files,
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        if parts.is_empty() { "all".to_owned() } else { parts.join(", ") }
    }
}

impl AnyOf {
    fn of(files: Files) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            prefixes: files.prefixes.iter().map(|prefix| text(prefix)).collect(),
            names: files
                .landmarks
                .iter()
                .map(|group| group.iter().map(|name| text(name)).collect())
                .collect(),
            writes: files.written,
            dotted: files.dotted,
        }
    }

    fn text(&self) -> String {
        let Self { prefixes, names, writes, dotted } = self;
        let names: Vec<_> = names.iter().map(|group| group.join(" and ")).collect();
        let parts = [
            (!prefixes.is_empty()).then(|| format!("below {}", first(prefixes))),
            (!names.is_empty()).then(|| format!("with {} in the path", first(&names))),
            writes.then(|| "for writing".to_owned()),
            dotted.then(|| "by a name with ..".to_owned()),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        if parts.is_empty() { "none".to_owned() } else { parts.join(", or ") }
    }
}

fn first(all: &[String]) -> String {
    match all.get(..MOST) {
        Some(some) if all.len() > MOST => format!("{}, and {} more", some.join(", "), all.len() - MOST),
        _ => all.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use rules::{condition::parse, eval::Checker};

    use super::*;

    fn text(condition: &str) -> Option<String> {
        let condition = Checker::default().check(&parse(condition).unwrap()).unwrap();
        Opens::of([&condition]).map(|opens| opens.text())
    }

    #[test]
    fn what_a_rule_asks_of_opens_is_told_in_words() {
        for (condition, expected) in [
            ("evt.type = execve", None),
            ("evt.type = openat and proc.name = x", Some("all")),
            ("evt.type in (open, openat) and fd.name = /etc/shadow", Some("below /etc/shadow")),
            (
                "evt.type = openat and container.id != host and fd.num >= 0 and (fd.name startswith /etc/ or fd.name \
                 contains /kubelet/pki/ or fd.nameraw contains ../)",
                Some(
                    "in containers, that succeed, below /etc/, or with kubelet and pki in the path, or by a name with ..",
                ),
            ),
            (
                "evt.type = openat and evt.is_open_write = true and fd.num >= 0",
                Some("for writing, that succeed"),
            ),
        ] {
            assert_eq!(text(condition).as_deref(), expected, "{condition}");
        }
        let many = (0..10).map(|number| format!("n{number}")).collect::<Vec<_>>().join(", ");
        let told = text(&format!("evt.type = openat and fd.filename in ({many})")).unwrap();
        assert_eq!(told, "with n0, n1, n2, n3, n4, n5, n6, n7, and 2 more in the path");
    }
}

//! The page of fields.

use super::MADE;
use crate::field::{Definition, Field, Parameter, Traits};

/// The classes in the order of the page, and what they are of.
const CLASSES: &[(&str, &str)] = &[
    ("evt", "The event"),
    ("syscall", "The system call"),
    ("proc", "The process"),
    ("thread", "The thread"),
    ("fd", "The descriptor the event is about"),
    ("fs.path", "The path the event is about"),
    ("fdlist", "The descriptors of poll"),
    ("user", "The user"),
    ("group", "The group"),
    ("container", "The container"),
    ("k8s", "Kubernetes"),
];

pub(super) fn page() -> String {
    let mut text = format!(
        "{MADE}\n# Fields\n\nThe names are those of Falco 0.44. Marks: *own*: only Kestrel has it; *deprecated*: \
         Falco is to drop it;\n*no longer listed*: Falco takes it and has nothing to say; *compared only*: not in \
         outputs; *fixed*: takes no\ntransformer and is not compared with another field.\n"
    );
    for (class, heading) in CLASSES {
        text.push_str(&format!("\n## {heading}\n\n| field | type | meaning |\n|---|---|---|\n"));
        let of_class = Field::all().map(Field::definition).filter(|definition| definition.class() == *class);
        of_class.for_each(|definition| text.push_str(&row(definition)));
    }
    text
}

fn row(definition: &Definition) -> String {
    let Definition { field: _, name, kind, parameter, traits, meaning } = *definition;
    let forms: &[&str] = match parameter {
        Parameter::None => &[""],
        Parameter::Index => &["", "[number]"],
        Parameter::Name => &["", "[name]"],
        Parameter::IndexOrName => &["", "[number]", "[name]"],
        Parameter::NeedsName => &["[name]"],
        Parameter::NeedsIndexOrName => &["[number]", "[name]"],
        Parameter::Part => &[".name"],
        Parameter::EventType => &[".type"],
        Parameter::EventArgument => &[".name", "[number]"],
        Parameter::RawArgument => &[".name"],
        Parameter::Time => &["[time]"],
        Parameter::Side => &["", ".src", ".dst"],
    };
    let forms: Vec<String> = forms.iter().map(|argument| format!("`{name}{argument}`")).collect();
    let forms = forms.join(", ");
    let list = if traits.has(Traits::LIST) { ", a list" } else { "" };
    let over = if traits.has(Traits::ANCESTORS) { "; without a number, of any ancestor" } else { "" };
    let marks = [
        (Traits::OWN, " *(own)*"),
        (Traits::DEPRECATED, " *(deprecated)*"),
        (Traits::UNLISTED, " *(no longer listed)*"),
        (Traits::FILTER, " *(compared only)*"),
        (Traits::FIXED, " *(fixed)*"),
    ];
    let marks: String = marks.iter().filter(|(mark, _)| traits.has(*mark)).map(|(_, word)| *word).collect();
    format!("| {forms} | {kind}{list} | {meaning}{over}{marks} |\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_its_row() {
        let page = page();
        for field in Field::all().map(Field::definition) {
            let first = if field.parameter.is_required() { ["[", "."] } else { ["`", "`"] };
            let rows = first.map(|after| page.matches(&format!("\n| `{}{after}", field.name)).count());
            assert!(rows.contains(&1), "{}", field.name);
        }
    }
}

//! The language as Markdown: `docs/rules/`.

mod fields;
mod operators;
mod transformers;

const MADE: &str = "<!-- Made from the crate `rules`: KESTREL_WRITE_DOCS=1 cargo test -p rules -->\n";

/// The pages, by file name.
#[must_use]
pub fn pages() -> Vec<(&'static str, String)> {
    vec![
        ("README.md", overview()),
        ("fields.md", fields::page()),
        ("operators.md", operators::page()),
        ("transformers.md", transformers::page()),
    ]
}

fn overview() -> String {
    format!(
        "{MADE}\n# Rules\n\nRules are written in Falco's language (Falco 0.44). A condition compares \
         [fields](fields.md) of an event by\n[operators](operators.md), with `and`, `or`, `not` and \
         parentheses; [transformers](transformers.md) change a field before it\nis compared.\n\n\
         - A field that the event does not have makes every comparison false, `!=` too: `not proc.name = \
         cat` holds then,\n  `proc.name != cat` does not.\n\
         - A field that is not known yet, as the name of a container that was just made, makes a comparison \
         unknown. What\n  is unknown is asked again when it is known, and never taken for false.\n\
         - A rule meets only events of the types its condition can hold for, by what it says of `evt.type` \
         with `=`, `!=`\n  and `in`.\n\
         - Names of files (`fd.name`, `fd.directory`, `fs.path.*`) are those that the kernel resolved: none hides \
         behind a link or `..`.\n  What a rule says of links that nearly every machine has (`/var/run`, `/var/lock`, \
         `/bin`, `/sbin`, `/lib*`,\n  `/proc/self`, `/dev/fd`, `/dev/stdin`, …) also means what they lead to, and \
         files that were opened by that name.\n  `fd.nameraw` is the name as it was given. `rules eval`, `explain` \
         and `test` take names as the events have them.\n\
         - An open that no rule can match stays in the kernel. A rule says so by what the path begins with (`fd.name` \
         and\n  `fd.directory` with `=`, `in` and `startswith`), by whole names in it (`fd.name contains /.ssh/`, \
         `endswith /.netrc`,\n  `fd.filename = id_rsa`), or by what an open must be: for writing \
         (`evt.is_open_write = true`), successful\n  (`fd.num >= 0`), in a container. `kestrel rules show RULE` tells \
         what it comes to. One rule that can match any\n  file makes the agent hear of every open on the node.\n\n\
         Beyond Falco's language there are [rules over several events](several-events.md).\n"
    )
}

//! The page of transformers.

use super::MADE;
use crate::condition::Transformer;

pub(super) fn page() -> String {
    let mut text = format!(
        "{MADE}\n# Transformers\n\nThey stand around a field, left or right of an operator and in outputs, and can be \
         nested:\n`tolower(basename(proc.exepath)) = sh`. On `evt.type` none stands on the left, for then nothing says \
         which events\na rule is for.\n\n| transformer | takes | gives | what |\n|---|---|---|---|\n"
    );
    for transformer in Transformer::ALL {
        let (takes, gives, what) = row(*transformer);
        text.push_str(&format!("| `{transformer}` | {takes} | {gives} | {what} |\n"));
    }
    text.push_str(
        "\n`val(field)` is none of them: it says that what stands right of an operator is a field, not a text.\n",
    );
    text
}

const fn row(transformer: Transformer) -> (&'static str, &'static str, &'static str) {
    match transformer {
        Transformer::ToLower => ("a text or a list of texts", "the same", "ASCII letters in small"),
        Transformer::ToUpper => ("a text or a list of texts", "the same", "ASCII letters in capital"),
        Transformer::B64 => {
            ("a text, bytes or a list of them", "the same", "what base64 says; missing when it is none")
        }
        Transformer::Basename => ("a text or a list of texts", "the same", "what follows the last slash"),
        Transformer::Len => ("a text, bytes or a list", "a number", "how many bytes, or how many members"),
        Transformer::Join => (
            "a separator and a list",
            "a text",
            "`join('-', (proc.name, proc.pid))`: members with it between",
        ),
        Transformer::Concat => ("two texts or more", "a text", "`concat(fd.name, ':', proc.name)`: one text"),
        Transformer::GetOpt => (
            "words and an option string",
            "a list of texts",
            "`getopt(proc.args, 'nt:') intersects (n)`: options by letter, each with its value after it",
        ),
    }
}

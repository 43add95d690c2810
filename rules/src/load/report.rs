//! What loading a file says, in the form of Falco's own result.

use std::{
    fmt::{self, Display, Formatter},
    sync::Arc,
};

use serde::{Serialize, Serializer};

use super::source::File;

/// The most warnings a report keeps; the last of them says that there were more.
pub const MAX_WARNINGS: usize = 1000;

/// Defines codes with their names and descriptions (Falco 0.44, `falco_load_result.cpp`).
macro_rules! codes {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $code:literal, $description:literal;)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// Falco's name of it.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }

            /// What it means, in a few words.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Self::$variant => $description),+ }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.code())
            }
        }
    };
}

codes! {
    /// Why a file is refused.
    ErrorCode {
        /// It could not be read, or is too long.
        FileRead = "LOAD_ERR_FILE_READ", "File read error";
        /// It is no YAML.
        YamlParse = "LOAD_ERR_YAML_PARSE", "YAML parse error";
        /// It is YAML of another shape than rules have.
        YamlValidate = "LOAD_ERR_YAML_VALIDATE", "Error validating internal structure of YAML file";
        /// A condition does not parse, or compares what cannot be compared.
        CompileCondition = "LOAD_ERR_COMPILE_CONDITION", "Error compiling condition";
        /// An output has a field that does not exist.
        CompileOutput = "LOAD_ERR_COMPILE_OUTPUT", "Error compiling output";
        /// Items contradict each other or refer to none.
        Validate = "LOAD_ERR_VALIDATE", "Error validating rule/macro/list/exception objects";
        /// What a `kestrel_rule` says beyond a rule of Falco's is wrong. Falco has the code for extensions of its own.
        Extension = "LOAD_ERR_EXTENSION", "Error in extension item";
    }
}

codes! {
    /// What is doubtful in a file that is taken.
    WarningCode {
        /// The rule's source is not one of this engine; the rule is skipped.
        UnknownSource = "LOAD_UNKNOWN_SOURCE", "Unknown event source";
        /// A field is compared with `<NA>`.
        UnsafeNaCheck = "LOAD_UNSAFE_NA_CHECK", "Unsafe <NA> comparison in condition";
        /// The condition holds for too many kinds of events.
        NoEvttype = "LOAD_NO_EVTTYPE", "Condition has no event-type restriction";
        /// An unknown field or event, and the rule wants to be skipped for it.
        UnknownFilter = "LOAD_UNKNOWN_FILTER", "Unknown field or event-type in condition or output";
        /// Nothing uses the macro.
        UnusedMacro = "LOAD_UNUSED_MACRO", "Unused macro";
        /// Nothing uses the list.
        UnusedList = "LOAD_UNUSED_LIST", "Unused list";
        /// An item is of no known kind.
        UnknownItem = "LOAD_UNKNOWN_ITEM", "Unknown rules file item";
        /// A form that Falco will drop.
        DeprecatedItem = "LOAD_DEPRECATED_ITEM", "Used deprecated item";
        /// A doubtful extension item. Falco has the code for builds with extensions; nothing here gives it.
        Extension = "LOAD_WARNING_EXTENSION", "Warning in extension item";
        /// An exception is appended to without values.
        AppendNoValues = "LOAD_APPEND_NO_VALUES", "Overriding/appending with no values";
        /// Two exceptions of a rule have one name.
        ExceptionNameNotUnique = "LOAD_EXCEPTION_NAME_NOT_UNIQUE", "Multiple exceptions defined with the same name";
        /// A condition cannot refer to a macro of this name.
        InvalidMacroName = "LOAD_INVALID_MACRO_NAME", "Invalid macro name";
        /// A condition cannot refer to a list of this name.
        InvalidListName = "LOAD_INVALID_LIST_NAME", "Invalid list name";
        /// A condition or an output compiles, but may not say what was meant.
        CompileCondition = "LOAD_COMPILE_CONDITION", "Warning in rule condition";
        /// A key that its item does not have.
        UnknownKey = "LOAD_UNKNOWN_KEY", "Unknown key in item definition";
    }
}

/// The longest name of an item in a report, in characters.
const MAX_NAME: usize = 256;

/// The longest message, in characters.
const MAX_MESSAGE: usize = 2048;

/// A text of no more than `most` characters.
fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// What is wrong or doubtful, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding<Code> {
    /// Where: from the file down to the culprit.
    pub context: Context,
    /// Which kind.
    pub code: Code,
    /// What the kind means.
    #[serde(rename = "codedesc")]
    pub description: &'static str,
    /// What it is here.
    pub message: String,
}

/// The way from a file to a place in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Context {
    /// From the file down to the culprit, which is the last.
    pub locations: Vec<Location>,
    /// The culprit's line, with a caret below it.
    pub snippet: String,
}

/// One step on the way to a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Location {
    /// What stands there, as Falco calls it: `rule`, `rule condition`, `value for`.
    pub item_type: &'static str,
    /// Its name; may be empty.
    pub item_name: String,
    /// Where.
    pub position: Position,
}

/// A place in a file. Serialised, line and column count from 0, as in Falco's result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Position {
    /// The file.
    pub name: String,
    /// The line, from 1.
    #[serde(serialize_with = "from_zero")]
    pub line: usize,
    /// The character in the line, from 1.
    #[serde(serialize_with = "from_zero")]
    pub column: usize,
    /// The byte in the file, from 0.
    pub offset: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn from_zero<S: Serializer>(place: &usize, serializer: S) -> Result<S::Ok, S::Error> {
    place.saturating_sub(1).serialize(serializer)
}

/// What loading a file said. It serialises to Falco's JSON result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The file.
    pub name: String,
    /// Whether its items are in the set of rules now.
    pub successful: bool,
    /// Why not. The first error ends loading.
    pub errors: Vec<Finding<ErrorCode>>,
    /// What is doubtful.
    pub warnings: Vec<Finding<WarningCode>>,
}

impl Report {
    pub(super) fn new(file: &File) -> Self {
        Self { name: file.name.clone(), successful: true, errors: Vec::new(), warnings: Vec::new() }
    }

    /// A file that could not be read.
    #[must_use]
    pub fn unreadable(name: &str, message: impl Display) -> Self {
        let file = Arc::new(File::new(name, ""));
        let mut report = Self::new(&file);
        report.fail(Failure::new(ErrorCode::FileRead, message.to_string(), &Trail::new(&file)));
        report
    }

    pub(super) fn fail(&mut self, failure: Failure) {
        let Failure { code, message, trail } = failure;
        let message = shortened(&message, MAX_MESSAGE);
        self.successful = false;
        self.errors.push(Finding {
            context: trail.context(),
            code,
            description: code.description(),
            message,
        });
    }

    /// Whether further warnings are left out: to find their places is work for nothing.
    pub(super) const fn is_full(&self) -> bool {
        self.warnings.len() >= MAX_WARNINGS
    }

    pub(super) fn warn(&mut self, code: WarningCode, message: impl Into<String>, trail: &Trail) {
        let message = match self.warnings.len() + 1 {
            MAX_WARNINGS => "there are more warnings than a report keeps".to_owned(),
            count if count > MAX_WARNINGS => return,
            _ => shortened(&message.into(), MAX_MESSAGE),
        };
        self.warnings.push(Finding {
            context: trail.context(),
            code,
            description: code.description(),
            message,
        });
    }
}

/// One finding a paragraph: `file:line:column: CODE: message`, the line and its caret.
impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let word = match (self.successful, self.warnings.is_empty()) {
            (true, true) => "Ok",
            (true, false) => "Ok, with warnings",
            (false, _) => "Invalid",
        };
        writeln!(f, "{}: {word}", self.name)?;
        for error in &self.errors {
            finding(f, &error.context, error.code.code(), &error.message)?;
        }
        for warning in &self.warnings {
            finding(f, &warning.context, warning.code.code(), &warning.message)?;
        }
        Ok(())
    }
}

fn finding(f: &mut Formatter<'_>, context: &Context, code: &str, message: &str) -> fmt::Result {
    if let Some(Location { position, .. }) = context.locations.last() {
        write!(f, "{}:{}:{}: ", position.name, position.line, position.column)?;
    }
    write!(f, "{code}: {message}\n{}", context.snippet)
}

/// The way to a place while its file is being read.
#[derive(Debug, Clone)]
pub(super) struct Trail {
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
struct Step {
    item_type: &'static str,
    item_name: Arc<str>,
    file: Arc<File>,
    offset: usize,
}

impl Trail {
    pub(super) fn new(file: &Arc<File>) -> Self {
        Self {
            steps: vec![Step {
                item_type: "rules content",
                item_name: Arc::default(),
                file: file.clone(),
                offset: 0,
            }],
        }
    }

    /// One step further, in the file of the last one.
    pub(super) fn to(&self, item_type: &'static str, item_name: &str, offset: usize) -> Self {
        let file = self.steps.last().expect("a trail begins with its file").file.clone();
        self.to_file(item_type, item_name, &file, offset)
    }

    /// One step further, into another file.
    pub(super) fn to_file(
        &self,
        item_type: &'static str,
        item_name: &str,
        file: &Arc<File>,
        offset: usize,
    ) -> Self {
        let mut steps = self.steps.clone();
        steps.push(Step {
            item_type,
            item_name: shortened(item_name, MAX_NAME).into(),
            file: file.clone(),
            offset,
        });
        Self { steps }
    }

    fn context(&self) -> Context {
        let location = |step: &Step| {
            let (line, column) = step.file.place(step.offset);
            let position = Position { name: step.file.name.clone(), line, column, offset: step.offset };
            Location { item_type: step.item_type, item_name: step.item_name.to_string(), position }
        };
        let snippet = self.steps.last().map_or_else(String::new, |step| step.file.snippet(step.offset));
        Context { locations: self.steps.iter().map(location).collect(), snippet }
    }
}

/// What ends the loading of a file.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: ErrorCode,
    pub(super) message: String,
    pub(super) trail: Trail,
}

impl Failure {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>, trail: &Trail) -> Self {
        Self { code, message: message.into(), trail: trail.clone() }
    }

    /// A YAML of another shape than rules have.
    pub(super) fn shape(message: impl Into<String>, trail: &Trail) -> Self {
        Self::new(ErrorCode::YamlValidate, message, trail)
    }

    /// An item that does not fit the others.
    pub(super) fn item(message: impl Into<String>, trail: &Trail) -> Self {
        Self::new(ErrorCode::Validate, message, trail)
    }
}

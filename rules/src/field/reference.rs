//! A field as a rule names it: with its argument.

use std::fmt;

use super::{Definition, EventType, Field, Kind, Parameter, Traits, event_argument};

/// The argument of a field.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Argument {
    /// There is none.
    None,
    /// A number.
    Index(u64),
    /// A name.
    Name(Box<str>),
}

/// A field and its argument, checked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    field: Field,
    argument: Argument,
    kind: Kind,
    text: Box<str>,
}

/// Why a name is no field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// No field has this name. The wording is that of libsinsp, for rules are found by it.
    #[error("filter_check called with nonexistent field {0}")]
    Unknown(String),
    /// The field means nothing without an argument.
    #[error("field '{0}' requires an argument")]
    ArgumentMissing(&'static str),
    /// The field takes none.
    #[error("field '{field}' does not take the argument '{argument}'")]
    ArgumentUnexpected {
        /// The field.
        field: &'static str,
        /// What was given.
        argument: String,
    },
    /// A number was expected.
    #[error("'{argument}' is not a valid number for the argument of field '{field}'")]
    ArgumentNotANumber {
        /// The field.
        field: &'static str,
        /// What was given.
        argument: String,
    },
    /// No event has an argument of this name.
    #[error("unknown event argument {0}")]
    UnknownEventArgument(String),
    /// No event is of this type.
    #[error("unknown event type {0}")]
    UnknownEventType(String),
}

impl Reference {
    /// Reads the name of a field, with what stood in brackets after it: `proc.aname` and `2`, `evt.arg.fd`
    /// and none.
    ///
    /// # Errors
    ///
    /// When there is no such field, or its argument does not fit.
    pub fn parse(name: &str, bracketed: Option<&str>) -> Result<Self, FieldError> {
        let (definition, dotted) = split(name).ok_or_else(|| FieldError::Unknown(full(name, bracketed)))?;
        let given = match (dotted, bracketed) {
            (Some(_), Some(_)) => return Err(FieldError::Unknown(full(name, bracketed))),
            (dotted, bracketed) => dotted.or(bracketed),
        };
        let argument = argument(definition, given)?;
        let kind = match (definition.kind, &argument) {
            (Kind::Dynamic, Argument::Name(name)) => event_argument::kind(name).unwrap_or(Kind::Text),
            (kind, _) => kind,
        };
        let text = text(definition, &argument).into_boxed_str();
        Ok(Self { field: definition.field, argument, kind, text })
    }

    /// Which field.
    #[must_use]
    pub const fn field(&self) -> Field {
        self.field
    }

    /// Its argument.
    #[must_use]
    pub const fn argument(&self) -> &Argument {
        &self.argument
    }

    /// What is known of the field.
    #[must_use]
    pub const fn definition(&self) -> &'static Definition {
        self.field.definition()
    }

    /// What its values are; for `evt.rawarg` that of the argument.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// How it is written, in one way only: `evt.arg[name]` is `evt.arg.name`.
    #[must_use]
    pub const fn text(&self) -> &str {
        &self.text
    }

    /// Whether it has a list of values, that `in` and `intersects` take as one.
    #[must_use]
    pub const fn is_list(&self) -> bool {
        self.definition().traits.has(Traits::LIST)
    }

    /// Whether it stands for each ancestor.
    #[must_use]
    pub const fn is_each_ancestor(&self) -> bool {
        self.definition().traits.has(Traits::ANCESTORS) && matches!(self.argument, Argument::None)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The field and what follows it after a dot, where the field takes such an argument.
fn split(name: &str) -> Option<(&'static Definition, Option<&str>)> {
    if let Some(field) = Field::find(name) {
        return Some((field.definition(), None));
    }
    name.rmatch_indices('.').find_map(|(dot, _)| {
        let definition = Field::find(name.get(..dot)?)?.definition();
        let takes_dotted = is_dotted(definition.parameter) || definition.parameter == Parameter::NeedsName;
        takes_dotted.then_some((definition, name.get(dot + 1..)))
    })
}

fn argument(definition: &Definition, given: Option<&str>) -> Result<Argument, FieldError> {
    let (field, parameter) = (definition.name, definition.parameter);
    let Some(given) = given else {
        return if parameter.is_required() {
            Err(FieldError::ArgumentMissing(field))
        } else {
            Ok(Argument::None)
        };
    };
    let unexpected = || FieldError::ArgumentUnexpected { field, argument: given.to_owned() };
    let name = || Argument::Name(given.into());
    let is_number = !given.is_empty() && given.bytes().all(|byte| byte.is_ascii_digit());
    if parameter.takes_index() && is_number {
        return given.parse().map(Argument::Index).map_err(|_| unexpected());
    }
    match parameter {
        Parameter::None => Err(unexpected()),
        Parameter::Index | Parameter::Time => {
            Err(FieldError::ArgumentNotANumber { field, argument: given.to_owned() })
        }
        Parameter::EventArgument | Parameter::RawArgument if event_argument::kind(given).is_none() => {
            Err(FieldError::UnknownEventArgument(given.to_owned()))
        }
        Parameter::EventType if EventType::find(given).is_none() => {
            Err(FieldError::UnknownEventType(given.to_owned()))
        }
        Parameter::Side if !matches!(given, "src" | "dst") => Err(unexpected()),
        _ if given.is_empty() => Err(FieldError::ArgumentMissing(field)),
        _ => Ok(name()),
    }
}

fn text(definition: &Definition, argument: &Argument) -> String {
    let name = definition.name;
    match argument {
        Argument::None => name.to_owned(),
        Argument::Index(index) => format!("{name}[{index}]"),
        Argument::Name(given) if is_dotted(definition.parameter) => format!("{name}.{given}"),
        Argument::Name(given) => format!("{name}[{given}]"),
    }
}

/// Whether a name stands after a dot, rather than in brackets.
const fn is_dotted(parameter: Parameter) -> bool {
    matches!(
        parameter,
        Parameter::Part
            | Parameter::EventType
            | Parameter::EventArgument
            | Parameter::RawArgument
            | Parameter::Side
    )
}

/// What the rule said.
fn full(name: &str, bracketed: Option<&str>) -> String {
    match bracketed {
        Some(argument) => format!("{name}[{argument}]"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, bracketed: Option<&str>) -> Result<(Field, Argument, String), FieldError> {
        Reference::parse(name, bracketed).map(|it| (it.field, it.argument.clone(), it.text().to_owned()))
    }

    fn name(text: &str) -> Argument {
        Argument::Name(text.into())
    }

    #[test]
    fn arguments_stand_in_brackets_or_after_a_dot() {
        let cases = [
            ("proc.name", None, Field::ProcName, Argument::None, "proc.name"),
            ("proc.aname", Some("2"), Field::ProcAname, Argument::Index(2), "proc.aname[2]"),
            ("proc.aname", None, Field::ProcAname, Argument::None, "proc.aname"),
            ("evt.arg.fd", None, Field::EvtArg, name("fd"), "evt.arg.fd"),
            ("evt.arg", Some("fd"), Field::EvtArg, name("fd"), "evt.arg.fd"),
            ("evt.arg", Some("0"), Field::EvtArg, Argument::Index(0), "evt.arg[0]"),
            ("evt.type.is.open", None, Field::EvtTypeIs, name("open"), "evt.type.is.open"),
            ("evt.abspath.src", None, Field::EvtAbspath, name("src"), "evt.abspath.src"),
            ("evt.abspath", None, Field::EvtAbspath, Argument::None, "evt.abspath"),
            ("proc.env", Some("HOME"), Field::ProcEnv, name("HOME"), "proc.env[HOME]"),
            ("proc.exe_ino.ctime", None, Field::ProcExeInoCtime, Argument::None, "proc.exe_ino.ctime"),
            (
                "container.mount.dest",
                Some("/proc*"),
                Field::ContainerMountDest,
                name("/proc*"),
                "container.mount.dest[/proc*]",
            ),
            (
                "k8s.pod.label.app.kubernetes.io/name",
                None,
                Field::K8sPodLabel,
                name("app.kubernetes.io/name"),
                "k8s.pod.label[app.kubernetes.io/name]",
            ),
            ("thread.cgroup.cpu", None, Field::ThreadCgroup, name("cpu"), "thread.cgroup.cpu"),
            (
                "container.posture",
                Some("no-new-privs"),
                Field::ContainerPosture,
                name("no-new-privs"),
                "container.posture[no-new-privs]",
            ),
        ];
        for (given, bracketed, field, argument, text) in cases {
            assert_eq!(parse(given, bracketed), Ok((field, argument, text.to_owned())), "{given}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let cases = [
            ("proc.nam", None, FieldError::Unknown("proc.nam".into())),
            ("proc.name.x", None, FieldError::Unknown("proc.name.x".into())),
            ("evt.arg.fd", Some("1"), FieldError::Unknown("evt.arg.fd[1]".into())),
            ("evt.arg", None, FieldError::ArgumentMissing("evt.arg")),
            ("evt.arg.nothing", None, FieldError::UnknownEventArgument("nothing".into())),
            ("evt.type.is.opened", None, FieldError::UnknownEventType("opened".into())),
            (
                "proc.name",
                Some("1"),
                FieldError::ArgumentUnexpected { field: "proc.name", argument: "1".into() },
            ),
            (
                "proc.aname",
                Some("x"),
                FieldError::ArgumentNotANumber { field: "proc.aname", argument: "x".into() },
            ),
        ];
        for (given, bracketed, error) in cases {
            assert_eq!(parse(given, bracketed), Err(error), "{given}");
        }
    }

    #[test]
    fn a_raw_argument_has_the_kind_of_its_name() {
        let kind = |name| Reference::parse(name, None).map(|it| it.kind());
        assert_eq!(kind("evt.rawarg.res"), Ok(Kind::Int64));
        assert_eq!(kind("evt.rawarg.name"), Ok(Kind::Text));
        assert_eq!(kind("evt.arg.res"), Ok(Kind::Text));
    }
}

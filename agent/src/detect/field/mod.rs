//! Falco's fields, answered from what the kernel and the container runtime told.

mod argument;
mod container;
mod descriptor;
mod event;
mod mount;
mod path;
mod process;
mod unanswered;

use std::ops::ControlFlow;

use rules::{
    eval::{Fields, Presence},
    field::{Field, Reference},
    value::{Scalar, Value},
};

pub(super) use argument::ARGUMENTS;
pub(super) use descriptor::peer;
pub use unanswered::unanswered;

use super::subject::Subject;

impl Fields for Subject<'_> {
    fn field(&self, reference: &Reference) -> Value<'_> {
        let name = reference.definition().name;
        // The first letters say where a field belongs.
        match name.as_bytes() {
            [b'e', ..] | [b's', ..] => event::value(self, reference),
            [b'p', ..] | [b't', ..] | [b'u', ..] | [b'g', ..] => process::value(self, reference),
            [b'f', b's', ..] => path::value(self, reference),
            [b'f', ..] => descriptor::value(self, reference),
            [b'c', ..] | [b'k', ..] => container::value(self, reference),
            _ => Value::Missing,
        }
    }

    fn each(&self, reference: &Reference, take: &mut dyn FnMut(&Scalar<'_>) -> ControlFlow<()>) -> Presence {
        let field = reference.field();
        match field {
            _ if reference.is_each_ancestor() && self.process.is_some() => {
                process::each_ancestor(self, field, take);
                Presence::There
            }
            Field::FdIp | Field::FdNet | Field::FdPort | Field::FdProto => {
                descriptor::each_end(self, field, take)
            }
            Field::FdCipName | Field::FdSipName | Field::FdLipName | Field::FdRipName => {
                descriptor::each_name(self, field, take)
            }
            _ => match self.field(reference) {
                Value::Missing => Presence::Missing,
                Value::Pending => Presence::Pending,
                value => {
                    let _ = value.scalars().iter().try_for_each(take);
                    Presence::There
                }
            },
        }
    }
}

/// A text that is not empty.
fn text(text: &[u8]) -> Value<'_> {
    if text.is_empty() { Value::Missing } else { Value::text(text) }
}

fn boolean<'v>(value: bool) -> Value<'v> {
    Value::One(Scalar::Bool(value))
}

fn number<'v>(value: impl Into<u64>) -> Value<'v> {
    Value::One(Scalar::UInt(value.into()))
}

fn signed<'v>(value: impl Into<i64>) -> Value<'v> {
    Value::One(Scalar::Int(value.into()))
}

/// The file that an event is about: of two the one that was made.
pub(super) fn object<'a>(of: &'a Subject<'_>) -> Option<&'a [u8]> {
    let target = if of.kind.name().starts_with("symlink") { path::from(of) } else { path::to(of) };
    let found = target.filter(|path| !path.is_empty()).or_else(|| path::one(of));
    found.or_else(|| descriptor::name(of)).filter(|path| !path.is_empty())
}

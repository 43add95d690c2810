//! `evt.*` and `syscall.type`.

use std::sync::LazyLock;

use agent_abi::{
    interest::ABI_URING,
    record::{PENDING, Syscall},
};
use nix::errno::Errno;
use rules::{
    field::{Argument, Field, Reference},
    value::{Scalar, Value},
};

use super::{argument, boolean, descriptor, number, signed};
use crate::{
    detect::subject::Subject,
    syscall::{self, Family},
    time::{Clock, SECOND},
};

/// Errors by their numbers.
static ERRORS: LazyLock<Vec<String>> =
    LazyLock::new(|| (0..134).map(|number| format!("{:?}", Errno::from_raw(number))).collect());

const O_CREAT: u64 = 0o100;
const EXECUTE: u64 = 0o111;

pub(super) fn value<'a>(of: &'a Subject<'_>, reference: &Reference) -> Value<'a> {
    let wall = of.at.wall_ns;
    match reference.field() {
        Field::EvtNum => number(of.number),
        Field::EvtTime => Value::One(Scalar::owned(time_of_day(of.at, true))),
        Field::EvtTimeS => Value::One(Scalar::owned(time_of_day(of.at, false))),
        Field::EvtTimeIso8601 => Value::One(Scalar::owned(of.at.rfc3339())),
        Field::EvtDatetime => Value::One(Scalar::owned(date_time(of.at, true))),
        Field::EvtDatetimeS => Value::One(Scalar::owned(date_time(of.at, false))),
        Field::EvtRawtime => number(wall),
        Field::EvtRawtimeS => number(wall / SECOND),
        Field::EvtRawtimeNs => number(wall % SECOND),
        Field::EvtReltime => number(wall.saturating_sub(of.scene.started_ns)),
        Field::EvtReltimeS => number(wall.saturating_sub(of.scene.started_ns) / SECOND),
        Field::EvtReltimeNs => number(wall.saturating_sub(of.scene.started_ns) % SECOND),
        Field::EvtSource => Value::text("syscall"),
        Field::EvtIsAsync => boolean(false),
        Field::EvtHostname => Value::text(of.scene.hostname),
        Field::EvtType => Value::text(of.kind.name()),
        Field::EvtTypeIs => match reference.argument() {
            Argument::Name(name) => number(u64::from(of.kind.name() == &**name)),
            _ => Value::Missing,
        },
        Field::SyscallType if of.kind.name() == "procexit" => Value::Missing,
        Field::SyscallType => Value::text(of.kind.name()),
        Field::EvtCategory => Value::text(category(of)),
        Field::EvtCpu => signed(i64::from(of.event.header().cpu)),
        Field::EvtArg | Field::EvtRawarg => argument::value(of, reference),
        Field::EvtRes => result(of).map_or(Value::Missing, |result| match result {
            0.. => Value::text("SUCCESS"),
            error => error_name(error).map_or(Value::Missing, Value::text),
        }),
        Field::EvtRawres => result(of).map_or(Value::Missing, signed),
        Field::EvtFailed => result(of).map_or(Value::Missing, |result| boolean(result < 0)),
        Field::EvtCount | Field::EvtCountExit => number(1_u64),
        Field::EvtCountError => number(u64::from(result(of).is_some_and(|result| result < 0))),
        Field::EvtIsIo | Field::EvtIsIoRead | Field::EvtIsIoWrite | Field::EvtIsWait => boolean(false),
        Field::EvtIsOpenRead => is_open(of, |flags| matches!(flags & 3, 0 | 2)),
        Field::EvtIsOpenWrite => is_open(of, |flags| matches!(flags & 3, 1 | 2)),
        Field::EvtIsOpenExec => match (opened(of), argument::mode(of)) {
            (Some(flags), Some(mode)) => boolean(flags & O_CREAT != 0 && mode & EXECUTE != 0),
            _ => boolean(false),
        },
        Field::EvtDir => Value::text("<"),
        Field::EvtViaIoUring => boolean(of.call().is_some_and(|call| call.abi == ABI_URING)),
        _ => Value::Missing,
    }
}

fn is_open<'v>(of: &Subject<'_>, test: impl FnOnce(u64) -> bool) -> Value<'v> {
    boolean(opened(of).is_some_and(test))
}

/// The flags of a call that opens a file.
pub(super) fn opened(of: &Subject<'_>) -> Option<u64> {
    if descriptor::is_open(of) { descriptor::given_flags(of) } else { None }
}

/// What a call returned; `None` while it has not.
pub(super) fn result(of: &Subject<'_>) -> Option<i64> {
    match of.event {
        crate::decode::Event::Exec(_) | crate::decode::Event::Credentials(_) => Some(0),
        crate::decode::Event::Fork(fork) => Some(i64::from(fork.child.task.tgid)),
        _ => of.call().map(|call: &Syscall| call.result).filter(|result| *result != PENDING),
    }
}

/// The name of an error as a result has it.
pub(super) fn error_name(result: i64) -> Option<&'static str> {
    let number = usize::try_from(result.checked_neg()?).ok()?;
    ERRORS.get(number).map(String::as_str)
}

fn category(of: &Subject<'_>) -> &'static str {
    match of.call().and_then(syscall::family_of) {
        Some(Family::Files) => "file",
        Some(Family::Network) => "net",
        Some(Family::System) => "system",
        Some(Family::Credentials) => "user",
        Some(Family::Processes) | None => "process",
    }
}

fn time_of_day(at: Clock, fraction: bool) -> String {
    let text = at.rfc3339();
    let clock = text.get(11..19).unwrap_or_default();
    if fraction { format!("{clock}.{:09}", at.wall_ns % SECOND) } else { clock.to_owned() }
}

fn date_time(at: Clock, fraction: bool) -> String {
    let text = at.rfc3339();
    format!("{} {}", text.get(..10).unwrap_or_default(), time_of_day(at, fraction))
}

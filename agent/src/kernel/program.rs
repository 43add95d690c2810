//! Loads and attaches a program, and says in a line why one was refused.

use std::{
    io,
    path::{Path, PathBuf},
};

use aya::{
    Ebpf,
    maps::ProgramArray,
    programs::{
        BtfTracePoint, ProgramError, ProgramFd,
        links::{FdLink, PinnedLink},
    },
};

/// Loads a program of a tracepoint.
pub(super) fn load<'a>(
    object: &'a mut Ebpf,
    name: &str,
    tracepoint: &str,
    types: &aya::Btf,
) -> Result<&'a mut BtfTracePoint, String> {
    let program = object.program_mut(name).ok_or_else(|| format!("the object has no program {name}"))?;
    let program: &mut BtfTracePoint = program.try_into().map_err(describe)?;
    retried(|| program.load(tracepoint, types)).map_err(describe)?;
    Ok(program)
}

/// Loads a program, attaches it to its tracepoint and pins it: not the link, which ends with its value.
pub(super) fn attach_to_tracepoint(
    object: &mut Ebpf,
    name: &str,
    tracepoint: &str,
    types: &aya::Btf,
    pin: PathBuf,
) -> Result<FdLink, String> {
    let program = load(object, name, tracepoint, types)?;
    let id = program.attach().map_err(describe)?;
    let link = program.take_link(id).map_err(describe)?.into();
    program.pin(pin).map_err(describe)?;
    Ok(link)
}

/// The link that a former agent of these same programs has pinned, if it has.
pub(super) fn adopt(pin: &Path, adopted: bool) -> Option<Result<(), String>> {
    (adopted && pin.exists()).then(|| PinnedLink::from_pin(pin).map(|_| ()).map_err(describe))
}

/// Puts a program into a slot of an array of handlers.
pub(super) fn set_handler(
    object: &mut Ebpf,
    array: &str,
    slot: u32,
    program: io::Result<ProgramFd>,
) -> Result<(), String> {
    let program = program.map_err(describe)?;
    let handlers = object.map_mut(array).ok_or("the object has no handler array")?;
    let mut handlers: ProgramArray<_> = handlers.try_into().map_err(describe)?;
    handlers.set(slot, &program, 0).map_err(describe)
}

/// The verifier gives up with EAGAIN when a signal is pending (kernel/bpf/verifier.c, `do_check`).
pub(super) fn retried(mut load: impl FnMut() -> Result<(), ProgramError>) -> Result<(), ProgramError> {
    const ATTEMPTS: usize = 10;
    let interrupted = |result: &Result<(), ProgramError>| matches!(result, Err(ProgramError::LoadError { io_error, .. }) if io_error.kind() == io::ErrorKind::WouldBlock);
    let mut result = load();
    for _ in 1..ATTEMPTS {
        if !interrupted(&result) {
            break;
        }
        result = load();
    }
    result
}

/// What the verifier adds after the reason (kernel/bpf/verifier.c, `print_verification_stats`).
const STATISTICS: [&str; 4] = ["verification time", "stack depth", "insns processed", "processed "];

/// The whole chain of causes in one line; of a verifier's log the end, where the reason stands.
pub(super) fn describe(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default().to_owned();
    let is_said = |line: &&str| {
        !line.trim().is_empty() && !STATISTICS.iter().any(|statistic| line.starts_with(statistic))
    };
    let rest: Vec<_> = lines.filter(is_said).collect();
    let tail = &rest[rest.len().saturating_sub(4)..];
    if tail.is_empty() { first } else { format!("{first} … {}", tail.join(" | ")) }
}

//! What all calls have, and calls of which the arguments say it all.

use agent_abi::{
    interest::{ABI_COMPAT, ABI_NATIVE, ABI_URING, ABI_X32},
    record::{PENDING, Syscall, TaskRef, grade},
};
use bytes::Bytes;
use kestrel_proto::v1;

use super::{Who, bpf, process, seen_via};
use crate::{context::ProcessId, decode::PlainCall, export::redact, syscall};

/// The call itself.
pub(super) fn of(call: &Syscall) -> v1::Call {
    let len = call.args.iter().rposition(|&arg| arg != 0).map_or(0, |last| last + 1);
    v1::Call {
        name: name(call).to_owned(),
        number: call.number,
        abi: match call.abi {
            ABI_NATIVE => v1::CallAbi::Native,
            ABI_COMPAT => v1::CallAbi::Compat,
            ABI_X32 => v1::CallAbi::X32,
            ABI_URING => v1::CallAbi::Uring,
            _ => v1::CallAbi::Unspecified,
        }
        .into(),
        via: seen_via(call.via).into(),
        result: (call.result != PENDING).then_some(call.result),
        args: call.args[..len].to_vec(),
    }
}

/// Empty for one that is not in the table.
pub(super) fn name(call: &Syscall) -> &'static str {
    syscall::name_of(call).unwrap_or_default()
}

/// A call of which the arguments say it all.
pub(super) fn of_plain(plain: &PlainCall<'_>, who: Who<'_>) -> v1::CallEvent {
    let record = plain.record;
    let name = name(&record.call);
    let is_bpf = name == "bpf";
    let clone_flags = (name == "clone3").then(|| number(plain.text, 0)).flatten();
    v1::CallEvent {
        actor: Some(who.actor(&record.call.task, record.call.cgroup_id)),
        call: Some(of(&record.call)),
        target: (record.target != TaskRef::default()).then(|| process::id(ProcessId::of(&record.target), 0)),
        target_pid: record.target_pid,
        // Of a call that names nobody it says nothing.
        target_pid_namespace: if record.target_pid == 0 { 0 } else { record.pid_ns },
        text: if is_bpf || name == "clone3" { Bytes::new() } else { text(name, plain.text) },
        bpf: is_bpf.then(|| bpf::of(record.call.args[0], plain.text)),
        clone_flags,
    }
}

/// Bytes of the caller's, as they may leave the node.
pub(super) fn text(name: &str, text: &[u8]) -> Bytes {
    match name {
        // They hold numbers, which the open file has too.
        "openat2" => Bytes::new(),
        // Parameters: where a secret would stand.
        "init_module" | "finit_module" | "fsconfig" => redacted(text),
        _ => copy(text),
    }
}

fn redacted(text: &[u8]) -> Bytes {
    let mut redacted = redact::arguments(std::iter::once(text), true);
    redacted.arguments.pop().unwrap_or_default()
}

pub(super) fn copy(bytes: &[u8]) -> Bytes {
    if bytes.is_empty() { Bytes::new() } else { Bytes::copy_from_slice(bytes) }
}

/// A number of the caller's, of 8 bytes.
fn number(text: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*text.get(at..)?.first_chunk()?))
}

/// As the contract has it.
pub(super) const fn graded(by: u32) -> v1::Grade {
    match by {
        grade::OBJECT => v1::Grade::Object,
        grade::FD => v1::Grade::Fd,
        grade::FD_RACED => v1::Grade::FdRaced,
        grade::USER => v1::Grade::User,
        _ => v1::Grade::Unspecified,
    }
}

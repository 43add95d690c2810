//! Which type of event, as rules name them, a record is.

use std::sync::LazyLock;

use agent_abi::{
    interest::{ABI_URING, SYSCALLS},
    record::Syscall,
};
use rules::field::EventType;

use crate::{
    decode::{Event, ImageSource},
    syscall,
};

/// Calls that rules know by another name.
const RENAMED: [(&str, &str); 1] = [("old_mmap", "mmap")];

struct Table {
    by_number: Vec<[Option<EventType>; 3]>,
    by_operation: Vec<Option<EventType>>,
    exec: Option<EventType>,
    exit: Option<EventType>,
    fork: Option<EventType>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let of_call = |abi, number| syscall::find(abi, number).and_then(|call| of_name(call.name));
    let of_abis = |number| [0, 1, 2].map(|abi| of_call(abi, number));
    Table {
        by_number: (0..SYSCALLS).map(of_abis).collect(),
        by_operation: (0..256).map(|opcode| syscall::uring::name(opcode).and_then(of_name)).collect(),
        exec: EventType::find("execve"),
        exit: EventType::find("procexit"),
        fork: EventType::find("clone"),
    }
});

/// The type of a call by its name.
pub(super) fn of_name(call: &str) -> Option<EventType> {
    let renamed = RENAMED.iter().find(|(name, _)| *name == call);
    EventType::find(renamed.map_or(call, |(_, name)| name))
}

/// The type of an event; `None` for what rules have no name for.
pub(super) fn of(event: &Event<'_>) -> Option<EventType> {
    match event {
        Event::Exec(exec) => TABLE.exec.filter(|_| exec.source == ImageSource::Exec),
        Event::Exit(_) => TABLE.exit,
        Event::Fork(_) => TABLE.fork,
        // Of the table of abis there are three.
        Event::Credentials(it) => of_number(u8::try_from(it.record.syscall_abi).ok()?, it.record.syscall),
        Event::File(_) | Event::Path(_) | Event::Plain(_) | Event::Socket(_) => of_call(call(event)?),
        Event::Cgroup(_)
        | Event::SocketState(_)
        | Event::Packet(_)
        | Event::OomKill(_)
        | Event::Signal(_)
        | Event::UringDone(_)
        | Event::Sysctl(_) => None,
    }
}

/// The call of an event that is one.
pub(super) fn call<'a>(event: &Event<'a>) -> Option<&'a Syscall> {
    match event {
        Event::File(file) => Some(&file.record.call),
        Event::Path(path) => Some(&path.record.call),
        Event::Plain(plain) => Some(&plain.record.call),
        Event::Socket(socket) => Some(&socket.record.call),
        _ => None,
    }
}

fn of_call(call: &Syscall) -> Option<EventType> {
    match call.abi {
        ABI_URING => TABLE.by_operation.get(call.number as usize).copied().flatten(),
        abi => of_number(abi, call.number),
    }
}

fn of_number(abi: u8, number: u32) -> Option<EventType> {
    *TABLE.by_number.get(number as usize)?.get(usize::from(abi))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_of_the_table_has_a_type() {
        let without: Vec<_> =
            syscall::all().map(|call| call.name).filter(|name| of_name(name).is_none()).collect();
        assert_eq!(without, Vec::<&str>::new());
    }
}

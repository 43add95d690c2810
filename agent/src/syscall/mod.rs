//! System calls: their numbers in each ABI, what is captured of each, and which of them are wanted.

mod credentials;
mod files;
mod function;
mod hook_set;
mod network;
mod processes;
mod row;
mod system;
#[cfg(test)]
mod tests;
pub(crate) mod uring;
mod wants;

use std::sync::LazyLock;

use agent_abi::{
    interest::{ABI_COMPAT, ABI_NATIVE, ABI_URING, ABI_X32, SYSCALLS},
    record::Syscall,
};

pub use self::{
    function::{Entry, PREFIXES},
    hook_set::HookSet,
    row::{Call, Capture, Family},
    wants::{Beside, Only, Wants},
};

/// All that Kestrel knows, by family.
pub const CALLS: [&[Call]; 5] =
    [credentials::CREDENTIALS, files::FILES, processes::PROCESSES, network::NETWORK, system::SYSTEM];

/// All of them, one by one.
pub fn all() -> impl Iterator<Item = &'static Call> {
    CALLS.into_iter().flatten()
}

/// A call by its name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Call> {
    all().find(|call| call.name == name)
}

/// Number of a native call that this architecture has, for tables that are made when the agent is
/// built.
///
/// # Panics
/// Where there is no such call: the build ends there.
#[must_use]
pub const fn native(name: &str) -> u32 {
    let mut family = 0;
    while family < CALLS.len() {
        let mut row = 0;
        while row < CALLS[family].len() {
            let call = &CALLS[family][row];
            if let Some(number) = call.native
                && same(call.name.as_bytes(), name.as_bytes())
            {
                return number;
            }
            row += 1;
        }
        family += 1;
    }
    panic!("no call of that name has a native number")
}

/// `==`, which no constant may use yet.
const fn same(one: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

/// By ABI and number.
static BY_NUMBER: LazyLock<Vec<[Option<&'static Call>; 3]>> = LazyLock::new(|| {
    let mut index = vec![[None; 3]; SYSCALLS as usize];
    let mut set = |abi: u8, number: u32, call: &'static Call| {
        if let Some(slot) = index.get_mut(number as usize) {
            slot[usize::from(abi)].get_or_insert(call);
        }
    };
    for call in all() {
        call.native.into_iter().for_each(|number| set(ABI_NATIVE, number, call));
        call.compat.iter().for_each(|&number| set(ABI_COMPAT, number, call));
        call.x32.or(call.native).into_iter().for_each(|number| set(ABI_X32, number, call));
    }
    index
});

/// What the call in a record is about; of an operation of an io_uring, what the call of that name is
/// about. `None` for one that is not in the table.
#[must_use]
pub fn family_of(call: &Syscall) -> Option<Family> {
    let found = match call.abi {
        ABI_URING => uring::name(call.number).and_then(by_name),
        abi => find(abi, call.number),
    };
    found.map(|call| call.family)
}

/// Name of the call in a record, or of the operation of an io_uring; `None` for one that is not in
/// the table.
#[must_use]
pub fn name_of(call: &Syscall) -> Option<&'static str> {
    match call.abi {
        ABI_URING => uring::name(call.number),
        abi => find(abi, call.number).map(|call| call.name),
    }
}

/// The call of a number.
#[must_use]
pub fn find(abi: u8, number: u32) -> Option<&'static Call> {
    BY_NUMBER.get(number as usize)?.get(usize::from(abi)).copied().flatten()
}

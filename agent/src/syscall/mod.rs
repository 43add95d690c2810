//! System calls: their numbers in each ABI, what is captured of each, and which of them are wanted.

mod credentials;
mod files;
mod function;
mod network;
mod processes;
mod row;
mod system;
#[cfg(test)]
mod tests;
mod uring;
mod wants;

use agent_abi::{
    interest::{ABI_COMPAT, ABI_NATIVE, ABI_URING, ABI_X32},
    record::Syscall,
};

pub use self::{
    function::{Entry, PREFIXES},
    row::{Call, Capture, Family},
    wants::{Only, Wants},
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
    all().find(|call| match abi {
        ABI_NATIVE => call.native == Some(number),
        ABI_COMPAT => call.compat.contains(&number),
        ABI_X32 => call.x32.or(call.native) == Some(number),
        _ => false,
    })
}

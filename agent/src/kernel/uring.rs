//! What a request of io_uring looks like in this kernel: where each operation keeps what is
//! captured of it.

use agent_abi::uring::{ABSENT, Number, OPERATIONS, Operation};

use super::btf::Types;
use crate::syscall::uring::{Field, OPERATION_ROWS, Row, Shape};

/// What is captured of each opcode, should it be wanted.
#[derive(Clone, Debug)]
pub struct UringLayout {
    operations: Vec<Operation>,
}

impl UringLayout {
    /// Reads it from the kernel's types. An operation that this kernel's types do not describe is
    /// reported without what is missing.
    pub(super) fn read(types: Types<'_>) -> Self {
        let mut operations = vec![Operation::UNWANTED; OPERATIONS as usize];
        for row in OPERATION_ROWS {
            if let Some(slot) = operations.get_mut(row.opcode as usize) {
                *slot = operation(row, types);
            }
        }
        Self { operations }
    }

    /// The operation of an opcode as if it were wanted.
    #[must_use]
    pub fn operation(&self, opcode: u32) -> Operation {
        self.operations.get(opcode as usize).copied().unwrap_or(Operation::UNWANTED)
    }
}

fn operation(row: &Row, types: Types<'_>) -> Operation {
    let offset = |field: Option<Field>| -> u16 {
        field
            .and_then(|Field { structure, path, .. }| types.member(structure, path))
            .and_then(|member| u16::try_from(member.offset).ok())
            .unwrap_or(ABSENT)
    };
    let number = |field: Option<Field>| match (offset(field), field) {
        (ABSENT, _) | (_, None) => Number::ABSENT,
        (offset, Some(Field { bytes, .. })) => Number { offset, bytes },
    };
    let Shape {
        kind,
        works_on_file,
        numbers,
        dir,
        name,
        to_dir,
        to_name,
        text,
        text_is_name,
        address,
        address_len,
        message,
    } = row.shape;
    Operation {
        kind,
        works_on_file: u8::from(works_on_file),
        dir,
        to_dir,
        text_is_name: u8::from(text_is_name),
        numbers: numbers.map(number),
        name: offset(name),
        to_name: offset(to_name),
        text: offset(text),
        address: offset(address),
        address_len: offset(address_len),
        message: offset(message),
        ..Operation::UNWANTED
    }
}

/// Whether `io_uring_complete` says of which ring an operation is done, and not which.
pub(super) fn completions_name_no_request(types: Types<'_>) -> bool {
    // Before 5.18: `(ctx, user_data, res[, cflags])`.
    types.tracepoint("io_uring_complete").is_some_and(|parameters| {
        parameters.len() <= 4 && !parameters.get(1).is_some_and(|second| second.is_pointer)
    })
}

/// The flag of a request that says that its `async_data` is valid (5.16).
pub(super) fn async_flag(types: Types<'_>) -> u32 {
    // An enumerator of an enumeration without a name.
    types.enumerator("", "REQ_F_ASYNC_DATA_BIT").and_then(|bit| 1u32.checked_shl(bit)).unwrap_or(0)
}

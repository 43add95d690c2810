//! Loads of words from any kernel address, in place of a helper's call for each.
//!
//! The kernel function `bpf_rdonly_cast` (Linux 6.2, kernel/bpf/helpers.c) makes of a number a pointer
//! that programs may read by. The verifier leaves no call of it, and a load that faults gives zero.

use agent_abi::map::CAST_CALL;

use super::btf::Types;

const FUNCTION: &str = "bpf_rdonly_cast";
/// Begins with a `time64_t`, of which fewer bytes may be loaded too (include/linux/time64.h).
const WORD: &str = "timespec64";
/// `BPF_ALU64 | BPF_MOV | BPF_K`: r0 = 0.
const NO_CALL: u64 = 0xb7;

/// What the programs are told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cast {
    /// The function's number.
    function: u32,
    /// Number of the type that begins with a word.
    pub word_type: u32,
}

impl Cast {
    /// `None` where the kernel has no such function.
    pub(super) fn read(types: Types<'_>) -> Option<Self> {
        let function = types.functions(&[FUNCTION]).find(|function| function.name == FUNCTION)?.id;
        Some(Self { function, word_type: types.structure_id(WORD)? })
    }

    /// `object` with calls of this kernel's function, or without any: the verifier does not reach them
    /// there, but minds them all the same. Instructions are words, and so is all of it.
    pub(super) fn apply(cast: Option<Self>, object: &[u8]) -> Vec<u64> {
        let call = match cast {
            Some(Self { function, .. }) => CAST_CALL & u64::from(u32::MAX) | u64::from(function) << 32,
            None => NO_CALL,
        };
        let words = object.chunks(size_of::<u64>()).map(|bytes| {
            let mut word = [0; size_of::<u64>()];
            word[..bytes.len()].copy_from_slice(bytes);
            u64::from_ne_bytes(word)
        });
        words.map(|word| if word == CAST_CALL { call } else { word }).collect()
    }
}

#[cfg(test)]
mod tests {
    use zerocopy::IntoBytes as _;

    use super::*;

    #[test]
    fn calls_get_the_number_of_the_function() {
        let object = [&[1; 8][..], &CAST_CALL.to_ne_bytes(), &[2; 3]].concat();
        let with = Cast::apply(Some(Cast { function: 0x0102_0304, word_type: 1 }), &object);
        let instruction = [0x85, 0x20, 0, 0, 4, 3, 2, 1];
        assert_eq!(with.as_bytes(), [&[1; 8], &instruction, &[2, 2, 2, 0, 0, 0, 0, 0][..]].concat());
        let without = Cast::apply(None, &object);
        assert_eq!(without[1].to_ne_bytes(), [0xb7, 0, 0, 0, 0, 0, 0, 0]);
    }
}

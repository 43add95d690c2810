//! Names that a path has among its folders and at its end, by which files are wanted wherever they lie.

use crate::wire::wire;

/// Places of [`Landmarks::names`].
pub const SLOTS: usize = 64;
/// Most names. So many find places of their own, and no path has all the bits of [`NO_GROUP`].
pub const NAMES: usize = SLOTS / 2;
/// Most groups.
pub const GROUPS: usize = 32;
/// A group that no path has.
pub const NO_GROUP: u64 = u64::MAX;
/// Bytes of a name that are looked at, beside its length.
pub const NAME_BYTES: usize = 8;

wire! {
    no Default:

    /// Which names are looked for, and which of them a path must have together. No two names have one place.
    pub struct Landmarks [8 + SLOTS * 8 + GROUPS * 8] {
        /// Odd, and such that no two names come to one place.
        pub seed: u64,
        /// By [`place`]: the [`hash`] of the name there; where there is none, one of another place.
        pub names: [u64; SLOTS],
        /// Of each the places of its names, as bits. [`NO_GROUP`] where there is none.
        pub groups: [u64; GROUPS],
    }
}

impl Landmarks {
    /// No names.
    pub const NONE: Self = {
        let mut names = [0; SLOTS];
        names[0] = u64::MAX;
        Self { seed: 1, names, groups: [NO_GROUP; GROUPS] }
    };
}

/// Of the first bytes of a name, in the order of memory and zeros behind them, and its length. Two names of
/// one length that begin alike have the same.
#[inline(always)]
#[must_use]
pub const fn hash(first: u64, len: u32, seed: u64) -> u64 {
    (first.to_le() ^ (len as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(seed)
}

/// Where a name with this hash stands.
#[inline(always)]
#[must_use]
pub const fn place(hash: u64) -> usize {
    (hash >> 58) as usize
}

const _: () = assert!(SLOTS == 1 << (64 - 58));

//! What is wanted of each system call, and where among its arguments that stands.
//!
//! The programs know no numbers of system calls: the table tells them what to capture, so that
//! every ABI and every architecture is served by the same code.

use crate::wire::wire;

/// A native call.
pub const ABI_NATIVE: u8 = 0;
/// A 32-bit call (`int 0x80` is open to any process).
pub const ABI_COMPAT: u8 = 1;
/// A call of the x32 ABI: native registers, numbers with `__X32_SYSCALL_BIT`.
pub const ABI_X32: u8 = 2;
/// An operation of an io_uring: its number is the opcode (`IORING_OP_…`).
pub const ABI_URING: u8 = 3;

/// Makes an index into [`Interest::wants`] of an ABI.
pub const ABI_MASK: u8 = 3;

/// First of the bits of [`Interest::wanted`] that are about a call's entry.
pub const ENTRY_SHIFT: u32 = 8;
/// First of those that [`crate::hook::Hook::SysExit`] hands on.
pub const BY_SYS_EXIT: u32 = 0;
/// First of those that [`crate::hook::Hook::Fexit`] hands on.
pub const BY_FEXIT: u32 = 16;

/// Slots of [`crate::map::INTEREST`], one per number. x86-64's highest is below 600 with those that
/// x32 has for itself.
pub const SYSCALLS: u32 = 1024;

/// Position of the result among what a call has: after the six arguments.
pub const RESULT: u8 = 6;
/// The call has no such argument.
pub const NONE: u8 = 7;

/// [`Want::predicates`]: what is looked at before anything is captured. None set: all calls.
pub mod predicate {
    /// Only calls that succeeded.
    pub const OK: u8 = 1;
    /// Only calls that failed.
    pub const FAILED: u8 = 1 << 1;
    /// Only files opened for writing.
    pub const WRITES: u8 = 1 << 2;
    /// Not of cgroups that are known to be the host's.
    pub const CONTAINERS: u8 = 1 << 3;
    /// Only files below the prefixes of [`crate::map::PREFIXES`], and those of [`super::beside`].
    pub const PREFIXES: u8 = 1 << 4;
    /// Held back when their cgroup sends too many, and silent where it is muted.
    pub const BULK: u8 = 1 << 5;
    /// An LSM hook tells of the calls that succeed: those that it does not run for (a file opened
    /// with `O_PATH`) and those that fail are left to the exit of the call.
    pub const BY_LSM: u8 = 1 << 6;
    /// Of the calls that failed only those of [`super::beside`].
    pub const FAILED_BESIDE: u8 = 1 << 7;
}

/// [`Want::beside`]: which files are wanted besides those of [`predicate::PREFIXES`], and which failed calls with
/// [`predicate::FAILED_BESIDE`].
pub mod beside {
    /// Those opened for writing.
    pub const WRITES: u8 = 1;
    /// Those whose name, as the caller gives it, has two dots in a row, or is not known.
    pub const DOTTED: u8 = 1 << 1;
    /// Those whose path has the names of a group of [`crate::landmark::Landmarks`].
    pub const LANDMARKS: u8 = 1 << 2;
    /// Failed calls that would have opened a file for writing.
    pub const FAILED_WRITES: u8 = 1 << 3;
    /// Failed calls whose name is as that of [`DOTTED`].
    pub const FAILED_DOTTED: u8 = 1 << 4;
}

/// [`Want::test`]: a test of one argument's low 32 bits.
pub mod test {
    /// None.
    pub const NONE: u8 = 0;
    /// Any of the operand's bits is set.
    pub const ANY: u8 = 1;
    /// All of the operand's bits are set.
    pub const ALL: u8 = 2;
    /// It is below 64, and the operand has that bit.
    pub const ONE_OF: u8 = 3;
    /// It is, as a signed number, not negative and at most the operand.
    pub const AT_MOST: u8 = 4;
    /// The first 8 bytes of the captured text have any of the operand's bits: `clone_args.flags`.
    pub const TEXT_ANY: u8 = 5;
    /// Of the captured text the 32-bit word whose position is [`super::Want::tested`] has all of the
    /// operand's bits: arguments that stand in memory.
    pub const TEXT_ALL: u8 = 6;
}

/// [`Want::moves`]: what a call changes that names start at, so that afterwards its own name means
/// another file. Where it succeeds, what it changed is captured instead.
pub mod moves {
    /// Neither.
    pub const NOTHING: u8 = 0;
    /// The working directory.
    pub const CWD: u8 = 1;
    /// The root.
    pub const ROOT: u8 = 2;
}

wire! {
    no Default:

    /// Which calls of one number and ABI are wanted, and what is captured. Positions are those of
    /// arguments from 0, [`RESULT`], or [`NONE`].
    pub struct Want [32] {
        /// Slot in [`crate::map::SYS_EXIT_HANDLERS`]; 0: nobody wants the call.
        pub handler: u8,
        /// Of [`predicate`].
        pub predicates: u8,
        /// Of [`mod@test`].
        pub test: u8,
        /// Position of the argument that is tested.
        pub tested: u8,
        /// Path that the call names.
        pub name: u8,
        /// Descriptor of the directory that `name` starts at; [`NONE`]: the working directory.
        pub dir: u8,
        /// Second path.
        pub to_name: u8,
        /// Descriptor of the directory that `to_name` starts at.
        pub to_dir: u8,
        /// Bytes to capture as they are, up to [`crate::record::TEXT_BYTES`].
        pub text: u8,
        /// How many there are; [`NONE`]: up to a NUL.
        pub text_len: u8,
        /// Descriptor of the file or socket.
        pub fd: u8,
        /// Flags of an open.
        pub flags: u8,
        /// Process that the call is about, as the caller numbers it.
        pub pid: u8,
        /// The same by a pidfd.
        pub pidfd: u8,
        /// Socket address.
        pub address: u8,
        /// Its length; with `message` how many of these there are.
        pub address_len: u8,
        /// `struct msghdr`, or the first of several `struct mmsghdr`.
        pub message: u8,
        /// Ring: [`crate::map::RING_CRITICAL`] or [`crate::map::RING_BULK`].
        pub ring: u8,
        /// Bytes of `text`, where no argument says it; 0: as `text_len` has it.
        pub text_bytes: u8,
        /// Argument of which one bit says that `fd` means nothing.
        pub unless: u8,
        /// That bit's position.
        pub unless_bit: u8,
        /// Of [`moves`].
        pub moves: u8,
        /// Of [`mod@beside`].
        pub beside: u8,
        /// Keeps the size a multiple of 8.
        pub reserved: u8,
        /// Operand of `test`.
        pub operand: u64,
    }
}

impl Want {
    /// Nobody wants the call.
    pub const NOTHING: Self = Self {
        handler: 0,
        predicates: 0,
        test: test::NONE,
        tested: NONE,
        name: NONE,
        dir: NONE,
        to_name: NONE,
        to_dir: NONE,
        text: NONE,
        text_len: NONE,
        fd: NONE,
        flags: NONE,
        pid: NONE,
        pidfd: NONE,
        address: NONE,
        address_len: NONE,
        message: NONE,
        ring: 0,
        text_bytes: 0,
        unless: NONE,
        unless_bit: 0,
        moves: moves::NOTHING,
        beside: 0,
        reserved: 0,
        operand: 0,
    };
}

wire! {
    no Default:

    /// One number, in every ABI.
    pub struct Interest [8 + 4 * 32] {
        /// Bit [`BY_SYS_EXIT`] + n: a call of ABI n is wanted; bit [`BY_FEXIT`] + n: it is, and has a
        /// program at its own exit. All that is read of a call that nobody wants. Bit [`ENTRY_SHIFT`] + n:
        /// it is wanted on its entry, too.
        pub wanted: u64,
        /// Per ABI. The fourth is never used: it lets an index be masked.
        pub wants: [Want; 4],
    }
}

impl Interest {
    /// Nobody wants the number.
    pub const NOTHING: Self = Self { wanted: 0, wants: [Want::NOTHING; 4] };
}

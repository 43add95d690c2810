//! Buffers in which records are built: too large for the stack, and per CPU.
//!
//! A program cannot interrupt itself (the kernel counts that as a recursion miss), but on kernels
//! that keep tracepoints preemptible another hook's program may run in between. So each attached
//! program has a buffer of its own.

use core::ptr::{read_volatile, write_volatile};

use agent_abi::record::{PATH_BYTES, Span, via};
use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};

/// Where a piece of a record may begin: masked with this, a write of up to [`WRITE_BYTES`] ends
/// before [`WALK`].
pub const START_MASK: usize = 16_383;
/// Most bytes of one write.
pub const WRITE_BYTES: usize = 8192;
/// Where a path is put together, from its end to its front: [`PATH_BYTES`], and what one write more
/// may reach over.
pub const WALK: usize = START_MASK + 1 + WRITE_BYTES;
/// How far the front has come, from [`WALK`] on: a `u32`.
pub const WALK_FRONT: usize = WALK + PATH_BYTES + 512;
/// Where the tail of a record ends: a `u32`.
const END: usize = WALK_FRONT + 8;
/// The buffer's own [`LargeSlot`]: a `u32`.
const SLOT: usize = END + 4;
/// Two names of [`NAME_BYTES`] that are compared, or the arguments of a `socketcall`.
pub const NAMES: usize = SLOT + 4;
/// Room of one of them.
pub const NAME_BYTES: usize = 256;
/// Copies of the fronts of kernel structures ([`crate::read`]).
pub const BLOCKS: usize = NAMES + 2 * NAME_BYTES;
/// Bytes of one.
pub const BLOCK_BYTES: usize = 192;
/// Which landmarks the path has that is put together there: a `u64`, each bit a place.
pub const WALK_LANDMARKS: usize = BLOCKS + 3 * BLOCK_BYTES;
/// Which set of landmarks that is of: a `u32`.
pub const WALK_LANDMARK_SET: usize = WALK_LANDMARKS + 8;
/// How long the name is that was put in front of it last: a `u32`.
pub const WALK_NAME_LEN: usize = WALK_LANDMARK_SET + 4;
/// Longest record that can be sent.
pub const RECORD_BYTES: usize = 32_768;

/// For records with paths or arguments.
#[repr(C, align(8))]
pub struct Large([u8; RECORD_BYTES]);

const _: () = assert!(NAMES.is_multiple_of(8) && WALK_LANDMARKS.is_multiple_of(8));
const _: () = assert!(WALK_NAME_LEN + size_of::<u32>() <= RECORD_BYTES);

/// The tail of a record that is being built in a [`Large`] buffer.
///
/// Where it ends is kept in the buffer and not in a register: what is read back from there the
/// verifier knows nothing of, so that what follows is checked once and not for each way that led to
/// it.
#[derive(Clone, Copy)]
pub struct Tail {
    record: *mut u8,
}

impl Tail {
    /// Behind a fixed part of `fixed` bytes.
    ///
    /// # Safety
    /// `record` is a large scratch buffer.
    #[inline(always)]
    pub unsafe fn new(record: *mut u8, fixed: usize) -> Self {
        // SAFETY: within the buffer.
        unsafe { write_volatile(record.add(END).cast::<u32>(), fixed as u32) };
        Self { record }
    }

    /// Bytes of the record so far.
    #[inline(always)]
    pub fn end(self) -> usize {
        // SAFETY: within the buffer.
        unsafe { read_volatile(self.record.add(END).cast::<u32>()) as usize }
    }

    /// Where the next piece begins: there is room for [`WRITE_BYTES`].
    #[inline(always)]
    pub fn start(self) -> usize {
        self.end() & START_MASK
    }

    /// Address of a place that [`Self::start`] gave.
    #[inline(always)]
    pub fn place(self, start: usize) -> *mut u8 {
        // SAFETY: masked, so within the buffer.
        unsafe { self.record.add(start & START_MASK) }
    }

    /// Takes in the `len` bytes at `start`.
    #[inline(always)]
    pub fn take(self, start: usize, len: usize) -> Span {
        // SAFETY: within the buffer.
        unsafe { write_volatile(self.record.add(END).cast::<u32>(), (start + len) as u32) };
        Span { offset: start as u16, len: len as u16 }
    }

    /// The whole buffer.
    #[inline(always)]
    pub fn record(self) -> *mut u8 {
        self.record
    }
}

/// Makes `T` zeros, word by word: the compiler would call a loop over its bytes.
///
/// # Safety
/// `out` may be written, and begins and ends with a word.
#[inline(always)]
pub unsafe fn zero<T>(out: *mut T) {
    const { assert!(size_of::<T>().is_multiple_of(8) && align_of::<T>() == 8) };
    for word in 0..size_of::<T>() / 8 {
        // SAFETY: as the caller's.
        unsafe { write_volatile(out.cast::<u64>().add(word), 0) };
    }
}

/// For records of fixed size, and cgroup paths.
#[repr(C, align(8))]
pub struct Small([u8; 2048]);

/// Owners of a [`Large`] buffer.
#[repr(u32)]
#[derive(Clone, Copy)]
pub enum LargeSlot {
    Exec = 0,
    SysExit = 1,
    TaskScan = 2,
    UringSubmit = 3,
    SysEnter = 4,
    /// Programs at the exits of single calls, one at a time ([`crate::nesting`]).
    Fexit = 5,
    /// LSM programs, one at a time.
    Lsm = 6,
}

impl LargeSlot {
    /// That of a handler's dispatcher.
    #[inline(always)]
    pub fn of(via: u8) -> Self {
        if via == via::FEXIT { Self::Fexit } else { Self::SysExit }
    }
}

/// Number of [`LargeSlot`]s.
const LARGE_SLOTS: usize = 7;

/// Owners of a [`Small`] buffer.
#[repr(u32)]
#[derive(Clone, Copy)]
pub enum SmallSlot {
    Fork = 0,
    Exit = 1,
    CgroupMkdir = 2,
    CgroupRmdir = 3,
    CgroupAttach = 4,
    CgroupRename = 5,
    CgroupRelease = 6,
    Signal = 7,
    OomKill = 8,
    UringComplete = 9,
    Sysctl = 10,
}

/// Number of [`SmallSlot`]s.
const SMALL_SLOTS: usize = 11;

#[btf_map]
static SCRATCH_LARGE: PerCpuArray<Large, LARGE_SLOTS> = PerCpuArray::new();

#[btf_map]
static SCRATCH_SMALL: PerCpuArray<Small, SMALL_SLOTS> = PerCpuArray::new();

/// This CPU's buffer of `slot`.
#[inline(always)]
pub fn large(slot: LargeSlot) -> Option<*mut u8> {
    let record = SCRATCH_LARGE.get_ptr_mut(slot as u32).map(<*mut Large>::cast::<u8>)?;
    // SAFETY: within the buffer.
    unsafe { write_volatile(record.add(SLOT).cast::<u32>(), slot as u32) };
    Some(record)
}

/// Which buffer `record` is, for [`large_again`].
///
/// # Safety
/// `record` is a large scratch buffer.
#[inline(always)]
pub unsafe fn slot_of(record: *mut u8) -> u32 {
    // SAFETY: as the caller's.
    unsafe { read_volatile(record.add(SLOT).cast::<u32>()) }
}

/// The buffer that [`large`] gave before, for a function that may be handed numbers alone.
#[inline(always)]
pub fn large_again(slot: u32) -> Option<*mut u8> {
    SCRATCH_LARGE.get_ptr_mut(slot).map(<*mut Large>::cast)
}

/// This CPU's buffer of `slot`.
#[inline(always)]
pub fn small(slot: SmallSlot) -> Option<*mut u8> {
    SCRATCH_SMALL.get_ptr_mut(slot as u32).map(<*mut Small>::cast)
}

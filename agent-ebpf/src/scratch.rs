//! Buffers in which records are built: too large for the stack, and per CPU.
//!
//! A program cannot interrupt itself (the kernel counts that as a recursion miss), but on kernels
//! that keep tracepoints preemptible another hook's program may run in between. So each attached
//! program has a buffer of its own.

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};

/// Where a write into a [`Large`] buffer may begin: masked with this, any write of up to
/// [`WRITE_BYTES`] ends inside.
pub const START_MASK: usize = 8191;
/// Most bytes of one write into a [`Large`] buffer.
pub const WRITE_BYTES: usize = 8192;

/// For records with paths or arguments.
#[repr(C, align(8))]
pub struct Large([u8; START_MASK + 1 + WRITE_BYTES]);

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
}

/// Owners of a [`Small`] buffer.
#[repr(u32)]
#[derive(Clone, Copy)]
pub enum SmallSlot {
    Fork = 0,
    Exit = 1,
    CgroupMkdir = 2,
    CgroupRmdir = 3,
    CgroupAttach = 4,
}

#[btf_map]
static SCRATCH_LARGE: PerCpuArray<Large, 3> = PerCpuArray::new();

#[btf_map]
static SCRATCH_SMALL: PerCpuArray<Small, 5> = PerCpuArray::new();

/// This CPU's buffer of `slot`.
#[inline(always)]
pub fn large(slot: LargeSlot) -> Option<*mut u8> {
    SCRATCH_LARGE.get_ptr_mut(slot as u32).map(<*mut Large>::cast)
}

/// This CPU's buffer of `slot`.
#[inline(always)]
pub fn small(slot: SmallSlot) -> Option<*mut u8> {
    SCRATCH_SMALL.get_ptr_mut(slot as u32).map(<*mut Small>::cast)
}

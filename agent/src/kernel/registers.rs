//! Where the registers of a system call stand in `pt_regs`.

use super::btf::Types;

/// Offsets in `pt_regs`, in bytes, and what marks a 32-bit call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Registers {
    /// Number of the call.
    pub(super) number: u32,
    /// Arguments of a native call.
    pub(super) native: [u32; 6],
    /// Arguments of a 32-bit call.
    pub(super) compat: [u32; 6],
    /// Bit in the thread's status, which is the field `task_thread_status`.
    pub(super) compat_flag: u32,
    /// Where they stand in a task's stack, on kernels whose helper does not tell (before 5.15).
    pub(super) in_stack: u32,
}

/// `THREAD_SIZE` of a kernel without KASAN (arch/x86/include/asm/page_64_types.h,
/// arch/arm64/include/asm/memory.h).
const THREAD_BYTES: u32 = 16 << 10;

/// They end where the stack does (`task_pt_regs`); newer kernels, which have the helper, may leave a
/// gap.
fn in_stack(types: Types<'_>) -> Option<u32> {
    Some(THREAD_BYTES - types.structure_bytes("pt_regs")?)
}

#[cfg(target_arch = "x86_64")]
impl Registers {
    /// By name (arch/x86/include/asm/syscall.h, `syscall_get_arguments`).
    pub(super) fn read(types: Types<'_>) -> Option<Self> {
        /// `TS_COMPAT` (arch/x86/include/asm/thread_info.h).
        const TS_COMPAT: u32 = 0x0002;
        let of = |name: &str| types.member("pt_regs", name).map(|member| member.offset);
        let all = |[a, b, c, d, e, f]: [&str; 6]| Some([of(a)?, of(b)?, of(c)?, of(d)?, of(e)?, of(f)?]);
        Some(Self {
            number: of("orig_ax")?,
            native: all(["di", "si", "dx", "r10", "r8", "r9"])?,
            compat: all(["bx", "cx", "dx", "si", "di", "bp"])?,
            compat_flag: TS_COMPAT,
            in_stack: in_stack(types)?,
        })
    }
}

#[cfg(target_arch = "aarch64")]
impl Registers {
    /// The first argument is kept apart: its register takes the result
    /// (arch/arm64/include/asm/syscall.h, `syscall_get_arguments`).
    pub(super) fn read(types: Types<'_>) -> Option<Self> {
        /// `_TIF_32BIT` (arch/arm64/include/asm/thread_info.h).
        const TIF_32BIT: u32 = 1 << 22;
        const REGISTER: u32 = 8;
        let of = |name: &str| types.member("pt_regs", name).map(|member| member.offset);
        let first = of("orig_x0")?;
        let x0 = of("user_regs.regs|regs")?;
        let native = [
            first,
            x0 + REGISTER,
            x0 + 2 * REGISTER,
            x0 + 3 * REGISTER,
            x0 + 4 * REGISTER,
            x0 + 5 * REGISTER,
        ];
        Some(Self {
            number: of("syscallno")?,
            native,
            compat: native,
            compat_flag: TIF_32BIT,
            in_stack: in_stack(types)?,
        })
    }
}

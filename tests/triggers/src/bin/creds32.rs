//! Sets `no_new_privs` and uid 1000 through the 32-bit system call table, then sleeps: any process may enter it with
//! `int 0x80`, and hooks on the 64-bit entry points never see that.
#![allow(clippy::print_stdout, reason = "the ids are what it is for")]

use std::{arch::asm, io};

use anyhow::{Result, ensure};
use nix::unistd::{getuid, pause};

/// In the i386 table.
const PRCTL: u32 = 172;
const SETUID32: u32 = 213;
const PR_SET_NO_NEW_PRIVS: u32 = 38;

fn main() -> Result<()> {
    call32(PRCTL, PR_SET_NO_NEW_PRIVS, 1)?;
    call32(SETUID32, 1000, 0)?;
    ensure!(getuid().as_raw() == 1000, "the uid did not change");
    println!("uid {}", getuid());
    loop {
        pause();
    }
}

/// A system call of the i386 table, with no pointers among its arguments.
#[expect(unsafe_code, reason = "int 0x80 has no other form")]
fn call32(number: u32, first: u32, second: u32) -> io::Result<()> {
    let result: u32;
    // SAFETY: the two calls above take integers and touch no memory of ours. rbx, which the compiler keeps for
    // itself, is saved in a register of ours; int 0x80 zeroes r8 to r11.
    unsafe {
        asm!(
            "mov {save}, rbx",
            "mov ebx, {first:e}",
            "int 0x80",
            "mov rbx, {save}",
            save = out(reg) _,
            first = in(reg) first,
            inlateout("eax") number => result,
            in("ecx") second,
            in("edx") 0,
            in("esi") 0,
            in("edi") 0,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
            options(nostack),
        );
    }
    // The kernel's result is an errno, negated, in 32 bits.
    match result.cast_signed() {
        error @ -4095..0 => Err(io::Error::from_raw_os_error(-error)),
        _ => Ok(()),
    }
}

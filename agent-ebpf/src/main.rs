//! Kestrel's kernel programs: one file per hook family in [`hooks`], every kernel pointer read in
//! [`read`], every record sent by [`ring`].
#![feature(asm_experimental_arch)]
#![no_std]
#![no_main]

mod atomic;
mod global;
mod hooks;
mod nesting;
mod read;
mod ring;
mod scratch;

/// A panic must not load: the verifier refuses a loop without an end.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

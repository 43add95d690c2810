//! What differs from machine to machine.

use kestrel_agent::kernel::{Layout, Mounted};

/// First two numbers of this kernel's version.
pub(crate) fn kernel_version() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut parts = release.split('.').map(|part| part.parse().unwrap());
    (parts.next().unwrap(), parts.next().unwrap())
}

/// Whether this kernel does not tell where an optional field is, by `structure.path`.
pub(crate) fn lacks_field(name: &str) -> bool {
    let layout = Layout::read(Mounted::detect().unwrap().hierarchy, [4096, 4096]).unwrap();
    layout.missing.iter().any(|missing| missing == name)
}

/// Says why the rest of a test makes no sense here: `cargo xtask vm-test` counts it as skipped, not as passed.
#[expect(clippy::print_stdout, reason = "libtest keeps it with the test")]
pub(crate) fn skip(reason: &str) {
    println!("skipped: {reason}");
}

//! The smallest program: one page, one system call.

use std::{fs::Permissions, io::Write as _, os::unix::fs::PermissionsExt as _};

use anyhow::Result;
use tempfile::TempPath;

/// Bytes of an ELF header and one program header.
const HEADERS: u64 = 64 + 56;
/// Where it is mapped.
const BASE: u64 = 0x40_0000;

/// Writes it to a file that goes with the value.
pub(super) fn write() -> Result<TempPath> {
    let mut file = tempfile::Builder::new().prefix("kestrel-bench-").tempfile()?;
    file.write_all(&elf())?;
    let path = file.into_temp_path();
    std::fs::set_permissions(&path, Permissions::from_mode(0o755))?;
    Ok(path)
}

fn elf() -> Vec<u8> {
    let code = exit_code();
    let len = HEADERS + code.len() as u64;
    let mut image = Vec::new();
    image.extend(b"\x7fELF");
    // 64 bits, little endian, version 1, System V.
    image.extend([2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    // ET_EXEC, the machine, version 1.
    image.extend(2u16.to_le_bytes());
    image.extend(MACHINE.to_le_bytes());
    image.extend(1u32.to_le_bytes());
    // Entry, program headers, no section headers, no flags.
    for word in [BASE + HEADERS, 64, 0] {
        image.extend(word.to_le_bytes());
    }
    image.extend(0u32.to_le_bytes());
    // Sizes and numbers of the headers.
    for half in [64u16, 56, 1, 0, 0, 0] {
        image.extend(half.to_le_bytes());
    }
    // PT_LOAD, readable and executable.
    image.extend(1u32.to_le_bytes());
    image.extend(5u32.to_le_bytes());
    for word in [0, BASE, BASE, len, len, 0x1000] {
        image.extend(word.to_le_bytes());
    }
    image.extend(code);
    image
}

#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = 62;
#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = 183;

/// `exit(0)`.
#[cfg(target_arch = "x86_64")]
fn exit_code() -> Vec<u8> {
    // mov eax, 60; xor edi, edi; syscall
    vec![0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05]
}

/// `exit(0)`.
#[cfg(target_arch = "aarch64")]
fn exit_code() -> Vec<u8> {
    // mov x8, #93; mov x0, #0; svc #0
    [0xd280_0ba8_u32, 0xd280_0000, 0xd400_0001].into_iter().flat_map(u32::to_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use std::{io::ErrorKind, process::Command};

    use super::*;

    #[test]
    fn it_ends_well() {
        let file = write().unwrap();
        // A child of another test may hold the file open for writing until it execs.
        let status = loop {
            match Command::new(&*file).status() {
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
                result => break result.unwrap(),
            }
        };
        assert!(status.success());
        assert!(elf().len() < 256);
    }
}

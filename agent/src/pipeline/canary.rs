//! The agent's own canary: a program that it runs now and then, to see that it sees.

/// Hidden command of the agent whose exec is looked for: `kestrel-agent canary <nonce>`, the nonce
/// in lower-case hex digits.
pub const COMMAND: &str = "canary";

/// The exec of a child of the agent was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CanarySeen {
    /// Its argument; `None` where the record came without arguments, since the ring was nearly
    /// full: then only the process tells which one it was.
    pub nonce: Option<u64>,
    /// The process.
    pub tgid: u32,
    /// When the kernel ran it, `CLOCK_BOOTTIME` nanoseconds.
    pub boottime_ns: u64,
}

/// The nonce of a canary's arguments; `None` for any other command.
pub(super) fn nonce_of(argv: &[u8]) -> Option<u64> {
    let mut arguments = argv.split(|&byte| byte == 0).skip(1);
    if arguments.next()? != COMMAND.as_bytes() {
        return None;
    }
    u64::from_str_radix(str::from_utf8(arguments.next()?).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_canary_has_a_nonce() {
        assert_eq!(nonce_of(b"/proc/self/exe\0canary\x0000ff\0"), Some(255));
        assert_eq!(nonce_of(b"x\0canary\0ffffffffffffffff\0"), Some(u64::MAX));
        for other in
            [&b"x\0canary\0"[..], b"x\0canary\0\0", b"x\0canary\0g\0", b"canary\x001\0", b"", b"x\0y\x001"]
        {
            assert_eq!(nonce_of(other), None, "{other:?}");
        }
    }
}

//! `/proc/PID/environ` (proc_pid_environ(5)): the memory that the kernel filled at the exec. A process may
//! write there what it likes afterwards.

use std::{
    fs::File,
    io::{self, Read as _},
};

/// Most bytes that are kept. Whoever gives a program more hides what follows, which is counted.
const MOST_BYTES: u64 = 128 << 10;

/// The variables, and whether these are all.
pub(super) fn read(file: File) -> io::Result<(Box<[u8]>, bool)> {
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    let is_whole = bytes.len() as u64 <= MOST_BYTES;
    if !is_whole {
        // The last is not there whole.
        let end = bytes.iter().rposition(|&byte| byte == 0).map_or(0, |at| at + 1);
        bytes.truncate(end);
    }
    Ok((bytes.into(), is_whole))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn of(text: &[u8]) -> (Box<[u8]>, bool) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text).unwrap();
        read(file.reopen().unwrap()).unwrap()
    }

    #[test]
    fn what_is_too_much_is_cut_between_two_variables() {
        assert_eq!(of(b"A=1\0B=2\0"), (b"A=1\0B=2\0"[..].into(), true));
        let long = [&b"A=1\0B="[..], &vec![b'x'; MOST_BYTES as usize], b"\0C=3\0"].concat();
        assert_eq!(of(&long), (b"A=1\0"[..].into(), false));
        assert_eq!(of(&vec![b'x'; MOST_BYTES as usize + 1]), (b""[..].into(), false));
    }
}

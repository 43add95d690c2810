//! The kernel's own list of its functions. It has those that its types leave out, and tells a call from what
//! stands in for it where it was left out.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    sync::OnceLock,
};

/// Shows the names to everybody, and the addresses to few.
const FILE: &str = "/proc/kallsyms";

/// The functions whose name begins with any of `prefixes`, which are the same at each call. They do not change
/// while the kernel runs.
pub(super) fn functions(prefixes: &[&str]) -> &'static [String] {
    static FUNCTIONS: OnceLock<Vec<String>> = OnceLock::new();
    FUNCTIONS.get_or_init(|| {
        File::open(FILE).and_then(|file| parse(BufReader::new(file), prefixes)).unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot read {FILE}: the kernel's types say which calls there are, and err");
            Vec::new()
        })
    })
}

/// `ffffffff81000000 T name`, and the name of a module behind it. What is weak (`W`) has the name of a call that
/// this kernel does not have, and does nothing (kernel/sys_ni.c).
fn parse(mut file: impl BufRead, prefixes: &[&str]) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    let mut line = String::new();
    while file.read_line(&mut line)? != 0 {
        let mut words = line.split_ascii_whitespace().skip(1);
        if let (Some("T" | "t"), Some(name)) = (words.next(), words.next())
            && prefixes.iter().any(|prefix| name.starts_with(prefix))
        {
            names.push(name.to_owned());
        }
        line.clear();
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_told_by_how_they_begin() {
        let text = "ffffffff81000000 T _text\n0000000000000000 T __x64_sys_open\n0 t __do_sys_open\n0 W __x64_sys_acct\n\
                    0 T __ia32_sys_bpf\n\
                    0 t __x64_sys_in\t[module]\n\nodd\n";
        let names = parse(text.as_bytes(), &["__x64_sys_", "__ia32_sys_"]).unwrap();
        assert_eq!(names, ["__x64_sys_open", "__ia32_sys_bpf", "__x64_sys_in"]);
    }

    #[test]
    fn this_kernel_s_calls_are_among_them() {
        use crate::syscall::PREFIXES;
        assert!(functions(PREFIXES).iter().any(|name| name.ends_with("_sys_openat")));
    }
}

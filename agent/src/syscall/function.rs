//! The kernel's functions of a call. Their names are made by the macros of
//! arch/x86/include/asm/syscall_wrapper.h and its like, and by the tables that name them
//! (arch/x86/entry/syscalls, arch/arm64/tools).

use std::collections::BTreeSet;

use agent_abi::interest::{ABI_COMPAT, ABI_NATIVE, ABI_X32};

use super::Call;

/// How the names of such functions begin.
#[cfg(target_arch = "x86_64")]
pub const PREFIXES: &[&str] =
    &["__x64_sys_", "__ia32_sys_", "__ia32_compat_sys_", "__x64_compat_sys_", "__x32_compat_sys_"];
/// How the names of such functions begin.
#[cfg(target_arch = "aarch64")]
pub const PREFIXES: &[&str] = &["__arm64_sys_", "__arm64_compat_sys_"];

#[cfg(target_arch = "x86_64")]
mod prefix {
    pub(super) const NATIVE: &[&str] = &["__x64_sys_"];
    pub(super) const COMPAT: &[&str] = &["__ia32_sys_", "__ia32_compat_sys_"];
    /// Of the calls that x32 has numbers of its own for; the last is the name before 5.8.
    pub(super) const X32: &[&str] = &["__x64_sys_", "__x64_compat_sys_", "__x32_compat_sys_"];
}
#[cfg(target_arch = "aarch64")]
mod prefix {
    pub(super) const NATIVE: &[&str] = &["__arm64_sys_"];
    pub(super) const COMPAT: &[&str] = &["__arm64_sys_", "__arm64_compat_sys_"];
    pub(super) const X32: &[&str] = &[];
}

/// Marks of the 16-bit, 32-bit and 64-bit forms that a 32-bit call may have.
const SUFFIXES: [&str; 5] = ["", "16", "32", "64", "_pgoff"];
/// Marks of functions that are made for 32-bit callers, or are older than the call.
const INFIXES: [&str; 4] = ["", "ia32_", "aarch32_", "old"];

/// Calls without arguments: one function serves all ABIs, under several names (`SYSCALL_DEFINE0`).
const WITHOUT_ARGUMENTS: [&str; 1] = ["inotify_init"];

/// A call in one ABI, and where the kernel serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The call.
    pub name: &'static str,
    /// [`ABI_NATIVE`] and its like.
    pub abi: u8,
    /// Its numbers there.
    pub numbers: Vec<u32>,
    /// The functions that may serve it, of those that the kernel has.
    pub functions: Vec<String>,
}

impl Call {
    /// Where the kernel serves it, in every ABI that it has numbers in. `known` are the functions
    /// that this kernel has.
    #[must_use]
    pub fn entries(&self, known: &BTreeSet<String>) -> Vec<Entry> {
        let entry = |abi, numbers: Vec<u32>, functions| Entry { name: self.name, abi, numbers, functions };
        let plain = || self.candidates(prefix::NATIVE, &[""], &[""], known);
        let mut entries = Vec::new();
        entries.extend(self.native.map(|number| entry(ABI_NATIVE, vec![number], plain())));
        if !self.compat.is_empty() {
            let functions = if WITHOUT_ARGUMENTS.contains(&self.name) {
                plain()
            } else {
                self.candidates(prefix::COMPAT, &INFIXES, &SUFFIXES, known)
            };
            entries.push(entry(ABI_COMPAT, self.compat.to_vec(), functions));
        }
        if cfg!(target_arch = "x86_64") {
            match (self.x32, self.native) {
                (Some(number), _) => {
                    let functions = self.candidates(prefix::X32, &[""], &[""], known);
                    entries.push(entry(ABI_X32, vec![number], functions));
                }
                (None, Some(number)) => entries.push(entry(ABI_X32, vec![number], plain())),
                (None, None) => {}
            }
        }
        entries
    }

    /// What the kernel calls it where that is not what everybody else does.
    fn kernel_name(&self) -> &'static str {
        match self.name {
            "umount2" => "umount",
            "old_mmap" => "mmap",
            name => name,
        }
    }

    fn candidates(
        &self,
        prefixes: &[&str],
        infixes: &[&str],
        suffixes: &[&str],
        known: &BTreeSet<String>,
    ) -> Vec<String> {
        let name = self.kernel_name();
        let mut found = Vec::new();
        for prefix in prefixes {
            for infix in infixes {
                for suffix in suffixes {
                    found.push(format!("{prefix}{infix}{name}{suffix}"));
                }
            }
        }
        found.retain(|function| known.contains(function));
        // A function for 32-bit callers stands in the table in place of the other of its name.
        let compat: Vec<_> =
            found.iter().filter(|function| function.contains("_compat_sys_")).cloned().collect();
        found.retain(|function| {
            let replaced = function.replacen("_sys_", "_compat_sys_", 1);
            function.contains("_compat_sys_") || !compat.contains(&replaced)
        });
        found
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::syscall::by_name;

    fn entries(name: &str, known: &[&str]) -> Vec<(u8, Vec<u32>, Vec<String>)> {
        let known = known.iter().map(|&name| name.to_owned()).collect();
        let entries = by_name(name).expect("a call of the table").entries(&known);
        entries.into_iter().map(|entry| (entry.abi, entry.numbers, entry.functions)).collect()
    }

    #[test]
    fn a_call_has_a_function_for_each_abi() {
        let known =
            ["__x64_sys_openat", "__ia32_sys_openat", "__ia32_compat_sys_openat", "__x64_sys_openat2"];
        let of = |name: &str| vec![name.to_owned()];
        assert_eq!(
            entries("openat", &known),
            [
                (ABI_NATIVE, vec![257], of("__x64_sys_openat")),
                (ABI_COMPAT, vec![295], of("__ia32_compat_sys_openat")),
                (ABI_X32, vec![257], of("__x64_sys_openat")),
            ]
        );
    }

    #[test]
    fn old_forms_of_a_call_have_functions_of_their_own() {
        let known = [
            "__ia32_sys_setuid",
            "__ia32_sys_setuid16",
            "__ia32_sys_umount",
            "__ia32_sys_oldumount",
            "__x64_sys_umount",
        ];
        assert_eq!(entries("setuid", &known)[1].2, ["__ia32_sys_setuid", "__ia32_sys_setuid16"]);
        assert_eq!(entries("umount2", &known)[1].2, ["__ia32_sys_umount", "__ia32_sys_oldumount"]);
        assert_eq!(entries("umount2", &known)[0].2, ["__x64_sys_umount"]);
    }

    #[test]
    fn a_call_without_arguments_has_one_function() {
        let known = ["__ia32_sys_inotify_init", "__x64_sys_inotify_init"];
        assert_eq!(entries("inotify_init", &known)[1].2, ["__x64_sys_inotify_init"]);
    }

    #[test]
    fn x32_has_numbers_of_its_own_for_some() {
        let known = ["__x64_sys_sendmsg", "__x64_compat_sys_sendmsg"];
        assert_eq!(
            entries("sendmsg", &known)[2],
            (ABI_X32, vec![518], vec!["__x64_compat_sys_sendmsg".to_owned()])
        );
        assert_eq!(entries("sendmsg", &[])[2], (ABI_X32, vec![518], Vec::new()));
    }
}

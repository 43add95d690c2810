//! The flags that a process was started with, as Go's flag libraries read them.
//!
//! Kubernetes uses pflag with `_` as good as `-` (`cliflag.WordSepNormalizeFunc`), etcd Go's own `flag`, where
//! one dash is as good as two. Either takes `--x=y` and `--x y`; a boolean flag takes its value after `=` only.

use crate::inspect::{NotRead, Read};

/// Most flags of a process.
const FLAGS: usize = 1024;

/// The boolean flags that are asked for; a word after one of them is not its value.
const BOOLEAN: &[&str] = &[
    "anonymous-auth",
    "auto-tls",
    "client-cert-auth",
    "peer-auto-tls",
    "peer-client-cert-auth",
    "profiling",
    "rotate-server-certificates",
];

/// The other flags that are asked for; the word after one of them is its value, whatever it is.
const VALUED: &[&str] = &[
    "admission-control",
    "audit-log-maxage",
    "audit-log-maxbackup",
    "audit-log-maxsize",
    "audit-log-path",
    "audit-policy-file",
    "audit-webhook-config-file",
    "authentication-config",
    "authorization-config",
    "authorization-mode",
    "cert-file",
    "client-ca-file",
    "config",
    "config-dir",
    "config-file",
    "disable-admission-plugins",
    "enable-admission-plugins",
    "encryption-provider-config",
    "etcd-cafile",
    "etcd-certfile",
    "etcd-keyfile",
    "etcd-servers",
    "key-file",
    "peer-cert-file",
    "peer-key-file",
    "read-only-port",
    "tls-cert-file",
    "tls-private-key-file",
];

/// Flags in the order in which they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    flags: Vec<(String, String)>,
}

impl Arguments {
    /// Reads what `/proc/PID/cmdline` holds.
    ///
    /// # Errors
    /// There are no arguments (the process has exited), or too many.
    pub fn parse(cmdline: &[u8]) -> Read<Self> {
        let cmdline = cmdline.strip_suffix(&[0]).unwrap_or(cmdline);
        if cmdline.is_empty() {
            return Err(NotRead::Gone);
        }
        let mut flags = Vec::new();
        let mut words = cmdline.split(|byte| *byte == 0).map(String::from_utf8_lossy).skip(1).peekable();
        while let Some(word) = words.next() {
            let Some(flag) = word.strip_prefix('-') else { continue };
            let flag = flag.strip_prefix('-').unwrap_or(flag);
            if flag.is_empty() {
                // `--`: what follows are no flags.
                break;
            }
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (normal(name), value.to_owned()),
                None => {
                    let name = normal(flag);
                    let is_value = |next: &str| VALUED.contains(&name.as_str()) || !next.starts_with('-');
                    let value = if BOOLEAN.contains(&name.as_str()) {
                        None
                    } else {
                        words.next_if(|next| is_value(next))
                    };
                    let value = value.map_or_else(|| "true".to_owned(), |value| value.into_owned());
                    (name, value)
                }
            };
            if flags.len() == FLAGS {
                return Err(NotRead::TooMuch);
            }
            flags.push((name, value));
        }
        Ok(Self { flags })
    }

    /// The value of a flag; the last, where it is repeated.
    #[must_use]
    pub fn last(&self, name: &str) -> Option<&str> {
        self.values(name).last()
    }

    /// A flag that is given, and is not empty: an empty path is none.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<&str> {
        self.last(name).filter(|path| !path.is_empty())
    }

    /// Everything in a flag that is a list: one that is repeated adds to it. `None`: it is not given.
    #[must_use]
    pub fn list(&self, name: &str) -> Option<Vec<&str>> {
        self.last(name)?;
        let items = self.values(name).flat_map(|value| value.split(','));
        Some(items.map(str::trim).filter(|item| !item.is_empty()).collect())
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.flags.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A truth value, as Go reads one (`strconv.ParseBool`).
#[must_use]
pub fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn normal(name: &str) -> String {
    name.replace('_', "-")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::inspect::node::testing::{APISERVER, cmdline};

    fn parsed(words: &[&str]) -> Arguments {
        Arguments::parse(&cmdline(words)).unwrap()
    }

    #[test]
    fn each_form_of_a_flag() {
        let flags = parsed(&[
            "kubelet",
            "--anonymous-auth=false",
            "--read_only_port",
            "0",
            "-v",
            "2",
            "--profiling",
            "--client-ca-file",
            "--odd",
            "--tls-cert-file=",
            "-config=/etc/a=b",
        ]);
        assert_eq!(flags.last("anonymous-auth"), Some("false"));
        assert_eq!(flags.last("read-only-port"), Some("0"));
        assert_eq!(flags.last("v"), Some("2"));
        assert_eq!(flags.last("profiling"), Some("true"));
        assert_eq!(flags.last("client-ca-file"), Some("--odd"));
        assert_eq!((flags.last("tls-cert-file"), flags.path("tls-cert-file")), (Some(""), None));
        assert_eq!(flags.last("config"), Some("/etc/a=b"));
        assert_eq!(flags.last("other"), None);
    }

    #[test]
    fn the_last_wins_and_lists_add_up() {
        let flags =
            parsed(&["x", "--profiling=true", "--authorization-mode=Node, RBAC", "--profiling=false"]);
        assert_eq!(flags.last("profiling"), Some("false"));
        assert_eq!(flags.list("authorization-mode"), Some(vec!["Node", "RBAC"]));
        let flags = parsed(&["x", "--authorization-mode=Node", "--authorization-mode", "AlwaysAllow"]);
        assert_eq!(flags.list("authorization-mode"), Some(vec!["Node", "AlwaysAllow"]));
        assert_eq!(flags.list("enable-admission-plugins"), None);
    }

    #[test]
    fn a_word_after_a_boolean_flag_is_not_its_value_and_two_dashes_end_the_flags() {
        let flags = parsed(&["etcd", "--client-cert-auth", "false", "--", "--auto-tls"]);
        assert_eq!(flags.last("client-cert-auth"), Some("true"));
        assert_eq!(flags.last("auto-tls"), None);
    }

    #[test]
    fn kubeadm() {
        let flags = parsed(APISERVER);
        assert_eq!(flags.list("authorization-mode"), Some(vec!["Node", "RBAC"]));
        assert_eq!(flags.path("etcd-cafile"), Some("/etc/kubernetes/pki/etcd/ca.crt"));
        assert_eq!(flags.last("profiling"), None);
    }

    #[test]
    fn bounds() {
        assert_eq!(Arguments::parse(b""), Err(NotRead::Gone));
        assert_eq!(Arguments::parse(b"\0"), Err(NotRead::Gone));
        let many: Vec<_> = std::iter::once("x").chain(std::iter::repeat_n("--a=b", FLAGS + 1)).collect();
        assert_eq!(Arguments::parse(&cmdline(&many)), Err(NotRead::TooMuch));
    }

    #[test]
    fn truths_are_those_of_go() {
        assert_eq!(truth("True"), Some(true));
        assert_eq!(truth("0"), Some(false));
        assert_eq!(truth("yes"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            if let Ok(flags) = Arguments::parse(&bytes) {
                prop_assert!(flags.flags.len() <= FLAGS);
            }
        }
    }
}

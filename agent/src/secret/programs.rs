//! Flags whose secret is the next word, and programs that take secrets without naming them.

use super::{
    BY_OPTION, Found, keys,
    text::{unquoted, words},
};

/// What the next word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// A secret.
    Secret,
    /// A user and a secret, apart by this byte.
    Behind(u8),
    /// A script of a shell.
    Script,
}

/// A flag of a program.
struct Flag {
    name: &'static [u8],
    next: Next,
    /// The value may follow in the same word.
    attached: bool,
}

const fn secret(name: &'static [u8]) -> Flag {
    Flag { name, next: Next::Secret, attached: true }
}

const fn behind(name: &'static [u8], byte: u8) -> Flag {
    Flag { name, next: Next::Behind(byte), attached: true }
}

/// Programs by the start of their names, and their flags.
const PROGRAMS: [(&[&str], &[Flag]); 11] = [
    (&["mysql", "mariadb", "mongo"], &[secret(b"-p")]),
    (&["sshpass", "7z", "7za", "7zr"], &[secret(b"-p")]),
    (&["redis-cli", "valkey-cli"], &[secret(b"-a")]),
    (&["ldap"], &[secret(b"-w")]),
    (&["zip", "unzip", "sqlcmd", "bcp", "ipmitool"], &[secret(b"-P")]),
    (
        &["openssl"],
        &[
            Flag { name: b"-k", next: Next::Secret, attached: false },
            Flag { name: b"-K", next: Next::Secret, attached: false },
        ],
    ),
    (
        &["curl"],
        &[behind(b"-u", b':'), behind(b"-U", b':'), behind(b"--user", b':'), behind(b"--proxy-user", b':')],
    ),
    (
        &["ctr", "crictl", "http", "https"],
        &[behind(b"-u", b':'), behind(b"--user", b':'), behind(b"-a", b':')],
    ),
    (&["smbclient", "rpcclient"], &[behind(b"-U", b'%')]),
    (LOGIN, &[]),
    (&["svn"], &[]),
];

/// Programs whose `-p` is a password once they `login`, and a port elsewhere.
const LOGIN: &[&str] = &["docker", "podman", "nerdctl", "helm", "oras", "crane", "skopeo", "buildah", "az"];
const LOGIN_FLAGS: &[Flag] = &[secret(b"-p")];

/// Programs whose flags end in `c` before a script.
const SHELLS: [&str; 7] = ["sh", "bash", "dash", "ash", "zsh", "ksh", "busybox"];

/// What the words so far say of those that follow.
#[derive(Debug, Default)]
pub(super) struct Programs {
    flags: Vec<&'static [Flag]>,
    has_login: bool,
    is_shell: bool,
    next: Option<Next>,
}

impl std::fmt::Debug for Flag {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&String::from_utf8_lossy(self.name))
    }
}

impl Programs {
    /// An empty argument: a value like any other.
    pub(super) fn empty(&mut self) {
        self.next = None;
    }

    /// Takes the words of an argument. Whether it is a script.
    pub(super) fn words(&mut self, argument: &[u8], found: &mut Found) -> bool {
        match self.next.take() {
            Some(Next::Secret) => {
                found.add(0..argument.len(), BY_OPTION);
                return false;
            }
            Some(Next::Behind(byte)) => {
                behind_byte(argument, 0, byte, found);
                return false;
            }
            Some(Next::Script) => {
                self.script(argument, found);
                return true;
            }
            None => {}
        }
        // Of an argument with several words the first says what it is, and a value goes to its end.
        let has_words = argument.iter().any(u8::is_ascii_whitespace);
        let is_flag = argument.first() == Some(&b'-');
        if has_words && !is_flag {
            self.script(argument, found);
        } else {
            self.word(argument, 0..argument.len(), found);
        }
        false
    }

    fn script(&mut self, script: &[u8], found: &mut Found) {
        let mut inner = Self { flags: self.flags.clone(), has_login: self.has_login, ..Self::default() };
        for range in words(script) {
            let word = unquoted(&script[range.clone()]);
            match inner.next.take() {
                Some(Next::Secret) => found.add(range, BY_OPTION),
                Some(Next::Behind(byte)) => behind_byte(&script[..range.end], range.start, byte, found),
                // A script in a script: its words are looked at like those around it.
                Some(Next::Script) if word.iter().any(u8::is_ascii_whitespace) => {
                    let mut own = Found::default();
                    let start = range.start + usize::from(word.len() != range.len());
                    inner.script(word, &mut own);
                    own.0.into_iter().for_each(|(own, by)| found.add(own.start + start..own.end + start, by));
                }
                Some(Next::Script) | None => inner.word(script, range, found),
            }
        }
    }

    fn word(&mut self, text: &[u8], range: std::ops::Range<usize>, found: &mut Found) {
        let word = unquoted(&text[range.clone()]);
        if word.first() != Some(&b'-') {
            self.name(word);
            return;
        }
        let login = if self.has_login { LOGIN_FLAGS } else { &[] };
        for flag in self.flags.iter().copied().flatten().chain(login) {
            let Some(value) = word.strip_prefix(flag.name) else { continue };
            if value.is_empty() {
                self.next = Some(flag.next);
                return;
            }
            let is_long = flag.name.starts_with(b"--");
            if !flag.attached || (is_long && value[0] != b'=') {
                continue;
            }
            // Of a quoted word the quote goes along.
            let start = range.end - value.len() - usize::from(word.len() != range.len());
            match flag.next {
                Next::Secret => found.add(start..range.end, BY_OPTION),
                Next::Behind(byte) => behind_byte(&text[..range.end], start, byte, found),
                Next::Script => {}
            }
            return;
        }
        let name = &word[word.iter().take_while(|&&byte| byte == b'-').count()..];
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.len() > 1 && name.iter().all(is_name) && keys::is_secret(name) {
            self.next = Some(Next::Secret);
        } else if self.is_shell && !word.starts_with(b"--") && word.ends_with(b"c") {
            self.next = Some(Next::Script);
        }
    }

    /// A word that is no flag may be a program, also behind `sudo` or `env`.
    fn name(&mut self, word: &[u8]) {
        let name = word.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        let Ok(name) = str::from_utf8(name) else { return };
        self.is_shell |= SHELLS.contains(&name.strip_prefix('-').unwrap_or(name));
        if name == "login" && self.flags.iter().any(|flags| flags.is_empty()) {
            self.has_login = true;
        }
        if name.eq_ignore_ascii_case("auth")
            && self.flags.iter().flat_map(|flags| flags.iter()).any(|flag| flag.name == b"-a")
        {
            self.next = Some(Next::Secret);
        }
        for (names, flags) in PROGRAMS {
            // Families of programs share the start of their names.
            let is_named = |start: &&str| match *start {
                "mysql" | "mariadb" | "mongo" | "ldap" => name.starts_with(start),
                start => name == start,
            };
            if names.iter().any(is_named) && self.flags.len() < MAX_PROGRAMS {
                self.flags.push(flags);
            }
        }
    }
}

/// Programs in one command line whose flags are known.
const MAX_PROGRAMS: usize = 8;

/// `user:secret` from `start` to the end of `text`.
fn behind_byte(text: &[u8], start: usize, byte: u8, found: &mut Found) {
    if let Some(at) = text[start..].iter().position(|&other| other == byte) {
        found.add(start + at + 1..text.len(), BY_OPTION);
    }
}

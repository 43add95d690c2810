//! What looks like a secret, in arguments and in variables of an environment.
//!
//! | looked for | for example |
//! |---|---|
//! | values of keys that say so | `--password=…`, `TOKEN=…`, `"secret": "…"`, `Authorization: …` |
//! | the word after such a flag | `--password …`, `-storepass …` |
//! | what some programs take without a name | `mysql -p…`, `curl -u user:…` |
//! | passwords before a host | `https://user:…@host` |
//! | shapes that are known | AWS, GitHub, Slack, Stripe, JWT, private keys |
//! | long words that look random | 24 letters and digits of both cases, mixed |
//!
//! Where something is taken out ([`crate::export::redact`]), too much is better than too little:
//! [`each_argument`] gives all of it. Where somebody is told that it is there, it is the other way round:
//! [`in_arguments`] and [`in_variable`] leave out what only stands in for a secret ([`stand_in`]). They say
//! what it was known by, and never what it is.

mod keys;
mod programs;
mod random;
mod shapes;
mod stand_in;
mod text;
mod url;
mod variable;

use std::ops::Range;

use self::programs::Programs;
pub(crate) use self::variable::in_variable;

/// Value of a key whose name says that it is secret.
const BY_NAME: &str = "name";
/// What a program takes without a name.
const BY_OPTION: &str = "option";
/// A password before a host.
const BY_URL: &str = "password in a URL";
/// A long word that looks random.
const BY_CHANCE: &str = "random text";

/// Places of secrets in one argument, and what each was known by.
#[derive(Debug, Default)]
pub(crate) struct Found(Vec<(Range<usize>, &'static str)>);

impl Found {
    fn add(&mut self, range: Range<usize>, known_by: &'static str) {
        if !range.is_empty() {
            self.0.push((range, known_by));
        }
    }

    /// Whether there is none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// By where they begin.
    pub(crate) fn sort(&mut self) {
        self.0.sort_by_key(|(range, _)| range.start);
    }

    /// They may overlap.
    pub(crate) fn places(self) -> impl Iterator<Item = Range<usize>> {
        self.0.into_iter().map(|(range, _)| range)
    }

    /// What the first that is really one was known by.
    fn known_by(&self, text: &[u8]) -> Option<&'static str> {
        let mut found = self.0.iter().filter(|(range, known_by)| !stand_in::stands_in(text, range, known_by));
        // What has a shape is named by it, whatever else it was known by.
        let first = found.next()?.1;
        let is_shape = |known_by: &&'static str| ![BY_NAME, BY_OPTION, BY_URL, BY_CHANCE].contains(known_by);
        Some([first].into_iter().chain(found.map(|(_, known_by)| *known_by)).find(is_shape).unwrap_or(first))
    }
}

/// Gives each argument and what looks like a secret in it; `truncated`: the last argument may have lost its
/// end. Arguments speak of those that follow them, so all are wanted, in their order.
pub(crate) fn each_argument<'a>(
    arguments: impl Iterator<Item = &'a [u8]>,
    truncated: bool,
    mut each: impl FnMut(&'a [u8], Found),
) {
    let mut programs = Programs::default();
    let mut arguments = arguments.peekable();
    while let Some(argument) = arguments.next() {
        let is_cut = truncated && arguments.peek().is_none();
        each(argument, find(argument, &mut programs, is_cut));
    }
}

/// In which arguments, from 0, a secret stands, and what it was known by.
pub(crate) fn in_arguments<'a>(arguments: impl Iterator<Item = &'a [u8]>) -> Vec<(usize, &'static str)> {
    let mut secrets = Vec::new();
    let mut place = 0;
    each_argument(arguments, false, |argument, found| {
        secrets.extend(found.known_by(argument).map(|known_by| (place, known_by)));
        place += 1;
    });
    secrets
}

fn find(argument: &[u8], programs: &mut Programs, is_cut: bool) -> Found {
    let mut found = Found::default();
    if argument.is_empty() {
        programs.empty();
        return found;
    }
    let is_script = programs.words(argument, &mut found);
    keys::find(argument, is_script, &mut found);
    url::find(argument, is_cut, &mut found);
    shapes::find(argument, is_cut, &mut found);
    random::find(argument, &mut found);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> Vec<(usize, &'static str)> {
        in_arguments(line.split('|').map(str::as_bytes))
    }

    #[test]
    fn arguments_are_told_by_their_place() {
        assert_eq!(told("app|--password=hunter2"), [(1, "name")]);
        assert_eq!(told("app|--password|hunter2|--token|abc"), [(2, "option"), (4, "option")]);
        assert_eq!(told("mysql|-uroot|-phunter2"), [(2, "option")]);
        assert_eq!(told("git|clone|https://bob:hunter2@example.org/r"), [(2, "password in a URL")]);
        assert_eq!(told("app|--token=ghp_16C7e42F292c6912E7710c838347Ae178B4a"), [(1, "GitHub token")]);
        assert_eq!(told("sh|-c|export PASSWORD=hunter2; exec app"), [(2, "name")]);
    }

    #[test]
    fn what_stands_in_for_a_secret_is_not_told() {
        for line in [
            "app|--password=${PASSWORD}",
            "app|--password|$(PASSWORD)",
            "sh|-c|export PASSWORD=$(cat /run/secrets/db); exec app",
            "sh|-c|curl -H 'Authorization: Bearer $TOKEN' https://example.org",
            "app|--token|/run/secrets/token",
            "app|--token=/var/run/secrets/kubernetes.io/serviceaccount/token",
            "app|--enable-auth=true|--require-token|--x",
            "openssl|rsa|-passin|file:/run/secrets/key",
            "app|http://127.0.0.1:8080/healthz",
            "app|--commit|da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "",
        ] {
            assert_eq!(told(line), [], "{line}");
        }
    }
}

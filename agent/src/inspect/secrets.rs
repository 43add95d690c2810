//! Secrets in the environments and arguments of processes: where they stand, never what they are.
//!
//! By `/proc/PID/environ` and `/proc/PID/cmdline` (proc_pid_environ(5), proc_pid_cmdline(5)), which show the
//! process' own memory: a workload may write there what it likes.

use std::{collections::BTreeSet, path::Path};

use super::{NotRead, Read, SecretPlace, file::of_process};
use crate::secret;

/// Longest environment, and arguments, of a process that are read; `execve` takes no more in one string.
const PROCESS_BYTES: usize = 128 << 10;
/// Most bytes that are read of all processes of a container.
const CONTAINER_BYTES: usize = 8 << 20;
/// Most places that are told.
const PLACES: usize = 64;
/// Longest name of a variable that is told.
const NAME_BYTES: usize = 128;
/// Stands for a name that is none, or has a secret in it.
const NO_NAME: &str = "a variable without a plain name";

/// Variables of these processes' environments that look like secrets, each once with the first process that has
/// it.
///
/// # Errors
/// When not all could be read, and what could be has none.
pub fn environment(processes: &[u32]) -> Read<Vec<SecretPlace>> {
    each_process(Path::new("/proc"), processes, "environ", variables)
}

/// Arguments of these processes that look like secrets.
///
/// # Errors
/// When not all could be read, and what could be has none.
pub fn arguments(processes: &[u32]) -> Read<Vec<SecretPlace>> {
    each_process(Path::new("/proc"), processes, "cmdline", in_arguments)
}

fn each_process(
    proc: &Path,
    processes: &[u32],
    file: &str,
    find: fn(&[u8]) -> Vec<(String, &'static str)>,
) -> Read<Vec<SecretPlace>> {
    let mut found = Vec::new();
    let mut known = BTreeSet::new();
    let mut missed = None;
    let mut is_any_there = false;
    let mut left = CONTAINER_BYTES;
    for &tgid in processes {
        if left == 0 || found.len() == PLACES {
            missed = Some(NotRead::TooMuch);
            break;
        }
        let text = match of_process(proc, tgid, file, PROCESS_BYTES.min(left)) {
            Ok(text) => text,
            Err(NotRead::Gone) => continue,
            Err(why) => {
                missed = Some(why);
                continue;
            }
        };
        is_any_there = true;
        left = left.saturating_sub(text.bytes.len());
        if !text.is_whole {
            missed = Some(NotRead::TooMuch);
        }
        for (name, known_by) in find(&text.bytes) {
            if found.len() < PLACES && known.insert((name.clone(), known_by)) {
                found.push(SecretPlace { tgid, name, known_by });
            }
        }
    }
    match missed {
        Some(why) if found.is_empty() => Err(why),
        None if !is_any_there => Err(NotRead::Gone),
        _ => Ok(found),
    }
}

fn variables(environ: &[u8]) -> Vec<(String, &'static str)> {
    let variables = environ.split(|&byte| byte == 0);
    variables
        .filter_map(|variable| {
            let (name, value) = variable.split_at(variable.iter().position(|&byte| byte == b'=')?);
            let known_by = secret::in_variable(name, value.get(1..)?)?;
            Some((shown(name), known_by))
        })
        .collect()
}

/// A name as it may be told. A process that writes its title over its environment has no names there.
fn shown(name: &[u8]) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let name = str::from_utf8(name).ok().filter(|name| {
        (1..=NAME_BYTES).contains(&name.len())
            && name.bytes().all(|byte| is_plain(&byte))
            && secret::in_variable(b"", name.as_bytes()).is_none()
    });
    name.unwrap_or(NO_NAME).to_owned()
}

fn in_arguments(cmdline: &[u8]) -> Vec<(String, &'static str)> {
    let cmdline = cmdline.strip_suffix(b"\0").unwrap_or(cmdline);
    let found = secret::in_arguments(cmdline.split(|&byte| byte == 0));
    found.into_iter().map(|(place, known_by)| (format!("argument {place}"), known_by)).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SECRET: &str = "hunter2-correct.horse!42";
    const SHAPED: &str = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";

    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn process(self, tgid: u32, environ: &str, cmdline: &str) -> Self {
            let folder = self.0.path().join(tgid.to_string());
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("environ"), environ.replace('|', "\0")).unwrap();
            fs::write(folder.join("cmdline"), cmdline.replace('|', "\0")).unwrap();
            self
        }

        fn environment(&self, processes: &[u32]) -> Read<Vec<SecretPlace>> {
            each_process(self.0.path(), processes, "environ", variables)
        }

        fn arguments(&self, processes: &[u32]) -> Read<Vec<SecretPlace>> {
            each_process(self.0.path(), processes, "cmdline", in_arguments)
        }
    }

    fn place(tgid: u32, name: &str, known_by: &'static str) -> SecretPlace {
        SecretPlace { tgid, name: name.to_owned(), known_by }
    }

    #[test]
    fn places_are_told_once_and_values_never() {
        let environ = format!("PATH=/bin|DB_PASSWORD={SECRET}|X={SHAPED}|");
        let tree = Tree::new()
            .process(1, &environ, &format!("app|--password={SECRET}|"))
            .process(2, &environ, &format!("mysql|-p{SECRET}|"))
            .process(3, "PATH=/bin|", "sleep|9|");
        let environment = tree.environment(&[1, 2, 3, 4]).unwrap();
        assert_eq!(environment, [place(1, "DB_PASSWORD", "name"), place(1, "X", "GitHub token")]);
        let arguments = tree.arguments(&[1, 2, 3, 4]).unwrap();
        assert_eq!(arguments, [place(1, "argument 1", "name"), place(2, "argument 1", "option")]);
        let shown = format!("{environment:?} {arguments:?}");
        assert!(!shown.contains(SECRET) && !shown.contains(SHAPED), "{shown}");
        assert_eq!(tree.environment(&[3]), Ok(Vec::new()));
        assert_eq!(tree.arguments(&[3]), Ok(Vec::new()));
        assert_eq!(tree.environment(&[4]), Err(NotRead::Gone));
    }

    #[test]
    fn a_name_that_is_none_is_not_told() {
        // As of a process that writes its title over its arguments and environment.
        let environ =
            format!("mysql -p{SECRET} --password={SECRET}|{SHAPED}={SHAPED}|{}={SHAPED}", "N".repeat(500));
        let found = Tree::new().process(1, &environ, "").environment(&[1]).unwrap();
        assert!(!found.is_empty());
        assert!(found.iter().all(|place| place.name == NO_NAME), "{found:?}");
    }

    #[test]
    fn what_is_too_long_is_judged_by_its_front() {
        let filler = format!("X={}|", "y".repeat(PROCESS_BYTES));
        let tree = Tree::new()
            .process(
                1,
                &format!("DB_PASSWORD={SECRET}|{filler}"),
                &format!("app|--password={SECRET}|{filler}"),
            )
            .process(2, &format!("{filler}DB_PASSWORD={SECRET}|"), "");
        assert_eq!(tree.environment(&[1]).unwrap().len(), 1);
        assert_eq!(tree.arguments(&[1]).unwrap().len(), 1);
        assert_eq!(tree.environment(&[2]), Err(NotRead::TooMuch));
    }

    #[test]
    fn places_are_bounded() {
        let environ: String = (0..1000).map(|n| format!("A{n}_PASSWORD={SECRET}|")).collect();
        let tree = Tree::new().process(1, &environ, "").process(2, &environ, "");
        assert_eq!(tree.environment(&[1, 2]).unwrap().len(), PLACES);
    }

    #[test]
    fn this_process_is_read() {
        assert!(environment(&[std::process::id()]).is_ok());
        assert!(arguments(&[std::process::id()]).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn a_planted_value_is_never_told(secret in "[A-Za-z0-9!#%+,.:;@^_~-]{6,40}", way in 0..4_usize) {
            let environ = match way {
                0 => format!("DB_PASSWORD={secret}"),
                1 => format!("DB_URL=postgres://bob:{secret}@db/x"),
                2 => format!("OPTS=--token={secret} -x"),
                _ => format!("title --password {secret}=x"),
            };
            let found = format!("{:?}", variables(environ.as_bytes()));
            proptest::prop_assume!(!"DB_PASSWORD password in a URL name random text OPTS DB_URL".contains(&secret));
            proptest::prop_assert!(!found.contains(&secret), "{}", found);
        }
    }
}

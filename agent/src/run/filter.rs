//! From the configured streams to what the kernel programs look for, and what they leave out.

use agent_abi::hook::Hook;

use crate::{
    config::{Config, FilesOnly, Scope, Streams},
    detect::NeededFiles,
    filter::{Filter, PathPrefix, resolve},
    syscall::{Beside, Call, Family, Only, Wants, all},
};

/// Calls on files that open one: of these it is asked whether it is for writing.
const OPENS: [&str; 5] = ["open", "openat", "openat2", "creat", "open_by_handle_at"];
/// Calls on files that change nothing.
const READS: [&str; 8] = [
    "name_to_handle_at",
    "chdir",
    "fchdir",
    "fanotify_init",
    "fanotify_mark",
    "inotify_init",
    "inotify_init1",
    "inotify_add_watch",
];
/// Calls on processes that are frequent, and mean little by themselves.
const SIGNALS: [&str; 12] = [
    "kill",
    "tkill",
    "tgkill",
    "rt_sigqueueinfo",
    "rt_tgsigqueueinfo",
    "pidfd_open",
    "pidfd_send_signal",
    "setrlimit",
    "prlimit64",
    "keyctl",
    "add_key",
    "request_key",
];

/// What posture and the streams need.
pub(super) fn wants(streams: &Streams) -> Wants {
    let Streams { processes: _, files, files_only, files_below, network, system, signals, limit: _ } =
        streams;
    let mut wants = Wants::posture();
    for call in all() {
        let scope = match call.family {
            // Posture wants them, of all.
            Family::Credentials => continue,
            Family::Files if !call.is_critical() => {
                let only = Only {
                    writes: *files_only == FilesOnly::Writes && OPENS.contains(&call.name),
                    below: (!files_below.is_empty()).then(Beside::default),
                    ..Only::default()
                };
                let is_left_out = *files_only == FilesOnly::Writes && READS.contains(&call.name);
                if !is_left_out {
                    add(&mut wants, call, *files, only);
                }
                continue;
            }
            Family::Processes if SIGNALS.contains(&call.name) => *signals,
            Family::Files | Family::Processes | Family::System => *system,
            Family::Network => *network,
        };
        add(&mut wants, call, scope, Only::default());
    }
    for hook in hooks(streams) {
        wants.add_hook(hook);
    }
    wants
}

/// Hooks that see what is wanted where no system call does. Programs on cgroups take
/// `CAP_NET_ADMIN`.
fn hooks(streams: &Streams) -> impl Iterator<Item = Hook> {
    let of_network = [Hook::SocketState, Hook::Packet].into_iter().filter(|_| streams.network != Scope::Off);
    let of_system = (streams.system == Scope::All).then_some(Hook::Sysctl);
    of_network.chain(of_system)
}

fn add(wants: &mut Wants, call: &Call, scope: Scope, only: Only) {
    match scope {
        Scope::Off => {}
        Scope::Containers => wants.add(call, Only { containers: true, ..only }),
        Scope::All => wants.add(call, only),
    }
}

/// What is left out; files that rules need are not. An executable that cannot be told from others is not muted,
/// and said so.
pub(super) fn filter(config: &Config, of_rules: NeededFiles) -> Filter {
    let Streams { files_below, limit, .. } = &config.streams;
    let mut executables = Vec::new();
    for path in &config.mute.executables {
        match resolve(path) {
            Ok(executable) => executables.push(executable),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "an executable is not muted");
            }
        }
    }
    let NeededFiles { prefixes, landmarks } = of_rules;
    Filter { limit: *limit, executables, prefixes: PathPrefix::with(files_below, prefixes), landmarks }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use agent_abi::interest::{ABI_NATIVE, predicate};

    use super::*;
    use crate::syscall::by_name;

    fn predicates(streams: &str, call: &str) -> Option<u8> {
        let config: Config =
            Config::parse(Path::new("a.yaml"), &format!("streams: {{{streams}}}\n")).unwrap();
        let table = wants(&config.streams).table();
        let interest = table[by_name(call).unwrap().native.unwrap() as usize];
        let is_wanted = interest.wanted >> ABI_NATIVE & 1 != 0;
        is_wanted.then_some(interest.wants[usize::from(ABI_NATIVE)].predicates)
    }

    #[test]
    fn by_default_rare_calls_of_containers_are_wanted_and_no_files() {
        assert_eq!(predicates("", "openat"), None);
        assert_eq!(predicates("", "connect"), None);
        assert_eq!(predicates("", "kill"), None);
        for call in ["mount", "ptrace", "finit_module", "memfd_create"] {
            assert_ne!(predicates("", call).unwrap() & predicate::CONTAINERS, 0, "{call}");
        }
        // Of all, whatever the streams say.
        assert_eq!(predicates("system: off", "setuid"), Some(predicate::OK));
        assert_eq!(predicates("system: off", "mount"), None);
    }

    #[test]
    fn predicates_of_files_fit_the_call() {
        assert_eq!(predicates("files: all", "openat"), Some(predicate::BULK));
        assert_eq!(
            predicates("files: containers, files_only: writes, files_below: [/etc]", "openat"),
            Some(predicate::BULK | predicate::CONTAINERS | predicate::WRITES | predicate::PREFIXES)
        );
        // A change of mode by a descriptor that was opened for reading is one.
        assert_eq!(predicates("files: all, files_only: writes", "fchmod"), Some(predicate::BULK));
        assert_eq!(predicates("files: all, files_only: writes", "chdir"), None);
        assert_eq!(predicates("files: all, system: off", "mount"), None);
        assert_eq!(predicates("signals: all", "tgkill"), Some(predicate::BULK));
        assert_eq!(predicates("network: all", "connect"), Some(predicate::BULK));
    }
}

//! Which hooks system calls are seen by: chosen by trying, or as the configuration says.

use std::{fmt, fs, io};

use nix::{
    libc,
    sys::resource::{RLIM_INFINITY, Resource, setrlimit},
};
use thiserror::Error;

use super::{
    bpf::{attach_exit, load_empty_exit},
    btf::Function,
};

/// Where the kernel lists its security modules.
const LSM_LIST: &str = "/sys/kernel/security/lsm";

/// What the configuration asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hooks {
    /// What costs least of what this kernel allows.
    #[default]
    Auto,
    /// [`Tier::Portable`].
    Portable,
    /// [`Tier::Enhanced`], or the agent does not start.
    Enhanced,
}

/// Sets of hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Tracepoints: on every kernel.
    Portable,
    /// Programs at the exits of the wanted calls alone and in LSM hooks: where the kernel allows BPF
    /// trampolines.
    Enhanced,
}

impl Tier {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Enhanced => "enhanced",
        }
    }
}

/// What came of trying a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Probe {
    /// It can be had.
    Works,
    /// The kernel does not have it, or does not allow it.
    Refused(String),
    /// It is not known whether it can be had.
    Failed(String),
}

/// A tier, and why it is this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The tier.
    pub tier: Tier,
    /// Why not the other, where that was not asked for.
    pub reason: Option<String>,
}

impl fmt::Display for Choice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.tier.name())?;
        match &self.reason {
            Some(reason) => write!(formatter, ": {reason}"),
            None => Ok(()),
        }
    }
}

/// The hooks that were asked for cannot be had.
#[derive(Debug, Error)]
#[error("hooks: enhanced is configured, and {0}; with hooks: auto the agent takes the portable ones")]
pub struct TierError(String);

/// Chooses; `probe` is asked where it matters.
pub(super) fn choose(hooks: Hooks, probe: impl FnOnce() -> Probe) -> Result<Choice, TierError> {
    let portable = |reason| Choice { tier: Tier::Portable, reason };
    let enhanced = Choice { tier: Tier::Enhanced, reason: None };
    match hooks {
        Hooks::Portable => Ok(portable(None)),
        Hooks::Auto => Ok(match probe() {
            Probe::Works => enhanced,
            Probe::Refused(reason) => portable(Some(reason)),
            Probe::Failed(reason) => portable(Some(format!("the probe failed: {reason}"))),
        }),
        Hooks::Enhanced => match probe() {
            Probe::Works => Ok(enhanced),
            Probe::Refused(reason) => Err(TierError(reason)),
            Probe::Failed(reason) => Err(TierError(format!("the probe failed: {reason}"))),
        },
    }
}

/// Whether a program can be attached to the exit of `function`: an empty one is, for a moment.
pub(super) fn probe_exit(function: Option<Function<'_>>) -> Probe {
    const WHAT: &str = "programs at the exits of kernel functions (fexit)";
    let Some(function) = function else {
        return Probe::Refused("this kernel's types have no functions of system calls".to_owned());
    };
    let result = with_memory(|| load_empty_exit(function.id).and_then(|program| attach_exit(&program)));
    match result {
        Ok(_) => Probe::Works,
        Err(error) => judge(WHAT, &error),
    }
}

/// Before Linux 5.11 programs and maps, also those of an agent before, count as memory that their user locks, and
/// beyond a limit the kernel says `EPERM` (kernel/bpf/syscall.c, `bpf_charge_memlock`). aya lifts the limit when it
/// is the first to hear that.
fn with_memory<T>(attempt: impl Fn() -> io::Result<T>) -> io::Result<T> {
    let result = attempt();
    if !matches!(&result, Err(error) if error.raw_os_error() == Some(libc::EPERM)) {
        return result;
    }
    match setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY) {
        Ok(()) => attempt(),
        // Without CAP_SYS_RESOURCE. Newer kernels have no such limit.
        Err(_) => result,
    }
}

/// `ENOTSUPP` of the kernel's own (include/linux/errno.h): no trampolines on this architecture.
const NOT_SUPPORTED: i32 = 524;

fn judge(what: &str, error: &io::Error) -> Probe {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            Probe::Refused(format!("this kernel does not permit {what}: {error}"))
        }
        Some(libc::EINVAL | libc::EOPNOTSUPP | NOT_SUPPORTED) => {
            Probe::Refused(format!("this kernel has no {what}: {error}"))
        }
        _ => Probe::Failed(format!("{what}: {error}")),
    }
}

/// Whether LSM programs run: one that the kernel loads and attaches never does unless `bpf` is among
/// its security modules.
pub(super) fn lsm_runs() -> Result<(), String> {
    let list = fs::read_to_string(LSM_LIST).map_err(|error| {
        format!(
            "whether bpf is among the kernel's security modules is not known: cannot read {LSM_LIST}: {error}"
        )
    })?;
    if has_bpf(&list) {
        return Ok(());
    }
    let list = list.trim();
    Err(format!("bpf is not among the kernel's security modules ({list}): boot with lsm={list},bpf"))
}

fn has_bpf(list: &str) -> bool {
    list.trim().split(',').any(|name| name == "bpf")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(number: i32) -> io::Error {
        io::Error::from_raw_os_error(number)
    }

    #[test]
    fn auto_takes_what_works_and_says_why_not_more() {
        let auto = |probe: Probe| choose(Hooks::Auto, || probe).unwrap().to_string();
        assert_eq!(auto(Probe::Works), "enhanced");
        assert_eq!(auto(Probe::Refused("no".to_owned())), "portable: no");
        assert_eq!(auto(Probe::Failed("memory".to_owned())), "portable: the probe failed: memory");
    }

    #[test]
    fn portable_is_never_probed() {
        let choice = choose(Hooks::Portable, || unreachable!("a probe")).unwrap();
        assert_eq!(choice, Choice { tier: Tier::Portable, reason: None });
    }

    #[test]
    fn what_is_forced_and_cannot_be_had_is_an_error() {
        assert_eq!(choose(Hooks::Enhanced, || Probe::Works).unwrap().tier, Tier::Enhanced);
        let error = choose(Hooks::Enhanced, || judge("fexit", &error(libc::EPERM))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "hooks: enhanced is configured, and this kernel does not permit fexit: Operation not permitted \
             (os error 1); with hooks: auto the agent takes the portable ones"
        );
    }

    #[test]
    fn unsupported_and_failed_are_two_things() {
        for number in [libc::EPERM, libc::EACCES, libc::EINVAL, libc::EOPNOTSUPP, NOT_SUPPORTED] {
            assert!(matches!(judge("x", &error(number)), Probe::Refused(_)), "{number}");
        }
        for number in [libc::ENOMEM, libc::EAGAIN, libc::EBUSY] {
            assert!(matches!(judge("x", &error(number)), Probe::Failed(_)), "{number}");
        }
    }

    #[test]
    fn bpf_is_looked_for_as_a_whole_word() {
        assert!(has_bpf("lockdown,capability,bpf\n"));
        assert!(!has_bpf("lockdown,capability,bpfx"));
        assert!(!has_bpf(""));
    }
}

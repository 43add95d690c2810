//! By which hook the tier in force tells of a call, and what the record can say then.

use agent_abi::{
    hook::{HOOKS, Hook, HookCounters},
    record::{PENDING, grade, via},
};
use kestrel_agent::kernel::Exits;
use nix::libc;

use crate::{calls::Seen, loaded::Loaded};

/// Calls that open a file, each with the position of its flags, where they are an argument.
const OPENS: [(&str, Option<usize>); 5] = [
    ("open", Some(1)),
    ("openat", Some(2)),
    ("openat2", None),
    ("creat", None),
    ("open_by_handle_at", Some(2)),
];

/// What tells of calls.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    /// Of calls that have returned; none where `sys_exit` tells of all.
    exits: Option<Exits>,
    /// An LSM hook tells of files that are opened, in place of the call's exit.
    pub(crate) opens_by_lsm: bool,
    /// The same of connections, whatever becomes of them; the exit tells of those that fail.
    pub(crate) connects_by_lsm: bool,
}

impl Way {
    pub(crate) fn of(loaded: &Loaded) -> Self {
        Self {
            exits: loaded.programs.exits.clone(),
            opens_by_lsm: loaded.has(Hook::LsmOpen),
            connects_by_lsm: loaded.has(Hook::LsmConnect),
        }
    }

    /// Whether `sys_exit` tells of nothing that has an exit of its own.
    pub(crate) fn has_exits(&self) -> bool {
        self.exits.is_some()
    }

    /// Whether anything tells of a call that fails with `ENOSYS`. Of one that the kernel does not have no
    /// function runs, which has an exit; some functions give that error themselves.
    pub(crate) fn tells_of_absent(&self, abi: u8, number: u32) -> bool {
        self.exits.as_ref().is_none_or(|exits| exits.serves(abi, number) || !exits.left.is_empty())
    }

    /// What tells of a call that has returned.
    pub(crate) fn exit(&self, abi: u8, number: u32) -> u8 {
        match &self.exits {
            Some(exits) if exits.serves(abi, number) => via::FEXIT,
            _ => via::SYS_EXIT,
        }
    }

    /// Whether an LSM hook tells of a call that succeeded.
    pub(crate) fn is_by_lsm(&self, name: &str, arguments: &[u64; 6]) -> bool {
        let open = OPENS.iter().find(|(open, _)| *open == name);
        // None runs for a descriptor that nothing is read by.
        let is_path = |flags: &Option<usize>| {
            flags.is_some_and(|position| arguments[position] & libc::O_PATH as u64 != 0)
        };
        self.opens_by_lsm && open.is_some_and(|(_, flags)| !is_path(flags))
    }

    /// The file of an open that succeeded is told as this way can: before there is a descriptor, or by it.
    pub(crate) fn assert_opened(&self, seen: &Seen) {
        let (record, _) = seen.file();
        if self.is_by_lsm(seen.name, &seen.call.args) {
            assert_eq!((seen.call.via, seen.call.result, record.fd), (via::LSM, PENDING, -1), "{seen:?}");
        } else {
            assert_eq!(
                (seen.call.via, seen.call.result),
                (self.exit(seen.call.abi, seen.call.number), i64::from(record.fd)),
                "{seen:?}"
            );
        }
        if record.file.grade != grade::NONE {
            assert_eq!(record.file.grade, self.grade(seen.name, &seen.call.args), "{seen:?}");
        }
    }

    /// Grade of the file of a call on one that nobody interferes with.
    pub(crate) fn grade(&self, name: &str, arguments: &[u64; 6]) -> u32 {
        if self.is_by_lsm(name, arguments) { grade::OBJECT } else { grade::FD }
    }
}

/// The hooks that the kernel runs at an open, and that tell of it in the end.
pub(crate) const OPEN_HOOKS: [Hook; 3] = [Hook::SysExit, Hook::Fexit, Hook::LsmOpen];

/// A count of the hooks that tell of opened files: which of them does depends on the tier.
pub(crate) fn of_opens(counters: &[HookCounters; HOOKS], count: fn(&HookCounters) -> u64) -> u64 {
    [Hook::File, Hook::LsmOpen].iter().map(|&hook| count(&counters[hook as usize])).sum()
}

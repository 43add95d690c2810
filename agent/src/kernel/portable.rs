//! The hooks of the portable tier: those that are always attached, and the handlers of `sys_exit`.

use agent_abi::{
    hook::Hook,
    map::{self, HANDLER_CREDENTIALS, HANDLER_FILE, HANDLER_PATH, HANDLER_PLAIN, HANDLER_SOCKET},
};
use aya::{Ebpf, programs::BtfTracePoint};

use super::{
    pins::Generation,
    program::{adopt, attach_to_tracepoint, describe, load, set_handler},
};

/// A program that is attached by itself.
pub(super) struct Attached {
    pub(super) hook: Hook,
    program: &'static str,
    tracepoint: &'static str,
}

pub(super) const ATTACHED: [Attached; 7] = [
    Attached { hook: Hook::CgroupMkdir, program: "cgroup_mkdir", tracepoint: "cgroup_mkdir" },
    Attached { hook: Hook::CgroupRmdir, program: "cgroup_rmdir", tracepoint: "cgroup_rmdir" },
    Attached { hook: Hook::CgroupAttach, program: "cgroup_attach_task", tracepoint: "cgroup_attach_task" },
    Attached { hook: Hook::Exit, program: "sched_process_exit", tracepoint: "sched_process_exit" },
    Attached { hook: Hook::Exec, program: "sched_process_exec", tracepoint: "sched_process_exec" },
    Attached { hook: Hook::Fork, program: "sched_process_fork", tracepoint: "sched_process_fork" },
    Attached { hook: Hook::SysExit, program: "sys_exit", tracepoint: "sys_exit" },
];

/// A handler of system calls, for `sys_exit` and for the exits of single calls.
pub(super) struct Handler {
    pub(super) hook: Hook,
    program: &'static str,
    pub(super) fexit: &'static str,
    pub(super) slot: u32,
}

pub(super) const HANDLERS: [Handler; 5] = [
    Handler {
        hook: Hook::Credentials,
        program: "sys_exit_credentials",
        fexit: "fexit_credentials",
        slot: HANDLER_CREDENTIALS,
    },
    Handler { hook: Hook::File, program: "sys_exit_file", fexit: "fexit_file", slot: HANDLER_FILE },
    Handler { hook: Hook::Path, program: "sys_exit_path", fexit: "fexit_path", slot: HANDLER_PATH },
    Handler { hook: Hook::Plain, program: "sys_exit_plain", fexit: "fexit_plain", slot: HANDLER_PLAIN },
    Handler { hook: Hook::Socket, program: "sys_exit_socket", fexit: "fexit_socket", slot: HANDLER_SOCKET },
];

impl Attached {
    pub(super) fn attach(
        &self,
        object: &mut Ebpf,
        types: &aya::Btf,
        generation: &Generation,
        adopted: bool,
    ) -> Result<(), String> {
        let pin = generation.link(self.hook);
        if let Some(link) = adopt(&pin, adopted) {
            return link;
        }
        let link = attach_to_tracepoint(
            object,
            self.program,
            self.tracepoint,
            types,
            generation.program(self.hook),
        )?;
        // The pin keeps the hook attached when this process is gone.
        link.pin(pin).map(|_| ()).map_err(describe)
    }
}

impl Handler {
    pub(super) fn install(
        &self,
        object: &mut Ebpf,
        types: &aya::Btf,
        generation: &Generation,
        adopted: bool,
    ) -> Result<(), String> {
        if adopted && generation.program(self.hook).exists() {
            return Ok(());
        }
        let program = load(object, self.program, "sys_exit", types)?;
        let fd = program.fd().map_err(describe)?.try_clone();
        set_handler(object, map::SYS_EXIT_HANDLERS, self.slot, fd)?;
        // Last: its pin says that the slot is filled.
        let program: &mut BtfTracePoint = object
            .program_mut(self.program)
            .ok_or("the object has no such program")?
            .try_into()
            .map_err(describe)?;
        program.pin(generation.program(self.hook)).map_err(describe)
    }
}

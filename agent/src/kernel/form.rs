//! Tracepoints whose parameters differ between kernels: which program fits.

use agent_abi::hook::Hook;

use super::btf::{Parameter, Types};

/// A program and its tracepoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) program: &'static str,
    pub(super) tracepoint: &'static str,
}

/// What fits this kernel, or why nothing does.
#[derive(Clone, Debug)]
pub struct Forms {
    sys_enter: Form,
    uring_submit: Result<Form, String>,
    uring_complete: Result<Form, String>,
    oom_kill: Result<Form, String>,
}

impl Forms {
    pub(super) fn read(types: Types<'_>) -> Self {
        Self {
            sys_enter: sys_enter(types),
            uring_submit: uring_submit(types),
            uring_complete: uring_complete(types),
            oom_kill: oom_kill(types),
        }
    }

    /// The program of a hook that has several.
    pub(super) fn of(&self, hook: Hook) -> Result<Form, String> {
        match hook {
            Hook::SysEnter => Ok(self.sys_enter),
            Hook::UringSubmit => self.uring_submit.clone(),
            Hook::UringComplete => self.uring_complete.clone(),
            Hook::OomKill => self.oom_kill.clone(),
            _ => Err(format!("{} has one form only", hook.name())),
        }
    }
}

fn points_to(types: Types<'_>, parameters: &[Parameter], index: usize, structure: &str) -> bool {
    parameters.get(index).is_some_and(|parameter| types.points_to(parameter, structure))
}

fn is_pointer(parameters: &[Parameter], index: usize) -> bool {
    parameters.get(index).is_some_and(|parameter| parameter.is_pointer)
}

fn unknown(tracepoint: &str) -> String {
    format!("this kernel's tracepoint {tracepoint} has parameters that are not known")
}

/// `cap_capable(cred, target_ns, capable_ns, cap, ret)` since 6.14 costs other calls nothing.
fn sys_enter(types: Types<'_>) -> Form {
    let tracepoint = "cap_capable";
    match types.tracepoint(tracepoint) {
        Some(parameters) if parameters.len() == 5 => Form { program: "cap_capable", tracepoint },
        _ => Form { program: "sys_enter", tracepoint: "sys_enter" },
    }
}

/// `submit_req(req)` since 6.3; `submit_sqe(req, …)` since 6.0; `submit_sqe(ctx, req, …)` since 5.13
/// and in the later 5.10; before it names no request.
fn uring_submit(types: Types<'_>) -> Result<Form, String> {
    for tracepoint in ["io_uring_submit_req", "io_uring_submit_sqe"] {
        let Some(parameters) = types.tracepoint(tracepoint) else { continue };
        if points_to(types, &parameters, 0, "io_kiocb") {
            return Ok(Form { program: "io_uring_submit", tracepoint });
        }
        return if is_pointer(&parameters, 1) {
            Ok(Form { program: "io_uring_submit_to", tracepoint })
        } else {
            Err(format!("this kernel's tracepoint {tracepoint} does not say which request is submitted"))
        };
    }
    Err("this kernel has no tracepoint where requests of io_uring are submitted".to_owned())
}

/// `complete(ctx, req, cqe)` since 6.15; `complete(ctx, req, user_data, res, cflags, …)` since 5.18;
/// `complete(ctx, user_data, res, cflags)` since 5.13 and in the later 5.10.
fn uring_complete(types: Types<'_>) -> Result<Form, String> {
    let tracepoint = "io_uring_complete";
    let parameters = types.tracepoint(tracepoint).ok_or("this kernel has no tracepoint io_uring_complete")?;
    let program = if points_to(types, &parameters, 2, "io_uring_cqe") {
        "io_uring_complete"
    } else if parameters.len() >= 5 && is_pointer(&parameters, 1) {
        "io_uring_complete_result"
    } else if parameters.len() == 4 && !is_pointer(&parameters, 1) {
        "io_uring_complete_user_data"
    } else {
        return Err(unknown(tracepoint));
    };
    Ok(Form { program, tracepoint })
}

/// `mark_victim(task, uid)` since 6.8 and in the later stable kernels; before, `mark_victim(pid)`.
fn oom_kill(types: Types<'_>) -> Result<Form, String> {
    let tracepoint = "mark_victim";
    let parameters = types.tracepoint(tracepoint).ok_or("this kernel has no tracepoint mark_victim")?;
    let program = if points_to(types, &parameters, 0, "task_struct") {
        "mark_victim"
    } else if parameters.len() == 1 && !is_pointer(&parameters, 0) {
        "mark_victim_pid"
    } else {
        return Err(unknown(tracepoint));
    };
    Ok(Form { program, tracepoint })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::btf::Btf;

    #[test]
    fn this_kernel_has_a_form_of_each() {
        let btf = Btf::vmlinux().unwrap();
        let forms = Forms::read(Types::kernel(&btf));
        for hook in [Hook::SysEnter, Hook::UringSubmit, Hook::UringComplete, Hook::OomKill] {
            assert!(forms.of(hook).is_ok(), "{:?}", forms.of(hook));
        }
        assert!(forms.of(Hook::Exec).is_err());
    }
}

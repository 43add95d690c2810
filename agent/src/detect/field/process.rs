//! `proc.*`, `thread.*`, `user.*` and `group.*`: who did it.

use std::ops::ControlFlow;

use agent_abi::record::{FileRef, TaskState, UNMAPPED, file_flag, task_flag};
use rules::{
    field::{Argument, Field, Reference},
    value::{Scalar, Value},
};

use super::{boolean, number, signed, text};
use crate::{
    capability,
    context::{NANOS_PER_TICK, Origin, Process},
    decode::{Event, Strings},
    detect::subject::{FOREBEARS, Looked, Subject, argv_of, comm, named},
    export::redact,
    image::Parts,
};

/// Shells that a login may begin with.
const SHELLS: [&[u8]; 8] = [b"ash", b"bash", b"csh", b"ksh", b"sh", b"tcsh", b"zsh", b"dash"];
/// Programs of container runtimes that start what `exec` asks for.
const RUNTIMES: [&[u8]; 6] = [b"runc", b"crun", b"conmon", b"containerd-shim", b"youki", b"runsc"];
const DAC_OVERRIDE: u64 = 1 << 1;

pub(super) fn value<'a>(of: &'a Subject<'_>, reference: &Reference) -> Value<'a> {
    let field = reference.field();
    match field {
        Field::ProcAname
        | Field::ProcAexe
        | Field::ProcAexepath
        | Field::ProcAargs
        | Field::ProcAcmdline
        | Field::ProcApid => ancestors(of, field, reference.argument()),
        Field::ProcPname
        | Field::ProcPexe
        | Field::ProcPexepath
        | Field::ProcPcmdline
        | Field::ProcPpid
        | Field::ProcPvpid
        | Field::ProcPpidDuration
        | Field::ProcPpidTs => of_parent(of, field),
        Field::ProcSid
        | Field::ProcSname
        | Field::ProcSidExe
        | Field::ProcSidExepath
        | Field::ProcIsSidLeader => of_session(of, field),
        Field::ProcExe
        | Field::ProcExepath
        | Field::ProcArgs
        | Field::ProcCmdline
        | Field::ProcExeline
        | Field::ProcCmdnargs
        | Field::ProcCmdlenargs
        | Field::ProcCwd
        | Field::ProcLoginshellid => of_image(of, field, reference.argument()),
        Field::ProcIsExeWritable
        | Field::ProcIsExeUpperLayer
        | Field::ProcIsExeLowerLayer
        | Field::ProcIsExeFromMemfd
        | Field::ProcExeIno => of_file(of, field),
        Field::ProcHash => match of.look(Parts::HASH) {
            Looked::Known(image) => image.hash.as_ref().map_or(Value::Missing, |hash| text(hash)),
            Looked::Pending => Value::Pending,
            Looked::Missing => Value::Missing,
        },
        Field::ProcExeInoCtime | Field::ProcExeInoMtime | Field::ProcExeInoCtimeDurationProcStart => {
            times(of, field)
        }
        Field::ProcEnv => environment(of, reference.argument()),
        _ => of.state().map_or(Value::Missing, |state| of_state(of, state, field)),
    }
}

fn of_state<'a>(of: &Subject<'a>, state: &'a TaskState, field: Field) -> Value<'a> {
    let users = of.scene.users;
    // Names of the node's users are not those of an image's, but root is root.
    let user = |id: u32| users.user(id).filter(|_| of.container.is_none());
    let loginuid = state.login_uid;
    match field {
        Field::ProcName => text(comm(state)),
        Field::ProcPid => signed(state.task.tgid),
        Field::ProcVpid => signed(state.ns_tgid),
        Field::ThreadTid => signed(of.task.tid),
        Field::ThreadVtid if of.task.tid == state.task.tid => signed(state.ns_tid),
        Field::ThreadIsmain => boolean(of.task.tid == of.task.tgid),
        Field::ProcTty => number(state.tty),
        Field::ProcDuration => number(of.at.boottime_ns.saturating_sub(state.task.leader_start_ns)),
        Field::ProcPidTs => number(began(of, state.task.leader_start_ns)),
        Field::ThreadCapEffective => capabilities(state.caps.effective),
        Field::ThreadCapPermitted => capabilities(state.caps.permitted),
        Field::ThreadCapInheritable => capabilities(state.caps.inheritable),
        Field::UserUid => number(state.ids.euid),
        Field::GroupGid => number(state.ids.egid),
        Field::UserName if of.container.is_some() && state.ids.ns_euid == 0 => Value::text("root"),
        Field::UserName => user(state.ids.euid).map_or(Value::Missing, |user| Value::text(&*user.name)),
        Field::UserHomedir => user(state.ids.euid).map_or(Value::Missing, |user| Value::text(&*user.home)),
        Field::UserShell => user(state.ids.euid).map_or(Value::Missing, |user| Value::text(&*user.shell)),
        Field::GroupName if of.container.is_some() => Value::Missing,
        Field::GroupName => users.group(state.ids.egid).map_or(Value::Missing, Value::text),
        Field::UserLoginuid => signed(if loginuid == UNMAPPED { -1 } else { i64::from(loginuid) }),
        // Who logged in is a user of the node.
        Field::UserLoginname => users.user(loginuid).map_or(Value::Missing, |user| Value::text(&*user.name)),
        Field::ProcNoNewPrivs => boolean(state.no_new_privs != 0),
        Field::ProcSeccompMode => Value::text(match state.seccomp_mode {
            0 => "disabled",
            1 => "strict",
            _ => "filter",
        }),
        Field::ProcSeccompFilters => number(state.seccomp_filters),
        Field::ProcUsernsLevel => number(state.ns.user_level),
        Field::ProcEntered => entered(of).map_or(Value::Missing, Value::text),
        // The old names of probes of containers mean what is not one.
        Field::ProcIsContainerHealthcheck
        | Field::ProcIsContainerLivenessProbe
        | Field::ProcIsContainerReadinessProbe => boolean(false),
        _ => Value::Missing,
    }
}

/// When something began that began at a boottime, by the wall's clock.
fn began(of: &Subject<'_>, boottime_ns: u64) -> u64 {
    of.at.wall_ns.saturating_sub(of.at.boottime_ns.saturating_sub(boottime_ns))
}

fn capabilities<'v>(set: u64) -> Value<'v> {
    let mut names = String::new();
    for bit in (0..64).filter(|bit| set >> bit & 1 != 0) {
        if let Some(name) = capability::NAMES.get(bit) {
            names.push_str(if names.is_empty() { "CAP_" } else { " CAP_" });
            names.push_str(name);
        }
    }
    Value::One(Scalar::owned(names))
}

fn entered(of: &Subject<'_>) -> Option<&'static str> {
    of.container?;
    let process = of.process?;
    match process.origin {
        Origin::Born => Some("born"),
        Origin::Entered => {
            let is_runtime = |forebear: &Process| {
                RUNTIMES.iter().any(|runtime| comm(&forebear.state).starts_with(runtime))
            };
            // Its descendants came in with it.
            let is_by_runtime =
                of.ancestors().find(|forebear| forebear.container.is_none()).is_none_or(is_runtime);
            Some(if is_by_runtime { "exec-in" } else { "nsenter" })
        }
    }
}

fn of_image<'a>(of: &'a Subject<'_>, field: Field, argument: &Argument) -> Value<'a> {
    let room = of.room;
    let argv = of.argv();
    let shown = of.is_shown;
    match (field, argument) {
        (Field::ProcExe, _) => exe(argv, of.exe_path()),
        (Field::ProcExepath, _) if of.is_exe_unlinked() => {
            let Some(path) = of.exe_path() else { return Value::Missing };
            Value::text(room.exepath.get(|out| {
                out.extend_from_slice(path);
                // As the kernel shows it.
                out.extend_from_slice(b" (deleted)");
            }))
        }
        (Field::ProcExepath, _) => of.exe_path().map_or(Value::Missing, text),
        (Field::ProcArgs, Argument::Index(index)) => {
            let at = usize::try_from(*index).unwrap_or(usize::MAX).saturating_add(1);
            if shown {
                let shown = redact::arguments(argv.iter(), false).arguments;
                return shown.get(at).map_or(Value::Missing, |word| Value::One(Scalar::owned(word.to_vec())));
            }
            argv.iter().nth(at).map_or(Value::Missing, Value::text)
        }
        // There, and blank, where there are none.
        (Field::ProcArgs, _) if of.process.is_none() => Value::Missing,
        (Field::ProcArgs, _) => Value::text(room.args.get(|out| join(argv, 1, shown, out))),
        (Field::ProcCmdline, _) => {
            let Some(state) = of.state() else { return Value::Missing };
            Value::text(room.cmdline.get(|out| cmdline(comm(state), argv, shown, out)))
        }
        (Field::ProcExeline, _) => text(room.exeline.get(|out| join(argv, 0, shown, out))),
        (Field::ProcCmdnargs, _) => number(argv.iter().skip(1).count() as u64),
        (Field::ProcCmdlenargs, _) => number(argv.iter().skip(1).map(<[u8]>::len).sum::<usize>() as u64),
        (Field::ProcCwd, _) => match of.exec() {
            Some(exec) if !exec.cwd.is_empty() => Value::text(room.cwd.get(|out| {
                out.extend_from_slice(exec.cwd);
                if !out.ends_with(b"/") {
                    out.push(b'/');
                }
            })),
            _ => Value::Missing,
        },
        (Field::ProcLoginshellid, _) => {
            let is_shell = |process: &&Process| SHELLS.contains(&comm(&process.state));
            let oldest = of.process.into_iter().chain(of.ancestors()).filter(is_shell).last();
            oldest.map_or(Value::Missing, |process| signed(process.id.tgid))
        }
        _ => Value::Missing,
    }
}

/// Times of the file that was run. Of one that was changed since, and be it by its removal, they are not known.
fn times<'v>(of: &Subject<'_>, field: Field) -> Value<'v> {
    let times = match of.look(Parts::TIMES) {
        Looked::Known(image) => image.times,
        Looked::Pending => return Value::Pending,
        Looked::Missing => None,
    };
    let exec_ns = match (of.event, of.process) {
        (Event::Exec(_), _) => of.at.boottime_ns,
        (_, Some(process)) if process.exec_ns != 0 => process.exec_ns,
        // It ran before the agent.
        _ => return Value::Missing,
    };
    let Some(times) = times.filter(|times| times.changed_ns <= began(of, exec_ns)) else {
        return Value::Missing;
    };
    match (field, of.state()) {
        (Field::ProcExeInoCtime, _) => number(times.changed_ns),
        (Field::ProcExeInoMtime, _) => number(times.modified_ns),
        (_, Some(state)) => number(began(of, state.task.leader_start_ns).saturating_sub(times.changed_ns)),
        (_, None) => Value::Missing,
    }
}

/// All variables with blanks between, or the value of one.
fn environment<'a>(of: &'a Subject<'_>, argument: &Argument) -> Value<'a> {
    let environment = match of.look(Parts::ENVIRONMENT) {
        Looked::Known(image) => image.environment.as_deref(),
        Looked::Pending => return Value::Pending,
        Looked::Missing => None,
    };
    let Some(environment) = environment else { return Value::Missing };
    let shown =
        |variable: &[u8]| if of.is_shown { redact::variable(variable) } else { variable.to_vec().into() };
    let mut variables = environment.split(|&byte| byte == 0).filter(|variable| !variable.is_empty());
    if let Argument::Name(name) = argument {
        let value_at = name.len() + 1;
        let is_it = |variable: &&[u8]| {
            variable.starts_with(name.as_bytes()) && variable.get(name.len()) == Some(&b'=')
        };
        return match variables.find(is_it) {
            Some(variable) if of.is_shown => {
                Value::One(Scalar::owned(shown(variable).get(value_at..).unwrap_or_default().to_vec()))
            }
            Some(variable) => Value::text(variable.get(value_at..).unwrap_or_default()),
            None => Value::Missing,
        };
    }
    Value::text(of.room.environment.get(|out| {
        for variable in variables {
            if !out.is_empty() {
                out.push(b' ');
            }
            if of.is_shown {
                out.extend_from_slice(&shown(variable));
            } else {
                out.extend_from_slice(variable);
            }
        }
    }))
}

fn exe<'v>(argv: Strings<'v>, path: Option<&'v [u8]>) -> Value<'v> {
    // What only a scan told of may have no arguments.
    argv.iter().next().filter(|word| !word.is_empty()).or(path).map_or(Value::Missing, Value::text)
}

/// Arguments from one on, with blanks between.
fn join(argv: Strings<'_>, from: usize, shown: bool, out: &mut Vec<u8>) {
    let mut first = true;
    let mut push = |word: &[u8]| {
        if !std::mem::take(&mut first) {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    };
    if shown {
        redact::arguments(argv.iter(), false).arguments.iter().skip(from).for_each(|word| push(word));
    } else {
        argv.iter().skip(from).for_each(push);
    }
}

fn cmdline(name: &[u8], argv: Strings<'_>, shown: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    if argv.iter().nth(1).is_some() {
        out.push(b' ');
        join(argv, 1, shown, out);
    }
}

fn of_parent<'a>(of: &'a Subject<'_>, field: Field) -> Value<'a> {
    let parent = of.ancestor(1);
    match (field, parent) {
        // The kernel tells the number of a parent that is not known otherwise.
        (Field::ProcPpid, None) => of
            .state()
            .filter(|state| state.parent.tgid != 0)
            .map_or(Value::Missing, |it| signed(it.parent.tgid)),
        (_, None) => Value::Missing,
        (Field::ProcPname, Some(parent)) => text(comm(&parent.state)),
        (Field::ProcPexe, Some(parent)) => exe(argv_of(parent), Some(&parent.exe_path)),
        (Field::ProcPexepath, Some(parent)) => text(named(&parent.exe_path, &parent.exe)),
        (Field::ProcPcmdline, Some(parent)) => Value::text(of.room.parent_cmdline.get(|out| {
            cmdline(comm(&parent.state), argv_of(parent), of.is_shown, out);
        })),
        (Field::ProcPpid, Some(parent)) => signed(parent.id.tgid),
        (Field::ProcPvpid, Some(parent)) => signed(parent.state.ns_tgid),
        (Field::ProcPpidDuration, Some(parent)) => number(of.at.boottime_ns.saturating_sub(start(parent))),
        (Field::ProcPpidTs, Some(parent)) => number(began(of, start(parent))),
        _ => Value::Missing,
    }
}

const fn start(process: &Process) -> u64 {
    process.id.start_ticks * NANOS_PER_TICK
}

fn of_session<'a>(of: &Subject<'a>, field: Field) -> Value<'a> {
    let Some(state) = of.state() else { return Value::Missing };
    match field {
        Field::ProcSid => signed(state.session),
        Field::ProcIsSidLeader => boolean(state.session == state.task.tgid),
        _ => {
            let Some(leader) = of.session_leader() else { return Value::Missing };
            match field {
                Field::ProcSname => text(comm(&leader.state)),
                Field::ProcSidExe => exe(argv_of(leader), Some(&leader.exe_path)),
                _ => text(named(&leader.exe_path, &leader.exe)),
            }
        }
    }
}

/// One ancestor, or all of them.
fn ancestors<'a>(of: &Subject<'a>, field: Field, argument: &Argument) -> Value<'a> {
    let one = |process| of_ancestor(process, field, of.is_shown);
    match argument {
        Argument::Index(distance) => {
            let distance = usize::try_from(*distance).unwrap_or(FOREBEARS).min(FOREBEARS);
            of.ancestor(distance).and_then(one).into()
        }
        _ => Value::Many(of.ancestors().filter_map(one).collect()),
    }
}

/// All ancestors, without a list of them.
pub(super) fn each_ancestor(
    of: &Subject<'_>,
    field: Field,
    take: &mut dyn FnMut(&Scalar<'_>) -> ControlFlow<()>,
) {
    let mut values = of.ancestors().filter_map(|process| of_ancestor(process, field, of.is_shown));
    let _ = values.try_for_each(|value| take(&value));
}

fn of_ancestor(process: &Process, field: Field, shown: bool) -> Option<Scalar<'_>> {
    Some(match field {
        Field::ProcAname => Scalar::text(comm(&process.state)),
        Field::ProcAexepath => Scalar::text(named(&process.exe_path, &process.exe)),
        Field::ProcApid => Scalar::Int(process.id.tgid.into()),
        Field::ProcAexe => Scalar::text(argv_of(process).iter().next().unwrap_or(&process.exe_path)),
        Field::ProcAargs => {
            let mut joined = Vec::new();
            join(argv_of(process), 1, shown, &mut joined);
            Scalar::owned(joined)
        }
        Field::ProcAcmdline => {
            let mut joined = Vec::new();
            cmdline(comm(&process.state), argv_of(process), shown, &mut joined);
            Scalar::owned(joined)
        }
        _ => return None,
    })
}

fn of_file<'v>(of: &Subject<'_>, field: Field) -> Value<'v> {
    let file = match of.event {
        Event::Exec(exec) => exec.record.exe,
        _ => match of.process {
            Some(process) => process.exe,
            None => return Value::Missing,
        },
    };
    let Some(state) = of.state() else { return Value::Missing };
    if file.flags & file_flag::NOT_READ != 0 || state.flags & task_flag::KERNEL_THREAD != 0 {
        return Value::Missing;
    }
    let in_overlay = file.flags & file_flag::OVERLAY != 0;
    let is_upper = file.flags & file_flag::UPPER_LAYER != 0;
    match field {
        Field::ProcIsExeUpperLayer => boolean(in_overlay && is_upper),
        Field::ProcIsExeLowerLayer => boolean(in_overlay && !is_upper),
        Field::ProcIsExeFromMemfd => boolean(file.flags & file_flag::MEMFD != 0),
        Field::ProcExeIno => signed(file.inode.cast_signed()),
        Field::ProcIsExeWritable => boolean(may_write(&file, state)),
        _ => Value::Missing,
    }
}

/// By owner and mode; of groups the kernel's record says nothing.
const fn may_write(file: &FileRef, state: &TaskState) -> bool {
    if state.caps.effective & DAC_OVERRIDE != 0 {
        return true;
    }
    if state.ids.fsuid == file.uid { file.mode & 0o200 != 0 } else { file.mode & 0o002 != 0 }
}

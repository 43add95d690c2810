//! The arguments events can have: what may follow `evt.arg.` and `evt.rawarg.`.

use std::{collections::HashMap, sync::LazyLock};

use super::Kind;

/// Names of arguments by the kind of their raw value (libscap's event table, libs 0.24). Falco refuses a rule
/// that asks for any other.
const NAMES: &[(Kind, &str)] = &[
    (
        Kind::Text,
        "auxv_path comm cwd desc description dev_name dir dev exe filename home id_str interp json key
         linkpath name newpath oldpath path pathname plugin quotafilepath scope shell source_name special
         target trusted_exepath type uargs value_charbuf arg2_str container_id id source",
    ),
    (
        Kind::Bytes,
        "addr_buf args cgroups data env event_data img tuple value_bytebuf sockaddr tags fds sigmask
         plugin_data",
    ),
    (
        Kind::Int64,
        "arg2_int aux cmd cur dirfd dpid fd fd1 fd2 fd_in fd_out fdin fdlimit fdout in_fd linkdirfd max
         maxevents mountfd newcur newdir newdirfd newfd newmax next offin offout oldcur olddir olddirfd
         oldfd oldmax out_fd pgid pid pid_fd pidfd ppid ptid reaper_tid res ret sa spid status target_fd
         tid timeout vpid vtid fdparam pidns egroup_leader",
    ),
    (Kind::Int32, "semid semnum size_hint sem_op_0 sem_op_1 size_i32 tty"),
    (
        Kind::UInt64,
        "addr arg argument cap_effective cap_inheritable cap_permitted cpu_sys cpu_usr cq_off
         dqb_bhardlimit dqb_bsoftlimit dqb_curspace dqb_ihardlimit dqb_isoftlimit exe_ino initval ino ip
         len length offset op peer pgft_maj pgft_min pgoffset pos data_len val pidns_init_start_ts msgtyp
         arg1 event_data_len",
    ),
    (
        Kind::UInt32,
        "action backlog core cpu clockid domain egid entries error euid event_type features flags gid group
         how instruction level linkflags loginuid mask min_complete mode nlink nr_args nsems nsops nstype
         opcode operation option optlen optname plugin_id proto prot queuelen queuemax queuepct quota_fmt
         quota_fmt_out ratio request resolve resource rgid ruid semflg sem_flg_0 sem_flg_1 sem_num_0
         sem_num_1 sgid sig size sq_entries sq_thread_cpu sq_thread_idle cq_entries suid to_submit uid
         vm_rss vm_size vm_swap whence dqi_flags advice flag fmode",
    ),
    (Kind::RelTime, "dqb_btime dqb_itime dqi_bgrace dqi_igrace interval"),
    (Kind::AbsTime, "exe_ino_ctime exe_ino_mtime ts"),
];

static KINDS: LazyLock<HashMap<&str, Kind>> = LazyLock::new(|| {
    NAMES.iter().flat_map(|(kind, names)| names.split_whitespace().map(|name| (name, *kind))).collect()
});

/// The kind of the raw value of the argument of this name, if events have one of this name.
pub(super) fn kind(name: &str) -> Option<Kind> {
    KINDS.get(name).copied()
}

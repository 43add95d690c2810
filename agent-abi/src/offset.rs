//! The one table of kernel fields that the programs read.

use crate::wire::wire;

/// Offset of a field that this kernel does not have. Programs branch on it; the offsets are
/// frozen before load, so the verifier drops the branch.
pub const ABSENT: u32 = u32::MAX;

/// Whether the agent can do without a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The agent does not start without it.
    Required,
    /// Without it, what the field serves is reported as degraded.
    Optional,
}

/// Where a field is looked up.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name in [`Offsets`], and in messages.
    pub name: &'static str,
    /// The structure.
    pub structure: &'static str,
    /// Member path from there; alternatives of other kernel versions are separated by `|`.
    pub path: &'static str,
    /// Whether it must be there.
    pub need: Need,
    /// Kernel module whose own BTF is asked after vmlinux's; empty for none.
    pub module: &'static str,
}

macro_rules! offsets {
    ($($(#[$doc:meta])* $name:ident = $structure:literal . $path:literal $need:ident $(in $module:literal)?;)*) => {
        wire! {
            no Default:

            /// Byte offset of each field in its structure, from this kernel's BTF.
            pub struct Offsets [4 * FIELDS.len()] {
                $($(#[$doc])* pub $name: u32,)*
            }
        }

        /// The fields in the order of [`Offsets`].
        pub const FIELDS: &[Field] = &[
            $(Field {
                name: stringify!($name),
                structure: $structure,
                path: $path,
                need: Need::$need,
                module: concat!("" $(, $module)?),
            },)*
        ];

        impl Offsets {
            /// A table in which nothing is known.
            pub const ABSENT: Self = Self { $($name: ABSENT,)* };

            /// The table from one offset per entry of [`FIELDS`], in that order.
            #[must_use]
            pub const fn from_array(offsets: [u32; FIELDS.len()]) -> Self {
                let [$($name,)*] = offsets;
                Self { $($name,)* }
            }
        }
    };
}

offsets! {
    /// `task_struct.pid`: the thread id.
    task_pid = "task_struct"."pid" Required;
    /// `task_struct.tgid`.
    task_tgid = "task_struct"."tgid" Required;
    /// `task_struct.group_leader`.
    task_group_leader = "task_struct"."group_leader" Required;
    /// `task_struct.start_boottime`; `real_start_time` before 5.5.
    task_start_boottime = "task_struct"."start_boottime|real_start_time" Required;
    /// `task_struct.real_parent`.
    task_real_parent = "task_struct"."real_parent" Required;
    /// `task_struct.self_exec_id`.
    task_self_exec_id = "task_struct"."self_exec_id" Required;
    /// `task_struct.cred`: the effective credentials.
    task_cred = "task_struct"."cred" Required;
    /// `task_struct.real_cred`: what `/proc` shows.
    task_real_cred = "task_struct"."real_cred" Required;
    /// `task_struct.comm`.
    task_comm = "task_struct"."comm" Required;
    /// `task_struct.flags`.
    task_flags = "task_struct"."flags" Required;
    /// `task_struct.atomic_flags`.
    task_atomic_flags = "task_struct"."atomic_flags" Required;
    /// `task_struct.seccomp.mode`.
    task_seccomp_mode = "task_struct"."seccomp.mode" Required;
    /// `task_struct.seccomp.filter`.
    task_seccomp_filter = "task_struct"."seccomp.filter" Optional;
    /// `task_struct.seccomp.filter_count` (5.9).
    task_seccomp_filter_count = "task_struct"."seccomp.filter_count" Optional;
    /// `task_struct.loginuid` (with audit).
    task_loginuid = "task_struct"."loginuid" Optional;
    /// `task_struct.nsproxy`.
    task_nsproxy = "task_struct"."nsproxy" Required;
    /// `task_struct.cgroups`.
    task_cgroups = "task_struct"."cgroups" Required;
    /// `task_struct.mm`.
    task_mm = "task_struct"."mm" Required;
    /// `task_struct.fs`.
    task_fs = "task_struct"."fs" Required;
    /// `task_struct.files`.
    task_files = "task_struct"."files" Required;
    /// `task_struct.signal`.
    task_signal = "task_struct"."signal" Required;
    /// `task_struct.thread_pid`.
    task_thread_pid = "task_struct"."thread_pid" Required;
    /// `task_struct.exit_code`.
    task_exit_code = "task_struct"."exit_code" Required;
    /// `task_struct.thread_info.status` on x86-64, `…flags` on arm64: tells a 32-bit call.
    task_thread_status = "task_struct"."thread_info.status|thread_info.flags" Optional;
    /// `signal_struct.live`.
    signal_live = "signal_struct"."live" Required;
    /// `signal_struct.pids`.
    signal_pids = "signal_struct"."pids" Required;
    /// `signal_struct.tty`.
    signal_tty = "signal_struct"."tty" Optional;
    /// `signal_struct.group_exit_code`.
    signal_group_exit_code = "signal_struct"."group_exit_code" Required;
    /// `tty_struct.driver`.
    tty_driver = "tty_struct"."driver" Optional;
    /// `tty_struct.index`.
    tty_index = "tty_struct"."index" Optional;
    /// `tty_driver.major`.
    tty_driver_major = "tty_driver"."major" Optional;
    /// `tty_driver.minor_start`.
    tty_driver_minor_start = "tty_driver"."minor_start" Optional;
    /// `pid.level`.
    pid_level = "pid"."level" Required;
    /// `pid.numbers`.
    pid_numbers = "pid"."numbers" Required;
    /// `upid.ns`.
    upid_ns = "upid"."ns" Required;
    /// `upid.nr`.
    upid_nr = "upid"."nr" Required;
    /// `cred.uid`.
    cred_uid = "cred"."uid" Required;
    /// `cred.gid`.
    cred_gid = "cred"."gid" Required;
    /// `cred.suid`.
    cred_suid = "cred"."suid" Required;
    /// `cred.sgid`.
    cred_sgid = "cred"."sgid" Required;
    /// `cred.euid`.
    cred_euid = "cred"."euid" Required;
    /// `cred.egid`.
    cred_egid = "cred"."egid" Required;
    /// `cred.fsuid`.
    cred_fsuid = "cred"."fsuid" Required;
    /// `cred.fsgid`.
    cred_fsgid = "cred"."fsgid" Required;
    /// `cred.securebits`.
    cred_securebits = "cred"."securebits" Required;
    /// `cred.cap_inheritable`.
    cred_cap_inheritable = "cred"."cap_inheritable" Required;
    /// `cred.cap_permitted`.
    cred_cap_permitted = "cred"."cap_permitted" Required;
    /// `cred.cap_effective`.
    cred_cap_effective = "cred"."cap_effective" Required;
    /// `cred.cap_bset`.
    cred_cap_bset = "cred"."cap_bset" Required;
    /// `cred.cap_ambient`.
    cred_cap_ambient = "cred"."cap_ambient" Required;
    /// `cred.user_ns`.
    cred_user_ns = "cred"."user_ns" Required;
    /// `user_namespace.ns.inum`.
    user_ns_inum = "user_namespace"."ns.inum" Required;
    /// `user_namespace.level`.
    user_ns_level = "user_namespace"."level" Required;
    /// `user_namespace.uid_map.nr_extents`.
    user_ns_uid_map_nr = "user_namespace"."uid_map.nr_extents" Required;
    /// `user_namespace.uid_map.extent`: up to five, inline.
    user_ns_uid_map_extent = "user_namespace"."uid_map.extent" Required;
    /// `nsproxy.mnt_ns`.
    nsproxy_mnt = "nsproxy"."mnt_ns" Required;
    /// `nsproxy.net_ns`.
    nsproxy_net = "nsproxy"."net_ns" Required;
    /// `nsproxy.ipc_ns`.
    nsproxy_ipc = "nsproxy"."ipc_ns" Required;
    /// `nsproxy.uts_ns`.
    nsproxy_uts = "nsproxy"."uts_ns" Required;
    /// `nsproxy.cgroup_ns`.
    nsproxy_cgroup = "nsproxy"."cgroup_ns" Required;
    /// `mnt_namespace.ns.inum`.
    mnt_ns_inum = "mnt_namespace"."ns.inum" Required;
    /// `pid_namespace.ns.inum`.
    pid_ns_inum = "pid_namespace"."ns.inum" Required;
    /// `net.ns.inum`.
    net_ns_inum = "net"."ns.inum" Required;
    /// `ipc_namespace.ns.inum`.
    ipc_ns_inum = "ipc_namespace"."ns.inum" Optional;
    /// `uts_namespace.ns.inum`.
    uts_ns_inum = "uts_namespace"."ns.inum" Required;
    /// `cgroup_namespace.ns.inum`.
    cgroup_ns_inum = "cgroup_namespace"."ns.inum" Required;
    /// `css_set.dfl_cgrp`: the cgroup in the v2 hierarchy.
    css_set_dfl_cgrp = "css_set"."dfl_cgrp" Required;
    /// `css_set.subsys`: one state per controller.
    css_set_subsys = "css_set"."subsys" Required;
    /// `cgroup_subsys_state.cgroup`.
    css_cgroup = "cgroup_subsys_state"."cgroup" Required;
    /// `cgroup.kn`.
    cgroup_kn = "cgroup"."kn" Required;
    /// `cgroup.root`.
    cgroup_root = "cgroup"."root" Required;
    /// `cgroup_root.hierarchy_id`.
    cgroup_root_hierarchy = "cgroup_root"."hierarchy_id" Required;
    /// `kernfs_node.id`.
    kernfs_node_id = "kernfs_node"."id" Required;
    /// `mm_struct.exe_file`.
    mm_exe_file = "mm_struct"."exe_file" Required;
    /// `mm_struct.arg_start`.
    mm_arg_start = "mm_struct"."arg_start" Required;
    /// `mm_struct.arg_end`.
    mm_arg_end = "mm_struct"."arg_end" Required;
    /// `fs_struct.pwd`.
    fs_pwd = "fs_struct"."pwd" Required;
    /// `linux_binprm.filename`.
    binprm_filename = "linux_binprm"."filename" Required;
    /// `files_struct.fdt`.
    files_fdt = "files_struct"."fdt" Required;
    /// `fdtable.fd`.
    fdtable_fd = "fdtable"."fd" Required;
    /// `fdtable.max_fds`.
    fdtable_max_fds = "fdtable"."max_fds" Required;
    /// `file.f_path`.
    file_path = "file"."f_path|__f_path" Required;
    /// `file.f_inode`.
    file_inode = "file"."f_inode" Required;
    /// `file.f_flags`.
    file_flags = "file"."f_flags" Required;
    /// `path.mnt`.
    path_mnt = "path"."mnt" Required;
    /// `path.dentry`.
    path_dentry = "path"."dentry" Required;
    /// `dentry.d_parent`.
    dentry_parent = "dentry"."d_parent" Required;
    /// `dentry.d_name.name`.
    dentry_name = "dentry"."d_name.name" Required;
    /// `dentry.d_inode`.
    dentry_inode = "dentry"."d_inode" Required;
    /// `mount.mnt`, embedded: a `vfsmount` pointer less this is its `mount`.
    mount_mnt = "mount"."mnt" Required;
    /// `mount.mnt_parent`.
    mount_parent = "mount"."mnt_parent" Required;
    /// `mount.mnt_mountpoint`.
    mount_mountpoint = "mount"."mnt_mountpoint" Required;
    /// `mount.mnt_ns`.
    mount_ns = "mount"."mnt_ns" Required;
    /// `vfsmount.mnt_root`.
    vfsmount_root = "vfsmount"."mnt_root" Required;
    /// `inode.i_ino`.
    inode_ino = "inode"."i_ino" Required;
    /// `inode.i_mode`.
    inode_mode = "inode"."i_mode" Required;
    /// `inode.i_uid`.
    inode_uid = "inode"."i_uid" Required;
    /// `inode.i_nlink`.
    inode_nlink = "inode"."i_nlink" Required;
    /// `inode.i_sb`.
    inode_sb = "inode"."i_sb" Required;
    /// `super_block.s_dev`.
    sb_dev = "super_block"."s_dev" Required;
    /// `super_block.s_magic`.
    sb_magic = "super_block"."s_magic" Required;
    /// `ovl_inode.vfs_inode`, embedded.
    ovl_inode_vfs = "ovl_inode"."vfs_inode" Optional in "overlay";
    /// `ovl_inode.__upperdentry`.
    ovl_inode_upper = "ovl_inode"."__upperdentry" Optional in "overlay";
    /// `seccomp_filter.cache.allow_native` (5.11).
    seccomp_filter_allow = "seccomp_filter"."cache.allow_native" Optional;
    /// `files_struct.count`: how many tasks share the descriptors.
    files_count = "files_struct"."count" Required;
    /// `file.f_count`, a plain number of references (before 6.13).
    file_count = "file"."f_count" Optional;
    /// `file.f_ref`, a number of references less one (6.13).
    file_ref = "file"."f_ref.refcnt" Optional;
    /// `file.private_data`.
    file_private = "file"."private_data" Required;
    /// `inode.i_private`: of a pidfd the `pid`, where pidfds have a file system (6.9).
    inode_private = "inode"."i_private" Required;
    /// `fs_struct.root`.
    fs_root = "fs_struct"."root" Required;
    /// `dentry.d_name.len`.
    dentry_len = "dentry"."d_name.len" Required;
    /// `socket.sk`.
    socket_sk = "socket"."sk" Required;
    /// `sock.__sk_common.skc_family`.
    sk_family = "sock"."__sk_common.skc_family" Required;
    /// `sock.__sk_common.skc_state`.
    sk_state = "sock"."__sk_common.skc_state" Required;
    /// `sock.__sk_common.skc_num`: the local port, in the order of the host.
    sk_num = "sock"."__sk_common.skc_num" Required;
    /// `inet_sock.inet_sport`: the local port, in the order of the network; outlives `skc_num`.
    sk_sport = "inet_sock"."inet_sport" Required;
    /// `sock.__sk_common.skc_dport`: the peer's port, in the order of the network.
    sk_dport = "sock"."__sk_common.skc_dport" Required;
    /// `sock.__sk_common.skc_daddr`.
    sk_daddr = "sock"."__sk_common.skc_daddr" Required;
    /// `sock.__sk_common.skc_rcv_saddr`.
    sk_rcv_saddr = "sock"."__sk_common.skc_rcv_saddr" Required;
    /// `sock.__sk_common.skc_v6_daddr` (with IPv6).
    sk_v6_daddr = "sock"."__sk_common.skc_v6_daddr" Optional;
    /// `sock.__sk_common.skc_v6_rcv_saddr` (with IPv6).
    sk_v6_rcv_saddr = "sock"."__sk_common.skc_v6_rcv_saddr" Optional;
    /// `sock.__sk_common.skc_net.net`.
    sk_net = "sock"."__sk_common.skc_net.net" Required;
    /// `sock.__sk_common.skc_cookie`.
    sk_cookie = "sock"."__sk_common.skc_cookie" Required;
    /// `sock.sk_type`.
    sk_type = "sock"."sk_type" Required;
    /// `sock.sk_protocol`.
    sk_protocol = "sock"."sk_protocol" Required;
    /// `sock.sk_cgrp_data.cgroup`; before 5.16 a word that may be something else.
    sk_cgroup = "sock"."sk_cgrp_data.cgroup|sk_cgrp_data.val" Optional;
    /// `unix_sock.addr`: what it is bound to.
    unix_addr = "unix_sock"."addr" Optional;
    /// `unix_sock.path`: the file that it is bound to.
    unix_path = "unix_sock"."path" Optional;
    /// `unix_sock.peer`.
    unix_peer = "unix_sock"."peer" Optional;
    /// `unix_address.len`, of `name`.
    unix_address_len = "unix_address"."len" Optional;
    /// `unix_address.name`: a `struct sockaddr_un`.
    unix_address_name = "unix_address"."name" Optional;
    /// `io_kiocb.opcode`.
    uring_opcode = "io_kiocb"."opcode" Optional;
    /// `io_kiocb.flags`.
    uring_flags = "io_kiocb"."flags" Optional;
    /// `io_kiocb.ctx`: the ring.
    uring_ring = "io_kiocb"."ctx" Optional;
    /// `io_kiocb.cqe.user_data` (`io_kiocb.user_data` before 5.19).
    uring_user_data = "io_kiocb"."cqe.user_data|user_data" Optional;
    /// `io_kiocb.async_data`.
    uring_async = "io_kiocb"."async_data" Optional;
    /// `io_async_msghdr.msg.msg_name`: the kernel's copy of an address.
    uring_message_name = "io_async_msghdr"."msg.msg_name" Optional;
    /// `io_async_msghdr.msg.msg_namelen`.
    uring_message_name_len = "io_async_msghdr"."msg.msg_namelen" Optional;
    /// `filename.name`.
    filename_name = "filename"."name" Optional;
    /// `file.f_mode`.
    file_mode = "file"."f_mode" Required;
    /// `task_struct.stack`: where a task's `pt_regs` are.
    task_stack = "task_struct"."stack" Required;
    /// `linux_binprm.file`.
    binprm_file = "linux_binprm"."file" Required;
}

//! Operations of an io_uring: which calls they stand in for, and where the kernel's request keeps
//! what is captured.

use agent_abi::{
    interest::NONE,
    uring::{
        kind,
        position::{FD, MODE},
    },
};

/// A field of the kernel's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    /// Its structure; alternatives of other kernel versions are separated by `|`. All of them lie at
    /// the start of `struct io_kiocb`.
    pub(crate) structure: &'static str,
    /// Member path from there, with alternatives likewise.
    pub(crate) path: &'static str,
    /// Of a number: 2, 4 or 8.
    pub(crate) bytes: u16,
}

/// What is captured of an operation; see [`agent_abi::uring::Operation`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) kind: u8,
    pub(crate) works_on_file: bool,
    /// Descriptor, flags, mode and length.
    pub(crate) numbers: [Option<Field>; 4],
    pub(crate) dir: u8,
    pub(crate) name: Option<Field>,
    pub(crate) to_dir: u8,
    pub(crate) to_name: Option<Field>,
    pub(crate) text: Option<Field>,
    pub(crate) text_is_name: bool,
    pub(crate) address: Option<Field>,
    pub(crate) address_len: Option<Field>,
    pub(crate) message: Option<Field>,
}

/// An operation that may be wanted. Reads, writes, polls, timeouts and the like are not among them:
/// as with system calls, what is read and written is not looked at.
#[derive(Debug)]
pub(crate) struct Row {
    /// `IORING_OP_…`.
    pub(crate) opcode: u32,
    /// System calls that do the same: who wants one of them wants the operation.
    pub(crate) calls: &'static [&'static str],
    pub(crate) shape: Shape,
}

const fn field(structure: &'static str, path: &'static str, bytes: u16) -> Option<Field> {
    Some(Field { structure, path, bytes })
}

const fn pointer(structure: &'static str, path: &'static str) -> Option<Field> {
    field(structure, path, 8)
}

/// The descriptor of an operation that works on a file, until it starts (6.0).
const FILE: Option<Field> = field("io_kiocb", "cqe.fd", 4);

impl Shape {
    const fn new(kind: u8) -> Self {
        Self {
            kind,
            works_on_file: false,
            numbers: [None; 4],
            dir: NONE,
            name: None,
            to_dir: NONE,
            to_name: None,
            text: None,
            text_is_name: false,
            address: None,
            address_len: None,
            message: None,
        }
    }

    const fn on_file(self) -> Self {
        let [_, flags, mode, len] = self.numbers;
        Self { works_on_file: true, numbers: [FILE, flags, mode, len], ..self }
    }
}

const fn open() -> Shape {
    const OPEN: &str = "io_open";
    Shape {
        numbers: [field(OPEN, "dfd", 4), field(OPEN, "how.flags", 8), field(OPEN, "how.mode", 8), None],
        dir: FD,
        name: pointer(OPEN, "filename"),
        ..Shape::new(kind::PATH)
    }
}

/// `from`, `to` and their directories.
const fn two_paths(structure: &'static str) -> Shape {
    Shape {
        numbers: [
            field(structure, "old_dfd", 4),
            field(structure, "flags", 4),
            field(structure, "new_dfd", 4),
            None,
        ],
        dir: FD,
        name: pointer(structure, "oldpath"),
        to_dir: MODE,
        to_name: pointer(structure, "newpath"),
        ..Shape::new(kind::PATH)
    }
}

const fn set_attribute(kind: u8) -> Shape {
    const XATTR: &str = "io_xattr";
    Shape {
        numbers: [None, field(XATTR, "ctx.flags", 4), None, field(XATTR, "ctx.size", 8)],
        text: pointer(XATTR, "ctx.kname"),
        ..Shape::new(kind)
    }
}

/// To whom, by an address beside the data.
const fn send() -> Shape {
    const SEND: &str = "io_sr_msg";
    let shape = Shape {
        numbers: [None, field(SEND, "msg_flags", 4), None, field(SEND, "len", 4)],
        address: pointer(SEND, "addr"),
        address_len: field(SEND, "addr_len", 2),
        ..Shape::new(kind::SOCKET)
    };
    shape.on_file()
}

/// To whom, by a message header.
const fn send_message() -> Shape {
    let shape = Shape {
        numbers: [None, field("io_sr_msg", "msg_flags", 4), None, None],
        message: pointer("io_sr_msg", "umsg"),
        ..Shape::new(kind::SOCKET)
    };
    shape.on_file()
}

const fn accept() -> Shape {
    let shape =
        Shape { numbers: [None, field("io_accept", "flags", 4), None, None], ..Shape::new(kind::SOCKET) };
    shape.on_file()
}

/// What works on another ring or device by a number.
const fn command(structure: &'static str, path: &'static str) -> Shape {
    let shape = Shape { numbers: [None, field(structure, path, 4), None, None], ..Shape::new(kind::PLAIN) };
    shape.on_file()
}

const fn row(opcode: u32, calls: &'static [&'static str], shape: Shape) -> Row {
    Row { opcode, calls, shape }
}

pub(crate) const OPERATION_ROWS: &[Row] = &[
    row(9, &["sendmsg", "sendmmsg"], send_message()),
    row(13, &["accept", "accept4"], accept()),
    row(
        16,
        &["connect"],
        Shape {
            address: pointer("io_connect", "addr"),
            address_len: field("io_connect", "addr_len", 2),
            numbers: [None, None, None, field("io_connect", "addr_len", 4)],
            ..Shape::new(kind::SOCKET)
        }
        .on_file(),
    ),
    row(18, &["open", "openat", "creat"], open()),
    row(26, &["sendto"], send()),
    row(28, &["openat2"], open()),
    row(35, &["rename", "renameat", "renameat2"], two_paths("io_rename")),
    row(
        36,
        &["unlink", "unlinkat", "rmdir"],
        Shape {
            numbers: [field("io_unlink", "dfd", 4), field("io_unlink", "flags", 4), None, None],
            dir: FD,
            name: pointer("io_unlink", "filename"),
            ..Shape::new(kind::PATH)
        },
    ),
    row(
        37,
        &["mkdir", "mkdirat"],
        Shape {
            numbers: [field("io_mkdir", "dfd", 4), None, field("io_mkdir", "mode", 2), None],
            dir: FD,
            name: pointer("io_mkdir", "filename"),
            ..Shape::new(kind::PATH)
        },
    ),
    row(
        38,
        &["symlink", "symlinkat"],
        Shape {
            numbers: [field("io_link|io_symlink", "new_dfd", 4), None, None, None],
            dir: FD,
            name: pointer("io_link|io_symlink", "newpath"),
            text: pointer("io_link|io_symlink", "oldpath"),
            text_is_name: true,
            ..Shape::new(kind::PATH)
        },
    ),
    row(39, &["link", "linkat"], two_paths("io_link|io_hardlink")),
    row(40, &["io_uring_setup"], command("io_msg", "cmd")),
    row(41, &["fsetxattr"], set_attribute(kind::PLAIN).on_file()),
    row(42, &["setxattr"], Shape { name: pointer("io_xattr", "filename"), ..set_attribute(kind::PATH) }),
    row(
        45,
        &["socket"],
        Shape {
            numbers: [
                field("io_socket", "domain", 4),
                field("io_socket", "type", 4),
                field("io_socket", "protocol", 4),
                field("io_socket", "flags", 4),
            ],
            ..Shape::new(kind::PLAIN)
        },
    ),
    row(46, &["io_uring_setup"], command("io_uring_cmd", "cmd_op")),
    row(47, &["sendto"], send()),
    row(48, &["sendmsg", "sendmmsg"], send_message()),
    row(
        55,
        &["ftruncate"],
        Shape { numbers: [None, None, None, field("io_ftrunc", "len", 8)], ..Shape::new(kind::PLAIN) }
            .on_file(),
    ),
    row(
        56,
        &["bind"],
        Shape {
            address_len: field("io_bind", "addr_len", 2),
            numbers: [None, None, None, field("io_bind", "addr_len", 4)],
            ..Shape::new(kind::SOCKET)
        }
        .on_file(),
    ),
    row(
        57,
        &["listen"],
        Shape { numbers: [None, None, None, field("io_listen", "backlog", 4)], ..Shape::new(kind::SOCKET) }
            .on_file(),
    ),
    row(64, &["io_uring_setup"], command("io_uring_cmd", "cmd_op")),
];

/// Name of an opcode (include/uapi/linux/io_uring.h, `enum io_uring_op`, Linux 7.2).
pub(crate) fn name(opcode: u32) -> Option<&'static str> {
    NAMES.get(usize::try_from(opcode).ok()?).copied()
}

const NAMES: [&str; 65] = [
    "nop",
    "readv",
    "writev",
    "fsync",
    "read_fixed",
    "write_fixed",
    "poll_add",
    "poll_remove",
    "sync_file_range",
    "sendmsg",
    "recvmsg",
    "timeout",
    "timeout_remove",
    "accept",
    "async_cancel",
    "link_timeout",
    "connect",
    "fallocate",
    "openat",
    "close",
    "files_update",
    "statx",
    "read",
    "write",
    "fadvise",
    "madvise",
    "send",
    "recv",
    "openat2",
    "epoll_ctl",
    "splice",
    "provide_buffers",
    "remove_buffers",
    "tee",
    "shutdown",
    "renameat",
    "unlinkat",
    "mkdirat",
    "symlinkat",
    "linkat",
    "msg_ring",
    "fsetxattr",
    "setxattr",
    "fgetxattr",
    "getxattr",
    "socket",
    "uring_cmd",
    "send_zc",
    "sendmsg_zc",
    "read_multishot",
    "waitid",
    "futex_wait",
    "futex_wake",
    "futex_waitv",
    "fixed_fd_install",
    "ftruncate",
    "bind",
    "listen",
    "recv_zc",
    "epoll_wait",
    "readv_fixed",
    "writev_fixed",
    "pipe",
    "nop128",
    "uring_cmd128",
];

//! Calls on the kernel and the node: each of the table is made so that it does no harm, and told as
//! it was made.

use std::os::fd::IntoRawFd as _;

use agent_abi::record::file_flag;
use kestrel_agent::syscall::Family;

use crate::{
    calls::{enter_own_folder, made_by, shared_calls},
    row::{End, Expected, Fd, Row, assert_complete, assert_told, make, row},
};

const PLAIN_CALL: Expected = Expected::Plain { pid: 0, target: 0 };

#[test]
fn every_call_of_the_table() {
    let mut loaded = shared_calls();
    let made = made_by(&mut loaded, || {
        let path = enter_own_folder();
        std::fs::write("module", "no module").unwrap();
        let file = std::fs::File::open("module").unwrap().into_raw_fd();
        make(rows(&path, file))
    });
    assert_told(&loaded, &made);
    assert_complete(Family::System, &made.value);
}

fn rows(path: &[u8], file: i32) -> Vec<Row> {
    let used = Expected::File {
        fd: Fd::Argument(0),
        path: [path, b"/module"].concat(),
        flags: file_flag::IN_TASK_MOUNT_NS,
    };
    // `union bpf_attr` of an array: type, size of key and value, entries.
    let array: Vec<u8> = [2u32, 4, 8, 1].into_iter().flat_map(u32::to_ne_bytes).collect();
    // `struct perf_event_attr` of no type that there is, and its size.
    let no_event: Vec<u8> = [0xffff_u32, 64].into_iter().flat_map(u32::to_ne_bytes).chain([0; 56]).collect();
    let never: Vec<u8> = [0i64, 2_000_000_000].into_iter().flat_map(i64::to_ne_bytes).collect();
    let (not_magic, no_flags, monotonic) = (0xdead_u32, 0xffff_u32, 1);
    let nobody = 4_000_000;
    vec![
        row!(SYS_init_module, [b"no module".to_vec(), 9, "first=1"], End::Any, PLAIN_CALL, "first=1"),
        row!(SYS_finit_module, [file, "second=2", 0], End::Any, used.clone(), "second=2"),
        row!(SYS_delete_module, ["no_such_module", 0x800], End::Any, PLAIN_CALL, "no_such_module"),
        row!(SYS_bpf, [0, array.clone(), 16], End::Ok, PLAIN_CALL, array),
        row!(
            SYS_perf_event_open,
            [no_event, nobody, -1, -1, 0],
            End::Any,
            Expected::Plain { pid: nobody, target: 0 }
        ),
        row!(SYS_kexec_load, [0, 0, 0, no_flags], End::Any, PLAIN_CALL),
        row!(SYS_kexec_file_load, [file, -1, 0, 0, no_flags], End::Any, used),
        row!(SYS_reboot, [not_magic, not_magic, 0, 0], End::Fails(nix::libc::EINVAL), PLAIN_CALL),
        row!(SYS_io_uring_setup, [0, vec![0; 120]], End::Any, PLAIN_CALL),
        row!(SYS_io_uring_register, [-1, 0, 0, 0], End::Any, PLAIN_CALL),
        row!(SYS_iopl, [4], End::Any, PLAIN_CALL),
        row!(SYS_ioperm, [-1, 1, 1], End::Any, PLAIN_CALL),
        row!(SYS_sethostname, ["kestrel-test", 7], End::Ok, PLAIN_CALL, "kestrel"),
        row!(SYS_setdomainname, ["kestrel-test", 12], End::Ok, PLAIN_CALL, "kestrel-test"),
        row!(SYS_settimeofday, [never.clone(), 0], End::Fails(nix::libc::EINVAL), PLAIN_CALL),
        row!(SYS_clock_settime, [monotonic, never], End::Fails(nix::libc::EINVAL), PLAIN_CALL),
    ]
}

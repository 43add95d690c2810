//! What a bpf call is about: its attributes hold addresses and whatever follows them in the caller's
//! memory, so of them only what is named here leaves the node.

use bytes::Bytes;
use kestrel_proto::v1;

/// `enum bpf_cmd` (include/uapi/linux/bpf.h, Linux 6.18), in lower case without `BPF_`.
const COMMANDS: [&str; 39] = [
    "map_create",
    "map_lookup_elem",
    "map_update_elem",
    "map_delete_elem",
    "map_get_next_key",
    "prog_load",
    "obj_pin",
    "obj_get",
    "prog_attach",
    "prog_detach",
    "prog_test_run",
    "prog_get_next_id",
    "map_get_next_id",
    "prog_get_fd_by_id",
    "map_get_fd_by_id",
    "obj_get_info_by_fd",
    "prog_query",
    "raw_tracepoint_open",
    "btf_load",
    "btf_get_fd_by_id",
    "task_fd_query",
    "map_lookup_and_delete_elem",
    "map_freeze",
    "btf_get_next_id",
    "map_lookup_batch",
    "map_lookup_and_delete_batch",
    "map_update_batch",
    "map_delete_batch",
    "link_create",
    "link_update",
    "link_get_fd_by_id",
    "link_get_next_id",
    "enable_stats",
    "iter_create",
    "link_detach",
    "prog_bind_map",
    "token_create",
    "prog_stream_read_by_fd",
    "prog_assoc_struct_ops",
];

const MAP_CREATE: u64 = 0;
const PROG_LOAD: u64 = 5;
const PROG_ATTACH: u64 = 8;
const PROG_DETACH: u64 = 9;
const LINK_CREATE: u64 = 28;

/// Places in `union bpf_attr`.
const TYPE: usize = 0;
const ATTACH_TYPE: usize = 8;
const MAP_NAME: usize = 28;
const PROG_NAME: usize = 48;
const EXPECTED_ATTACH_TYPE: usize = 68;
/// `BPF_OBJ_NAME_LEN`.
const NAME_BYTES: usize = 16;

/// `attr` is what was captured of `union bpf_attr`; attributes behind it are 0 to the kernel too.
pub(super) fn of(command: u64, attr: &[u8]) -> v1::Bpf {
    // The kernel takes an int.
    let command = command & u64::from(u32::MAX);
    let named = usize::try_from(command).ok().and_then(|number| COMMANDS.get(number));
    let name = match command {
        MAP_CREATE => name(attr, MAP_NAME),
        PROG_LOAD => name(attr, PROG_NAME),
        _ => Bytes::new(),
    };
    v1::Bpf {
        command: named.map_or_else(|| command.to_string(), |&name| name.to_owned()),
        r#type: matches!(command, MAP_CREATE | PROG_LOAD).then(|| number(attr, TYPE)).flatten(),
        name,
        attach_type: match command {
            PROG_LOAD => number(attr, EXPECTED_ATTACH_TYPE),
            PROG_ATTACH | PROG_DETACH | LINK_CREATE => number(attr, ATTACH_TYPE),
            _ => None,
        },
    }
}

fn number(attr: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*attr.get(at..)?.first_chunk()?))
}

fn name(attr: &[u8], at: usize) -> Bytes {
    let field = attr.get(at..).unwrap_or_default();
    let field = field.get(..NAME_BYTES).unwrap_or(field);
    super::call::copy(field.split(|&byte| byte == 0).next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_and_a_map_are_named_and_nothing_else_is() {
        let mut attr = [0xff_u8; 128];
        attr[..4].copy_from_slice(&26_u32.to_ne_bytes());
        attr[48..64].copy_from_slice(b"evil\x1b\0\0\0\0\0\0\0\0\0\0\0");
        attr[68..72].copy_from_slice(&24_u32.to_ne_bytes());
        let load = of(5 | 1 << 40, &attr);
        assert_eq!((load.command.as_str(), load.r#type, load.attach_type), ("prog_load", Some(26), Some(24)));
        assert_eq!(load.name, b"evil\x1b"[..]);
        attr[28..44].copy_from_slice(b"0123456789abcdef");
        assert_eq!(of(0, &attr).name, b"0123456789abcdef"[..]);
        let update = of(2, &attr);
        assert_eq!((update.r#type, update.name.len(), update.attach_type), (None, 0, None));
        assert_eq!(of(999, &[]).command, "999");
        let short = of(5, &attr[..50]);
        assert_eq!((short.name.len(), short.attach_type), (2, None));
    }
}

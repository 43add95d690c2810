//! Sockets.

use core::ptr::write_volatile;

use agent_abi::{
    map::CGROUP_V2,
    offset::ABSENT,
    record::{ADDRESS_BYTES, SocketRef, Span},
};
use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_kernel_str};

use super::{Probed, cgroup_id, path::append_path, pointer, probe};
use crate::{
    global::{BOOT, frozen, offset},
    scratch::{Tail, zero},
};

/// `SOCKFS_MAGIC` (include/uapi/linux/magic.h).
const SOCKFS_MAGIC: u64 = 0x534f_434b;
/// `AF_UNIX`, `AF_INET`, `AF_INET6` (include/linux/socket.h).
const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
/// `SOCK_RAW` (include/linux/net.h): its `skc_num` is a protocol.
const SOCK_RAW: u16 = 3;
/// `struct sockaddr_un`'s family, before its path.
const FAMILY_BYTES: u64 = 2;

/// The `sock` of a file, or 0 where that is no socket.
#[inline(always)]
pub fn sock_behind(file: u64) -> u64 {
    if file == 0 {
        return 0;
    }
    let sb = pointer(pointer(file, offset!(file_inode)), offset!(inode_sb));
    if pointer(sb, offset!(sb_magic)) != SOCKFS_MAGIC {
        return 0;
    }
    pointer(pointer(file, offset!(file_private)), offset!(socket_sk))
}

/// `SOCK_STREAM` and its like.
#[inline(always)]
pub fn sock_type(sock: u64) -> u16 {
    probe(sock + u64::from(offset!(sk_type)))
}

/// `TCP_ESTABLISHED` and its like.
#[inline(always)]
pub fn sock_state(sock: u64) -> u8 {
    probe(sock + u64::from(offset!(sk_state)))
}

/// Describes `sock`. Of the file it is behind, if any, the caller knows more.
///
/// # Safety
/// `sock` is a `sock` pointer, `out` may be written.
#[inline(always)]
pub unsafe fn describe_socket(sock: u64, out: *mut SocketRef) {
    // SAFETY: as the caller's; every address is checked by the helper that reads it.
    unsafe {
        let family = probe::<u16>(sock + u64::from(offset!(sk_family)));
        let kind = sock_type(sock);
        zero(out);
        (*out).cookie = probe(sock + u64::from(offset!(sk_cookie)));
        (*out).family = family;
        (*out).kind = kind;
        (*out).protocol = probe(sock + u64::from(offset!(sk_protocol)));
        (*out).state = sock_state(sock);
        (*out).net_ns = probe(pointer(sock, offset!(sk_net)) + u64::from(offset!(net_ns_inum)));
        if family != AF_INET && family != AF_INET6 {
            return;
        }
        if kind != SOCK_RAW {
            let port = probe::<u16>(sock + u64::from(offset!(sk_num)));
            // A socket that is being closed has let go of its port.
            let sport = u16::from_be(probe(sock + u64::from(offset!(sk_sport))));
            (*out).local_port = if port != 0 { port } else { sport };
            (*out).peer_port = u16::from_be(probe(sock + u64::from(offset!(sk_dport))));
        }
        if family == AF_INET {
            let local = &raw mut (*out).local;
            local.cast::<u32>().write(probe(sock + u64::from(offset!(sk_rcv_saddr))));
            let peer = &raw mut (*out).peer;
            peer.cast::<u32>().write(probe(sock + u64::from(offset!(sk_daddr))));
        } else if offset!(sk_v6_daddr) != ABSENT && offset!(sk_v6_rcv_saddr) != ABSENT {
            (*out).local = probe(sock + u64::from(offset!(sk_v6_rcv_saddr)));
            (*out).peer = probe(sock + u64::from(offset!(sk_v6_daddr)));
        }
    }
}

/// Appends the address of a unix socket or of its peer, of which the first that has one counts; with
/// `own` it is asked first. A name that is relative is made absolute from the file it is bound to.
/// False where that lost its front.
///
/// # Safety
/// `span` lies in the record that `tail` is of; `sock` is a `sock` pointer.
#[inline(always)]
pub unsafe fn append_unix_path(sock: u64, own: bool, span: *mut Span, tail: Tail) -> bool {
    // SAFETY: as the caller's; the tail has room, and its end is kept in map memory.
    unsafe {
        write_volatile(span, Span { offset: 0, len: 0 });
        if probe::<u16>(sock + u64::from(offset!(sk_family))) != AF_UNIX
            || offset!(unix_addr) == ABSENT
            || offset!(unix_peer) == ABSENT
            || offset!(unix_path) == ABSENT
            || offset!(unix_address_len) == ABSENT
            || offset!(unix_address_name) == ABSENT
        {
            return true;
        }
        let peer = pointer(sock, offset!(unix_peer));
        let (mut bound, other) = if own { (sock, peer) } else { (peer, sock) };
        let mut address = pointer(bound, offset!(unix_addr));
        if address == 0 {
            bound = other;
            address = pointer(bound, offset!(unix_addr));
        }
        if address == 0 {
            return true;
        }
        let name = address + u64::from(offset!(unix_address_name)) + FAMILY_BYTES;
        let start = tail.start();
        let place = tail.place(start);
        let first = probe::<u8>(name);
        if first == 0 {
            let len = probe::<u32>(address + u64::from(offset!(unix_address_len)));
            let len = (len as usize).saturating_sub(FAMILY_BYTES as usize) & (ADDRESS_BYTES - 1);
            if bpf_probe_read_kernel(place.cast(), len as u32, name as *const _) == 0 {
                write_volatile(span, tail.take(start, len));
            }
            return true;
        }
        if first != b'/' {
            let path = bound + u64::from(offset!(unix_path));
            let dentry = pointer(path, offset!(path_dentry));
            if dentry != 0 {
                return append_path(pointer(path, offset!(path_mnt)), dentry, span, tail);
            }
        }
        let len = bpf_probe_read_kernel_str(place.cast(), ADDRESS_BYTES as u32, name as *const _);
        // Without its NUL.
        let len = if len > 0 { (len as usize - 1) & (ADDRESS_BYTES - 1) } else { 0 };
        write_volatile(span, tail.take(start, len));
        true
    }
}

/// Inode number of the cgroup that a socket was made in, in the hierarchy that containers live in; 0
/// where that is not known. Sockets know the v2 hierarchy alone.
#[inline(always)]
pub fn sock_cgroup_id(sock: u64) -> u64 {
    if frozen(&BOOT.cgroup_subsys) != CGROUP_V2 || offset!(sk_cgroup) == ABSENT {
        return 0;
    }
    let cgroup = pointer(sock, offset!(sk_cgroup));
    // Before 5.16 the word may be a class and a priority, marked by its low bits
    // (include/linux/cgroup-defs.h, `struct sock_cgroup_data`).
    if cgroup & 3 != 0 {
        return 0;
    }
    // SAFETY: every address is checked by the helper that reads it.
    unsafe { cgroup_id::<Probed>(cgroup) }
}

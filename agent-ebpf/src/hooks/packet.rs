//! `cgroup_skb`: the first bytes of TCP connections, and DNS messages. Read and write are not hooked,
//! so this is where it shows what is spoken on a connection.
//!
//! Packets come in while others go out, on the same CPU: nothing is kept per CPU, and records are built
//! in the ring.

use agent_abi::{
    hook::{Hook, HookCounters},
    interest::predicate,
    map::CGROUP_V2,
    record::{Packet, SocketRef, Span, kind},
};
use aya_ebpf::{
    bindings::{__sk_buff, BPF_NOEXIST},
    btf_maps::LruHashMap,
    helpers::generated::{
        bpf_get_socket_cookie, bpf_sk_fullsock, bpf_skb_cgroup_id, bpf_skb_load_bytes, bpf_tcp_sock,
    },
    macros::{btf_map, cgroup_skb},
    programs::SkBuffContext,
};

use super::{counted_nested, filter, filtered_nested};
use crate::{
    global::{BOOT, frozen},
    ring::{self, Lane},
};

/// The packet goes on its way.
const ALLOW: i32 = 1;
/// `AF_INET`, `AF_INET6` (include/linux/socket.h).
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
/// `SOCK_STREAM`, `SOCK_DGRAM` (include/linux/net.h).
const STREAM: u16 = 1;
const DGRAM: u16 = 2;
/// `IPPROTO_TCP`, `IPPROTO_UDP` (include/uapi/linux/in.h).
const TCP: u8 = 6;
const UDP: u8 = 17;
const DNS_PORT: u16 = 53;
/// `IP_OFFSET` (include/net/ip.h): where in its datagram a fragment is.
const FRAGMENT_OFFSET: u16 = 0x1fff;

/// Version 4, and a header without options.
const IPV4_PLAIN: u8 = 4 << 4 | 5;
/// Least bytes of an IPv4 packet of TCP, both headers without options.
const FRONT: usize = 20 + 20;

/// Most bytes of a short payload, and of a long one: what is not used of them is room in the ring.
const SHORT: usize = 128;
const LONG: usize = agent_abi::record::PAYLOAD_BYTES;

/// Directions of connections whose first bytes were sent: the socket's cookie twice, and one for those
/// that go out. What has left it is told apart by the socket's own count.
#[btf_map]
static FIRST_BYTES: LruHashMap<u64, u32, 16_384> = LruHashMap::new();

#[cgroup_skb(ingress)]
pub fn packet_ingress(ctx: SkBuffContext) -> i32 {
    run(ctx.skb.skb, false)
}

#[cgroup_skb(egress)]
pub fn packet_egress(ctx: SkBuffContext) -> i32 {
    run(ctx.skb.skb, true)
}

#[inline(always)]
fn run(skb: *mut __sk_buff, egress: bool) -> i32 {
    // SAFETY: the program's context.
    unsafe {
        if is_bare(skb) {
            filtered_nested(Hook::Packet);
        } else {
            counted_nested(Hook::Packet, |counters| packet(counters, skb, egress));
        }
    }
    ALLOW
}

/// Where a payload is, and whose.
#[derive(Clone, Copy)]
struct Flow {
    socket: SocketRef,
    offset: u32,
    length: u32,
}

#[inline(always)]
unsafe fn packet(counters: &mut HookCounters, skb: *mut __sk_buff, egress: bool) {
    // SAFETY: as the caller's.
    unsafe {
        let cookie = bpf_get_socket_cookie(skb.cast());
        let key = cookie << 1 | u64::from(egress);
        if cookie == 0 || FIRST_BYTES.get_ptr(key).is_some() {
            counters.filtered += 1;
            return;
        }
        let Some(flow) = parse(skb, egress) else {
            counters.filtered += 1;
            return;
        };
        let is_connection = flow.socket.kind == STREAM;
        if is_connection && !(is_at_begin(skb, egress) && is_first(key)) {
            counters.filtered += 1;
            return;
        }
        let cgroup_id = if frozen(&BOOT.cgroup_subsys) == CGROUP_V2 { bpf_skb_cgroup_id(skb) } else { 0 };
        if filter::is_cgroup_muted(cgroup_id) {
            counters.filtered += 1;
            return;
        }
        if !filter::admits(counters, predicate::BULK, cgroup_id) {
            return;
        }
        if flow.length as usize <= SHORT {
            send::<SHORT, { size_of::<Packet>() + SHORT }>(counters, skb, &flow, cookie, cgroup_id, egress);
        } else {
            send::<LONG, { size_of::<Packet>() + LONG }>(counters, skb, &flow, cookie, cgroup_id, egress);
        }
    }
}

/// Whether a packet is of TCP and carries nothing, as most do that make and end a connection. Without a
/// helper's call: where its front does not lie in one piece, that is not known here.
#[inline(always)]
unsafe fn is_bare(skb: *mut __sk_buff) -> bool {
    // SAFETY: as the caller's; what is read of the packet is checked to be there.
    unsafe {
        let data = (*skb).data as usize as *const u8;
        let end = (*skb).data_end as usize as *const u8;
        if data.add(FRONT) > end {
            return false;
        }
        if data.read() == IPV4_PLAIN {
            let header = u32::from(data.add(20 + 12).read() >> 4) * 4;
            return data.add(9).read() == TCP && (*skb).len == 20 + header;
        }
        if data.read() >> 4 != 6 || data.add(40 + 20) > end {
            return false;
        }
        let header = u32::from(data.add(40 + 12).read() >> 4) * 4;
        data.add(6).read() == TCP && (*skb).len == 40 + header
    }
}

/// Addresses and payload of a packet that may be wanted: not empty, and TCP or DNS.
#[inline(always)]
unsafe fn parse(skb: *mut __sk_buff, egress: bool) -> Option<Flow> {
    // SAFETY: as the caller's.
    unsafe {
        let total = (*skb).len;
        // What both versions have at least (include/uapi/linux/ip.h, ipv6.h).
        let front: [u32; 5] = load(skb, 0)?;
        let mut source = [0u32; 4];
        let mut destination = [0u32; 4];
        let first = front[0].to_ne_bytes()[0];
        let (family, protocol, header) = match first >> 4 {
            4 => {
                let flags_and_offset = u32::from_be(front[1]) as u16;
                if flags_and_offset & FRAGMENT_OFFSET != 0 {
                    return None;
                }
                source[0] = front[3];
                destination[0] = front[4];
                (AF_INET, front[2].to_ne_bytes()[1], u32::from(first & 0xf) * 4)
            }
            6 => {
                source = load(skb, 8)?;
                destination = load(skb, 24)?;
                (AF_INET6, front[1].to_ne_bytes()[2], 40)
            }
            _ => return None,
        };
        let ports: [u16; 2] = load(skb, header)?;
        let (source_port, destination_port) = (u16::from_be(ports[0]), u16::from_be(ports[1]));
        let (kind, transport) = match protocol {
            TCP => {
                let data_offset: u8 = load(skb, header + 12)?;
                (STREAM, u32::from(data_offset >> 4) * 4)
            }
            UDP if source_port == DNS_PORT || destination_port == DNS_PORT => (DGRAM, 8),
            _ => return None,
        };
        let offset = header + transport;
        if total <= offset {
            return None;
        }
        let (local, peer, local_port, peer_port) = if egress {
            (source, destination, source_port, destination_port)
        } else {
            (destination, source, destination_port, source_port)
        };
        let socket = SocketRef {
            cookie: 0,
            inode: 0,
            local: core::mem::transmute::<[u32; 4], [u8; 16]>(local),
            peer: core::mem::transmute::<[u32; 4], [u8; 16]>(peer),
            local_port,
            peer_port,
            family,
            kind,
            protocol: u16::from(protocol),
            state: 0,
            flags: 0,
            net_ns: 0,
        };
        Some(Flow { socket, offset, length: total - offset })
    }
}

/// Bytes of the packet as they are.
#[inline(always)]
unsafe fn load<T: Copy>(skb: *mut __sk_buff, offset: u32) -> Option<T> {
    let mut value = core::mem::MaybeUninit::<T>::uninit();
    // SAFETY: the helper writes all of `value` or says that it did not; plain numbers.
    unsafe {
        let read = bpf_skb_load_bytes(skb.cast(), offset, value.as_mut_ptr().cast(), size_of::<T>() as u32);
        (read == 0).then(|| value.assume_init())
    }
}

/// Whether the connection has carried nothing yet that way: one that is older than this program is not
/// told of from its middle.
#[inline(always)]
unsafe fn is_at_begin(skb: *mut __sk_buff, egress: bool) -> bool {
    // SAFETY: as the caller's; each pointer is checked before it is used.
    unsafe {
        let sock = (*skb).__bindgen_anon_2.sk;
        if sock.is_null() {
            return false;
        }
        let sock = bpf_sk_fullsock(sock);
        if sock.is_null() {
            return false;
        }
        let tcp = bpf_tcp_sock(sock);
        if tcp.is_null() {
            return false;
        }
        // The SYN counts as one.
        if egress { (*tcp).bytes_acked <= 1 } else { (*tcp).bytes_received == 0 }
    }
}

/// Whether nobody was here before, on this CPU or another.
#[inline(always)]
fn is_first(key: u64) -> bool {
    FIRST_BYTES.insert(key, 1, u64::from(BPF_NOEXIST)).is_ok()
}

/// Sends a record with room for `PAYLOAD` bytes.
#[inline(always)]
unsafe fn send<const PAYLOAD: usize, const LEN: usize>(
    counters: &mut HookCounters,
    skb: *mut __sk_buff,
    flow: &Flow,
    cookie: u64,
    cgroup_id: u64,
    egress: bool,
) {
    // SAFETY: a record of `LEN` bytes, of which `Packet` is the front.
    unsafe {
        ring::send_in_place::<LEN>(counters, Lane::Bulk, kind::PACKET, |record| {
            let packet = record.cast::<Packet>();
            (*packet).socket = flow.socket;
            (*packet).socket.cookie = cookie;
            (*packet).cgroup_id = cgroup_id;
            (*packet).egress = u32::from(egress);
            (*packet).length = flow.length;
            (*packet).reserved = 0;
            let start = size_of::<Packet>();
            // From 1 on, and no more than there is room for.
            let len = ((flow.length.min(PAYLOAD as u32) - 1) & (PAYLOAD as u32 - 1)) + 1;
            (*packet).payload = Span { offset: start as u16, len: len as u16 };
            core::ptr::write_bytes(record.add(start), 0, PAYLOAD);
            bpf_skb_load_bytes(skb.cast(), flow.offset, record.add(start).cast(), len) == 0
        });
    }
}

//! `inet_sock_set_state(sk, oldstate, newstate)`: TCP connections begin and end, and so do listeners.
//!
//! It runs in whoever's softirq, and may come in while it runs: so the record is built on the stack,
//! and the owner is the socket's.

use core::mem::MaybeUninit;

use agent_abi::{
    hook::Hook,
    record::{SocketState, kind},
};
use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use super::{counted_nested, filter, filtered_nested};
use crate::{
    read,
    ring::{self, Lane},
};

/// include/net/tcp_states.h.
const ESTABLISHED: u32 = 1;
const SYN_SENT: u32 = 2;
const SYN_RECV: u32 = 3;
const CLOSE: u32 = 7;
const LISTEN: u32 = 10;
const NEW_SYN_RECV: u32 = 12;
/// `IPPROTO_TCP` (include/uapi/linux/in.h).
const TCP: u16 = 6;

#[btf_tracepoint(function = "inet_sock_set_state")]
fn inet_sock_set_state(ctx: BtfTracePointContext) -> i32 {
    let sock: u64 = ctx.arg(0);
    let from = ctx.arg::<i32>(1) as u32;
    let to = ctx.arg::<i32>(2) as u32;
    if !matters(from, to) {
        filtered_nested(Hook::SocketState);
        return 0;
    }
    counted_nested(Hook::SocketState, |counters| {
        let cgroup_id = read::sock_cgroup_id(sock);
        if filter::is_cgroup_muted(cgroup_id) {
            counters.filtered += 1;
            return;
        }
        let mut record = MaybeUninit::<SocketState>::uninit();
        let state = record.as_mut_ptr();
        // SAFETY: the tracepoint's socket; a record of the stack, written before it is read.
        unsafe {
            read::describe_socket(sock, &raw mut (*state).socket);
            if (*state).socket.protocol != TCP {
                counters.filtered += 1;
                return;
            }
            (*state).cgroup_id = cgroup_id;
            (*state).from = from;
            (*state).to = to;
            if !filter::admits(counters, agent_abi::interest::predicate::BULK, cgroup_id) {
                return;
            }
            ring::send(counters, state.cast(), Lane::Bulk, kind::SOCKET_STATE, 0, size_of::<SocketState>());
        }
    });
    0
}

/// A connection is there, one that was there is gone, or a listener comes or goes.
#[inline(always)]
fn matters(from: u32, to: u32) -> bool {
    match to {
        ESTABLISHED | LISTEN => true,
        CLOSE => !matches!(from, SYN_SENT | SYN_RECV | NEW_SYN_RECV | CLOSE),
        // From LISTEN to SYN_RECV goes a listener's copy, which becomes a connection.
        _ => false,
    }
}

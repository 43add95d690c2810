//! Calls on sockets. Numbers are those of libc 0.2.191 and, where it has none, of Linux 6.18; columns as in
//! [`super::row::calls`].

use agent_abi::interest::{NONE, RESULT};

use super::row::{Call, Family, calls, socket};

calls! { NETWORK, Network;
    socket              41      [359]   _ 198      [281] => socket(RESULT);
    connect             42      [362]   _ 203      [283] => socket(0).address(1).address_len(2);
    bind                49      [361]   _ 200      [282] => socket(0).address(1).address_len(2);
    listen              50      [363]   _ 201      [284] => socket(0);
    accept              43         []   _ 202      [285] => socket(RESULT);
    accept4            288      [364]   _ 242      [366] => socket(RESULT);
    sendto              44      [369]   _ 206      [290] => socket(0).address(4).address_len(5).flags(3);
    sendmsg             46      [370] 518 211      [296] => socket(0).message(1).flags(2);
    sendmmsg           307      [345] 538 269      [374] => socket(0).message(1).address_len(2).flags(3);
    dup                 32       [41]   _  23       [41] => socket(RESULT).at_most(RESULT, 2);
    dup2                33       [63]   _   _       [63] => socket(RESULT).at_most(RESULT, 2);
    dup3               292      [330]   _  24      [358] => socket(RESULT).at_most(RESULT, 2);
    fcntl               72  [55, 221]   _  25  [55, 221] => socket(RESULT).at_most(RESULT, 2).flags(1);
    socketcall           _      [102]   _   _         [] => socket(NONE);
}

/// The call of 32-bit processes that stands for others.
pub(super) const SOCKETCALL: &str = "socketcall";
/// Those that it stands for (include/uapi/linux/net.h). The record says which it was.
pub(super) const SOCKETCALLS: &[&str] =
    &["socket", "connect", "bind", "listen", "accept", "accept4", "sendto", "sendmsg", "sendmmsg"];

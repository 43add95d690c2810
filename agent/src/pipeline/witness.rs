//! Raw events that controls of containers go by: first bytes of connections, opens of the service account
//! token.

use agent_abi::record::SocketRef;

use crate::{
    context::{ContainerKey, Context, ProcessId, Whose},
    decode::{Event, tls::FirstBytes},
    inspect::is_service_account,
    posture::Posture,
};

/// `IPPROTO_TCP`.
const TCP: u16 = 6;
/// `AF_INET`.
const INET: u16 = 2;

/// Takes an event; the container of which it is news is the answer.
pub(super) fn take(event: &Event<'_>, context: &Context, posture: &mut Posture) -> Option<ContainerKey> {
    match event {
        Event::Packet(packet) => {
            let record = packet.record;
            let socket = &record.socket;
            // A server's side: what it hears first is the client's first word.
            if record.egress != 0 || socket.protocol != TCP || is_loopback(socket) {
                return None;
            }
            let is_tls = match FirstBytes::of(packet.payload) {
                FirstBytes::ClientHello(_) => true,
                FirstBytes::Plain => false,
                // A server's answer is heard by a client.
                FirstBytes::ServerHello(_) | FirstBytes::Tls | FirstBytes::Unknown => return None,
            };
            let Whose::Container(key) = context.whose_socket(record.cgroup_id) else { return None };
            posture.connection_began(key, socket.local_port, is_tls).then_some(key)
        }
        Event::File(file) if is_service_account(file.path) => {
            let Whose::Container(key) = context.whose(file.record.call.cgroup_id) else { return None };
            posture.token_opened(key, ProcessId::of(&file.record.call.task)).then_some(key)
        }
        _ => None,
    }
}

fn is_loopback(socket: &SocketRef) -> bool {
    if socket.family == INET {
        return socket.peer[0] == 127;
    }
    let address = std::net::Ipv6Addr::from(socket.peer);
    address.is_loopback() || address.to_ipv4_mapped().is_some_and(|mapped| mapped.is_loopback())
}

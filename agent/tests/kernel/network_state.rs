//! States of TCP sockets: they belong to the socket's cgroup, whoever runs.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    time::Instant,
};

use agent_abi::{
    hook::Hook,
    record::{SocketState, socket_flag},
};
use kestrel_agent::{
    decode::{Event, decode},
    kernel::{Hierarchy, Mounted},
    syscall::Wants,
};

use crate::{
    environment::skip,
    loaded::{DEADLINE, Loaded, assert_balanced},
    network::{LOOPBACK, RINGS},
};

/// include/net/tcp_states.h.
const ESTABLISHED: u32 = 1;
const CLOSE: u32 = 7;
const LISTEN: u32 = 10;

/// A cgroup of the test's own.
pub(crate) struct Own {
    path: PathBuf,
    before: PathBuf,
}

impl Own {
    /// `None` where containers are not in the v2 hierarchy, of which alone sockets know.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let mounted = Mounted::detect().unwrap();
        if mounted.hierarchy != Hierarchy::V2 {
            skip("containers are in v1 cgroups");
            return None;
        }
        let cgroups = fs::read_to_string("/proc/self/cgroup").unwrap();
        let current = cgroups.lines().find_map(|line| line.strip_prefix("0::/")).unwrap().to_owned();
        let path = mounted.root.join(format!("kestrel-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Some(Self { path, before: mounted.root.join(current) })
    }

    pub(crate) fn id(&self) -> u64 {
        fs::metadata(&self.path).unwrap().ino()
    }

    /// Runs `body` with this process in the cgroup.
    pub(crate) fn within<T>(&self, body: impl FnOnce() -> T) -> T {
        fs::write(self.path.join("cgroup.procs"), "0").unwrap();
        let result = body();
        fs::write(self.before.join("cgroup.procs"), "0").unwrap();
        result
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // Where `body` panicked.
        let _ = fs::write(self.before.join("cgroup.procs"), "0");
        fs::remove_dir(&self.path).unwrap();
    }
}

#[test]
fn a_server_s_states_are_its_cgroup_s() {
    let Some(own) = Own::new("state") else { return };
    let mut wants = Wants::default();
    wants.add_hook(Hook::SocketState);
    let mut loaded = Loaded::new(RINGS, wants);
    let listener = own.within(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let port = listener.local_addr().unwrap().port();
    // Of this process' own cgroup, as all that runs from here on.
    let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let client_port = client.local_addr().unwrap().port();
    let (server, _) = listener.accept().unwrap();
    drop(client);
    drop(server);
    drop(listener);
    // A connection that never was.
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap_err();

    let mut seen: Vec<SocketState> = Vec::new();
    let start = Instant::now();
    let of = |seen: &[SocketState], local: u16, from: u32, to: u32| {
        let found = seen.iter().filter(|state| {
            state.socket.local_port == local && (from == 0 || state.from == from) && state.to == to
        });
        found.copied().collect::<Vec<_>>()
    };
    while of(&seen, port, LISTEN, CLOSE).is_empty() || of(&seen, client_port, 0, CLOSE).is_empty() {
        assert!(start.elapsed() < DEADLINE, "{seen:?}");
        let end = loaded.programs.bulk.produced();
        loaded.programs.bulk.drain(end, |bytes| {
            if let Event::SocketState(state) = decode(bytes).unwrap() {
                let ports = [state.socket.local_port, state.socket.peer_port];
                if ports.contains(&port) || ports.contains(&client_port) {
                    seen.push(*state);
                }
            }
        });
        std::thread::yield_now();
    }
    loaded.detach();
    assert_balanced(&loaded.counters());
    for state in &seen {
        let is_server = state.socket.local_port == port;
        assert_eq!(state.cgroup_id == own.id(), is_server, "{state:?}");
        assert_ne!(state.cgroup_id, 0);
        assert_eq!((state.socket.family, state.socket.kind, state.socket.protocol), (2, 1, 6));
        assert_eq!(state.socket.local, LOOPBACK);
        assert_eq!(state.socket.flags & socket_flag::NOT_READ, 0);
    }
    assert_eq!(of(&seen, port, CLOSE, LISTEN).len(), 1);
    assert_eq!(of(&seen, port, LISTEN, CLOSE).len(), 1);
    for (local, peer) in [(port, client_port), (client_port, port)] {
        let established = of(&seen, local, 0, ESTABLISHED);
        assert_eq!(established.len(), 1, "{seen:?}");
        assert_eq!((established[0].socket.peer, established[0].socket.peer_port), (LOOPBACK, peer));
    }
    let (first_peer, closed) = (client_port, of(&seen, client_port, 0, CLOSE));
    assert_eq!(closed.len(), 1, "the connection that never was is not among them: {seen:?} {first_peer}");
}

#[test]
fn it_is_attached_only_where_it_is_wanted_and_detached_again() {
    let mut wants = Wants::default();
    wants.add_hook(Hook::SocketState);
    let mut loaded = Loaded::new(RINGS, wants);
    let has = |loaded: &Loaded, hook| loaded.programs.hooks.iter().any(|(known, _)| *known == hook);
    assert!(has(&loaded, Hook::SocketState) && !has(&loaded, Hook::Packet));
    let seen = |loaded: &Loaded| loaded.counters()[Hook::SocketState as usize].seen;
    drop(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    assert_ne!(seen(&loaded), 0);
    loaded.restart_wanting(Wants::default());
    assert!(!has(&loaded, Hook::SocketState));
    // It goes some time after its link.
    let start = Instant::now();
    loop {
        let before = seen(&loaded);
        drop(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        if seen(&loaded) == before {
            break;
        }
        assert!(start.elapsed() < DEADLINE, "no consumer, no cost");
    }
    let before = seen(&loaded);
    let mut wants = Wants::default();
    wants.add_hook(Hook::SocketState);
    loaded.restart_wanting(wants);
    drop(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    assert!(seen(&loaded) > before);
}

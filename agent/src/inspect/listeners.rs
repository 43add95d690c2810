//! Sockets that a container's processes listen on.
//!
//! The sockets of the network namespace are in `/proc/PID/net/{tcp,tcp6,udp,udp6}` (proc_pid_net(5),
//! Documentation/networking/proc_net_tcp.rst); a pod's containers share it, so those count that a process of
//! this container holds. One that no process holds by a descriptor (in flight, or registered with an io_uring)
//! is not seen, nor are those of a network namespace that a process made for itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::RangeInclusive,
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use hashbrown::HashMap;

use super::{
    Listener, NotRead, Read,
    file::{of_process, why},
};
use crate::{context::ContainerId, time::SECOND};

/// Longest table of sockets; a row has some 150 bytes.
const TABLE_BYTES: usize = 4 << 20;
/// Most sockets of the namespace that are listened on.
const SOCKETS: usize = 4096;
/// Between two reads of the tables for a container that holds sockets.
const EVERY_NS: u64 = 600 * SECOND;
/// How often they are read earlier where it holds other sockets than before: while it starts.
const AT_START: u32 = 3;
/// Containers that are remembered before those are looked for that are gone.
const CONTAINERS: usize = 8192;
/// After that time without a look a container is gone.
const FORGET_NS: u64 = 2 * 3600 * SECOND;
/// Most descriptors, of all processes.
const DESCRIPTORS: usize = 1 << 17;

/// State of a TCP socket that listens (include/net/tcp_states.h).
const LISTEN: &[u8] = b"0A";
/// Ports that the kernel gives to those who ask for none (`net.ipv4.ip_local_port_range`, its default).
const EPHEMERAL: RangeInclusive<u16> = 32_768..=60_999;
/// State of a UDP socket that is not connected.
const CLOSE: &[u8] = b"07";

/// What was read of the tables before. To read them is dear: the kernel walks the hash of all connections of
/// the node for it, 15 ms with 262,144 places (`established_get_first` in net/ipv4/tcp_ipv4.c). A container
/// without a socket costs none of it, and one with sockets a few reads at its start and then one every
/// [`EVERY_NS`].
#[derive(Debug, Default)]
pub struct Ports(HashMap<ContainerId, Memory>);

#[derive(Debug, Default)]
struct Memory {
    /// Sockets of the namespace that are listened on.
    listening: BTreeMap<u64, Socket>,
    /// Sockets that the container held.
    held: BTreeSet<u64>,
    read_ns: u64,
    reads: u32,
    used_ns: u64,
}

impl Ports {
    /// The sockets that these processes of a container listen on, by port. The tables are read by way of the
    /// first process that is still there.
    ///
    /// # Errors
    /// When a table or the descriptors of a process cannot be read, so that one may be missing.
    pub fn listeners(&mut self, id: ContainerId, processes: &[u32], now_ns: u64) -> Read<Vec<Listener>> {
        self.in_folder(Path::new("/proc"), id, processes, now_ns)
    }

    fn in_folder(
        &mut self,
        proc: &Path,
        id: ContainerId,
        processes: &[u32],
        now_ns: u64,
    ) -> Read<Vec<Listener>> {
        let held = held(proc, processes)?;
        if held.is_empty() {
            self.0.remove(&id);
            return Ok(Vec::new());
        }
        if self.0.len() >= CONTAINERS {
            self.0.retain(|_, memory| now_ns.saturating_sub(memory.used_ns) < FORGET_NS);
        }
        let memory = self.0.entry(id).or_default();
        memory.used_ns = now_ns;
        let has_new = held.keys().any(|inode| !memory.held.contains(inode));
        let is_due = memory.reads == 0 || now_ns.saturating_sub(memory.read_ns) >= EVERY_NS;
        if is_due || (has_new && memory.reads < AT_START) {
            memory.listening = listened_on(proc, processes)?;
            memory.held = held.keys().copied().collect();
            memory.read_ns = now_ns;
            memory.reads = memory.reads.saturating_add(1);
        }
        let found = held.into_iter().filter_map(|(inode, tgid)| {
            let Socket { port, is_udp, is_loopback, .. } = *memory.listening.get(&inode)?;
            Some(Listener { port, is_udp, is_loopback, tgid })
        });
        Ok(once_each(found.collect()))
    }
}

/// A socket of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Socket {
    inode: u64,
    port: u16,
    is_udp: bool,
    is_loopback: bool,
}

/// Ports that several sockets listen on, as workers do, once each.
fn once_each(found: BTreeSet<Listener>) -> Vec<Listener> {
    let mut all: Vec<_> = found.into_iter().collect();
    all.dedup_by_key(|listener| (listener.port, listener.is_udp, listener.is_loopback));
    all
}

/// The sockets that processes hold, each with one that does.
fn held(proc: &Path, processes: &[u32]) -> Read<BTreeMap<u64, u32>> {
    let mut found = BTreeMap::new();
    let mut left = DESCRIPTORS;
    let mut is_any_there = false;
    for &tgid in processes {
        match held_by(proc, tgid, &mut left, &mut found) {
            Ok(()) => is_any_there = true,
            Err(NotRead::Gone) => {}
            Err(why) => return Err(why),
        }
    }
    if is_any_there { Ok(found) } else { Err(NotRead::Gone) }
}

fn held_by(proc: &Path, tgid: u32, left: &mut usize, found: &mut BTreeMap<u64, u32>) -> Read<()> {
    let folder = proc.join(format!("{tgid}/fd"));
    let entries = fs::read_dir(&folder).map_err(|error| match error.kind() {
        // A process always has the folder.
        io::ErrorKind::NotFound => NotRead::Gone,
        _ => why(&error),
    })?;
    for entry in entries {
        let Some(rest) = left.checked_sub(1) else { return Err(NotRead::TooMuch) };
        *left = rest;
        let entry = entry.map_err(|error| why(&error))?;
        let target = match fs::read_link(entry.path()) {
            Ok(target) => target,
            // Closed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(why(&error)),
        };
        if let Some(inode) = socket_inode(target.as_os_str().as_bytes()) {
            found.entry(inode).or_insert(tgid);
        }
    }
    Ok(())
}

fn socket_inode(target: &[u8]) -> Option<u64> {
    let inode = target.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    str::from_utf8(inode).ok()?.parse().ok()
}

/// What is listened on in the network namespace of the first process that has one: a zombie has none.
fn listened_on(proc: &Path, processes: &[u32]) -> Read<BTreeMap<u64, Socket>> {
    let mut last = NotRead::Gone;
    for &tgid in processes {
        match of_namespace(proc, tgid) {
            Err(why @ (NotRead::Gone | NotRead::NotThere)) => last = why,
            other => return other,
        }
    }
    Err(last)
}

fn of_namespace(proc: &Path, tgid: u32) -> Read<BTreeMap<u64, Socket>> {
    let mut found = BTreeMap::new();
    for (name, is_udp) in [("net/tcp", false), ("net/udp", true), ("net/tcp6", false), ("net/udp6", true)] {
        let text = match of_process(proc, tgid, name, TABLE_BYTES) {
            // IPv6 is switched off.
            Err(NotRead::NotThere) if name.ends_with('6') => continue,
            other => other?,
        };
        found.extend(
            rows(&text.bytes, text.is_whole, is_udp)?.into_iter().map(|socket| (socket.inode, socket)),
        );
    }
    if found.len() > SOCKETS { Err(NotRead::TooMuch) } else { Ok(found) }
}

fn rows(text: &[u8], is_whole: bool, is_udp: bool) -> Read<Vec<Socket>> {
    let mut sockets = Vec::new();
    let mut lines = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    if lines.next().is_none_or(|header| !header.trim_ascii_start().starts_with(b"sl ")) {
        return Err(NotRead::NotUnderstood);
    }
    let mut lines = lines.peekable();
    let mut is_past_listening = false;
    while let Some(line) = lines.next() {
        let is_cut = !is_whole && lines.peek().is_none();
        if is_cut {
            break;
        }
        let row = Row::parse(line).ok_or(NotRead::NotUnderstood)?;
        is_past_listening = !is_udp && row.state != LISTEN;
        // A client that asks by UDP need not connect; the kernel gives it a port of this range.
        let listens = if is_udp {
            row.state == CLOSE && row.has_no_peer && !EPHEMERAL.contains(&row.port)
        } else {
            row.state == LISTEN
        };
        if listens && row.port != 0 {
            let Row { inode, port, is_loopback, .. } = row;
            sockets.push(Socket { inode, port, is_udp, is_loopback });
        }
    }
    // Those that listen come first (tcp_get_idx in net/ipv4/tcp_ipv4.c).
    if is_whole || is_past_listening { Ok(sockets) } else { Err(NotRead::TooMuch) }
}

struct Row<'a> {
    state: &'a [u8],
    port: u16,
    is_loopback: bool,
    has_no_peer: bool,
    inode: u64,
}

impl<'a> Row<'a> {
    /// `0: 0100007F:1F90 00000000:0000 0A …`, with the inode in the tenth field.
    fn parse(line: &'a [u8]) -> Option<Self> {
        let mut fields = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
        let (local, remote) = (fields.nth(1)?, fields.next()?);
        let state = fields.next()?;
        let inode = str::from_utf8(fields.nth(5)?).ok()?.parse().ok()?;
        let (address, port) = endpoint(local)?;
        let (peer, peer_port) = endpoint(remote)?;
        let is_loopback = match address {
            IpAddr::V4(address) => address.is_loopback(),
            IpAddr::V6(address) => {
                address.is_loopback() || address.to_ipv4_mapped().is_some_and(|address| address.is_loopback())
            }
        };
        Some(Self { state, port, is_loopback, has_no_peer: peer.is_unspecified() && peer_port == 0, inode })
    }
}

/// An address, each 32 bits of it as this machine reads them, and a port.
fn endpoint(text: &[u8]) -> Option<(IpAddr, u16)> {
    let text = str::from_utf8(text).ok()?;
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| u32::from_str_radix(address.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for (chunk, at) in bytes.chunks_exact_mut(4).zip([0, 8, 16, 24]) {
                chunk.copy_from_slice(&word(at)?);
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some((address, port))
}

#[cfg(test)]
mod tests {
    use std::{
        net::{TcpListener, TcpStream, UdpSocket},
        os::unix::fs::symlink,
    };

    use super::*;

    const HEADER: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    fn row(local: &str, remote: &str, state: &str, inode: u64) -> String {
        format!(
            "   0: {local} {remote} {state} 00000000:00000000 00:00000000 00000000     0        0 {inode} 1 0 100\n"
        )
    }

    fn word(bytes: [u8; 4]) -> String {
        format!("{:08X}", u32::from_ne_bytes(bytes))
    }

    fn any(port: u16) -> String {
        format!("00000000:{port:04X}")
    }

    fn no_peer() -> String {
        any(0)
    }

    fn id() -> ContainerId {
        ContainerId::parse("a".repeat(64).as_bytes()).unwrap()
    }

    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new(tcp: &str, udp: &str) -> Self {
            let tree = Self(tempfile::tempdir().unwrap());
            tree.process(1, &[]);
            fs::create_dir_all(tree.0.path().join("1/net")).unwrap();
            fs::write(tree.0.path().join("1/net/tcp"), format!("{HEADER}{tcp}")).unwrap();
            fs::write(tree.0.path().join("1/net/udp"), format!("{HEADER}{udp}")).unwrap();
            tree
        }

        fn process(&self, tgid: u32, sockets: &[u64]) {
            let folder = self.0.path().join(format!("{tgid}/fd"));
            fs::create_dir_all(&folder).unwrap();
            for (fd, inode) in sockets.iter().enumerate() {
                symlink(format!("socket:[{inode}]"), folder.join(fd.to_string())).unwrap();
            }
        }

        fn listeners(&self, processes: &[u32]) -> Read<Vec<Listener>> {
            Ports::default().in_folder(self.0.path(), id(), processes, 0)
        }
    }

    fn listener(port: u16, is_udp: bool, is_loopback: bool, tgid: u32) -> Listener {
        Listener { port, is_udp, is_loopback, tgid }
    }

    #[test]
    fn those_count_that_a_process_holds() {
        let tcp = [
            row(&any(80), &no_peer(), "0A", 10),
            row(&any(80), &no_peer(), "0A", 11),
            row(&format!("{}:1F90", word([127, 0, 0, 1])), &no_peer(), "0A", 12),
            // Another container's of the pod.
            row(&any(9090), &no_peer(), "0A", 13),
            row(&any(80), &format!("{}:AAAA", word([10, 0, 0, 1])), "01", 14),
        ]
        .concat();
        let udp = [
            row(&any(53), &no_peer(), "07", 20),
            row(&any(40_000), &format!("{}:0035", word([10, 0, 0, 1])), "01", 21),
            row(&any(0), &no_peer(), "07", 22),
        ]
        .concat();
        let tree = Tree::new(&tcp, &udp);
        tree.process(2, &[10, 14, 20, 21, 22]);
        tree.process(3, &[11, 12]);
        let expected =
            [listener(53, true, false, 2), listener(80, false, false, 2), listener(8080, false, true, 3)];
        assert_eq!(tree.listeners(&[1, 2, 3, 4]), Ok(expected.to_vec()));
        assert_eq!(tree.listeners(&[4]), Err(NotRead::Gone));
        // As a zombie has no namespace.
        tree.process(5, &[]);
        assert_eq!(tree.listeners(&[5]), Ok(Vec::new()));
        assert_eq!(tree.listeners(&[5, 4, 1, 2, 3]), Ok(expected.to_vec()));
    }

    #[test]
    fn tables_are_read_seldom() {
        let tree = Tree::new(&row(&any(80), &no_peer(), "0A", 14), "");
        let tables = tree.0.path().join("1/net");
        let write = |port| {
            fs::write(tables.join("tcp"), format!("{HEADER}{}", row(&any(port), &no_peer(), "0A", 14)))
        };
        let mut ports = Ports::default();
        let mut look = |now_ns| {
            ports.in_folder(tree.0.path(), id(), &[1], now_ns).map(|all| all.first().map(|one| one.port))
        };
        assert_eq!(look(0), Ok(None), "no socket, no look at the tables");
        tree.process(1, &[14]);
        assert_eq!(look(1), Ok(Some(80)));
        write(81).unwrap();
        assert_eq!(look(2), Ok(Some(80)), "the same sockets");
        assert_eq!(look(1 + EVERY_NS), Ok(Some(81)));
        write(82).unwrap();
        let socket =
            |inode: u64| symlink(format!("socket:[{inode}]"), tree.0.path().join(format!("1/fd/{inode}")));
        socket(15).unwrap();
        assert_eq!(look(2 + EVERY_NS), Ok(Some(82)), "another one, while it starts");
        write(83).unwrap();
        socket(16).unwrap();
        assert_eq!(look(3 + EVERY_NS), Ok(Some(82)));
        fs::remove_dir_all(&tables).unwrap();
        assert_eq!(look(2 + 2 * EVERY_NS), Err(NotRead::NotThere));
    }

    #[test]
    fn addresses_of_both_families() {
        let loopback =
            |address: &str| Row::parse(row(address, address, "0A", 1).as_bytes()).unwrap().is_loopback;
        let zero = word([0; 4]);
        assert!(loopback(&format!("{}:0050", word([127, 1, 2, 3]))));
        assert!(loopback(&format!("{zero}{zero}{zero}{}:0050", word([0, 0, 0, 1]))));
        assert!(loopback(&format!("{zero}{zero}{}{}:0050", word([0, 0, 255, 255]), word([127, 0, 0, 1]))));
        assert!(!loopback(&format!("{zero}{zero}{zero}{zero}:0050")));
        assert!(!loopback(&format!("{}:0050", word([10, 0, 0, 1]))));
    }

    #[test]
    fn tables_that_are_not_understood_or_too_long() {
        for text in ["", "nonsense\n", &format!("{HEADER}   0: x y z\n"), &format!("{HEADER}0: 1:1\n")] {
            assert_eq!(rows(text.as_bytes(), true, false), Err(NotRead::NotUnderstood), "{text}");
        }
        let listening = format!("{HEADER}{}", row(&any(80), &no_peer(), "0A", 1).repeat(3));
        assert_eq!(rows(listening.as_bytes(), false, false), Err(NotRead::TooMuch));
        // All that listen were read, if others follow.
        let connected = row(&any(80), &format!("{}:AAAA", word([10, 0, 0, 1])), "01", 2).repeat(2);
        assert_eq!(rows(format!("{listening}{connected}").as_bytes(), false, false).unwrap().len(), 3);
        assert_eq!(rows(format!("{listening}{connected}").as_bytes(), false, true), Err(NotRead::TooMuch));
    }

    #[test]
    fn sockets_of_this_process_are_found() {
        let here = TcpListener::bind("127.0.0.1:0").unwrap();
        let everywhere = TcpListener::bind("0.0.0.0:0").unwrap();
        let udp = (20_000..21_000).find_map(|port| UdpSocket::bind(("0.0.0.0", port)).ok()).unwrap();
        let asks = UdpSocket::bind("0.0.0.0:0").unwrap();
        let connected = UdpSocket::bind("127.0.0.1:0").unwrap();
        connected.connect(udp.local_addr().map(|at| ("127.0.0.1", at.port())).unwrap()).unwrap();
        let client = TcpStream::connect(here.local_addr().unwrap()).unwrap();
        let own = std::process::id();
        let all = Ports::default().listeners(id(), &[own], 0).unwrap();
        let port = |at: io::Result<std::net::SocketAddr>| at.unwrap().port();
        assert!(all.contains(&listener(port(here.local_addr()), false, true, own)), "{all:?}");
        assert!(all.contains(&listener(port(everywhere.local_addr()), false, false, own)), "{all:?}");
        assert!(all.contains(&listener(port(udp.local_addr()), true, false, own)), "{all:?}");
        let none = [&connected, &asks].map(|socket| port(socket.local_addr()));
        let none = [none[0], none[1], port(client.local_addr())];
        assert!(!all.iter().any(|one| none.contains(&one.port)), "{all:?}");
    }
}

//! What was seen to happen in a container and counts for controls of the container as a whole.

use super::Posture;
use crate::context::{ContainerKey, ProcessId};

/// Ports of a container that are kept.
const PORTS: usize = 32;

/// What connections to a port began with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortBytes {
    /// The port.
    pub port: u16,
    /// TLS.
    pub tls: bool,
    /// Something else than TLS.
    pub plain: bool,
}

/// What was seen to happen in a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Witnessed {
    /// The ports that are listened on, bounded.
    pub ports: Vec<PortBytes>,
    /// The process that last opened the service account token.
    pub token_opened_by: Option<ProcessId>,
}

/// What of it would be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// Opens of files in containers.
    pub files: bool,
    /// First bytes of connections.
    pub packets: bool,
}

impl Witnessed {
    /// These ports are listened on now: of others nothing is kept.
    pub(super) fn listens(&mut self, ports: impl Iterator<Item = u16>) {
        let before = std::mem::take(&mut self.ports);
        for port in ports {
            if self.ports.len() < PORTS && self.ports.iter().all(|kept| kept.port != port) {
                let known = before.iter().find(|kept| kept.port == port).copied();
                self.ports.push(known.unwrap_or(PortBytes { port, ..PortBytes::default() }));
            }
        }
    }
}

impl Posture {
    /// A connection to a port of a container began with TLS or not. Whether that is news is the answer.
    pub fn connection_began(&mut self, key: ContainerKey, port: u16, is_tls: bool) -> bool {
        let ports = self.containers.get_mut(&key).map(|entry| &mut entry.witnessed.ports);
        let Some(kept) = ports.and_then(|ports| ports.iter_mut().find(|kept| kept.port == port)) else {
            return false;
        };
        !std::mem::replace(if is_tls { &mut kept.tls } else { &mut kept.plain }, true)
    }

    /// The service account token of a container was opened. Whether that is news is the answer.
    pub fn token_opened(&mut self, key: ContainerKey, process: ProcessId) -> bool {
        let Some(entry) = self.containers.get_mut(&key) else { return false };
        entry.witnessed.token_opened_by.replace(process).is_none()
    }

    /// What would be seen from now on.
    pub fn set_sight(&mut self, sight: Sight) {
        self.sight = sight;
    }
}

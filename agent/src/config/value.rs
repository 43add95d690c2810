//! Parsers of single values, for the file and for flags.

use std::net::SocketAddr;

use settings::unit::parse_path;
pub use settings::unit::{parse_node_name as node_name, parse_path as path};

use super::{CriSocket, Listen, ProcessStream};
use crate::kernel::Hooks;

/// `auto` or an absolute path.
///
/// # Errors
/// A sentence that says what was expected.
pub fn cri_socket(text: &str) -> Result<CriSocket, String> {
    if text == "auto" {
        return Ok(CriSocket::Auto);
    }
    // crictl and kubelet write the scheme.
    let path = text.strip_prefix("unix://").unwrap_or(text);
    parse_path(path)
        .map(CriSocket::Path)
        .map_err(|_| format!("expected auto or an absolute path, got {text:?}"))
}

/// `off` or an address and port.
///
/// # Errors
/// A sentence that says what was expected.
pub fn listen(text: &str) -> Result<Listen, String> {
    if text == "off" {
        return Ok(Listen::Off);
    }
    text.parse::<SocketAddr>()
        .map(Listen::At)
        .map_err(|_| format!("expected off or an address with a port such as 127.0.0.1:9470, got {text:?}"))
}

/// `auto`, `portable` or `enhanced`.
///
/// # Errors
/// A sentence that says what was expected.
pub fn hooks(text: &str) -> Result<Hooks, String> {
    match text {
        "auto" => Ok(Hooks::Auto),
        "portable" => Ok(Hooks::Portable),
        "enhanced" => Ok(Hooks::Enhanced),
        _ => Err(format!("expected auto, portable or enhanced, got {text:?}")),
    }
}

/// `off`, `containers` or `all`.
///
/// # Errors
/// A sentence that says what was expected.
pub fn process_stream(text: &str) -> Result<ProcessStream, String> {
    match text {
        "off" => Ok(ProcessStream::Off),
        "containers" => Ok(ProcessStream::Containers),
        "all" => Ok(ProcessStream::All),
        _ => Err(format!("expected off, containers or all, got {text:?}")),
    }
}

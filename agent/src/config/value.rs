//! Parsers of single values, for the file and for flags.

use std::net::SocketAddr;

use settings::unit::parse_path;
pub use settings::unit::{parse_node_name as node_name, parse_path as path};

use super::{CriSocket, FilesOnly, Listen, Scope};

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

/// `off`, `containers` or `all`.
///
/// # Errors
/// A sentence that says what was expected.
pub fn scope(text: &str) -> Result<Scope, String> {
    match text {
        "off" => Ok(Scope::Off),
        "containers" => Ok(Scope::Containers),
        "all" => Ok(Scope::All),
        _ => Err(format!("expected off, containers or all, got {text:?}")),
    }
}

/// `all` or `writes`.
///
/// # Errors
/// A sentence that says what was expected.
pub fn files_only(text: &str) -> Result<FilesOnly, String> {
    match text {
        "all" => Ok(FilesOnly::All),
        "writes" => Ok(FilesOnly::Writes),
        _ => Err(format!("expected all or writes, got {text:?}")),
    }
}

/// Path of a cgroup below the hierarchy's root, without a slash at its end.
///
/// # Errors
/// A sentence that says what was expected.
pub fn cgroup(text: &str) -> Result<Vec<u8>, String> {
    let refused =
        || format!("expected the path of a cgroup below the root, such as /system.slice, got {text:?}");
    let names = text.strip_prefix('/').ok_or_else(refused)?;
    let names = names.strip_suffix('/').unwrap_or(names);
    // The root would be everybody.
    if names.split('/').any(|name| matches!(name, "" | "." | "..")) {
        return Err(refused());
    }
    Ok(format!("/{names}").into_bytes())
}

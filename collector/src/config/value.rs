//! Parsers of single values, for the file and for flags.

use std::net::SocketAddr;

use kestrel_tls::ListenAddress;
pub use settings::unit::parse_path as path;

/// `ADDRESS:PORT` or `unix:///PATH`.
///
/// # Errors
/// A sentence that says what was expected.
pub fn grpc_listen(text: &str) -> Result<ListenAddress, String> {
    ListenAddress::parse(text)
}

/// `off` or an address and port.
///
/// # Errors
/// A sentence that says what was expected.
pub fn http_listen(text: &str) -> Result<Option<SocketAddr>, String> {
    if text == "off" {
        return Ok(None);
    }
    text.parse()
        .map(Some)
        .map_err(|_| format!("expected off or an address with a port such as 127.0.0.1:9481, got {text:?}"))
}

/// `on` or `off`: whether TLS is spoken.
///
/// # Errors
/// A sentence that says what was expected.
pub fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("expected on or off, got {text:?}")),
    }
}

/// A cluster's name.
///
/// # Errors
/// A sentence that says what was expected.
pub fn cluster(text: &str) -> Result<String, String> {
    settings::unit::parse_node_name(text)
}

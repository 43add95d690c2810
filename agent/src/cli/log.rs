//! The log, on standard error.

use std::io;

use tracing::Level;
use tracing_subscriber::fmt;

use crate::config::{Log, LogFormat};

/// Sends the log where the configuration says. Call it once.
pub fn init_log(log: &Log) {
    let builder = fmt().with_writer(io::stderr).with_max_level(Level::from(log.level)).with_target(false);
    match log.format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
}

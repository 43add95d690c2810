//! `kestrel-agent check-config`.

use std::io::{self, Write};

use super::{CheckConfigArgs, Exit, chain};
use crate::config::{Config, ExemptionItem, Overrides};

/// Checks a file and says so on `out`, or what is wrong on `err`.
///
/// # Errors
/// When these cannot be written.
pub fn check_config(args: CheckConfigArgs, out: &mut impl Write, err: &mut impl Write) -> io::Result<Exit> {
    let shown = args.file.display().to_string();
    match Config::<ExemptionItem>::load(Some(args.file), Overrides::default()) {
        Ok(_) => writeln!(out, "{shown}: ok").map(|()| Exit::Good),
        Err(error) => writeln!(err, "{}", chain(&error)).map(|()| Exit::Failed),
    }
}

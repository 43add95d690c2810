//! `kestrel-agent check-config`.

use std::io::{self, Write};

use super::{CheckConfigArgs, Exit, chain};
use crate::{
    config::{Config, Overrides},
    pipeline::clock,
};

/// Checks a file and says so on `out`, or what is wrong on `err`.
///
/// # Errors
/// When these cannot be written.
pub fn check_config(args: CheckConfigArgs, out: &mut impl Write, err: &mut impl Write) -> io::Result<Exit> {
    let shown = args.file.display().to_string();
    let checked = Config::load(Some(args.file), Overrides::default())
        .map_err(|error| chain(&error))
        .and_then(|config| match config.exemptions() {
            Ok(exemptions) => Ok(config.expired(&exemptions, clock::now().date())),
            Err(mistake) => Err(mistake.to_string()),
        });
    match checked {
        Ok(expired) => {
            for exemption in expired {
                writeln!(err, "{exemption}")?;
            }
            writeln!(out, "{shown}: ok").map(|()| Exit::Good)
        }
        Err(mistake) => writeln!(err, "{mistake}").map(|()| Exit::Failed),
    }
}

//! `kestrel-agent detach`.

use std::io::{self, Write};

use super::{DetachArgs, Exit, chain};
use crate::kernel;

/// Detaches, and says on `err` why not.
///
/// # Errors
/// When these cannot be written.
pub fn detach(args: &DetachArgs, out: &mut impl Write, err: &mut impl Write) -> io::Result<Exit> {
    match kernel::detach(&args.pin_dir) {
        Ok(()) => {
            writeln!(out, "{}: nothing is attached any more", args.pin_dir.display()).map(|()| Exit::Good)
        }
        Err(error) => writeln!(err, "{}", chain(&error)).map(|()| Exit::Failed),
    }
}

//! Standard output, written in large pieces.

use std::io::{self, BufWriter, Stdout, Write};

use crate::{args::Format, yaml};

/// Collects lines until they are flushed.
#[derive(Debug)]
pub struct Output(BufWriter<Stdout>);

impl Output {
    /// Standard output.
    #[must_use]
    pub fn stdout() -> Self {
        Self(BufWriter::with_capacity(1 << 16, io::stdout()))
    }

    /// Bytes as they are.
    ///
    /// # Errors
    /// When the output takes no more; a closed pipe is one of these.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// A line and its end.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn line(&mut self, line: impl AsRef<[u8]>) -> io::Result<()> {
        self.0.write_all(line.as_ref())?;
        self.0.write_all(b"\n")
    }

    /// A JSON line as what was asked for: itself, or YAML.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn object(&mut self, json: Vec<u8>, format: Format) -> io::Result<()> {
        match format {
            Format::Yaml => self.line(yaml::document(&json)?),
            _ => self.line(json),
        }
    }

    /// Hands over what was collected.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

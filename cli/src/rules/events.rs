//! Events as lines of JSON, plain or gzip.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::bufread::MultiGzDecoder;
use rules::event::JsonEvent;
use serde_json::{Map, Value};

use crate::Failure;

/// The longest line.
const LINE_BYTES: usize = 4 << 20;
/// How gzip begins (RFC 1952, 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// An event of a file.
#[derive(Debug)]
pub(super) struct Recorded {
    /// Its `evt.num`, if it has one.
    pub(super) number: Option<u64>,
    /// Its fields.
    pub(super) event: JsonEvent,
}

/// Lines of a file.
pub(super) struct Events {
    path: PathBuf,
    lines: Box<dyn BufRead>,
    line: u64,
}

impl Events {
    /// Opens a file; `-` is standard input.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |source| Failure::File { path: path.to_string_lossy().into_owned(), source };
        let bytes: Box<dyn Read> = if path == Path::new("-") {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(path).map_err(failed)?)
        };
        let mut bytes = BufReader::with_capacity(1 << 16, bytes);
        let is_gzip = bytes.fill_buf().map_err(failed)?.starts_with(&GZIP);
        let lines: Box<dyn BufRead> = if is_gzip {
            Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(bytes)))
        } else {
            Box::new(bytes)
        };
        Ok(Self { path: path.to_owned(), lines, line: 0 })
    }

    /// The next event; what a line is instead of one, in a sentence. An error ends the file.
    pub(super) fn next(&mut self) -> Result<Option<Result<Recorded, String>>, Failure> {
        loop {
            let mut text = Vec::new();
            let failed = |source| Failure::File { path: self.path.to_string_lossy().into_owned(), source };
            let taken =
                (&mut self.lines).take(LINE_BYTES as u64 + 1).read_until(b'\n', &mut text).map_err(failed)?;
            if taken == 0 {
                return Ok(None);
            }
            self.line += 1;
            if text.len() > LINE_BYTES && !text.ends_with(b"\n") {
                skip_line(&mut self.lines).map_err(failed)?;
                return Ok(Some(Err(self.said(format_args!("longer than {LINE_BYTES} bytes")))));
            }
            if text.trim_ascii().is_empty() {
                continue;
            }
            return Ok(Some(read(&text).map_err(|why| self.said(format_args!("{why}")))));
        }
    }

    fn said(&self, why: std::fmt::Arguments<'_>) -> String {
        format!("{}:{}: {why}", self.path.display(), self.line)
    }
}

fn skip_line(lines: &mut Box<dyn BufRead>) -> io::Result<()> {
    lines.skip_until(b'\n').map(drop)
}

fn read(text: &[u8]) -> Result<Recorded, String> {
    let mut object: Map<String, Value> =
        serde_json::from_slice(text).map_err(|error| format!("no JSON object: {error}"))?;
    // As a recording has it, as Falco's alerts have it, or by itself.
    let fields = ["fields", "output_fields"].into_iter().find_map(|name| match object.remove(name) {
        Some(Value::Object(fields)) => Some(fields),
        _ => None,
    });
    let fields = fields.unwrap_or(object);
    let number = fields.get("evt.num").and_then(Value::as_u64);
    Ok(Recorded { number, event: JsonEvent::new(fields) })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn all(bytes: &[u8]) -> Vec<Result<Option<u64>, String>> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let mut events = Events::open(file.path()).unwrap();
        let mut all = Vec::new();
        while let Some(event) = events.next().unwrap() {
            let event = event.map(|recorded| recorded.number);
            all.push(event.map_err(|why| why.rsplit_once('/').unwrap().1.to_owned()));
        }
        all
    }

    #[test]
    fn each_form_of_an_event_is_read() {
        let text =
            "{\"fields\":{\"evt.num\":1}}\n\n{\"output_fields\":{\"evt.num\":2}}\r\n{\"evt.num\":3}\n{}";
        let expected = [Ok(Some(1)), Ok(Some(2)), Ok(Some(3)), Ok(None)];
        assert_eq!(all(text.as_bytes()), expected);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        assert_eq!(all(&gzip.finish().unwrap()), expected);
        assert_eq!(all(b""), []);
    }

    #[test]
    fn a_bad_line_is_named_and_the_others_are_read() {
        let mut text = b"[1]\n{\"evt.num\":2}\n{\n\xff\n".to_vec();
        text.extend(vec![b' '; LINE_BYTES + 9]);
        text.extend(b"\n{\"evt.num\":6}\n");
        let all = all(&text);
        let bad: Vec<_> = all.iter().filter_map(|event| event.as_ref().err()).collect();
        assert_eq!(bad.len(), 4, "{all:?}");
        for (said, line) in bad.iter().zip([1, 3, 4, 5]) {
            assert!(said.contains(&format!(":{line}: ")), "{said}");
        }
        assert_eq!(all.iter().filter_map(|event| event.clone().ok()).collect::<Vec<_>>(), [Some(2), Some(6)]);
    }

    #[test]
    fn a_gzip_that_breaks_off_is_an_error() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&b"{\"evt.num\":1}\n".repeat(1000)).unwrap();
        let bytes = gzip.finish().unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&bytes[..bytes.len() / 2]).unwrap();
        let mut events = Events::open(file.path()).unwrap();
        let end = loop {
            match events.next() {
                Ok(Some(_)) => {}
                other => break other,
            }
        };
        assert!(matches!(end, Err(Failure::File { .. })), "{end:?}");
    }
}

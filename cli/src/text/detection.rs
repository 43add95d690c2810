//! Detections, in a line of the stream.

use std::fmt::Write as _;

use inert::inert;
use kestrel_proto::{
    detection::{priority_name, severity_of, urgency},
    v1::{self, detection::Object},
};

use super::{network::address, raw::push_name, severity_paint};
use crate::look::Paint;

/// The colour of how urgent it is.
pub(super) fn paint(detection: &v1::Detection) -> Paint {
    severity_paint(severity_of(urgency(detection)))
}

/// How urgent it is, whose doing, on what, and what its rule says of it.
pub(super) fn text(detection: &v1::Detection, process: Option<&v1::Process>) -> String {
    let mut text = priority_name(urgency(detection)).to_owned();
    let parent = detection.ancestors.first();
    if let Some(process) = process {
        let name = if process.comm.is_empty() { &process.exe } else { &process.comm };
        let _ = write!(text, ", {}", inert(name));
        if let Some(id) = &process.id {
            let _ = write!(text, " pid {}", id.tgid);
        }
        if let Some(parent) = parent {
            let _ = write!(text, " of {}", inert(&parent.comm));
        }
    }
    match &detection.object {
        Some(Object::Path(path)) => {
            text.push_str(", file ");
            push_name(&mut text, path);
        }
        Some(Object::Peer(peer)) => {
            let _ = write!(text, ", peer {}", address(peer));
        }
        None => {}
    }
    if detection.held_back > 0 {
        let _ = write!(text, ", {} held back before", detection.held_back);
    }
    let _ = write!(text, ": {}", inert(&detection.output));
    text
}

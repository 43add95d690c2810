//! Bytes of a ring to typed events. Kernel bytes are untrusted input: every length, tag and span
//! is checked, and nothing is copied.

mod cursor;
pub mod dns;
mod event;
mod record;
pub mod tls;

pub use event::{
    Cgroup, CgroupChange, Credentials, Event, Exec, FileCall, ImageSource, NamedPath, Packet, PathCall,
    PlainCall, SocketCall, Strings, Sysctl,
};
pub use record::{DecodeError, decode};

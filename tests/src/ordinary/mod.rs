//! What nodes do all day and nobody wants to be told of: the other side of detection.
//!
//! `kestrel-ordinary` runs pods of a shop (web server, clients, cache, builds, cron, backups, log rotation) with
//! probes and execs as a kubelet's, works on the host as its owners do, records all of it, and counts the
//! detections of Kestrel's rules and of Falco's own on the recording.

pub mod debian;
pub mod host;
pub mod pods;
pub mod recording;
pub mod summary;
pub mod work;

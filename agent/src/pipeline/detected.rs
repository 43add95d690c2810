//! What the agent detects by itself, without a rule.

use std::borrow::Cow;

use agent_abi::record::{PATH_BYTES, file_flag, path_flag};

use super::{episode::Episodes, lifecycle::ContainerEntry};
use crate::{
    context::Context,
    decode::{Event, ImageSource},
    posture::Severity,
    time::{Clock, SECOND},
};

/// A container whose paths were all read for so long is at rest.
const QUIET_NS: u64 = 600 * SECOND;
/// The end of a path that is too deep has at least so many bytes: it is 256 names of one letter, less those
/// at which it crosses from one mount to the next.
const DEEP_BYTES: usize = 256;
/// Most bytes of a path that are told.
const SHOWN_BYTES: usize = 256;

/// The events of a container were held back.
pub const THROTTLED: &str = "Events throttled";
/// A path had no front.
pub const HIDDEN: &str = "Path hidden by depth";

/// What was detected.
#[derive(Clone, Debug)]
pub struct Detected {
    /// When.
    pub at: Clock,
    /// The rule's name.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Tags: tactics and techniques of ATT&CK.
    pub tags: &'static [&'static str],
    /// A sentence. Parts of it may be chosen by a workload.
    pub output: String,
    /// Whose; `None`: the host's.
    pub container: Option<ContainerEntry>,
}

/// Looks for paths that were too deep to be read.
#[derive(Debug)]
pub(super) struct HiddenPaths {
    episodes: Episodes,
    /// How many there were.
    pub(super) seen: u64,
}

impl HiddenPaths {
    pub(super) fn new() -> Self {
        Self { episodes: Episodes::new(QUIET_NS), seen: 0 }
    }

    /// The detection, once for each container and episode.
    pub(super) fn look(&mut self, event: &Event<'_>, context: &Context, now: Clock) -> Option<Detected> {
        let (path, task, cgroup) = match event {
            Event::File(file) if file.record.file.flags & file_flag::PATH_TRUNCATED != 0 => {
                (file.path, &file.record.call.task, file.record.call.cgroup_id)
            }
            Event::Path(call) => {
                let named = [call.from, call.to];
                let cut = named.iter().find(|named| named.record.flags & path_flag::BASE_TRUNCATED != 0)?;
                (cut.base, &call.record.call.task, call.record.call.cgroup_id)
            }
            Event::Exec(exec)
                if exec.source == ImageSource::Exec
                    && exec.record.exe.flags & file_flag::PATH_TRUNCATED != 0 =>
            {
                (exec.exe, &exec.record.state.task, exec.record.state.cgroup_id)
            }
            _ => return None,
        };
        // What runtimes use of mounts that are detached has no place, but is not deep.
        if path.len() < DEEP_BYTES {
            return None;
        }
        self.seen += 1;
        let process = context.process(task);
        let container = process
            .and_then(|process| context.container(process.container?))
            .or_else(|| context.container_of_cgroup(cgroup));
        if !self.episodes.begins(container.map(|container| container.key), now.boottime_ns) {
            return None;
        }
        let exe = process.map_or(&b"?"[..], |process| &process.exe_path);
        let output = format!(
            "{} (pid {}) used a path of more than {PATH_BYTES} bytes or too many names, of which only the end \
             is known: …{}",
            end_of(exe),
            task.tgid,
            end_of(path),
        );
        Some(Detected {
            at: now,
            rule: HIDDEN,
            severity: Severity::Medium,
            tags: &["defense-evasion", "T1564"],
            output,
            container: container.map(ContainerEntry::from),
        })
    }
}

fn end_of(path: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(&path[path.len().saturating_sub(SHOWN_BYTES)..])
}

/// A container begins to be throttled.
pub(super) fn throttled(events: u64, at: Clock, container: ContainerEntry) -> Detected {
    Detected {
        at,
        rule: THROTTLED,
        severity: Severity::Medium,
        tags: &["defense-evasion", "T1562.006"],
        output: format!("the container sends more raw events than it may: {events} were held back first"),
        container: Some(container),
    }
}

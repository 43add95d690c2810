//! What outlives the agent: findings keep their ids, first sight and count over a kill -9.
//!
//! [`Posture::snapshot`] and [`Posture::restore`] run on the hot loop's thread and touch no file;
//! [`write()`] and [`read`] do, on the slow side.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    CONTROLS, Explanation, FindingId, InstanceReport, Posture, Subject, Verdict,
    finding::{Finding, Stage},
    hold::Hold,
};
use crate::{
    context::{ContainerId, ProcessId},
    time::Clock,
};

/// Version of [`Snapshot`]'s form.
const VERSION: u32 = 1;
/// A larger file is not one that [`write()`] made.
const MAX_BYTES: u64 = 64 << 20;

/// Every finding, and who each container belonged to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    version: u32,
    boot_id: String,
    findings: Vec<StoredFinding>,
    containers: Vec<StoredContainer>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredFinding {
    id: FindingId,
    subject: Subject,
    // A slug, not a `ControlId`: a control of another version is skipped, not an error.
    control: String,
    open: bool,
    verdict: Verdict,
    first_seen: Clock,
    last_seen: Clock,
    count: u64,
    reopened: u32,
    instance: Option<StoredInstance>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredInstance {
    verdict: Verdict,
    container: String,
    start_ticks: u64,
    tgid: u32,
    tid: u32,
    ns_tgid: u32,
    exe: Vec<u8>,
    comm: [u8; 16],
    uid: u32,
    euid: u32,
    ns_euid: u32,
    explanation: Explanation,
    since: Clock,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredContainer {
    id: String,
    subject: Subject,
}

impl From<InstanceReport> for StoredInstance {
    fn from(report: InstanceReport) -> Self {
        let InstanceReport {
            verdict,
            unknown: _,
            container,
            process,
            tid,
            ns_tgid,
            exe,
            comm,
            uid,
            euid,
            ns_euid,
            explanation,
            since,
        } = report;
        Self {
            verdict,
            container: container.map(|container| container.as_str().to_owned()).unwrap_or_default(),
            start_ticks: process.start_ticks,
            tgid: process.tgid,
            tid,
            ns_tgid,
            exe,
            comm,
            uid,
            euid,
            ns_euid,
            explanation,
            since,
        }
    }
}

impl StoredInstance {
    fn into_report(self) -> Option<InstanceReport> {
        Some(InstanceReport {
            verdict: self.verdict,
            unknown: None,
            container: match self.container.as_str() {
                "" => None,
                id => Some(ContainerId::parse(id.as_bytes())?),
            },
            process: ProcessId { start_ticks: self.start_ticks, tgid: self.tgid },
            tid: self.tid,
            ns_tgid: self.ns_tgid,
            exe: self.exe,
            comm: self.comm,
            uid: self.uid,
            euid: self.euid,
            ns_euid: self.ns_euid,
            explanation: self.explanation,
            since: self.since,
        })
    }
}

impl Posture {
    /// What is to be kept, in an order of its own so that the same state gives the same bytes.
    #[must_use]
    pub fn snapshot(&self, boot_id: &str, now: Clock) -> Snapshot {
        // One that was never told starts anew; one that came back was resolved as far as told.
        let told = self
            .ledger
            .sorted()
            .into_iter()
            .filter(|finding| finding.stage != Stage::Held || finding.reopened > 0);
        let findings = told
            .map(|finding| {
                let is_held = finding.stage == Stage::Held;
                let verdict = if is_held { finding.peak } else { finding.told };
                let report = finding.report(verdict, None, now);
                StoredFinding {
                    id: report.id,
                    subject: report.subject,
                    control: finding.control.slug().to_owned(),
                    open: finding.stage == Stage::Open,
                    verdict: report.verdict,
                    first_seen: report.first_seen,
                    last_seen: report.last_seen,
                    count: report.count,
                    reopened: report.reopened - u32::from(is_held),
                    instance: report.instances.into_iter().next().map(Into::into),
                }
            })
            .collect();
        let mut containers: Vec<_> = self
            .containers
            .values()
            .filter(|entry| !entry.subject.is_pending())
            .map(|entry| StoredContainer { id: entry.id.as_str().to_owned(), subject: entry.subject.clone() })
            .collect();
        containers.sort_by(|one, other| one.id.cmp(&other.id));
        Snapshot { version: VERSION, boot_id: boot_id.to_owned(), findings, containers }
    }

    /// Takes up what the last run knew, before anything is judged. Boottimes of another boot mean
    /// nothing and become 0.
    pub fn restore(&mut self, snapshot: Snapshot, boot_id: &str, now: Clock) {
        let Snapshot { version: _, boot_id: stored_boot, findings, containers } = snapshot;
        let is_same_boot = stored_boot == boot_id;
        let clock =
            |clock: Clock| Clock { boottime_ns: if is_same_boot { clock.boottime_ns } else { 0 }, ..clock };
        for stored in findings {
            let Some(control) = CONTROLS.iter().find(|control| control.slug == stored.control) else {
                continue;
            };
            // Another node's file, or another way to make ids.
            if self.ledger.id_of(&stored.subject, control.id) != stored.id {
                continue;
            }
            let severity = self.policy.severity(control.id);
            let mut finding = Finding::new(
                stored.id,
                stored.subject,
                control.id,
                severity,
                now,
                Hold::until(now.boottime_ns),
            );
            finding.stage = if stored.open { Stage::Open } else { Stage::Resolved };
            finding.first_seen = clock(stored.first_seen);
            finding.last_seen = clock(stored.last_seen);
            finding.count = stored.count;
            finding.reopened = stored.reopened;
            finding.told = stored.verdict;
            finding.peak = stored.verdict;
            finding.told_at = now.boottime_ns;
            finding.unconfirmed = stored.open;
            finding.restored = stored.instance.and_then(StoredInstance::into_report);
            self.has_unconfirmed |= stored.open;
            self.has_unseen |= stored.open;
            self.ledger.insert_restored(finding);
        }
        if is_same_boot {
            for StoredContainer { id, subject } in containers {
                if let Some(id) = ContainerId::parse(id.as_bytes()) {
                    self.remembered.insert(id, subject);
                }
            }
        }
    }
}

/// Why a snapshot was not written.
#[derive(Debug, Error)]
pub enum StoreError {
    /// A step failed.
    #[error("cannot {step} {path}")]
    Io {
        /// The step.
        step: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It has no form as JSON.
    #[error("cannot encode findings")]
    Encode(#[source] serde_json::Error),
}

/// Replaces the file as a whole: a crash leaves the old one or the new one.
///
/// # Errors
///
/// When the folder cannot be written; the old file is still there.
pub fn write(path: &Path, snapshot: &Snapshot) -> Result<(), StoreError> {
    let failed = |step, path: &Path| {
        let path = path.to_owned();
        move |source| StoreError::Io { step, path, source }
    };
    let bytes = serde_json::to_vec(snapshot).map_err(StoreError::Encode)?;
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary).map_err(failed("create", &temporary))?;
    file.write_all(&bytes).map_err(failed("write", &temporary))?;
    file.sync_all().map_err(failed("sync", &temporary))?;
    fs::rename(&temporary, path).map_err(failed("replace", path))?;
    // The rename itself is lasting only once the folder is.
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("sync", folder))
}

/// What [`read`] found.
#[derive(Debug)]
pub enum Stored {
    /// No file: a first start.
    Absent,
    /// A snapshot.
    Found(Box<Snapshot>),
    /// A file that cannot be used; start fresh, and say so.
    Unusable {
        /// Where it was kept; `None` when it could not be moved.
        kept: Option<PathBuf>,
        /// Why.
        reason: String,
    },
}

/// Reads the file. One that cannot be used is moved aside for people to look at.
#[must_use]
pub fn read(path: &Path) -> Stored {
    match parse(path) {
        Ok(Some(snapshot)) => Stored::Found(Box::new(snapshot)),
        Ok(None) => Stored::Absent,
        Err(reason) => {
            let aside = path.with_extension("bad");
            let kept = fs::rename(path, &aside).ok().map(|()| aside);
            Stored::Unusable { kept, reason }
        }
    }
}

fn parse(path: &Path) -> Result<Option<Snapshot>, String> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let size = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot read it: {error}")),
    };
    if size > MAX_BYTES {
        return Err(format!("it has {size} bytes, more than the agent ever writes"));
    }
    let bytes = fs::read(path).map_err(|error| format!("cannot read it: {error}"))?;
    let Version { version } =
        serde_json::from_slice(&bytes).map_err(|error| format!("not a snapshot: {error}"))?;
    if version != VERSION {
        return Err(format!("it has version {version}, this agent reads {VERSION}"));
    }
    serde_json::from_slice(&bytes).map(Some).map_err(|error| format!("not a snapshot: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Snapshot {
        Snapshot { version: VERSION, boot_id: "boot".into(), findings: Vec::new(), containers: Vec::new() }
    }

    #[test]
    fn comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("findings.json");
        assert!(matches!(read(&path), Stored::Absent));
        write(&path, &empty()).unwrap();
        write(&path, &empty()).unwrap();
        assert!(matches!(read(&path), Stored::Found(found) if *found == empty()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_used_is_kept_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("findings.json");
        let whole = serde_json::to_vec(&empty()).unwrap();
        let newer = br#"{"version":99,"something":"else"}"#.to_vec();
        for (bytes, says) in [
            (whole[..whole.len() / 2].to_vec(), "not a snapshot"),
            (vec![0xff; 10], "not a snapshot"),
            (Vec::new(), "not a snapshot"),
            (newer, "it has version 99, this agent reads 1"),
        ] {
            fs::write(&path, &bytes).unwrap();
            let Stored::Unusable { kept: Some(kept), reason } = read(&path) else { panic!("{bytes:?}") };
            assert!(reason.contains(says), "{reason}");
            assert_eq!(fs::read(kept).unwrap(), bytes);
            assert!(matches!(read(&path), Stored::Absent));
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = write(&folder.path().join("missing/findings.json"), &empty()).unwrap_err();
        assert!(error.to_string().starts_with("cannot create"));
    }
}

//! A disk that is full. Needs root, for a small tmpfs.

use std::process::Command;

use super::*;

/// A file system of so many KiB, taken away at the end.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount(kib: u32) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let options = format!("size={kib}k");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(dir.path())
            .status()
            .is_ok_and(|status| status.success());
        if !mounted {
            println!("SKIPPED: mounting a tmpfs needs root and CAP_SYS_ADMIN");
            return None;
        }
        Some(Self(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_stops_appends_and_nothing_else() {
    let Some(disk) = SmallDisk::mount(512) else { return };
    let dir = disk.path().join("log");
    let (log, _) = open(&dir);
    let mut taken = 0;
    let error = loop {
        match log.append(body(taken + 1, 20_000)).await {
            Ok(number) => taken = number,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, LogError::NoRoom(_)), "{error:?}");
    assert!(error.sentence().starts_with("the disk does not take more: "), "{}", error.sentence());
    assert!(taken > 10);
    assert!(matches!(*log.condition().borrow(), Condition::NoRoom(_)));
    assert_eq!(read(&log, 1).0.len() as u64, taken);
    // What was written of it is gone.
    let bytes = std::fs::metadata(dir.join(segment::file_name(1))).unwrap().len();
    assert_eq!(bytes, log.bytes());

    // A group that is not taken comes back whole.
    let frames = vec![Prepared::new(body(1, 20_000)).unwrap(), Prepared::new(body(2, 20_000)).unwrap()];
    let not_taken = log.append_all(frames).await.unwrap_err();
    assert_eq!(not_taken.frames.len(), 2);

    // It recovers by itself.
    let options = format!("remount,size={}k", 4096);
    assert!(Command::new("mount").args(["-o", &options]).arg(disk.path()).status().unwrap().success());
    let mut condition = log.condition();
    tokio::time::timeout(Duration::from_secs(10), condition.wait_for(|now| *now == Condition::Writing))
        .await
        .expect("the log did not notice that there is room")
        .unwrap();
    assert_eq!(log.append_all(not_taken.frames).await.unwrap(), taken + 1);
    let (frames, errors) = read(&log, 1);
    assert!(errors.is_empty());
    assert_eq!(frames.len() as u64, taken + 2);
    log.close().await;

    let (log, recovery) = open(&dir);
    assert_eq!((recovery.next, recovery.cut), (taken + 3, None));
    assert_eq!(read(&log, 1).0, frames);
}

#[tokio::test]
async fn a_disk_that_is_full_at_the_start_is_waited_for() {
    let Some(disk) = SmallDisk::mount(256) else { return };
    let dir = disk.path().join("log");
    std::fs::create_dir(&dir).unwrap();
    let filler = disk.path().join("filler");
    let _ = std::fs::write(&filler, vec![1; 256 << 10]);
    let (log, _) = open(&dir);
    let error = log.append(body(1, 20_000)).await.unwrap_err();
    assert!(matches!(error, LogError::NoRoom(_)), "{error:?}");
    std::fs::remove_file(&filler).unwrap();
    let mut condition = log.condition();
    condition.wait_for(|now| *now == Condition::Writing).await.unwrap();
    assert_eq!(log.append(body(1, 20_000)).await.unwrap(), 1);
}

//! The forgetful file system forgets what was not synced, and nothing else.

use std::{
    fs::{self, File},
    io::Write as _,
    process::{Command, Stdio},
    time::Duration,
};

use kestrel_tests::lab::{
    forgetful::{Forgetful, PowerLoss},
    poll,
};

#[test]
fn a_power_loss_takes_what_was_not_synced() {
    let dir = tempfile::tempdir().unwrap();
    let mut forgetful = Forgetful::mount(&dir.path().join("disk")).unwrap();
    let path = forgetful.path().to_owned();
    let mut kept = File::create(path.join("kept")).unwrap();
    kept.write_all(b"one").unwrap();
    kept.sync_data().unwrap();
    File::open(&path).unwrap().sync_all().unwrap();
    kept.write_all(b" two").unwrap();
    fs::write(path.join("lost"), "x").unwrap();
    assert_eq!(fs::read_to_string(path.join("kept")).unwrap(), "one two");
    assert_eq!(forgetful.syncs(), 2);
    drop(kept);
    forgetful.power_loss(PowerLoss::Everything).unwrap();
    assert_eq!(fs::read_to_string(path.join("kept")).unwrap(), "one");
    assert!(!path.join("lost").exists());
    fs::rename(path.join("kept"), path.join("moved")).unwrap();
    forgetful.power_loss(PowerLoss::Everything).unwrap();
    assert!(path.join("kept").exists() && !path.join("moved").exists());
}

#[test]
fn a_killed_process_has_written_but_not_synced() {
    let dir = tempfile::tempdir().unwrap();
    let mut forgetful = Forgetful::mount(&dir.path().join("disk")).unwrap();
    let path = forgetful.path().join("log");
    File::create(&path).unwrap().sync_all().unwrap();
    File::open(forgetful.path()).unwrap().sync_all().unwrap();
    let mut writer = Command::new("sh")
        .args(["-c", "echo written >> \"$0\"; exec sleep 1000"])
        .arg(&path)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let limit = Duration::from_secs(10);
    poll::until("the line", limit, || Ok(fs::read_to_string(&path)? == "written\n")).unwrap();
    writer.kill().unwrap();
    writer.wait().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "written\n", "the page cache outlives the process");
    forgetful.power_loss(PowerLoss::Everything).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "");
}

//! What becomes of a cgroup after it was made; and where changes of the devices that it may use are
//! seen.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use agent_abi::{hook::Hook, record::file_flag};
use kestrel_agent::{
    decode::{CgroupChange, Event, decode},
    kernel::{Hierarchy, Mounted},
    syscall::{Family, Only, Wants, name_of},
};

use crate::{
    environment::skip,
    loaded::{DEADLINE, Loaded, assert_balanced, with},
};

const RINGS: [u32; 2] = [1 << 22, 1 << 20];

/// A cgroup of a test's own, removed when it ends.
pub(crate) struct Group {
    pub(crate) path: PathBuf,
}

impl Group {
    pub(crate) fn new(root: PathBuf, name: &str) -> Self {
        let path = root.join(format!("kestrel-test-{}-{name}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self { path }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Busy while its last process goes.
        let start = std::time::Instant::now();
        while self.path.exists() && fs::remove_dir(&self.path).is_err() {
            assert!(start.elapsed() < DEADLINE, "{} stays", self.path.display());
            std::thread::yield_now();
        }
    }
}

fn changes(loaded: &mut Loaded, cgroup: u64, last: CgroupChange) -> Vec<(CgroupChange, String)> {
    let mut changes = Vec::new();
    loaded.until(|event| {
        let Event::Cgroup(change) = event else { return false };
        if change.record.cgroup_id == cgroup {
            changes.push((change.change, String::from_utf8(change.path.to_vec()).unwrap()));
        }
        changes.last().is_some_and(|(change, _)| *change == last)
    });
    changes
}

#[test]
fn a_cgroup_is_made_removed_and_released() {
    let mut loaded = Loaded::new(RINGS, Wants::posture());
    let group = Group::new(Mounted::detect().unwrap().root, "release");
    let id = fs::metadata(&group.path).unwrap().ino();
    let name = format!("/{}", group.path.file_name().unwrap().to_str().unwrap());
    drop(group);
    let seen = changes(&mut loaded, id, CgroupChange::Release);
    let kinds: Vec<_> = seen.iter().map(|(change, _)| *change).collect();
    assert_eq!(kinds, [CgroupChange::Mkdir, CgroupChange::Rmdir, CgroupChange::Release]);
    assert!(seen.iter().all(|(_, path)| *path == name), "{seen:?}");
    loaded.detach();
    let counters = loaded.counters();
    assert_balanced(&counters);
    assert!(counters[Hook::CgroupRelease as usize].submitted >= 1);
}

/// Where cgroups can be renamed: v1 alone. That of the pids controller, which the agent follows where
/// containers are in v1.
fn v1_pids() -> Option<Mounted> {
    let cgroups = fs::read_to_string("/proc/cgroups").unwrap();
    let id = cgroups.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        (fields.next()? == "pids").then(|| fields.next()?.parse::<u32>().ok())?
    });
    let root = PathBuf::from("/sys/fs/cgroup/pids");
    let id = id.filter(|&id| id != 0 && root.join("cgroup.procs").exists())?;
    Some(Mounted { hierarchy: Hierarchy::V1Pids { id }, root })
}

#[test]
fn a_renamed_cgroup_keeps_its_id() {
    let Some(mounted) = v1_pids() else {
        skip("cgroups of v2 cannot be renamed, and there is no v1 here");
        return;
    };
    let mut loaded = Loaded::on(mounted.hierarchy, RINGS, Wants::posture());
    let mut group = Group::new(mounted.root, "rename");
    let id = fs::metadata(&group.path).unwrap().ino();
    let renamed = group.path.with_extension("renamed");
    fs::rename(&group.path, &renamed).unwrap();
    group.path = renamed;
    let seen = changes(&mut loaded, id, CgroupChange::Rename);
    let name = format!("/{}", group.path.file_name().unwrap().to_str().unwrap());
    assert_eq!(seen.last().unwrap().1, name, "the path after it");
    assert_eq!(seen.len(), 2);
    loaded.detach();
    assert_balanced(&loaded.counters());
}

/// v1 knows no other way than two files: their opening for writing is seen as any other.
#[test]
fn devices_are_allowed_by_a_file_that_is_opened() {
    let root = Path::new("/sys/fs/cgroup/devices");
    if !root.join("devices.allow").exists() {
        skip("no devices controller of v1 here");
        return;
    }
    let mut loaded = Loaded::new(RINGS, with(Family::Files, Only { writes: true, ..Only::default() }));
    let group = Group::new(root.to_path_buf(), "devices");
    let allow = group.path.join("devices.allow");
    fs::write(&allow, "c 1:3 r").unwrap();
    let start = std::time::Instant::now();
    let mut seen = false;
    while !seen {
        assert!(start.elapsed() < DEADLINE, "the open was not seen");
        let end = loaded.programs.bulk.produced();
        loaded.programs.bulk.drain(end, |bytes| {
            if let Event::File(file) = decode(bytes).unwrap()
                && file.path == allow.as_os_str().as_encoded_bytes()
            {
                assert_ne!(file.record.file.flags & file_flag::CGROUPFS, 0);
                seen = true;
            }
        });
    }
}

/// v2 has programs in place of files: `bpf` attaches them, and is seen by its command.
#[test]
fn devices_are_allowed_by_a_program_that_is_attached() {
    const PROG_ATTACH: u64 = 8;
    let mut loaded = Loaded::new(RINGS, with(Family::System, Only::default()));
    // Type 6 is BPF_CGROUP_DEVICE; there is no such program, so nothing is attached.
    let attributes: [u32; 4] = [u32::MAX, u32::MAX, 6, 0];
    // SAFETY: attributes that are valid for the call.
    #[expect(unsafe_code, reason = "no library makes this call with a bad descriptor")]
    let result = unsafe {
        nix::libc::syscall(nix::libc::SYS_bpf, PROG_ATTACH, attributes.as_ptr(), size_of_val(&attributes))
    };
    assert_eq!(result, -1);
    let tid = nix::unistd::gettid().as_raw().unsigned_abs();
    let mut text = Vec::new();
    loaded.until(|event| {
        let Event::Plain(plain) = event else { return false };
        let call = &plain.record.call;
        let ours = call.task.tid == tid && name_of(call) == Some("bpf") && call.args[0] == PROG_ATTACH;
        if ours {
            text = plain.text.to_vec();
        }
        ours
    });
    assert_eq!(text[8..12], 6u32.to_ne_bytes(), "the kind of attachment is in the record");
}

//! How much of the verifier's patience each program takes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use agent_abi::hook::Hook;
use aya::programs::{ProgramInfo, loaded_programs};
use kestrel_agent::syscall::Wants;

use crate::{
    environment::{kernel_version, skip},
    loaded::Loaded,
};

/// `verified_insns` of `struct bpf_prog_info` (include/uapi/linux/bpf.h).
const TOLD_SINCE: (u32, u32) = (5, 16);
/// Instructions after which the verifier gives up (`BPF_COMPLEXITY_LIMIT_INSNS`, include/linux/bpf.h).
const LIMIT: u32 = 1_000_000;

/// Names by id; the kernel itself keeps fifteen bytes of a name.
fn pinned(dir: &Path, names: &mut BTreeMap<u32, String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            pinned(&path, names);
        } else if let Some(name) = name.strip_prefix("program_") {
            names.insert(ProgramInfo::from_pin(&path).unwrap().id(), name.to_owned());
        }
    }
}

/// Those that go away meanwhile are not ours.
fn programs() -> impl Iterator<Item = ProgramInfo> {
    loaded_programs().filter_map(Result::ok)
}

#[test]
fn each_program_is_well_within_the_verifier_s_limit() {
    let others: BTreeSet<_> = programs().map(|program| program.id()).collect();
    let mut wants = Wants::posture();
    for hook in Hook::ALL {
        wants.add_hook(hook);
    }
    let loaded = Loaded::new([1 << 22, 1 << 16], wants);
    if kernel_version() < TOLD_SINCE {
        skip("Linux tells what the verifier walked since 5.16");
        return;
    }
    let mut names = BTreeMap::new();
    pinned(&loaded.pin_dir, &mut names);
    assert!(!names.is_empty());
    for program in programs().filter(|program| !others.contains(&program.id())) {
        let name = names.remove(&program.id());
        let name = name.unwrap_or_else(|| String::from_utf8_lossy(program.name()).into_owned());
        let count = program.verified_instruction_count().unwrap();
        println!("verified {name} {count}");
        assert!(count < LIMIT / 2, "{name}");
    }
    assert!(names.is_empty(), "not among the loaded programs: {names:?}");
}

//! The programs in this machine's kernel. Needs root.

use std::{io::Read, path::PathBuf, process::Command};

use kestrel_agent::{
    decode::{Event, decode},
    kernel::{Layout, Mounted, Plan, Programs, Streams},
};

struct Loaded {
    programs: Programs,
    pin_dir: PathBuf,
}

impl Loaded {
    fn new(name: &str, streams: Streams) -> Self {
        let pin_dir = PathBuf::from(format!("/sys/fs/bpf/kestrel-test-{name}-{}", std::process::id()));
        let layout = Layout::read(Mounted::detect().unwrap().hierarchy, [1 << 20, 1 << 20]).unwrap();
        let programs = Plan { pin_dir: pin_dir.clone(), layout, streams }.carry_out().unwrap();
        Self { programs, pin_dir }
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.pin_dir).unwrap();
    }
}

#[test]
fn every_hook_attaches() {
    let loaded = Loaded::new("attach", Streams { open: true });
    for (hook, result) in &loaded.programs.hooks {
        assert_eq!(result, &Ok(()), "{}", hook.name());
    }
    assert!(!loaded.programs.adopted);
}

#[test]
fn the_scan_sees_this_process_as_proc_does() {
    let mut loaded = Loaded::new("scan", Streams::default());
    let mut bytes = Vec::new();
    loaded.programs.scan.open().unwrap().unwrap().read_to_end(&mut bytes).unwrap();
    let mut at = 0;
    let mut found = false;
    while at < bytes.len() {
        let len = u32::from_ne_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
        let aligned: Vec<u64> = bytes[at..at + len]
            .chunks(8)
            .map(|chunk| {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                u64::from_ne_bytes(word)
            })
            .collect();
        let Event::Exec(exec) = decode(&zerocopy::IntoBytes::as_bytes(&aligned[..])[..len]).unwrap() else {
            panic!()
        };
        let state = &exec.record.state;
        if state.task.tgid == std::process::id() {
            found = true;
            let mut path = Vec::new();
            exec.exe.write_to(&mut path);
            assert_eq!(PathBuf::from(String::from_utf8(path).unwrap()), std::env::current_exe().unwrap());
            println!("{state:#?} {:?}", exec.record.exe);
        }
        at += len;
    }
    assert!(found);
}

#[test]
fn an_exec_arrives() {
    let mut loaded = Loaded::new("exec", Streams { open: true });
    let child = Command::new("/bin/true").arg("one").arg("two").spawn().unwrap();
    let pid = child.id();
    child.wait_with_output().unwrap();
    let end = loaded.programs.critical.produced();
    let mut kinds = Vec::new();
    loaded.programs.critical.drain(end, |bytes| match decode(bytes).unwrap() {
        Event::Exec(exec) if exec.record.state.task.tgid == pid => {
            assert_eq!(exec.argv.iter().collect::<Vec<_>>(), [&b"/bin/true"[..], b"one", b"two"]);
            assert_eq!(exec.filename, b"/bin/true");
            kinds.push("exec");
        }
        Event::Fork(fork) if fork.child.task.tgid == pid => kinds.push("fork"),
        Event::Exit(exit) if exit.task.tgid == pid => kinds.push("exit"),
        _ => {}
    });
    assert_eq!(kinds, ["fork", "exec", "exit"]);
    println!("{:#?}", loaded.programs.counters.read().unwrap());
}

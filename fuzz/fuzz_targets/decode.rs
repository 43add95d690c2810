//! Ring bytes: whatever they are, decode gives an event or an error, and an event can be read.
//!
//! `cargo +nightly fuzz run decode`
#![no_main]

use kestrel_agent::decode::{Event, decode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // Rings align records to 8 bytes, and so do allocators.
    let bytes = data.to_vec();
    let Ok(event) = decode(&bytes) else { return };
    let mut path = Vec::new();
    match event {
        Event::Exec(exec) => {
            exec.exe.write_to(&mut path);
            exec.cwd.write_to(&mut path);
            assert!(exec.argv.iter().map(<[u8]>::len).sum::<usize>() <= data.len());
        }
        Event::Open(open) => open.path.write_to(&mut path),
        Event::Cgroup(cgroup) => assert!(cgroup.path.len() <= data.len()),
        Event::Fork(_) | Event::Exit(_) | Event::Credentials(_) => {}
    }
});

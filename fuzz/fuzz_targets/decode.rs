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
            assert!(exec.argv.iter().map(<[u8]>::len).sum::<usize>() <= data.len());
        }
        Event::Path(paths) => {
            paths.from.write_to(&mut path);
            paths.to.write_to(&mut path);
        }
        Event::Cgroup(cgroup) => assert!(cgroup.path.len() <= data.len()),
        _ => {}
    }
});

//! Prints its user ids and sleeps. Installed set-uid root, it is root from its first instruction on.
#![allow(clippy::print_stdout, reason = "the ids are what it is for")]

use nix::unistd::{geteuid, getuid, pause};

fn main() {
    println!("uid {} euid {}", getuid(), geteuid());
    loop {
        pause();
    }
}

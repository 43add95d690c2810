//! Holds a pod's namespaces, until SIGTERM.

fn main() {
    loop {
        nix::unistd::pause();
    }
}

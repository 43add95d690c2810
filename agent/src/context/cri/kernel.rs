//! Whether a runtime runs a container in a kernel of its own.

/// Starts of names of runtime handlers that do; a cluster's administrator chooses the name.
const HANDLERS: [&str; 5] = ["runsc", "gvisor", "kata", "firecracker", "quark"];

/// By the name of the sandbox's runtime handler.
pub(super) fn is_own_by_handler(handler: &str) -> bool {
    HANDLERS
        .iter()
        .any(|name| handler.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)))
}

/// By the shim's type, such as `io.containerd.runsc.v1` or `io.containerd.kata-qemu.v2`, or its path.
pub(super) fn is_own_by_type(runtime: &str) -> bool {
    let runtime = runtime.to_ascii_lowercase();
    HANDLERS.iter().any(|name| runtime.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes_with_a_kernel_of_their_own() {
        for runtime in
            ["io.containerd.runsc.v1", "io.containerd.kata-qemu.v2", "aws.firecracker", "/opt/kata/shim"]
        {
            assert!(is_own_by_type(runtime), "{runtime}");
        }
        for handler in ["runsc", "gVisor", "kata", "kata-qemu", "firecracker"] {
            assert!(is_own_by_handler(handler), "{handler}");
        }
        for runtime in ["", "runc", "crun", "io.containerd.runc.v2", "nvidia", "wasmtime", "ä"] {
            assert!(!is_own_by_type(runtime) && !is_own_by_handler(runtime), "{runtime}");
        }
    }
}

//! Rules whose actions cannot be had here, and why. Nothing is claimed of them.

pub(crate) const ABSENT: &[(&str, &str)] = &[(
    "BPF used by an ordinary user",
    "kernels do not let ordinary users load BPF (kernel.unprivileged_bpf_disabled), and a test changes no node",
)];

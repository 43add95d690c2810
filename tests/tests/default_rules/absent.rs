//! Rules whose actions cannot be had here, and why. Nothing is claimed of them.

pub(crate) const ABSENT: &[(&str, &str)] = &[
    (
        "BPF used by an ordinary user",
        "kernels do not let ordinary users load BPF (kernel.unprivileged_bpf_disabled), and a test changes no node",
    ),
    (
        "Connection to a service of tunnels",
        "names that only end as a rule says come from answers of name servers, which are not read yet",
    ),
    (
        "Connection to a pool of miners",
        "names that only end as a rule says come from answers of name servers, which are not read yet",
    ),
    ("Library preloaded from a writable folder", "environments are not read"),
    ("Setuid program started with a dangerous environment", "environments are not read"),
];

//! The kernel's lockdown. In its mode `confidentiality` no BPF program may read kernel memory
//! (`LOCKDOWN_BPF_READ_KERNEL`, security/lockdown), which is all that Kestrel's programs do.

use std::fs;

/// Shows the modes, the one in force in brackets. Needs securityfs.
const FILE: &str = "/sys/kernel/security/lockdown";

/// Whether the lockdown is known to hide kernel memory from programs.
#[must_use]
pub fn hides_kernel_memory() -> bool {
    fs::read_to_string(FILE).is_ok_and(|modes| is_confidentiality(&modes))
}

fn is_confidentiality(modes: &str) -> bool {
    modes.split_whitespace().any(|mode| mode == "[confidentiality]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_mode_in_force_counts() {
        assert!(is_confidentiality("none integrity [confidentiality]\n"));
        assert!(!is_confidentiality("none [integrity] confidentiality\n"));
        assert!(!is_confidentiality("[none] integrity confidentiality\n"));
        assert!(!is_confidentiality(""));
    }
}

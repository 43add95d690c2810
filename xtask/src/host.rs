//! What a host must be like, and a plain sentence where it is not.

use std::{fs, path::Path};

use anyhow::{Result, bail};

/// The oldest kernel with the ring buffer and the BTF the programs rely on.
const OLDEST: (u32, u32) = (5, 8);

/// What there is to know of a host.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// Effective uid.
    pub(crate) uid: u32,
    /// `x86_64`, `aarch64`, ….
    pub(crate) architecture: String,
    /// `uname -r`.
    pub(crate) release: String,
    /// Whether the kernel carries its type information.
    pub(crate) btf: bool,
}

impl Facts {
    /// Of this host.
    pub(crate) fn gather() -> Result<Self> {
        Ok(Self {
            uid: nix::unistd::geteuid().as_raw(),
            architecture: std::env::consts::ARCH.to_owned(),
            release: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            btf: Path::new("/sys/kernel/btf/vmlinux").exists(),
        })
    }

    /// Fails with the first thing that keeps Kestrel from building here.
    pub(crate) fn can_build(&self) -> Result<()> {
        if self.architecture != "x86_64" {
            bail!("Kestrel runs on x86_64 only, and this machine is {}.", self.architecture);
        }
        Ok(())
    }

    /// Fails with the first thing that keeps Kestrel from running here.
    pub(crate) fn can_run(&self) -> Result<()> {
        self.can_build()?;
        if kernel_version(&self.release).is_some_and(|version| version < OLDEST) {
            let (major, minor) = OLDEST;
            bail!("Kestrel needs Linux {major}.{minor} or later, and this is {}.", self.release);
        }
        if !self.btf {
            bail!(
                "This kernel has no type information (/sys/kernel/btf/vmlinux is missing): Kestrel needs one built \
                 with CONFIG_DEBUG_INFO_BTF."
            );
        }
        self.is_root()
    }

    /// Fails when not root.
    pub(crate) fn is_root(&self) -> Result<()> {
        if self.uid != 0 {
            bail!(
                "Loading kernel programs and starting containers needs root: run this as root or with sudo."
            );
        }
        Ok(())
    }
}

/// Major and minor of a kernel release such as `6.1.0-18-cloud-amd64`.
fn kernel_version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Facts {
        Facts { uid: 0, architecture: "x86_64".to_owned(), release: "5.8.0-1-amd64".to_owned(), btf: true }
    }

    fn refusal(facts: Facts) -> String {
        facts.can_run().unwrap_err().to_string()
    }

    #[test]
    fn a_good_host_is_accepted() {
        good().can_run().unwrap();
        Facts { release: "6.18.0".to_owned(), ..good() }.can_run().unwrap();
        Facts { release: "10.0-rc1+".to_owned(), ..good() }.can_run().unwrap();
    }

    #[test]
    fn each_refusal_names_its_reason() {
        assert!(refusal(Facts { uid: 1000, ..good() }).contains("needs root"));
        assert!(refusal(Facts { btf: false, ..good() }).contains("/sys/kernel/btf/vmlinux"));
        assert!(refusal(Facts { release: "5.7.19".to_owned(), ..good() }).contains("this is 5.7.19"));
        assert!(refusal(Facts { release: "4.19.0".to_owned(), ..good() }).contains("Linux 5.8"));
        assert!(refusal(Facts { architecture: "aarch64".to_owned(), ..good() }).contains("is aarch64"));
    }

    #[test]
    fn an_unknown_release_is_left_to_the_probes() {
        Facts { release: "custom".to_owned(), ..good() }.can_run().unwrap();
    }

    #[test]
    fn what_cannot_be_changed_is_named_before_what_can() {
        let facts = Facts { uid: 1000, btf: false, ..good() };
        assert!(refusal(facts).contains("type information"));
    }
}

//! The modules of a kernel that its machine has: what tests use and what that depends on.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use super::{archive, kernel::Kernel};
use crate::command;

/// Loaded at boot, where the kernel has them as modules. The agent reads the types of the first.
pub(super) const MODULES: [&str; 7] = ["overlay", "veth", "dummy", "tun", "fuse", "loop", "vsock_loopback"];

/// Packs them, to be unpacked over [`super::guest`].
pub(super) fn pack(kernel: &Kernel) -> Result<PathBuf> {
    let all = kernel.modules();
    let release = release(&all)?;
    depmod(&all, &release)?;
    let from = all.join("lib/modules").join(&release);
    let dependencies = fs::read_to_string(from.join("modules.dep"))?;

    let root = archive::empty(&kernel.dir.join("root"))?;
    let to = root.join("usr/lib/modules").join(&release);
    fs::create_dir_all(&to)?;
    for file in closure(&dependencies, &MODULES) {
        take(&from.join(file), &to.join(file))?;
    }
    symlink("usr/lib", root.join("lib"))?;
    depmod(&root, &release)?;
    // The other archive has it.
    fs::remove_file(root.join("lib"))?;
    archive::pack(&root, &kernel.dir.join("modules.gz"))
}

fn release(root: &Path) -> Result<String> {
    let dir = root.join("lib/modules");
    let entry = dir.read_dir()?.next().with_context(|| format!("{} is empty", dir.display()))?;
    Ok(entry?.file_name().to_string_lossy().into_owned())
}

fn depmod(root: &Path, release: &str) -> Result<()> {
    // Where only root's PATH has it, this may not be it.
    let program = command::find("depmod").unwrap_or_else(|| "/sbin/depmod".into());
    // Lists of what is built in, which it warns of, are in no package of a newer kernel.
    command::run(Command::new(program).arg("-b").arg(root).arg(release).stderr(Stdio::null()))
}

/// Files of the modules and of all that they depend on, by `modules.dep`. A module that is not there is built in.
fn closure<'a>(dependencies: &'a str, names: &[&str]) -> BTreeSet<&'a str> {
    let lines = dependencies.lines().filter_map(|line| line.split_once(':'));
    let wanted = lines.filter(|(file, _)| names.contains(&name(file).as_str()));
    wanted.flat_map(|(file, needs)| needs.split_whitespace().chain([file])).collect()
}

/// `kernel/fs/overlayfs/overlay.ko.xz` is `overlay`.
fn name(file: &str) -> String {
    let file = file.rsplit('/').next().unwrap_or(file);
    file.split('.').next().unwrap_or(file).replace('-', "_")
}

/// Copies a module, uncompressed: the machine's modprobe reads no other.
fn take(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().context("a module is in a folder")?)?;
    match from.extension().and_then(|extension| extension.to_str()) {
        Some("ko") => fs::copy(from, to).map(|_| ())?,
        Some("xz") => {
            let plain = File::create(to.with_extension(""))?;
            command::run(Command::new("xz").arg("-dc").arg(from).stdout(plain))?;
        }
        _ => bail!("{} is compressed in a way that is not known", from.display()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPENDENCIES: &str = "\
kernel/fs/overlayfs/overlay.ko.xz:
kernel/net/vmw_vsock/vsock.ko:
kernel/net/vmw_vsock/vmw_vsock_virtio_transport_common.ko: kernel/net/vmw_vsock/vsock.ko
kernel/net/vmw_vsock/vsock-loopback.ko: kernel/net/vmw_vsock/vmw_vsock_virtio_transport_common.ko \
kernel/net/vmw_vsock/vsock.ko
kernel/drivers/net/vsockmon.ko: kernel/net/vmw_vsock/vsock.ko
";

    #[test]
    fn a_module_comes_with_what_it_needs() {
        let files: Vec<_> =
            closure(DEPENDENCIES, &["vsock_loopback", "not_there"]).into_iter().map(name).collect();
        assert_eq!(files, ["vmw_vsock_virtio_transport_common", "vsock_loopback", "vsock"]);
    }

    #[test]
    fn compressed_modules_have_the_same_names() {
        let files: Vec<_> = closure(DEPENDENCIES, &["overlay"]).into_iter().collect();
        assert_eq!(files, ["kernel/fs/overlayfs/overlay.ko.xz"]);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let module = dir.path().join("overlay.ko.zst");
        fs::write(&module, "").unwrap();
        let error = take(&module, &dir.path().join("to/overlay.ko.zst")).unwrap_err();
        assert!(error.to_string().contains("overlay.ko.zst is compressed"));
    }
}

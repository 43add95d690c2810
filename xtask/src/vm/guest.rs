//! What every machine has, whichever its kernel: the agent, its kernel tests and what these run.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::{CONTAINER, TEST_SECONDS, archive, modules::MODULES};
use crate::{command, test, workspace::Workspace};

const INIT: &str = include_str!("init.sh");

/// This machine's own, for the tests were written with them: busybox, which has the rest, takes fewer options
/// and does not run under another name.
const PROGRAMS: [&str; 15] = [
    "cat", "cp", "dd", "env", "false", "ip", "ln", "mount", "nsenter", "setpriv", "sh", "sleep", "true",
    "umount", "unshare",
];

const DIRS: [&str; 11] = [
    "dev",
    "etc",
    "new",
    "proc",
    "root",
    "run",
    "sys",
    "tmp",
    "usr/bin",
    "usr/sbin",
    "usr/lib/kestrel/triggers",
];

/// As on every Debian since 12.
const LINKS: [(&str, &str); 4] =
    [("bin", "usr/bin"), ("sbin", "usr/sbin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")];

/// Files that programs expect of a machine.
const FILES: [(&str, &str); 3] = [
    ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
    ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
    ("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"),
];

/// Builds it all and packs it.
pub(super) fn pack(workspace: &Workspace, dir: &Path) -> Result<PathBuf> {
    let tests = build_tests(workspace)?;
    eprintln!("vm-test: building the agent");
    test::build_static(workspace)?;
    test::build_triggers(workspace)?;

    let root = archive::empty(&dir.join("root"))?;
    for name in DIRS {
        fs::create_dir_all(root.join(name))?;
    }
    fs::create_dir_all(root.join("usr/lib64"))?;
    for (link, target) in LINKS {
        symlink(target, root.join(link))?;
    }
    for (file, content) in FILES {
        fs::write(root.join(file), content)?;
    }
    for program in PROGRAMS {
        take_program(program, &root)?;
    }
    take_busybox(&root)?;
    let built = workspace.target.join(test::STATIC_TARGET).join("release");
    strip(&built.join("kestrel-agent"), &root.join("usr/bin/kestrel-agent"))?;
    strip(&tests, &root.join("usr/bin/kernel-tests"))?;
    for trigger in triggers(&built)? {
        let name = trigger.file_name().context("a file has a name")?;
        fs::copy(&trigger, root.join("usr/lib/kestrel/triggers").join(name))?;
    }
    let init = root.join("init");
    fs::write(&init, script())?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
    archive::pack(&root, &dir.join("guest.gz"))
}

fn script() -> String {
    INIT.replace("@CONTAINER@", CONTAINER)
        .replace("@MODULES@", &MODULES.join(" "))
        .replace("@TEST_SECONDS@", &TEST_SECONDS.to_string())
}

/// The agent's kernel tests, linked statically.
fn build_tests(workspace: &Workspace) -> Result<PathBuf> {
    eprintln!("vm-test: building the kernel tests");
    let mut build = workspace.cargo("test");
    build.args(["--quiet", "--no-run", "--message-format=json-render-diagnostics"]).args([
        "-p",
        "kestrel-agent",
        "--test",
        "kernel",
    ]);
    let messages = command::capture(test::link_statically(&mut build))?;
    executable(&messages, "kernel").context("cargo did not say where the kernel tests are")
}

/// Where cargo has put a test, by its messages.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages.lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let target = &message["target"];
        let is_it = target["name"] == name && target["kind"] == serde_json::json!(["test"]);
        is_it.then(|| message["executable"].as_str().map(PathBuf::from))?
    })
}

/// What tests can find as a trigger: every program there but the daemons.
fn triggers(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut triggers = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let name = entry.file_name();
        let is_program = metadata.is_file() && metadata.permissions().mode() & 0o111 != 0;
        if is_program && !name.to_string_lossy().starts_with("kestrel-") {
            triggers.push(entry.path());
        }
    }
    Ok(triggers)
}

fn take_program(name: &str, root: &Path) -> Result<()> {
    let dirs = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];
    let mut paths = dirs.iter().map(|dir| Path::new(dir).join(name));
    let path = paths.find(|path| path.is_file()).with_context(|| format!("this machine has no {name}"))?;
    fs::copy(&path, root.join("usr/bin").join(name))?;
    let needs = command::output(Command::new("ldd").arg(&path)).unwrap_or_default();
    for library in libraries(&needs) {
        // Below the links of the root.
        let to = root.join(library.trim_start_matches('/'));
        fs::create_dir_all(to.parent().context("a library is in a folder")?)?;
        fs::copy(library, to)?;
    }
    Ok(())
}

/// Paths in what ldd prints; the kernel's own part has none.
fn libraries(needs: &str) -> impl Iterator<Item = &str> {
    needs.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
}

fn take_busybox(root: &Path) -> Result<()> {
    let bin = root.join("usr/bin");
    fs::copy("/bin/busybox", bin.join("busybox"))?;
    let applets =
        command::output(Command::new("/bin/busybox").arg("--list")).context("busybox does not run")?;
    for applet in applets.lines().filter(|applet| *applet != "busybox") {
        if !bin.join(applet).exists() {
            symlink("busybox", bin.join(applet))?;
        }
    }
    // Where the kernel looks for it when it wants a module.
    Ok(symlink("../bin/busybox", root.join("usr/sbin/modprobe"))?)
}

/// Symbols are three quarters of a program, and the machine unpacks into memory.
fn strip(program: &Path, to: &Path) -> Result<()> {
    command::run(Command::new("strip").arg("-o").arg(to).arg(program))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_is_told_from_what_is_built_for_it() {
        let messages = r#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"kernel"},"executable":null}
{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"kestrel-agent"},"executable":"/t/kestrel-agent"}
warning: not a message
{"reason":"compiler-artifact","target":{"kind":["test"],"name":"kernel"},"executable":"/t/deps/kernel-0123"}"#;
        assert_eq!(executable(messages, "kernel"), Some(PathBuf::from("/t/deps/kernel-0123")));
        assert_eq!(executable(messages, "outbox"), None);
    }

    #[test]
    fn libraries_are_those_with_a_path() {
        let needs = "\tlinux-vdso.so.1 (0x00007f850e6e1000)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x0)\n\
                     \t/lib64/ld-linux-x86-64.so.2 (0x0)";
        let libraries: Vec<_> = libraries(needs).collect();
        assert_eq!(libraries, ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]);
    }

    #[test]
    fn the_script_is_filled_in() {
        let script = script();
        assert!(script.contains(CONTAINER) && script.contains("overlay"));
        for name in ["CONTAINER", "MODULES", "TEST_SECONDS"] {
            assert!(!script.contains(&format!("@{name}@")));
        }
    }
}

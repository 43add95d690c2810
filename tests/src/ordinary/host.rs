//! What the owner of a node does on it.

use std::{path::Path, process::Command};

use anyhow::{Context, Result, ensure};

/// A job, as it is called in the summary and as a shell does it. `$DIR` is its own folder, removed in the end.
pub const JOBS: &[(&str, &str)] = &[
    (
        "host: package installed and removed",
        "apt-get update -qq && apt-get install -y -qq --no-install-recommends jq tree >/dev/null 2>&1; \
         tree -L 1 / >/dev/null; apt-get remove -y -qq jq tree >/dev/null 2>&1",
    ),
    (
        "host: program compiled",
        "printf 'fn main() { println!(\"built\"); }\\n' > $DIR/main.rs && rustc -o $DIR/rust $DIR/main.rs && $DIR/rust; \
         printf '#include <stdio.h>\\nint main(void) { puts(\"built\"); return 0; }\\n' > $DIR/main.c && \
         cc -o $DIR/c $DIR/main.c && $DIR/c",
    ),
    (
        "host: logs rotated",
        "echo line >> $DIR/service.log; \
         printf '%s {\\n rotate 3\\n compress\\n missingok\\n}\\n' $DIR/service.log > $DIR/rotate.conf; \
         logrotate -f -s $DIR/state $DIR/rotate.conf",
    ),
    (
        "host: backup",
        "tar -czf $DIR/etc.tar.gz /etc/apt /etc/default /etc/init.d 2>/dev/null; \
         cp -a /etc/hostname /etc/os-release $DIR/; sha256sum $DIR/etc.tar.gz > $DIR/sums",
    ),
    (
        "host: looked around",
        "ps aux >/dev/null; df -h >/dev/null; ls -la /etc >/dev/null; cat /proc/loadavg /proc/meminfo >/dev/null; \
         id >/dev/null; uptime >/dev/null; cat /etc/hosts /etc/resolv.conf >/dev/null; du -sh /var/log >/dev/null",
    ),
    (
        "host: repository cloned and changed",
        "git init -q $DIR/origin && cd $DIR/origin && git config user.email a@b.c && git config user.name a && \
         date > file && git add . && git commit -qm first && git clone -q $DIR/origin $DIR/clone && \
         git -C $DIR/clone log --oneline >/dev/null",
    ),
    (
        "host: ssh",
        "ssh -p 10022 -i $SSH/key -o UserKnownHostsFile=$SSH/known -o StrictHostKeyChecking=no \
         -o BatchMode=yes root@127.0.0.1 'uptime; ls / >/dev/null' >/dev/null 2>&1",
    ),
];

/// A shell's work.
pub fn run(script: &str, dir: &Path, ssh: &Path) -> Result<()> {
    let _ = std::fs::remove_dir_all(dir);
    std::fs::create_dir_all(dir)?;
    let out = Command::new("sh")
        .args(["-c", script])
        .env("DIR", dir)
        .env("SSH", ssh)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .output()
        .context("cannot run sh")?;
    ensure!(out.status.success(), "{}: {}", out.status, String::from_utf8_lossy(&out.stderr));
    Ok(())
}

/// sshd on a port of its own, with a key of its own, in the foreground.
pub fn sshd(ssh: &Path) -> Result<std::process::Child> {
    std::fs::create_dir_all(ssh)?;
    std::fs::create_dir_all("/run/sshd")?;
    let script = "ssh-keygen -q -t ed25519 -N '' -f $SSH/host; ssh-keygen -q -t ed25519 -N '' -f $SSH/key; \
        cp $SSH/key.pub $SSH/authorized; chmod 600 $SSH/*";
    let out = Command::new("sh").args(["-c", script]).env("SSH", ssh).output()?;
    ensure!(out.status.success(), "ssh-keygen: {}", String::from_utf8_lossy(&out.stderr));
    let at = |name: &str| ssh.join(name).display().to_string();
    // It ends with this process, however that ends.
    Command::new("setpriv")
        .args([
            "--pdeathsig",
            "TERM",
            "/usr/sbin/sshd",
            "-D",
            "-p",
            "10022",
            "-f",
            "/dev/null",
            "-h",
            &at("host"),
        ])
        .args(["-o", &format!("AuthorizedKeysFile={}", at("authorized")), "-o", "StrictModes=no"])
        .args(["-o", "ListenAddress=127.0.0.1", "-o", "UsePAM=yes", "-o", "PidFile=none"])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .context("cannot start sshd")
}

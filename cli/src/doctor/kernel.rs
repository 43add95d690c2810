//! What this machine's kernel offers, and what this user may.

use std::{fs, path::Path};

use inert::inert;

use super::Report;

const SUBJECT: &str = "kernel";
/// The oldest with the ring buffer and the types the programs rely on.
const OLDEST: (u32, u32) = (5, 8);
/// What the agent needs, by their numbers.
const CAPABILITIES: [(u32, &str); 4] =
    [(39, "BPF"), (38, "PERFMON"), (19, "SYS_PTRACE"), (2, "DAC_READ_SEARCH")];

pub(super) fn check(report: &mut Report) {
    let release = inert(fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim());
    match version(&release) {
        Some(version) if version < OLDEST => {
            let what = format!("Linux {release} is too old");
            report.fail(SUBJECT, what, "Kestrel needs Linux 5.8 or later");
        }
        _ => report.ok(SUBJECT, format!("Linux {release}")),
    }
    if Path::new("/sys/kernel/btf/vmlinux").exists() {
        report.ok(SUBJECT, "has type information (BTF)");
    } else {
        report.fail(
            SUBJECT,
            "no type information: /sys/kernel/btf/vmlinux is missing",
            "run a kernel with CONFIG_DEBUG_INFO_BTF",
        );
    }
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounted(&mounts, &["bpf"], "a BPF file system", "mount -t bpf bpf /sys/fs/bpf", report);
    mounted(
        &mounts,
        &["cgroup2", "cgroup"],
        "a cgroup hierarchy",
        "mount -t cgroup2 none /sys/fs/cgroup",
        report,
    );
    if !mounts.lines().any(|line| line.split(' ').nth(2) == Some("tracefs")) {
        report.warn(
            SUBJECT,
            "tracefs is not mounted",
            "mount -t tracefs tracefs /sys/kernel/tracing, to look into the kernel's log of programs",
        );
    }
    capabilities(report);
}

fn mounted(mounts: &str, kinds: &[&str], what: &str, remedy: &str, report: &mut Report) {
    let place = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let (place, kind) = (fields.nth(1)?, fields.next()?);
        kinds.contains(&kind).then_some(place)
    });
    match place {
        Some(place) => report.ok(SUBJECT, format!("{what} is mounted at {}", inert(place))),
        None => report.fail(SUBJECT, format!("{what} is not mounted"), remedy),
    }
}

fn capabilities(report: &mut Report) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let held =
        status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("CapEff:")?.trim(), 16).ok());
    let held = held.unwrap_or_default();
    let missing: Vec<_> =
        CAPABILITIES.iter().filter(|(number, _)| held & (1 << number) == 0).map(|(_, name)| *name).collect();
    if missing.is_empty() {
        report.ok("rights", "this user has the capabilities that the agent needs");
    } else {
        let what = format!("this user lacks {}", missing.join(", "));
        report.warn(
            "rights",
            what,
            "an agent started by it would not run; one that runs already is not concerned",
        );
    }
}

/// Major and minor of a release such as `6.1.0-18-cloud-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn what_is_missing_is_named_with_its_remedy() {
        let mut report = Report::default();
        mounted("proc /proc proc rw 0 0\n", &["bpf"], "a BPF file system", "mount it", &mut report);
        mounted("bpf /sys/fs/bpf bpf rw 0 0\n", &["bpf"], "a BPF file system", "mount it", &mut report);
        let [missing, there] = report.lines() else { panic!("two lines") };
        assert_eq!((missing.level, missing.remedy.as_deref()), (Level::Fail, Some("mount it")));
        assert_eq!(
            (there.level, there.what.as_str()),
            (Level::Ok, "a BPF file system is mounted at /sys/fs/bpf")
        );
        assert!(version("5.7.19") < Some(OLDEST) && version("6.1.0-18") > Some(OLDEST));
    }
}

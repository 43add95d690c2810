//! Labels that AppArmor or SELinux gave to processes.
//!
//! Which module is in force: Documentation/admin-guide/LSM/index.rst, and the modules' own files. A process'
//! label: `/proc/PID/attr/current` (proc_pid_attr(5)); AppArmor's in a folder of its own since Linux 5.8.

use std::path::Path;

use super::{
    LabelModule, Labels, NotRead, Read,
    file::{of_process, whole},
};

/// Longest label; AppArmor's may name many profiles.
const LABEL_BYTES: usize = 4096;
/// Longest label that is kept.
const KEPT_BYTES: usize = 256;
/// Most labels that are kept.
const LABELS: usize = 16;
/// Most processes that are looked at.
const PROCESSES: usize = 4096;
/// Types of SELinux that confine nothing.
const UNCONFINED_TYPES: [&str; 4] = ["unconfined_t", "spc_t", "container_runtime_t", "unconfined_service_t"];

/// The labels of these processes. One that is gone meanwhile has none.
///
/// # Errors
/// When it cannot be told which module is in force, when a label cannot be read, or where there are more than
/// are looked at, unless an unconfined process was found before.
pub fn labels(processes: &[u32]) -> Read<Labels> {
    in_folders(Path::new("/sys"), Path::new("/proc"), processes)
}

/// Whether a label confines nothing. A profile of AppArmor that only complains does not.
#[must_use]
pub fn is_unconfined(module: LabelModule, label: &str) -> bool {
    let label = label.trim();
    match module {
        LabelModule::AppArmor => {
            let modes = [" (complain)", " (unconfined)"];
            label.is_empty() || label == "unconfined" || modes.iter().any(|mode| label.ends_with(mode))
        }
        LabelModule::SeLinux => type_of(label).is_none_or(|kind| UNCONFINED_TYPES.contains(&kind)),
    }
}

/// The type in a label of SELinux, `user:role:type:level`.
#[must_use]
pub fn type_of(label: &str) -> Option<&str> {
    label.split(':').nth(2).filter(|kind| !kind.is_empty())
}

fn in_folders(sys: &Path, proc: &Path, processes: &[u32]) -> Read<Labels> {
    let (module, is_permissive) = module(sys)?;
    let mut found = Labels { module, is_permissive, labels: Vec::new() };
    let Some(module) = module else { return Ok(found) };
    let mut missed = (processes.len() > PROCESSES).then_some(NotRead::TooMuch);
    for &tgid in processes.iter().take(PROCESSES) {
        let label = match label(proc, module, tgid) {
            Ok(label) => label,
            Err(NotRead::Gone) => continue,
            Err(why) => {
                missed = Some(why);
                continue;
            }
        };
        if found.labels.iter().any(|(known, _)| *known == label) {
            continue;
        }
        if found.labels.len() < LABELS {
            found.labels.push((label, tgid));
        } else {
            missed = Some(NotRead::TooMuch);
            if is_unconfined(module, &label) {
                found.labels.pop();
                found.labels.push((label, tgid));
            }
        }
    }
    let is_any_unconfined = found.labels.iter().any(|(label, _)| is_unconfined(module, label));
    match missed {
        // One is enough to say that it is not as it should be; all are needed to say that it is.
        Some(why) if !is_any_unconfined => Err(why),
        _ if found.labels.is_empty() => Err(NotRead::Gone),
        _ => Ok(found),
    }
}

fn label(proc: &Path, module: LabelModule, tgid: u32) -> Read<String> {
    let read = |name| of_process(proc, tgid, name, LABEL_BYTES);
    let text = match module {
        LabelModule::AppArmor => match read("attr/apparmor/current") {
            Err(NotRead::NotThere) => read("attr/current"),
            other => other,
        },
        LabelModule::SeLinux => read("attr/current"),
    };
    let text = text?;
    if !text.is_whole {
        return Err(NotRead::TooMuch);
    }
    let text = String::from_utf8_lossy(&text.bytes);
    let text = text.trim_end_matches(['\0', '\n']);
    // The mode stands at the end of AppArmor's.
    let mode = if text.ends_with(')') { text.rfind(" (") } else { None };
    let (name, mode) = text.split_at(mode.unwrap_or(text.len()));
    let name = &name[..name.floor_char_boundary(KEPT_BYTES)];
    Ok(format!("{name}{}", &mode[..mode.floor_char_boundary(32)]))
}

/// The module in force; and whether SELinux is there and only warns.
fn module(sys: &Path) -> Read<(Option<LabelModule>, bool)> {
    let read = |path: &str| match whole(&sys.join(path), 4096) {
        Ok(text) => Ok(Some(text.trim_ascii_end().to_vec())),
        Err(NotRead::NotThere) => Ok(None),
        Err(why) => Err(why),
    };
    // Not there where no securityfs is mounted: the modules' own files have to tell.
    let list = read("kernel/security/lsm")?;
    let is_listed =
        |name: &[u8]| list.as_ref().map(|list| list.split(|&byte| byte == b',').any(|module| module == name));
    let has_apparmor = is_listed(b"apparmor") != Some(false)
        && read("module/apparmor/parameters/enabled")?.is_some_and(|enabled| enabled == b"Y");
    if has_apparmor {
        return Ok((Some(LabelModule::AppArmor), false));
    }
    if is_listed(b"selinux") == Some(false) {
        return Ok((None, false));
    }
    match read("fs/selinux/enforce")?.as_deref() {
        Some(b"1") => Ok((Some(LabelModule::SeLinux), false)),
        Some(b"0") => Ok((None, true)),
        Some(_) => Err(NotRead::NotUnderstood),
        // The kernel makes the folder where SELinux is (security/selinux/selinuxfs.c); here nothing is
        // mounted on it.
        None if is_listed(b"selinux") == Some(true) || sys.join("fs/selinux").exists() => {
            Err(NotRead::NotThere)
        }
        None => Ok((None, false)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn file(self, path: &str, text: &str) -> Self {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
            self
        }

        fn apparmor() -> Self {
            Self::new()
                .file("sys/kernel/security/lsm", "lockdown,capability,yama,apparmor")
                .file("sys/module/apparmor/parameters/enabled", "Y\n")
        }

        fn selinux(enforce: &str) -> Self {
            Self::new()
                .file("sys/kernel/security/lsm", "capability,selinux")
                .file("sys/fs/selinux/enforce", enforce)
        }

        fn labels(&self, processes: &[u32]) -> Read<Labels> {
            in_folders(&self.0.path().join("sys"), &self.0.path().join("proc"), processes)
        }
    }

    fn labels(module: Option<LabelModule>, labels: &[(&str, u32)]) -> Read<Labels> {
        let labels = labels.iter().map(|(label, tgid)| ((*label).to_owned(), *tgid)).collect();
        Ok(Labels { module, is_permissive: false, labels })
    }

    #[test]
    fn apparmor_has_a_file_of_its_own() {
        let tree = Tree::apparmor()
            .file("proc/1/attr/current", "other\n")
            .file("proc/1/attr/apparmor/current", "cri-containerd.apparmor.d (enforce)\n")
            .file("proc/2/attr/current", "unconfined\n")
            .file("proc/3/attr/current", "cri-containerd.apparmor.d (enforce)\n");
        let all = [("cri-containerd.apparmor.d (enforce)", 1), ("unconfined", 2)];
        assert_eq!(tree.labels(&[1, 2, 3, 4]), labels(Some(LabelModule::AppArmor), &all));
        assert_eq!(tree.labels(&[4]), Err(NotRead::Gone));
    }

    #[test]
    fn selinux_is_in_force_when_it_enforces() {
        let label = "system_u:system_r:container_t:s0:c1,c2";
        let tree = Tree::selinux("1").file("proc/1/attr/current", &format!("{label}\0"));
        assert_eq!(tree.labels(&[1]), labels(Some(LabelModule::SeLinux), &[(label, 1)]));
        let permissive = Tree::selinux("0").labels(&[1]).unwrap();
        assert_eq!((permissive.module, permissive.is_permissive), (None, true));
        assert_eq!(Tree::selinux("x").labels(&[1]), Err(NotRead::NotUnderstood));
    }

    #[test]
    fn which_module_is_in_force() {
        assert_eq!(Tree::new().labels(&[1]), labels(None, &[]));
        let off = Tree::apparmor().file("sys/module/apparmor/parameters/enabled", "N\n");
        assert_eq!(off.labels(&[1]), labels(None, &[]));
        let other = Tree::apparmor().file("sys/kernel/security/lsm", "lockdown,capability");
        assert_eq!(other.labels(&[1]), labels(None, &[]));
        // No securityfs.
        let tree = Tree::new()
            .file("sys/module/apparmor/parameters/enabled", "Y\n")
            .file("proc/1/attr/current", "unconfined\n");
        assert_eq!(tree.labels(&[1]), labels(Some(LabelModule::AppArmor), &[("unconfined", 1)]));
        // No selinuxfs.
        let tree = Tree::new().file("sys/kernel/security/lsm", "capability,selinux");
        assert_eq!(tree.labels(&[1]), Err(NotRead::NotThere));
    }

    #[test]
    fn what_is_too_much_is_a_fail_or_not_known() {
        let mut tree = Tree::apparmor();
        for tgid in 1..=20 {
            tree = tree.file(&format!("proc/{tgid}/attr/current"), &format!("p{tgid} (enforce)\n"));
        }
        let processes: Vec<u32> = (1..=20).collect();
        assert_eq!(tree.labels(&processes), Err(NotRead::TooMuch));
        let tree = tree.file("proc/20/attr/current", "unconfined\n");
        let found = tree.labels(&processes).unwrap();
        assert_eq!((found.labels.len(), found.labels[15].clone()), (16, ("unconfined".to_owned(), 20)));
        let many: Vec<u32> = (0..5000).map(|_| 1).collect();
        assert_eq!(tree.labels(&many), Err(NotRead::TooMuch));
        let long = format!("{} (complain)\n", "p".repeat(3000));
        let tree = tree.file("proc/1/attr/current", &long);
        let (label, _) = tree.labels(&[1]).unwrap().labels.remove(0);
        assert!(label.len() < 300 && is_unconfined(LabelModule::AppArmor, &label));
    }

    #[test]
    fn labels_that_confine_nothing() {
        for label in ["unconfined", "", "x (complain)", "x (unconfined)"] {
            assert!(is_unconfined(LabelModule::AppArmor, label), "{label}");
        }
        assert!(!is_unconfined(LabelModule::AppArmor, "docker-default (enforce)"));
        for label in ["u:r:spc_t:s0", "u:r:unconfined_t:s0", "u:r:container_runtime_t:s0", "", "kernel"] {
            assert!(is_unconfined(LabelModule::SeLinux, label), "{label}");
        }
        assert!(!is_unconfined(LabelModule::SeLinux, "system_u:system_r:container_t:s0:c1,c2"));
    }

    #[test]
    fn this_machine_answers() {
        if let Ok(found) = super::labels(&[std::process::id()]) {
            assert_eq!(found.module.is_some(), !found.labels.is_empty());
        }
    }
}

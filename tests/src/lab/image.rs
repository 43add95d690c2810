//! The lab's images, made here: no registry is asked.

use std::{fs, io::Write, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result};
use serde_json::json;
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use super::{artifact, containerd::Containerd, cri::Cri, poll};

/// The image of all test containers: busybox, the triggers, users root and app (1000).
pub const APP: &str = "docker.io/library/kestrel-lab:1";

/// The same programs in an image that is known as `latest` alone.
pub const LATEST: &str = "docker.io/library/kestrel-lab-moving:latest";

/// The same programs in an image that is known by its digest alone, which is what follows the `@`.
pub const BY_DIGEST: &str = "docker.io/library/kestrel-lab-pinned";

/// The image of pod sandboxes.
pub const PAUSE: &str = "registry.k8s.io/pause:3.9";

/// What `setcap` gives the agent's binary in its image: permitted, not effective.
const AGENT_CAPABILITIES: [u32; 6] = [12, 39, 38, 19, 2, 24];

const NET_BIND_SERVICE: u32 = 10;

const BUSYBOX: &str = "/bin/busybox";

/// Triggers in the image, in `/bin`, with their modes.
const TRIGGERS: [(&str, u32); 11] = [
    ("setuid-sleep", 0o4755),
    ("gain-and-lose", 0o4755),
    ("short-life", 0o755),
    ("creds32", 0o755),
    ("listen", 0o755),
    ("plain-text", 0o755),
    ("thread-differs", 0o755),
    ("memfd-exec", 0o755),
    ("suspect", 0o755),
    ("nothing", 0o755),
    ("pause", 0o755),
];

/// `pause` once more, with the file capability NET_BIND_SERVICE, permitted and effective.
const CAPABLE: &str = "bin/capable-pause";

/// Makes the images, imports them and waits until the CRI knows them.
pub fn install(containerd: &Containerd, cri: &Cri) -> Result<()> {
    let path = containerd.ledger().dir().join("images.tar");
    fs::write(&path, archive()?)?;
    containerd.ctr(["images", "import", "--snapshotter", "overlayfs", &path.to_string_lossy()])?;
    fs::remove_file(&path)?;
    poll::until("the CRI to see the images", Duration::from_secs(10), || {
        let tags = cri.image_tags()?;
        Ok([APP, LATEST, PAUSE].iter().all(|tag| tags.iter().any(|known| known == tag)))
    })
}

/// Makes an image known by its digest alone, and gives that name.
pub fn install_by_digest(containerd: &Containerd, cri: &Cri) -> Result<String> {
    let list = containerd.ctr(["images", "list"])?;
    let tag = format!("{BY_DIGEST}:1");
    let line = list.lines().find(|line| line.starts_with(&tag)).context("the image is not there")?;
    let digest = line.split_whitespace().find(|word| word.starts_with("sha256:")).context("no digest")?;
    let name = format!("{BY_DIGEST}@{digest}");
    containerd.ctr(["images", "tag", &tag, &name])?;
    containerd.ctr(["images", "remove", &tag])?;
    poll::until("the CRI to forget the tag", Duration::from_secs(10), || {
        Ok(!cri.image_tags()?.contains(&tag) && cri.image_digests()?.contains(&name))
    })?;
    Ok(name)
}

/// Makes an image that holds the agent alone, as `deploy/images/agent.Dockerfile` does, and imports it.
pub fn install_agent(containerd: &Containerd, cri: &Cri, tag: &str, binary: &Path) -> Result<()> {
    let mut layer = Builder::new(Vec::new());
    attribute(&mut layer, "security.capability", &file_capabilities(&AGENT_CAPABILITIES, false))?;
    file(&mut layer, "kestrel-agent", &fs::read(binary)?, 0o755)?;
    let archive = save(layer.into_inner()?, &[(tag, "/kestrel-agent", "65532:65532")])?;
    let path = containerd.ledger().dir().join("agent.tar");
    fs::write(&path, archive)?;
    containerd.ctr(["images", "import", "--snapshotter", "overlayfs", &path.to_string_lossy()])?;
    fs::remove_file(&path)?;
    poll::until("the CRI to see the agent's image", Duration::from_secs(10), || {
        Ok(cri.image_tags()?.iter().any(|known| known == tag))
    })
}

/// Makes an image of a root file system, given as a tar, and imports it.
pub fn install_root(containerd: &Containerd, cri: &Cri, tag: &str, root: Vec<u8>) -> Result<()> {
    let path = containerd.ledger().dir().join("root.tar");
    fs::write(&path, save(root, &[(tag, "/bin/sh", "")])?)?;
    containerd.ctr(["images", "import", "--snapshotter", "overlayfs", &path.to_string_lossy()])?;
    fs::remove_file(&path)?;
    poll::until("the CRI to see the image", Duration::from_secs(10), || {
        Ok(cri.image_tags()?.iter().any(|known| known == tag))
    })
}

/// `struct vfs_cap_data` of revision 2 (include/uapi/linux/capability.h): permitted, and effective at once or not.
fn file_capabilities(numbers: &[u32], is_effective: bool) -> Vec<u8> {
    const REVISION_2: u32 = 0x0200_0000;
    let permitted = numbers.iter().fold(0_u64, |set, number| set | 1 << number);
    let words = [REVISION_2 | u32::from(is_effective), permitted as u32, 0, (permitted >> 32) as u32, 0];
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// An extended attribute of the file that follows, in a PAX header.
fn attribute<W: Write>(tar: &mut Builder<W>, name: &str, value: &[u8]) -> Result<()> {
    let mut record = format!(" SCHILY.xattr.{name}=").into_bytes();
    record.extend_from_slice(value);
    record.push(b'\n');
    // The length counts its own digits.
    let digits = (1..).find(|digits| (record.len() + digits).to_string().len() == *digits);
    let length = record.len() + digits.context("a length has digits")?;
    let mut data = length.to_string().into_bytes();
    data.extend_from_slice(&record);
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::XHeader);
    header.set_size(data.len().try_into()?);
    header.set_mode(0o644);
    Ok(tar.append_data(&mut header, "PaxHeaders/attributes", data.as_slice())?)
}

/// All images in the format of `docker save`, on one layer.
fn archive() -> Result<Vec<u8>> {
    let pinned = format!("{BY_DIGEST}:1");
    let [app, latest, pinned] = [APP, LATEST, &pinned].map(|tag| (tag, "/bin/sh", ""));
    save(layer()?, &[app, latest, pinned, (PAUSE, "/bin/pause", "65535:65535")])
}

/// Images in the format of `docker save`, on one layer: tag, entrypoint and user of each.
fn save(layer: Vec<u8>, images: &[(&str, &str, &str)]) -> Result<Vec<u8>> {
    let layer_id = hex(&layer);
    let layer_path = format!("{layer_id}/layer.tar");
    let mut files = vec![(layer_path.clone(), layer)];
    let mut manifest = Vec::new();
    for &(tag, entrypoint, user) in images {
        let config = config(tag, &layer_id, entrypoint, user).to_string().into_bytes();
        let config_path = format!("{}.json", hex(&config));
        manifest.push(json!({"Config": config_path, "RepoTags": [tag], "Layers": [layer_path]}));
        files.push((config_path, config));
    }
    files.push(("manifest.json".to_owned(), json!(manifest).to_string().into_bytes()));

    let mut tar = Builder::new(Vec::new());
    for (path, data) in &files {
        file(&mut tar, path, data, 0o644)?;
    }
    Ok(tar.into_inner()?)
}

/// The tag makes it another image: a runtime gives all names of one that it has twice.
fn config(tag: &str, layer_id: &str, entrypoint: &str, user: &str) -> serde_json::Value {
    json!({
        "architecture": "amd64",
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {"Env": ["PATH=/bin"], "Entrypoint": [entrypoint], "User": user, "WorkingDir": "/", "Labels": {"kestrel.lab/tag": tag}},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer_id}")]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "kestrel-lab"}],
    })
}

fn layer() -> Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    for (path, mode) in [("bin", 0o755), ("etc", 0o755), ("tmp", 0o1777), ("root", 0o700), ("var", 0o755)] {
        entry(&mut tar, EntryType::Directory, path, None, mode)?;
    }
    file(&mut tar, "bin/busybox", &fs::read(BUSYBOX).context("busybox-static is not installed")?, 0o755)?;
    for applet in applets()?.iter().filter(|applet| *applet != "busybox") {
        entry(&mut tar, EntryType::Symlink, &format!("bin/{applet}"), Some("busybox"), 0o777)?;
    }
    for (name, mode) in TRIGGERS {
        file(&mut tar, &format!("bin/{name}"), &fs::read(artifact::trigger(name)?)?, mode)?;
    }
    attribute(&mut tar, "security.capability", &file_capabilities(&[NET_BIND_SERVICE], true))?;
    file(&mut tar, CAPABLE, &fs::read(artifact::trigger("pause")?)?, 0o755)?;
    file(
        &mut tar,
        "etc/passwd",
        b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/tmp:/bin/sh\n",
        0o644,
    )?;
    file(&mut tar, "etc/group", b"root:x:0:\napp:x:1000:\n", 0o644)?;
    Ok(tar.into_inner()?)
}

fn applets() -> Result<Vec<String>> {
    let out = Command::new(BUSYBOX).arg("--list").output().context("cannot run busybox")?;
    Ok(String::from_utf8(out.stdout)?.lines().map(str::to_owned).collect())
}

fn file<W: Write>(tar: &mut Builder<W>, path: &str, data: &[u8], mode: u32) -> Result<()> {
    let mut header = Header::new_gnu();
    header.set_size(data.len().try_into()?);
    header.set_mode(mode);
    tar.append_data(&mut header, Path::new(path), data)?;
    Ok(())
}

fn entry<W: Write>(
    tar: &mut Builder<W>,
    kind: EntryType,
    path: &str,
    target: Option<&str>,
    mode: u32,
) -> Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(0);
    header.set_mode(mode);
    match target {
        Some(target) => tar.append_link(&mut header, path, target)?,
        None => tar.append_data(&mut header, path, std::io::empty())?,
    }
    Ok(())
}

fn hex(data: &[u8]) -> String {
    Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect()
}

//! What the agent does with what is broken: it names the place in one sentence and ends, or it goes
//! on and counts.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::{
    fs::{self, Permissions},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use kestrel_tests::lab::{
    Lab,
    agent::Agent,
    artifact::binary,
    lock::KernelLock,
    poll,
    spec::{ContainerSpec, PodSpec},
};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(30);

/// An agent that is not meant to start. If it does, it is ended, with code 124.
fn refused(args: &[&str]) -> Output {
    refused_under(&[], args)
}

fn refused_under(wrapper: &[&str], args: &[&str]) -> Output {
    let agent = binary("kestrel-agent").unwrap();
    Command::new("timeout")
        .args(["--kill-after=5", "30"])
        .args(wrapper)
        .arg(agent)
        .args(args)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The last line of the log: why it ended.
fn verdict(out: &Output) -> String {
    text(&out.stderr).lines().last().unwrap_or_default().to_owned()
}

/// Folders of its own for an agent that is not meant to start.
struct Place {
    dir: TempDir,
    pins: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let name = dir.path().file_name().unwrap().to_string_lossy().replace('.', "");
        Self { pins: Path::new("/sys/fs/bpf").join(format!("kestrel-test-{name}")), dir }
    }

    fn run_args(&self, pins: &Path, listen: &str) -> Vec<String> {
        let state = self.dir.path().join("state").display().to_string();
        let pins = pins.display().to_string();
        ["run", "--state-dir", &state, "--pin-dir", &pins, "--listen", listen].map(str::to_owned).into()
    }

    fn refused(&self, wrapper: &[&str], pins: &Path, listen: &str) -> Output {
        let args = self.run_args(pins, listen);
        refused_under(wrapper, &args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// A configuration file of this text.
    fn config(&self, text: &str) -> PathBuf {
        let file = self.dir.path().join("agent.yaml");
        fs::write(&file, text).unwrap();
        file
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.pins);
    }
}

/// One sentence: a line, no debug output, no backtrace.
#[track_caller]
fn assert_sentence(line: &str) {
    assert!(!line.is_empty() && !line.contains("Error {") && !line.contains("panicked"), "{line}");
}

const EXEMPTION: &str =
    "exemptions:\n- {namespace: shop, control: CONTROL, owner: me, reason: why, expires: EXPIRES}\n";

#[test]
fn a_broken_configuration_is_named_by_file_line_and_key() {
    let place = Place::new();
    let exemption =
        |control: &str, expires: &str| EXEMPTION.replace("CONTROL", control).replace("EXPIRES", expires);
    for (broken, says) in [
        ("node_name: \"a\nhttp: [\n".to_owned(), &[":2:1", "not valid YAML"] as &[&str]),
        ("http:\n  listn: off\n".to_owned(), &[":2:3", "http", "`listn`", "listen"]),
        ("colour: red\n".to_owned(), &[":1:1", "`colour`"]),
        ("streams:\n  files: maybe\n".to_owned(), &[":2:10", "streams.files", "off, containers or all"]),
        ("limits:\n  processes: 3\n".to_owned(), &[":2:14", "limits.processes", "64 to 1048576"]),
        ("rings:\n  bulk_bytes: 3MiB\n".to_owned(), &[":2:15", "rings.bulk_bytes", "power of two"]),
        ("pin_dir: here\n".to_owned(), &[":1:10", "pin_dir", "absolute path"]),
        (
            "exemptions:\n- {namespace: shop}\n".to_owned(),
            &[":2:4", "exemptions[0]", "missing key `control`"],
        ),
        (exemption("be-nice", "2099-01-01"), &[":2:3", "exemptions[0]", "no control `be-nice`"]),
        (exemption("seccomp", "soon"), &[":2:3", "exemptions[0]", "`soon` is not a date"]),
        (
            EXEMPTION.replace("namespace: shop", "namespace: '*'").replace("CONTROL", "seccomp"),
            &[":2:3", "exemptions[0]", "needs a namespace"],
        ),
    ] {
        let file = place.config(&broken);
        let shown = file.display().to_string();
        let run = refused(&["run", "--config", &shown, "--listen", "off", "--state-dir", "/nowhere/kestrel"]);
        let check = refused(&["check-config", &shown]);
        assert_eq!(
            (run.status.code(), check.status.code()),
            (Some(1), Some(2)),
            "{broken}: {run:?} {check:?}"
        );
        let (run, check) = (text(&run.stderr), text(&check.stderr));
        for said in [&run, &check] {
            assert_eq!(said.lines().count(), 1, "{said}");
            assert_sentence(said);
            assert!(said.contains(&shown), "{said}");
            for part in says {
                assert!(said.contains(part), "no {part:?} in {said}");
            }
        }
    }
}

#[test]
fn a_good_configuration_is_ok_and_an_expired_exemption_a_warning() {
    let place = Place::new();
    let file = place.config("log: {level: warn}\n");
    let shown = file.display().to_string();
    let out = refused(&["check-config", &shown]);
    assert_eq!(
        (out.status.code(), text(&out.stdout), text(&out.stderr)),
        (Some(0), format!("{shown}: ok\n"), String::new())
    );

    place.config(&EXEMPTION.replace("CONTROL", "seccomp").replace("EXPIRES", "2020-02-29"));
    let out = refused(&["check-config", &shown]);
    assert_eq!(out.status.code(), Some(0), "{out:?}");
    let warning = text(&out.stderr);
    assert_eq!(warning.lines().count(), 1, "{warning}");
    for part in [shown.as_str(), ":2:3", "exemptions[0]", "2020-02-29", "expired"] {
        assert!(warning.contains(part), "no {part:?} in {warning}");
    }

    let _lock = KernelLock::acquire().unwrap();
    let agent = Agent::start_with(["--config".into(), file.into()]).unwrap();
    let log = agent.stderr();
    assert!(log.contains("WARN") && log.contains("expired"), "{log}");
}

#[test]
fn a_configuration_that_cannot_be_read_is_named() {
    let place = Place::new();
    let missing = place.dir.path().join("missing.yaml").display().to_string();
    let folder = place.dir.path().display().to_string();
    let huge = place.config(&"#".repeat(2 << 20)).display().to_string();
    for (file, says) in
        [(&missing, "No such file"), (&folder, "directory"), (&huge, "is longer than 1048576 bytes")]
    {
        for args in [&["run", "--config", file] as &[&str], &["check-config", file]] {
            let out = refused(args);
            let said = text(&out.stderr);
            assert!(matches!(out.status.code(), Some(1 | 2)), "{said}");
            assert!(said.contains(file) && said.contains(says) && said.lines().count() == 1, "{said}");
        }
    }

    // Root reads everything, unless its capability to is taken away.
    let file = place.config("log: {level: warn}\n");
    fs::set_permissions(&file, Permissions::from_mode(0o000)).unwrap();
    let shown = file.display().to_string();
    let out = refused_under(&["setpriv", "--bounding-set=-all"], &["check-config", &shown]);
    let said = text(&out.stderr);
    assert_eq!(out.status.code(), Some(2));
    assert!(said.contains(&shown) && said.contains("Permission denied"), "{said}");
}

#[test]
fn a_pin_directory_elsewhere_is_one_sentence() {
    let place = Place::new();
    for pins in [Path::new("/dev/shm/kestrel-test-pins"), Path::new("/root/kestrel-test-pins")] {
        let out = place.refused(&[], pins, "off");
        assert_eq!(out.status.code(), Some(1), "{out:?}");
        let why = verdict(&out);
        assert_sentence(&why);
        assert!(why.contains("is not on a BPF file system: mount -t bpf"), "{why}");
        assert!(why.contains(&pins.display().to_string()), "{why}");
        assert!(!pins.exists());
    }
}

#[test]
fn a_kernel_without_types_is_one_sentence() {
    let place = Place::new();
    // The mount goes with its namespace.
    let hide = "mount -t tmpfs none /sys/kernel/btf && exec \"$0\" \"$@\"";
    let out = place.refused(&["unshare", "--mount", "sh", "-c", hide], &place.pins, "off");
    assert_eq!(out.status.code(), Some(1), "{out:?}");
    let why = verdict(&out);
    assert_sentence(&why);
    assert!(why.contains("/sys/kernel/btf/vmlinux"), "{why}");
    assert!(why.contains("CONFIG_DEBUG_INFO_BTF"), "{why}");
    assert!(!place.pins.exists(), "nothing is pinned by a start that failed");
}

#[test]
fn a_port_that_is_taken_is_one_sentence() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let out = place.refused(&[], &place.pins, &address);
    assert_eq!(out.status.code(), Some(1), "{out:?}");
    let why = verdict(&out);
    assert_sentence(&why);
    assert!(why.contains(&address) && why.contains("in use"), "{why}");
    assert!(!place.pins.exists(), "nothing is pinned by a start that failed");
}

#[test]
fn without_the_right_to_load_programs_it_says_so() {
    let place = Place::new();
    let out = place.refused(&["setpriv", "--bounding-set=-all,+dac_read_search"], &place.pins, "off");
    assert_eq!(out.status.code(), Some(1), "{out:?}");
    let why = verdict(&out);
    assert_sentence(&why);
    assert!(why.contains("CAP_BPF") && why.contains("CAP_PERFMON"), "{why}");
}

#[test]
fn a_state_file_that_cannot_be_used_is_kept_aside_and_said() {
    let lab = Lab::start().unwrap();
    let app =
        ContainerSpec { run_as_user: Some(0), ..ContainerSpec::restricted("app", ["/bin/sleep", "1000"]) };
    lab.run(&PodSpec::new("shop", "cart").container(app)).unwrap();
    let mut agent = Agent::start(Some(&lab.socket())).unwrap();
    let is_root = |f: &serde_json::Value| f["control"]["slug"] == "run-as-non-root" && f["pod"] == "cart";
    let first = agent.wait_finding("root is found", LIMIT, is_root).unwrap();
    assert!(agent.stop().unwrap().success());

    let file = agent.state_dir().join("findings.json");
    let whole = fs::read(&file).unwrap();
    for (bytes, says) in [
        (whole[..whole.len() / 2].to_vec(), "not a snapshot"),
        (b"\x00\xff nonsense".to_vec(), "not a snapshot"),
        (Vec::new(), "not a snapshot"),
        (br#"{"version":99,"more":[]}"#.to_vec(), "it has version 99, this agent reads 1"),
    ] {
        fs::write(&file, &bytes).unwrap();
        let (lines, log) = (agent.findings().unwrap().len(), agent.stderr().len());
        agent.restart().unwrap();
        let log = agent.stderr()[log..].to_owned();
        assert!(log.contains("state file is not usable") && log.contains(says), "{log}");
        assert_eq!(fs::read(agent.state_dir().join("findings.bad")).unwrap(), bytes);
        // Found again; its id is made of what it is about, so even that stays.
        let again = poll::until_some("root is found again", LIMIT, || {
            Ok(agent.findings()?.into_iter().skip(lines).find(|f| is_root(f) && f["state"] == "OPEN"))
        })
        .unwrap();
        assert_eq!(again["id"], first["id"]);
        assert!(agent.stop().unwrap().success());
        assert!(fs::metadata(&file).unwrap().len() > 10);
    }
}

/// A file system of its own, of one page and a bit.
struct TinyDisk(TempDir);

impl TinyDisk {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let options = Some("size=16k,nr_inodes=16");
        mount(Some("tmpfs"), dir.path(), Some("tmpfs"), MsFlags::empty(), options).unwrap();
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        let _ = umount2(self.0.path(), MntFlags::MNT_DETACH);
    }
}

#[test]
fn a_full_disk_costs_lines_that_are_counted_and_the_agent_stays_up() {
    let lab = Lab::start().unwrap();
    let disk = TinyDisk::new();
    let socket = lab.socket();
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![b'x'; 16 << 10]).unwrap();
    let events = disk.path().join("events.jsonl");
    let mut agent = Agent::prepare(["--cri-socket".into(), socket.into()]).unwrap().with_events(&events);
    agent.launch().unwrap();
    poll::until("lines to be dropped", LIMIT, || {
        Ok(agent.metric("kestrel_output_dropped_lines_total")? > 0.0)
    })
    .unwrap();
    assert!(agent.stderr().contains("event file takes no lines"), "{}", agent.stderr());
    assert_eq!(agent.get("/healthz").unwrap().0, 200);

    // It goes on as soon as there is room.
    fs::remove_file(&ballast).unwrap();
    let app =
        ContainerSpec { run_as_user: Some(0), ..ContainerSpec::restricted("app", ["/bin/sleep", "1000"]) };
    lab.run(&PodSpec::new("shop", "cart").container(app)).unwrap();
    agent
        .wait_finding("root is found", LIMIT, |f| {
            f["control"]["slug"] == "run-as-non-root" && f["pod"] == "cart"
        })
        .unwrap();
    assert!(agent.stderr().contains("event file takes lines again"));
    let written = agent.metric("kestrel_output_written_lines_total").unwrap();
    let lines = agent.findings().unwrap().len();
    assert!(written >= 1.0 && lines >= 1);
    assert!(agent.stop().unwrap().success());
}

#[test]
fn a_state_directory_on_a_full_disk_costs_memory_over_restarts_only() {
    let lab = Lab::start().unwrap();
    let disk = TinyDisk::new();
    fs::create_dir(disk.path().join("state")).unwrap();
    fs::write(disk.path().join("ballast"), vec![b'x'; 16 << 10]).unwrap();
    let socket = lab.socket();
    let mut agent = Agent::prepare(["--cri-socket".into(), socket.into()])
        .unwrap()
        .with_state(&disk.path().join("state"));
    agent.launch().unwrap();
    let app =
        ContainerSpec { run_as_user: Some(0), ..ContainerSpec::restricted("app", ["/bin/sleep", "1000"]) };
    lab.run(&PodSpec::new("shop", "cart").container(app)).unwrap();
    agent
        .wait_finding("root is found", LIMIT, |f| {
            f["control"]["slug"] == "run-as-non-root" && f["pod"] == "cart"
        })
        .unwrap();
    let log = agent.stderr();
    assert_eq!(log.matches("state file cannot be written").count(), 1, "{log}");
    assert_eq!(agent.get("/healthz").unwrap().0, 200);
}

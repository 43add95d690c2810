//! What the programs leave out, and that all of it may change while they run.

use std::{
    fs::{self, File},
    num::NonZeroU32,
    ops::DerefMut,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use agent_abi::{
    hook::HookCounters,
    map::{Executable, cgroup_flag},
    record::file_flag,
};
use kestrel_agent::{
    decode::{Event, decode},
    filter::{Filter, Landmarks, Limit, MarkStore as _, PathPrefix, resolve},
    syscall::{Beside, Family, Only, Wants},
};
use tempfile::TempDir;

use crate::{
    group::Group,
    loaded::{Loaded, assert_balanced, with},
    shared::Shared,
    way::{OPEN_HOOKS, of_opens},
};

const RINGS: [u32; 2] = [1 << 20, 1 << 22];

const ALL: Only =
    Only { ok: false, failed: false, failed_beside: None, writes: false, containers: false, below: None };

/// Programs, and files to open.
struct Scene<L> {
    loaded: L,
    dir: TempDir,
}

fn folder() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c"] {
        fs::write(dir.path().join(name), name).unwrap();
    }
    dir
}

impl Scene<Box<Loaded>> {
    /// With programs of its own.
    fn new(only: Only) -> Self {
        let dir = folder();
        Self { loaded: Box::new(Loaded::new(RINGS, with(Family::Files, only))), dir }
    }

    /// Ids of the pinned programs.
    fn programs(&self) -> Vec<u32> {
        let mut ids = Vec::new();
        let mut folders = vec![self.loaded.pin_dir.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else if let Ok(info) = aya::programs::ProgramInfo::from_pin(entry.path()) {
                    ids.push(info.id());
                }
            }
        }
        ids.sort_unstable();
        assert!(ids.len() > 6);
        ids
    }
}

impl Scene<Shared> {
    /// With programs that had another filter before.
    fn shared(only: Only) -> Self {
        let dir = folder();
        let mut scene = Self { loaded: Shared::new(RINGS, with(Family::Files, ALL)), dir };
        scene.filter(&Filter::default());
        scene.want(only);
        // What came before that.
        scene.told();
        scene
    }
}

impl<L: DerefMut<Target = Loaded>> Scene<L> {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn want(&mut self, only: Only) {
        self.loaded.programs.interest.set(&with(Family::Files, only)).unwrap();
    }

    fn filter(&mut self, filter: &Filter) {
        self.loaded.programs.filters.set(filter).unwrap();
    }

    /// What was opened below the directory, as far as the programs told, and forgets it. A name that
    /// could not be opened has a `?`.
    fn told(&mut self) -> Vec<String> {
        let below = self.dir.path().to_str().unwrap().to_owned() + "/";
        let mut names = Vec::new();
        let end = self.loaded.programs.bulk.produced();
        self.loaded.programs.bulk.drain(end, |bytes| match decode(bytes).unwrap() {
            Event::File(file) => {
                names.extend(text(file.path).strip_prefix(&below).map(str::to_owned));
            }
            Event::Path(path) => {
                names.extend(text(path.from.name).strip_prefix(&below).map(|name| format!("{name}?")));
            }
            _ => {}
        });
        names
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn read(path: &Path) {
    drop(File::open(path));
}

fn write(path: &Path) {
    drop(File::options().write(true).open(path).unwrap());
}

fn limit(rate: u32, burst: u32) -> Option<Limit> {
    Some(Limit { rate: NonZeroU32::new(rate).unwrap(), burst: NonZeroU32::new(burst).unwrap() })
}

fn prefixes(texts: &[&str]) -> Vec<PathPrefix> {
    texts.iter().map(|text| PathPrefix::parse(text).unwrap()).collect()
}

#[test]
fn predicates_change_while_the_programs_run() {
    let mut scene = Scene::new(Only { failed: true, ..ALL });
    let programs = scene.programs();
    let [a, b, none] = ["a", "b", "none"].map(|name| scene.path(name));
    let act = || {
        read(&a);
        write(&b);
        read(&none);
    };
    act();
    assert_eq!(scene.told(), ["none?"]);
    scene.want(Only { ok: true, ..ALL });
    act();
    assert_eq!(scene.told(), ["a", "b"]);
    scene.want(Only { writes: true, ..ALL });
    act();
    drop(File::options().write(true).open(&none));
    assert_eq!(scene.told(), ["b", "none?"]);
    scene.loaded.programs.interest.set(&Wants::posture()).unwrap();
    act();
    assert_eq!(scene.told(), [""; 0]);
    scene.want(ALL);
    act();
    assert_eq!(scene.told(), ["a", "b", "none?"]);
    assert_eq!(scene.programs(), programs, "no program was loaded anew");
    scene.loaded.detach();
    assert_balanced(&scene.loaded.counters());
}

#[test]
fn the_agents_own_calls_are_not_told() {
    let mut scene = Scene::shared(ALL);
    let a = scene.path("a");
    read(&a);
    assert_eq!(scene.told(), ["a"]);
    scene.loaded.programs.switches.set_agent(std::process::id());
    // By any of its threads.
    thread::scope(|scope| drop(scope.spawn(|| read(&a)).join()));
    read(&a);
    assert_eq!(scene.told(), [""; 0]);
    // The reader's switch leaves the others alone.
    scene.loaded.programs.switches.set_reader_sleeps(true);
    read(&a);
    assert_eq!(scene.told(), [""; 0]);
    scene.loaded.programs.switches.set_agent(0);
    read(&a);
    assert_eq!(scene.told(), ["a"]);
}

#[test]
fn with_containers_alone_a_cgroup_is_silent_once_it_is_known_to_be_the_hosts() {
    let mut scene = Scene::shared(Only { containers: true, ..ALL });
    let group = Group::new();
    let script = format!("cat {} > /dev/null", scene.path("a").display());
    group.run(&script);
    assert_eq!(scene.told(), ["a"], "what is not known is not the host's");
    scene.loaded.programs.cgroups.set(group.id(), cgroup_flag::HOST).unwrap();
    group.run(&script);
    assert_eq!(scene.told(), [""; 0]);
    // Where the host is wanted too, the mark says nothing.
    scene.want(ALL);
    group.run(&script);
    assert_eq!(scene.told(), ["a"]);
    scene.want(Only { containers: true, ..ALL });
    scene.loaded.programs.cgroups.remove(group.id());
    group.run(&script);
    assert_eq!(scene.told(), ["a"]);
}

#[test]
fn a_muted_cgroup_is_silent_but_its_execs_are_told() {
    let mut scene = Scene::shared(ALL);
    let (group, other) = (Group::new(), Group::new());
    let script = format!("cat {} > /dev/null", scene.path("a").display());
    scene.loaded.programs.cgroups.set(group.id(), cgroup_flag::MUTED).unwrap();
    let mut child = group.start(&script);
    let pid = child.id();
    assert!(child.wait().unwrap().success());
    assert_eq!(scene.told(), [""; 0]);
    other.run(&script);
    assert_eq!(scene.told(), ["a"]);
    scene.loaded.until(|event| matches!(event, Event::Exit(exit) if exit.task.tgid == pid));
}

#[test]
fn an_executable_is_muted_by_its_inode_and_by_nothing_that_a_workload_chooses() {
    let mut scene = Scene::shared(ALL);
    let [muted, copy, link, renamed] = ["muted", "copy", "link", "renamed"].map(|name| scene.path(name));
    fs::copy("/bin/cat", &muted).unwrap();
    fs::copy("/bin/cat", &copy).unwrap();
    std::os::unix::fs::symlink(&muted, &link).unwrap();
    let a = scene.path("a");
    // busybox goes by argv[0].
    let run = |program: &Path, arg0: &str| {
        let mut child =
            Command::new(program).arg0(arg0).arg(&a).stdout(std::process::Stdio::null()).spawn().unwrap();
        let pid = child.id();
        assert!(child.wait().unwrap().success());
        pid
    };
    let pid = run(&muted, "cat");
    let mut executable = Executable::default();
    scene.loaded.until(|event| match event {
        Event::Exec(exec) if exec.record.state.task.tgid == pid => {
            let exe = exec.record.exe;
            executable = Executable { inode: exe.inode, dev: exe.dev, reserved: 0 };
            true
        }
        _ => false,
    });
    match resolve(&muted) {
        Ok(resolved) => assert_eq!(resolved, executable, "stat and the kernel agree"),
        Err(error) => eprintln!("SKIPPED: stat against the kernel: {error}"),
    }
    assert_eq!(scene.told().iter().filter(|name| *name == "a").count(), 1);

    let a_told = |scene: &mut Scene<Shared>| scene.told().iter().any(|name| name == "a");
    scene.filter(&Filter { executables: vec![executable], ..Filter::default() });
    run(&muted, "cat");
    assert!(!a_told(&mut scene));
    // Another name of the file, and with it another comm.
    run(&link, "cat");
    assert!(!a_told(&mut scene));
    fs::rename(&muted, &renamed).unwrap();
    run(&renamed, "cat");
    assert!(!a_told(&mut scene));
    // A copy under the muted one's name is another file.
    fs::rename(&copy, &muted).unwrap();
    run(&muted, "cat");
    assert!(a_told(&mut scene));
    scene.filter(&Filter::default());
    run(&renamed, "cat");
    assert!(a_told(&mut scene));
}

#[test]
fn of_prefixes_the_longest_counts() {
    let mut scene = Scene::shared(Only { ok: true, below: Some(Beside::default()), ..ALL });
    let names = ["in", "in/x", "in/out/x", "in/out/in/x", "inner", "lib1.so", "other/x"];
    for name in names {
        let path = scene.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if name == "in" {
            fs::create_dir(path).unwrap();
        } else {
            fs::write(path, "").unwrap();
        }
    }
    scene.told();
    let act = |scene: &mut Scene<Shared>| {
        for name in names {
            read(&scene.path(name));
        }
        scene.told()
    };
    let root = scene.dir.path().to_str().unwrap().to_owned();
    let below = |texts: &[&str]| {
        let texts: Vec<String> = texts
            .iter()
            .map(|text| match text.strip_prefix('!') {
                Some(text) => format!("!{root}/{text}"),
                None => format!("{root}/{text}"),
            })
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        Filter { prefixes: prefixes(&texts), ..Filter::default() }
    };
    scene.filter(&below(&["in"]));
    assert_eq!(act(&mut scene), ["in", "in/x", "in/out/x", "in/out/in/x"]);
    scene.filter(&below(&["in", "!in/out", "in/out/in"]));
    assert_eq!(act(&mut scene), ["in", "in/x", "in/out/in/x"]);
    scene.filter(&below(&["lib*"]));
    assert_eq!(act(&mut scene), ["lib1.so"]);
    scene.filter(&below(&["!in", "!other/x"]));
    assert_eq!(act(&mut scene), ["inner", "lib1.so"]);
    scene.filter(&Filter { prefixes: prefixes(&["/nowhere"]), ..Filter::default() });
    assert_eq!(act(&mut scene), [""; 0]);
    scene.filter(&Filter { prefixes: prefixes(&["/"]), ..Filter::default() });
    assert_eq!(act(&mut scene), names);
}

#[test]
fn beside_prefixes_a_file_is_wanted_that_is_written() {
    let beside = Beside { writes: true, ..Beside::default() };
    let mut scene = Scene::shared(Only { ok: true, below: Some(beside), ..ALL });
    let root = scene.dir.path().to_str().unwrap().to_owned();
    scene.filter(&Filter { prefixes: prefixes(&[&format!("{root}/c")]), ..Filter::default() });
    scene.told();
    for name in ["a", "b", "c"] {
        read(&scene.path(name));
    }
    drop(File::options().append(true).open(scene.path("a")).unwrap());
    assert_eq!(scene.told(), ["c", "a"]);
    // Without prefixes nothing else is.
    scene.filter(&Filter::default());
    read(&scene.path("c"));
    drop(File::create(scene.path("b")).unwrap());
    assert_eq!(scene.told(), ["b"]);
}

#[test]
fn beside_prefixes_a_file_is_wanted_whose_name_climbs() {
    let beside = Beside { dotted: true, ..Beside::default() };
    let mut scene = Scene::shared(Only { ok: true, below: Some(beside), ..ALL });
    scene.filter(&Filter { prefixes: prefixes(&["/nowhere"]), ..Filter::default() });
    fs::create_dir(scene.path("d")).unwrap();
    let dir = File::open(scene.dir.path()).unwrap();
    let open = |name: &str| {
        let flags = nix::fcntl::OFlag::O_RDONLY;
        drop(nix::fcntl::openat(&dir, name, flags, nix::sys::stat::Mode::empty()).unwrap());
    };
    scene.told();
    // Wherever in the name the dots are; as many slashes are one.
    for slashes in 1..160 {
        let slashes = "/".repeat(slashes);
        let plain = format!(".{slashes}./a");
        open(&plain);
        let is_told = scene.told() == ["a"];
        // Too long to be looked through, with the NUL behind it.
        assert_eq!(is_told, plain.len() >= 127, "{plain}");
        open(&format!("d{slashes}../b"));
        assert_eq!(scene.told(), ["b"], "{slashes}");
    }
}

#[test]
fn beside_prefixes_a_file_is_wanted_that_has_landmarks() {
    let beside = Beside { landmarks: true, ..Beside::default() };
    let mut scene = Scene::shared(Only { ok: true, below: Some(beside), ..ALL });
    let landmarks = |texts: &[&str]| {
        let group = |text: &&str| text.split('/').map(|name| name.as_bytes().into()).collect::<Vec<_>>();
        let groups: Vec<Vec<Box<[u8]>>> = texts.iter().map(group).collect();
        let landmarks = Landmarks::new(groups.iter().map(Vec::as_slice)).unwrap();
        Filter { prefixes: prefixes(&["/nowhere"]), landmarks, ..Filter::default() }
    };
    let long = "l".repeat(255);
    let names = [
        ".ssh/id",
        "deep/er/.ssh/x",
        ".ssh2/x",
        "ssh/x",
        "kubelet/pki/x",
        "pki/x/kubelet",
        "kubelet/pods/x",
        "eightyes",
        "eightyes9",
        "k",
        &long,
        &long[..254],
    ];
    for name in names {
        let path = scene.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    let act = |scene: &mut Scene<Shared>| {
        scene.told();
        for name in names {
            read(&scene.path(name));
        }
        scene.told()
    };
    scene.filter(&landmarks(&[".ssh", "kubelet/pki"]));
    assert_eq!(act(&mut scene), [".ssh/id", "deep/er/.ssh/x", "kubelet/pki/x", "pki/x/kubelet"]);
    scene.filter(&landmarks(&["eightyes", "k", &long]));
    assert_eq!(act(&mut scene), ["eightyes", "k", &long]);
    // The folder above them, whose name is in all paths, and one that is not read.
    let above = scene.dir.path().file_name().unwrap().to_str().unwrap().to_owned();
    scene.filter(&landmarks(&[&format!("{above}/ssh")]));
    assert_eq!(act(&mut scene), ["ssh/x"]);
    scene.filter(&Filter { prefixes: prefixes(&["/nowhere"]), ..Filter::default() });
    assert_eq!(act(&mut scene), [""; 0]);
    // Where they are not asked for they say nothing.
    scene.want(Only { ok: true, below: Some(Beside::default()), ..ALL });
    scene.filter(&landmarks(&[".ssh"]));
    assert_eq!(act(&mut scene), [""; 0]);
}

#[test]
fn of_opens_that_failed_those_are_wanted_whose_name_climbs_or_that_would_write() {
    let dotted = Beside { dotted: true, ..Beside::NONE };
    let mut scene = Scene::shared(Only { failed_beside: Some(dotted), ..ALL });
    scene.told();
    let none = scene.path("none");
    read(&none);
    read(&scene.path("a"));
    read(&scene.path("d/../none"));
    drop(File::options().write(true).open(&none));
    // Too long to be looked through.
    let long = "l".repeat(128);
    read(&scene.path(&long));
    assert_eq!(scene.told(), ["a".to_owned(), "d/../none?".to_owned(), long + "?"]);
    scene.want(Only { failed_beside: Some(Beside { writes: true, ..Beside::NONE }), ..ALL });
    read(&none);
    read(&scene.path("d/../none"));
    drop(File::options().write(true).open(&none));
    drop(nix::fcntl::open(&scene.path("d/none"), nix::fcntl::OFlag::O_TRUNC, nix::sys::stat::Mode::empty()));
    assert_eq!(scene.told(), ["none?", "d/none?"]);
    // Without these, and with all.
    scene.want(ALL);
    read(&none);
    assert_eq!(scene.told(), ["none?"]);
}

#[test]
fn a_path_without_its_front_is_never_unwanted() {
    let mut scene = Scene::shared(Only { ok: true, below: Some(Beside::default()), ..ALL });
    scene.filter(&Filter { prefixes: prefixes(&["/nowhere"]), ..Filter::default() });
    // What came before that.
    scene.told();
    // Deeper than any one path may name.
    let name = "d".repeat(250);
    let mut at = File::open(scene.dir.path()).unwrap();
    for _ in 0..20 {
        nix::sys::stat::mkdirat(&at, &*name, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let flags = nix::fcntl::OFlag::O_DIRECTORY;
        at = nix::fcntl::openat(&at, &*name, flags, nix::sys::stat::Mode::empty()).unwrap().into();
    }
    let flags = nix::fcntl::OFlag::O_CREAT | nix::fcntl::OFlag::O_WRONLY;
    drop(nix::fcntl::openat(&at, "hidden", flags, nix::sys::stat::Mode::S_IRUSR).unwrap());
    read(&scene.path("a"));
    let mut hidden = Vec::new();
    let end = scene.loaded.programs.bulk.produced();
    scene.loaded.programs.bulk.drain(end, |bytes| {
        if let Event::File(file) = decode(bytes).unwrap() {
            let cut = file.record.file.flags & file_flag::PATH_TRUNCATED != 0;
            assert!(cut || file.path.is_empty(), "{}", text(file.path));
            hidden.push(text(file.path).rsplit('/').next().unwrap_or_default().to_owned());
        }
    });
    assert!(hidden.contains(&"hidden".to_owned()), "{hidden:?}");
    assert!(!hidden.contains(&"a".to_owned()));
}

#[test]
fn what_a_bucket_holds_back_is_counted_exactly() {
    const THREADS: u64 = 4;
    const OPENS: u64 = 10_000;
    const BURST: u32 = 100;
    let mut scene = Scene::new(Only { ok: true, ..ALL });
    scene.filter(&Filter { limit: limit(1, BURST), ..Filter::default() });
    let a = scene.path("a");
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| (0..OPENS).for_each(|_| read(&a)));
        }
    });
    // No limit, no throttling: by a switch.
    let before = of_opens(&scene.loaded.counters(), |hook| hook.throttled);
    let missed = |scene: &Scene<Box<Loaded>>| scene.loaded.missed(&OPEN_HOOKS);
    assert!(before + missed(&scene) >= THREADS * OPENS - u64::from(BURST) - 1000, "{before}");
    scene.filter(&Filter::default());
    (0..500).for_each(|_| read(&a));
    scene.loaded.detach();

    let counters = scene.loaded.counters();
    assert_balanced(&counters);
    let missed = missed(&scene);
    println!("{missed} of {} opens were missed", THREADS * OPENS + 500);
    assert!(of_opens(&counters, |hook| hook.seen) + missed >= THREADS * OPENS + 500);
    let mut buckets = 0;
    scene.loaded.programs.buckets.read(|_, bucket| buckets += bucket.throttled).unwrap();
    let hooks: u64 = counters.iter().map(|counters: &HookCounters| counters.throttled).sum();
    assert_eq!(buckets, hooks, "each that was held back is in one bucket and in one hook's count");
    let told = scene.told().iter().filter(|name| *name == "a").count() as u64;
    // Of the burst others of this cgroup took some.
    assert!(told >= 500, "{told}");
    // Others' files are held back with them, if at all.
    let throttled = of_opens(&counters, |hook| hook.throttled);
    assert!(told + throttled + missed >= THREADS * OPENS + 500, "{told} {counters:?}");
}

#[test]
fn a_successor_brings_its_own_filter_and_loads_nothing() {
    let mut scene = Scene::new(Only { ok: true, ..ALL });
    let programs = scene.programs();
    let group = Group::new();
    scene.loaded.programs.cgroups.set(group.id(), cgroup_flag::MUTED).unwrap();
    let wants = with(Family::Files, Only { ok: true, below: Some(Beside::default()), ..ALL });
    let a = scene.path("a");
    let filter = Filter { prefixes: prefixes(&[a.to_str().unwrap()]), ..Filter::default() };
    scene.loaded.restart_as(wants, filter);
    assert!(scene.loaded.programs.adopted);
    assert_eq!(scene.programs(), programs);
    // What everybody opened until then may have filled the ring.
    scene.told();
    read(&a);
    read(&scene.path("b"));
    assert_eq!(scene.told(), ["a"]);
    // The marks of the agent before are not its own.
    group.run(&format!("cat {} > /dev/null", a.display()));
    assert_eq!(scene.told(), ["a"]);
}

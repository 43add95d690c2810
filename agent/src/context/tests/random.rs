use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Fork { pid: u32, parent: u32, cgroup: u64, mnt: u32 },
    Exec { pid: u32, cgroup: u64, mnt: u32, flags: u32, exec_id: u64 },
    Scan { pid: u32, parent: u32, cgroup: u64, mnt: u32, flags: u32 },
    ScanFinished,
    Exit { pid: u32 },
    Credentials { pid: u32, cgroup: u64, mnt: u32 },
    Mkdir { cgroup: u64 },
    Rmdir { cgroup: u64 },
    Attach { cgroup: u64, pid: u32 },
    Found { cgroup: u64 },
    Tick { nanos: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let pid = || 1..60_u32;
    let cgroup = || 1..24_u64;
    let mnt = || 0..5_u32;
    let flags = || prop_oneof![Just(OWN), Just(SEALED), Just(0), Just(file_flag::NOT_READ)];
    prop_oneof![
        4 => (pid(), pid(), cgroup(), mnt()).prop_map(|(pid, parent, cgroup, mnt)| Step::Fork { pid, parent, cgroup, mnt }),
        4 => (pid(), cgroup(), mnt(), flags(), 0..4_u64)
            .prop_map(|(pid, cgroup, mnt, flags, exec_id)| Step::Exec { pid, cgroup, mnt, flags, exec_id }),
        2 => (pid(), pid(), cgroup(), mnt(), flags())
            .prop_map(|(pid, parent, cgroup, mnt, flags)| Step::Scan { pid, parent, cgroup, mnt, flags }),
        1 => Just(Step::ScanFinished),
        2 => pid().prop_map(|pid| Step::Exit { pid }),
        2 => (pid(), cgroup(), mnt()).prop_map(|(pid, cgroup, mnt)| Step::Credentials { pid, cgroup, mnt }),
        2 => cgroup().prop_map(|cgroup| Step::Mkdir { cgroup }),
        1 => cgroup().prop_map(|cgroup| Step::Rmdir { cgroup }),
        2 => (cgroup(), pid()).prop_map(|(cgroup, pid)| Step::Attach { cgroup, pid }),
        1 => cgroup().prop_map(|cgroup| Step::Found { cgroup }),
        1 => (0..5 * SECOND).prop_map(|nanos| Step::Tick { nanos }),
    ]
}

/// Cgroups of containers, nested ones, ones below containers, and the host's.
fn path_of(cgroup: u64) -> String {
    match cgroup % 4 {
        0 => container_path(cgroup),
        1 => format!("{}/init.scope", container_path(cgroup - 1)),
        2 => format!("{}/kubepods/{}", container_path(cgroup - 2), container_id(cgroup)),
        _ => format!("/system.slice/unit-{cgroup}.service"),
    }
}

fn outer_of(cgroup: u64) -> Option<u64> {
    (cgroup % 4 == 2).then(|| cgroup - 2)
}

impl Node {
    fn take_step(&mut self, step: Step) {
        match step {
            Step::Fork { pid, parent, cgroup, mnt } => {
                self.fork(Task::host(pid, parent).cgroup(cgroup).mnt(mnt))
            }
            Step::Exec { pid, cgroup, mnt, flags, exec_id } => {
                self.exec(Task { exec_id, ..Task::host(pid, 1).cgroup(cgroup).mnt(mnt) }, flags);
            }
            Step::Scan { pid, parent, cgroup, mnt, flags } => {
                self.scan(Task::host(pid, parent).cgroup(cgroup).mnt(mnt), flags);
            }
            Step::ScanFinished => self.scan_finished(),
            Step::Exit { pid } => self.exit(pid),
            Step::Credentials { pid, cgroup, mnt } => {
                self.credentials(Task::host(pid, 1).cgroup(cgroup).mnt(mnt).state());
            }
            Step::Mkdir { cgroup } => self.mkdir(cgroup, &path_of(cgroup)),
            Step::Rmdir { cgroup } => self.rmdir(cgroup, &path_of(cgroup)),
            Step::Attach { cgroup, pid } => self.attach(cgroup, pid, &path_of(cgroup)),
            Step::Found { cgroup } => {
                let path = path_of(cgroup);
                let root = (cgroup % 4 == 1).then(|| cgroup - 1);
                let Self { context, seen: all, .. } = self;
                context.cgroup_found(key(cgroup), Some(path.as_bytes()), root, &mut |effect| {
                    all.push(seen(effect))
                });
            }
            Step::Tick { nanos } => self.wait(nanos),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_happens_the_tables_hold(steps in proptest::collection::vec(step(), 1..250)) {
        let mut node = Node::with(Limits { processes: 24, containers: 6, cgroups: 16 });
        // Whose each live workload is.
        let mut whose: HashMap<u32, ContainerKey> = HashMap::new();
        for step in steps {
            let ended: Vec<u32> = (1..60)
                .filter(|&pid| node.context.process_by_id(id(pid)).is_some())
                .filter(|&pid| node.context.processes().all(|process| process.id != id(pid)))
                .collect();
            node.take_step(step);
            let forgotten: Vec<u32> = node.take().iter().filter_map(|seen| match seen {
                Seen::Forgotten(pid) => Some(*pid),
                _ => None,
            }).collect();

            let counts = node.context.counts();
            prop_assert!(counts.live + counts.exited <= 24);
            prop_assert!(counts.containers <= 6);
            prop_assert!(counts.cgroups <= 16);
            let process = counts.process;
            let held = u64::try_from(counts.live + counts.exited).unwrap();
            prop_assert_eq!(process.inserted, held + process.released + process.evicted);
            prop_assert_eq!(
                counts.container.inserted,
                counts.container.removed + u64::try_from(counts.containers).unwrap()
            );

            let live: HashMap<u32, &Process> =
                node.context.processes().map(|process| (process.id.tgid, process)).collect();
            prop_assert_eq!(live.len(), counts.live);
            for pid in &ended {
                prop_assert!(!live.contains_key(pid), "{} is back", pid);
            }
            // Every member is a live process, every contained process is a member.
            let mut members = 0;
            for container in node.context.containers() {
                for member in node.context.members(container.key) {
                    prop_assert_eq!(live[&member.tgid].container, Some(container.key));
                    members += 1;
                }
            }
            let contained = live.values().filter(|process| process.container.is_some()).count();
            prop_assert_eq!(members, contained);
            // A workload stays its container's, or goes to one that lies in that.
            whose.retain(|pid, _| live.contains_key(pid) && !forgotten.contains(pid));
            for (pid, process) in &live {
                match (process.container, process.stage) {
                    (Some(now), Stage::Workload) => {
                        let before = whose.insert(*pid, now).unwrap_or(now);
                        prop_assert!(before == now || outer_of(now.cgroup) == Some(before.cgroup));
                    }
                    (Some(now), Stage::Runtime) => {
                        if let Some(before) = whose.remove(pid) {
                            prop_assert_eq!(outer_of(now.cgroup), Some(before.cgroup));
                        }
                    }
                    (None, _) => prop_assert!(!whose.contains_key(pid), "{} was let go", pid),
                }
            }
        }
    }
}

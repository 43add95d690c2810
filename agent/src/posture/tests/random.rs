//! What holds whatever happens.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::posture::{
    Cause, ChangeKind, FindingId, Settings, Verdict,
    controls::testing::{container, named, task},
    testing::Bench,
};

#[derive(Clone, Debug)]
enum Step {
    Judge { container: u64, tgid: u32, thread: bool, uid: u32, no_new_privs: u32, user_ns: u32, cause: Cause },
    Named(u64),
    ProcessGone(u32),
    ContainerGone(u64),
    Pass(u64),
    Restart,
}

const CONTAINERS: u64 = 6;

fn step() -> impl Strategy<Value = Step> {
    let cause = prop::sample::select(vec![Cause::Exec, Cause::Fork, Cause::Credentials, Cause::Scan]);
    prop_oneof![
        8 => (1..=CONTAINERS, 1_u32..12, any::<bool>(), 0_u32..2, 0_u32..3, 0_u32..2, cause).prop_map(
            |(container, tgid, thread, uid, no_new_privs, user_ns, cause)| Step::Judge {
                container, tgid, thread, uid, no_new_privs, user_ns, cause
            }
        ),
        2 => (1..=CONTAINERS).prop_map(Step::Named),
        3 => (1_u32..12).prop_map(Step::ProcessGone),
        2 => (1..=CONTAINERS).prop_map(Step::ContainerGone),
        3 => prop_oneof![0_u64..3, 20_u64..400].prop_map(Step::Pass),
        1 => Just(Step::Restart),
    ]
}

/// What a reader of the changes knows.
#[derive(Default)]
struct Reader {
    open: BTreeSet<FindingId>,
    counts: BTreeMap<FindingId, u64>,
    first_seen: BTreeMap<FindingId, u64>,
}

impl Reader {
    fn read(&mut self, bench: &mut Bench, settings: &Settings) {
        for change in bench.changes.drain(..) {
            let finding = &change.finding;
            match change.kind {
                ChangeKind::Open => assert!(self.open.insert(finding.id), "opened twice"),
                ChangeKind::Updated => {
                    assert!(self.open.contains(&finding.id), "updated before it was opened")
                }
                ChangeKind::Resolved(_) => {
                    assert!(self.open.remove(&finding.id), "resolved before it was opened")
                }
            }
            assert!(finding.verdict > Verdict::Pass, "a finding that passes");
            assert!(finding.instances.len() <= settings.max_instances);
            let count = self.counts.insert(finding.id, finding.count).unwrap_or(0);
            assert!(finding.count >= count.max(1), "count went back");
            let first_seen = self.first_seen.entry(finding.id).or_insert(finding.first_seen.wall_ns);
            assert!(finding.first_seen.wall_ns <= *first_seen, "first seen later");
            *first_seen = finding.first_seen.wall_ns;
            assert!(!change.alert || finding.verdict.alerts());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_finding_ends(steps in prop::collection::vec(step(), 1..120)) {
        let settings = Settings { max_instances: 3, ..Settings::default() };
        let mut bench = Bench::new(settings);
        let mut reader = Reader::default();
        let mut names = [false; CONTAINERS as usize + 1];
        let of = |names: &[bool], cgroup: u64| {
            // Two containers to a workload.
            if names[cgroup as usize] { named(cgroup, &format!("web-{}", cgroup / 2)) } else { container(cgroup) }
        };
        for step in steps {
            match step {
                Step::Judge { container, tgid, thread, uid, no_new_privs, user_ns, cause } => {
                    let state = task(|task| {
                        task.task.tgid = tgid;
                        task.task.tid = if thread { tgid + 100 } else { tgid };
                        task.ids.uid = uid;
                        task.no_new_privs = no_new_privs;
                        task.ns.user *= user_ns;
                    });
                    bench.judge(&of(&names, container), state, cause);
                }
                Step::Named(cgroup) => {
                    names[cgroup as usize] = true;
                    bench.posture.named(&of(&names, cgroup), bench.now);
                }
                Step::ProcessGone(tgid) => bench.process_gone(tgid),
                Step::ContainerGone(cgroup) => bench.container_gone(&container(cgroup)),
                Step::Pass(seconds) => bench.pass(seconds),
                Step::Restart => {
                    let snapshot = bench.posture.snapshot("boot", bench.now);
                    let now = bench.now;
                    bench = Bench::new(settings);
                    bench.now = now;
                    bench.posture.restore(snapshot, "boot", now);
                    bench.posture.scan_complete(now);
                    // What was to be told of a name is lost with the old agent.
                    reader.open = bench.posture.open_findings(now).into_iter().map(|finding| finding.id).collect();
                }
            }
            reader.read(&mut bench, &settings);
            // The tallies agree with what is alive.
            for container in bench.posture.inventory() {
                prop_assert_eq!(container.controls.len(), crate::posture::Policy::default().judged());
            }
        }
        for tgid in 1..12 {
            bench.process_gone(tgid);
        }
        for cgroup in 1..=CONTAINERS {
            bench.container_gone(&container(cgroup));
        }
        for _ in 0..40 {
            bench.pass(20);
        }
        reader.read(&mut bench, &settings);
        prop_assert!(reader.open.is_empty(), "left open: {:?}", reader.open);
        prop_assert_eq!(bench.posture.sizes().containers, 0);
        prop_assert_eq!(bench.posture.sizes().processes, 0);
        prop_assert!(bench.posture.findings().iter().flatten().all(|&count| count == 0));
    }

    #[test]
    fn bounds_hold(steps in prop::collection::vec(step(), 1..200)) {
        let settings = Settings {
            max_findings: 3, max_instances: 1, max_processes: 4, max_containers: 3, ..Settings::default()
        };
        let mut bench = Bench::new(settings);
        for step in steps {
            match step {
                Step::Judge { container: cgroup, tgid, uid, cause, .. } => {
                    let state = task(|task| {
                        task.task.tgid = tgid;
                        task.task.tid = tgid;
                        task.ids.uid = uid;
                    });
                    bench.judge(&container(cgroup), state, cause);
                }
                Step::Named(cgroup) => bench.posture.named(&named(cgroup, "web"), bench.now),
                Step::ProcessGone(tgid) => bench.process_gone(tgid),
                Step::ContainerGone(cgroup) => bench.container_gone(&container(cgroup)),
                Step::Pass(seconds) => bench.pass(seconds),
                Step::Restart => {}
            }
            let sizes = bench.posture.sizes();
            prop_assert!(sizes.findings <= 3 && sizes.processes <= 4 && sizes.containers <= 3, "{sizes:?}");
        }
    }

    #[test]
    fn unknown_never_passes(user_ns in 0_u32..2, no_new_privs in 0_u32..4, mode in 0_u32..5, visible in any::<bool>()) {
        let mut bench = Bench::new(Settings::default());
        let state = task(|task| {
            task.ns.user *= user_ns;
            task.no_new_privs = no_new_privs;
            task.seccomp_mode = mode;
        });
        let mut process = crate::posture::controls::testing::process(state);
        if !visible {
            process.seccomp_allow = crate::context::SeccompAllow::NONE;
        }
        bench.judge_process(&named(1, "web"), &process, Cause::Exec);
        let inventory = bench.posture.inventory();
        let verdict = |slug| {
            let found = inventory[0].controls.iter().find(|control| control.control.slug() == slug);
            found.unwrap().verdict
        };
        prop_assert_eq!(verdict("run-as-non-root") == Verdict::Pass, user_ns == 1);
        prop_assert_eq!(verdict("no-new-privileges") == Verdict::Pass, no_new_privs == 1);
        prop_assert_eq!(verdict("seccomp") == Verdict::Pass, mode == 1 || (mode == 2 && visible));
    }
}

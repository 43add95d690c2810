//! The bulk ring is overfilled on purpose: what is lost is told exactly, and costs no critical record.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::{
    fs::{self, File},
    process::Command,
    time::Duration,
};

use kestrel_tests::lab::{
    agent::{Agent, metric_of},
    lock::KernelLock,
    poll,
};
use nix::sys::signal::Signal;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);
const OPENS: usize = 20_000;
const EXECS: usize = 60;

/// Counters are whole numbers far below 2^53.
fn count(text: &str, name: &str, label: &str) -> u64 {
    let value = metric_of(text, name, label).unwrap_or_else(|| panic!("no {name} with {label}"));
    assert!(value.fract() == 0.0 && value >= 0.0, "{name} {value}");
    format!("{value}").parse().unwrap()
}

/// Of the calls on files that are asked for, a failed open among them.
const BULK_HOOKS: [&str; 4] = ["sys_exit/file", "sys_exit/path", "io_uring_submit", "io_uring_complete"];
const CRITICAL_HOOKS: [&str; 11] = [
    "sched_process_fork",
    "sched_process_exec",
    "sched_process_exit",
    "cgroup_mkdir",
    "cgroup_rmdir",
    "cgroup_attach_task",
    "cgroup_rename",
    "cgroup_release",
    "mark_victim",
    "signal_generate",
    "sys_exit/credentials",
];

fn critical(text: &str, name: &str) -> u64 {
    CRITICAL_HOOKS.iter().map(|hook| count(text, name, &format!("hook=\"{hook}\""))).sum()
}

fn bulk(text: &str, name: &str) -> u64 {
    BULK_HOOKS.iter().map(|hook| count(text, name, &format!("hook=\"{hook}\""))).sum()
}

fn told(agent: &Agent, ring: &str) -> u64 {
    let losses = agent.events("loss").unwrap();
    losses.iter().filter(|loss| loss["at"] == ring).map(|loss| loss["lost"].as_u64().unwrap()).sum()
}

#[test]
fn a_flood_of_opens_loses_opens_alone_and_every_one_is_told() {
    let _lock = KernelLock::acquire().unwrap();
    let config = tempfile::NamedTempFile::new().unwrap();
    fs::write(
        &config,
        "rings: {critical_bytes: 4MiB, bulk_bytes: 64KiB}\nstreams: {files: all, system: off, rate: 0}\n",
    )
    .unwrap();
    let agent = Agent::start_with(["--config".into(), config.path().into()]).unwrap();
    let before = agent.metrics().unwrap();

    agent.send(Signal::SIGSTOP).unwrap();
    for round in 0..EXECS {
        for _ in 0..OPENS / EXECS {
            File::open("/dev/null").unwrap();
        }
        assert!(Command::new("/bin/true").arg(round.to_string()).status().unwrap().success());
    }
    agent.send(Signal::SIGCONT).unwrap();

    poll::until("a loss to be told", LIMIT, || Ok(told(&agent, "bulk") > 0)).unwrap();
    // A gap shows with the next record of its CPU; the reader keeps up again by now.
    let cpus = online_cpus();
    poll::until("every gap to show", LIMIT, || {
        for cpu in &cpus {
            assert!(
                Command::new("taskset").args(["--cpu-list", cpu, "cat", "/dev/null"]).status()?.success()
            );
        }
        let text = agent.metrics()?;
        let gaps = count(&text, "kestrel_ring_lost_records_total", "ring=\"bulk\"");
        let lost = bulk(&text, "kestrel_hook_lost_records_total");
        Ok(lost > 0 && gaps == lost)
    })
    .unwrap();

    // Without hooks nothing moves any more, so that sums can be compared.
    fs::remove_dir_all(agent.pins()).unwrap();
    let mut last = String::new();
    let settled = poll::until("the ring to be read to its end", LIMIT, || {
        let text = agent.metrics()?;
        let still = ["ring=\"bulk\"", "ring=\"critical\""]
            .map(|ring| count(&text, "kestrel_ring_received_records_total", ring));
        let submitted = [
            bulk(&text, "kestrel_hook_submitted_records_total"),
            critical(&text, "kestrel_hook_submitted_records_total"),
        ];
        last = format!("received {still:?}, submitted {submitted:?}");
        Ok(still == submitted)
    });
    assert!(settled.is_ok(), "{settled:?}: {last}");

    // A pinned link goes after a grace period, not with its file, and a hook that counts while it is read is
    // read in part.
    let of = |text: &str, name: &str| bulk(text, &format!("kestrel_hook_{name}_total"));
    let mut text = String::new();
    let balanced = poll::until("the sums to be equal", LIMIT, || {
        text = agent.metrics()?;
        let accounted =
            ["submitted_records", "lost_records", "filtered_runs", "throttled_records", "failed_runs"]
                .map(|name| of(&text, name));
        last = format!("seen {}, accounted for {accounted:?}", of(&text, "seen_runs"));
        let sum = accounted.iter().sum::<u64>() + of(&text, "tail_failed_calls");
        Ok(of(&text, "seen_runs") == sum)
    });
    assert!(balanced.is_ok(), "{balanced:?}: {last}");
    let lost = of(&text, "lost_records");
    assert!(lost > 0);
    poll::until("the last loss to be told", LIMIT, || Ok(told(&agent, "bulk") == lost)).unwrap();
    // Of what was lost at the very end no record shows the gap.
    assert!(count(&text, "kestrel_ring_lost_records_total", "ring=\"bulk\"") <= lost);
    let opens = of(&text, "seen_runs") - bulk(&before, "kestrel_hook_seen_runs_total");
    assert!(opens >= (OPENS / EXECS * EXECS) as u64, "{opens}");

    // Not one of the others.
    assert_eq!(told(&agent, "critical"), 0);
    assert_eq!(critical(&text, "kestrel_hook_lost_records_total"), 0);
    assert_eq!(count(&text, "kestrel_ring_lost_records_total", "ring=\"critical\""), 0);
    let execs = |text: &str| count(text, "kestrel_context_events_total", "kind=\"exec\"");
    assert!(execs(&text) - execs(&before) >= EXECS as u64);
    assert_eq!(
        execs(&text),
        count(&text, "kestrel_hook_submitted_records_total", "hook=\"sched_process_exec\"")
    );
    assert_eq!(agent.events("blind").unwrap(), Vec::<Value>::new());
    for loss in agent.events("loss").unwrap().iter().filter(|loss| loss["at"] == "bulk") {
        assert_eq!(loss["reason"], "ring full", "{loss}");
        assert!(loss["from_boottime_ns"].as_u64() < loss["to_boottime_ns"].as_u64(), "{loss}");
    }
}

fn online_cpus() -> Vec<String> {
    let text = fs::read_to_string("/proc/stat").unwrap();
    let numbers = text.lines().filter_map(|line| Some(line.strip_prefix("cpu")?.split_once(' ')?.0));
    numbers.filter(|number| !number.is_empty()).map(str::to_owned).collect()
}

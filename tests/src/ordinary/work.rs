//! Does it all at once, round by round.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpStream},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::{host, pods};
use crate::lab::{
    Lab,
    cri::Pod,
    spec::{ContainerSpec, PodSpec},
};

/// How often each thing was done, and how often it failed.
pub type Done = BTreeMap<String, (u64, u64)>;

const STEP: Duration = Duration::from_millis(500);

/// What a kubelet and people do in containers: what it is called, the pod's `app` or name, the container, what is
/// run, and how often.
const EXECS: &[(&str, &str, &str, &[&str], u64)] = &[
    (
        "probe of the web server",
        "web",
        "server",
        &["/bin/wget", "-q", "-O", "/dev/null", "http://127.0.0.1:18080/"],
        10,
    ),
    ("probe of the cache", "cache", "redis", &["redis-cli", "-p", "16379", "ping"], 10),
    ("probe by file", "checkout", "app", &["/bin/test", "-e", "/etc/passwd"], 10),
    ("exec: processes", "worker", "worker", &["ps", "aux"], 60),
    ("exec: environment", "worker", "worker", &["env"], 95),
    ("exec: listing", "cache", "redis", &["ls", "-la", "/var/lib"], 70),
    ("exec: configuration", "schedule", "cron", &["cat", "/etc/cron.d/job"], 80),
    ("exec: shell", "checkout", "app", &["/bin/sh", "-c", "date; df -h; cat /proc/meminfo | head -3"], 120),
    ("exec: copy out, as kubectl cp does", "schedule", "cron", &["tar", "cf", "-", "/var/log/job.log"], 150),
];

/// Runs the pods and the work for a time.
pub fn run(lab: &Lab, debian: &str, lasts: Duration) -> Result<Done> {
    let mut pods = Vec::new();
    for spec in pods::all(debian) {
        pods.push(lab.run(&spec)?);
    }
    let until = Instant::now() + lasts;
    let done = Mutex::new(Done::new());
    let ssh = lab.dir().join("ssh");
    let mut sshd = host::sshd(&ssh)?;
    thread::scope(|scope| {
        for &(name, app, container, command, every) in EXECS {
            let (pods, done) = (&pods, &done);
            scope.spawn(move || {
                rounds(name, Duration::from_secs(every), until, done, || {
                    exec(lab, pods, app, container, command)
                });
            });
        }
        for (number, &(name, script)) in host::JOBS.iter().enumerate() {
            let (done, dir, ssh) = (&done, lab.dir().join(format!("host-{number}")), &ssh);
            let every = Duration::from_secs(60 + 15 * number as u64);
            scope.spawn(move || rounds(name, every, until, done, || host::run(script, &dir, ssh)));
        }
        scope.spawn(|| {
            rounds("probe by TCP", Duration::from_secs(5), until, &done, || {
                let web = SocketAddr::from(([127, 0, 0, 1], pods::WEB));
                Ok(TcpStream::connect_timeout(&web, Duration::from_secs(1)).map(drop)?)
            });
        });
        scope.spawn(|| rounds("rollout", Duration::from_secs(45), until, &done, || rollout(lab)));
    });
    sshd.kill()?;
    sshd.wait()?;
    Ok(done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
}

fn exec(lab: &Lab, pods: &[Pod], app: &str, container: &str, command: &[&str]) -> Result<()> {
    let pod = pods.iter().find(|pod| pod.spec.name.starts_with(app));
    let found = pod.and_then(|pod| pod.containers.iter().find(|one| one.name == container));
    let Some(found) = found else { anyhow::bail!("there is no {app}/{container}") };
    let out = lab.cri().exec(&found.id, command.iter().copied())?;
    ensure!(out.code == 0, "{} {}", out.code, out.stderr);
    Ok(())
}

/// A pod comes, works for some seconds, and goes.
fn rollout(lab: &Lab) -> Result<()> {
    let app =
        ContainerSpec::restricted("app", ["/bin/sh", "-c", "for n in 1 2 3 4 5; do date; sleep 1; done"]);
    let pod = lab.run(&PodSpec::of_deployment("shop", "search", "66b8f7d5c", "9tz4w").container(app))?;
    thread::sleep(Duration::from_secs(6));
    lab.cri().remove_pod(&pod.sandbox)
}

#[expect(clippy::print_stderr, reason = "what failed is of interest while it goes on")]
fn rounds(
    name: &str,
    every: Duration,
    until: Instant,
    done: &Mutex<Done>,
    mut work: impl FnMut() -> Result<()>,
) {
    while Instant::now() < until {
        let next = Instant::now() + every;
        let result = work();
        if let Err(error) = &result {
            eprintln!("{name}: {error:#}");
        }
        {
            let mut done = done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let count = done.entry(name.to_owned()).or_default();
            count.0 += 1;
            count.1 += u64::from(result.is_err());
        }
        // In steps, so that the end is not waited for.
        while Instant::now() < next.min(until) {
            thread::sleep(STEP);
        }
    }
}

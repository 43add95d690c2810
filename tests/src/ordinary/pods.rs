//! The pods: what a small shop runs.

use crate::lab::spec::{ContainerSpec, Limits, PodSpec, Port, VolumeMount};

/// The port of the web server.
pub const WEB: u16 = 18080;
/// The port of the cache.
pub const CACHE: u16 = 16379;

/// All of them, in the order of their start.
pub fn all(debian: &str) -> Vec<PodSpec> {
    vec![web(), cache(debian), client(), worker(debian), builder(debian), schedule(debian), backup(debian)]
}

/// As most deployments are: not restricted, not privileged.
fn plain(name: &str, image: Option<&str>, script: &str) -> ContainerSpec {
    ContainerSpec {
        image: image.map(str::to_owned),
        run_as_user: Some(0),
        no_new_privs: false,
        drop: Vec::new(),
        read_only_root: false,
        limits: Limits { memory: Some(2 << 30), cpu_milli: Some(2000) },
        env: vec![(
            "PATH".to_owned(),
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
        )],
        ..ContainerSpec::restricted(name, ["/bin/sh", "-c", script])
    }
}

/// A web server that keeps an access log, and a sidecar that ships it.
fn web() -> PodSpec {
    let logs = VolumeMount::empty_dir("logs", "/var/log/web");
    let serve = "mkdir -p /tmp/www && echo shop > /tmp/www/index.html && \
        exec httpd -f -vv -p 18080 -h /tmp/www 2>> /var/log/web/access.log";
    let server = ContainerSpec {
        ports: vec![Port::tcp(WEB)],
        volumes: vec![logs.clone(), VolumeMount::empty_dir("tmp", "/tmp")],
        run_as_user: Some(0),
        ..ContainerSpec::restricted("server", ["/bin/sh", "-c", serve])
    };
    let ship =
        "while ! [ -e /var/log/web/access.log ]; do sleep 1; done; exec tail -F /var/log/web/access.log";
    let shipper = ContainerSpec {
        volumes: vec![logs],
        ..ContainerSpec::restricted("log-shipper", ["/bin/sh", "-c", ship])
    };
    PodSpec::of_deployment("shop", "web", "6d5f9c7b84", "k2x9p")
        .host_network()
        .container(server)
        .container(shipper)
}

fn cache(debian: &str) -> PodSpec {
    let serve = "exec redis-server --port 16379 --bind 127.0.0.1 --save 60 1 --dir /tmp";
    PodSpec::of_deployment("shop", "cache", "7f9b6d5c48", "wq4zt")
        .host_network()
        .container(ContainerSpec { ports: vec![Port::tcp(CACHE)], ..plain("redis", Some(debian), serve) })
}

fn client() -> PodSpec {
    let ask = "while :; do wget -q -O /dev/null http://127.0.0.1:18080/; sleep 2; done";
    PodSpec::of_deployment("shop", "checkout", "5b8d7f6c9", "m7v2j")
        .host_network()
        .container(ContainerSpec::restricted("app", ["/bin/sh", "-c", ask]))
}

/// Takes jobs from the cache.
fn worker(debian: &str) -> PodSpec {
    let work = "while :; do redis-cli -p 16379 incr jobs >/dev/null; \
        curl -s -o /dev/null http://127.0.0.1:18080/; \
        python3 -c 'import json, tempfile; json.dump({\"a\": 1}, tempfile.TemporaryFile(\"w\"))'; sleep 5; done";
    PodSpec::of_deployment("shop", "worker", "84c6b9d7f5", "t8n3c").host_network().container(plain(
        "worker",
        Some(debian),
        work,
    ))
}

/// A build job: installs what it needs, compiles, throws away.
fn builder(debian: &str) -> PodSpec {
    let build = "while :; do \
        apt-get update -qq; apt-get install -y -qq --no-install-recommends jq file >/dev/null 2>&1; \
        mkdir -p /src && cd /src && \
        printf '#include <stdio.h>\\nint main(void) { puts(\"built\"); return 0; }\\n' > main.c && \
        printf 'app: main.c\\n\\tcc -O2 -o app main.c\\n' > Makefile && make -s -B && ./app; \
        jq -n '{built: true}' > result.json; \
        apt-get remove -y -qq jq file >/dev/null 2>&1; apt-get clean; rm -rf /src; cd /; sleep 90; done";
    PodSpec::new("ci", "build-29384756-x7k2p").host_network().container(plain("build", Some(debian), build))
}

/// cron, a job a minute, and the rotation of what it logs.
fn schedule(debian: &str) -> PodSpec {
    let schedule = "printf '* * * * * root date >> /var/log/job.log && gzip -kf /var/log/job.log\\n\
        */5 * * * * root /usr/sbin/logrotate -f /etc/logrotate.d/job\\n' > /etc/cron.d/job; \
        date > /var/log/job.log; printf '/var/log/job.log {\\n rotate 3\\n compress\\n missingok\\n}\\n' > /etc/logrotate.d/job; \
        exec cron -f";
    PodSpec::new("shop", "schedule-0").container(plain("cron", Some(debian), schedule))
}

/// Copies the cache's data and its own /etc, packed, to a volume.
fn backup(debian: &str) -> PodSpec {
    let copy = "while :; do sleep 120; redis-cli -p 16379 --rdb /backup/cache.rdb >/dev/null; \
        tar -czf /backup/files.tar.gz /var/lib/dpkg /usr/share/doc; sha256sum /backup/* > /backup/SHA256SUMS; \
        find /backup -name '*.old' -delete; done";
    let app = ContainerSpec {
        volumes: vec![VolumeMount::empty_dir("backup", "/backup")],
        ..plain("backup", Some(debian), copy)
    };
    PodSpec::new("shop", "backup-28374655-n4f8d").host_network().container(app)
}

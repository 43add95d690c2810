use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use agent_abi::hook::Hook;

use super::*;
use crate::{
    coverage::{CoverageReport, Support},
    telemetry::Telemetry,
};

const DEADLINE: Duration = Duration::from_secs(20);

/// A server on loopback and what it shows.
struct Fixture {
    address: SocketAddr,
    health: Arc<Health>,
    telemetry: Arc<Telemetry>,
    _runtime: tokio::runtime::Runtime,
}

impl Fixture {
    fn start(limits: ServerLimits) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let health = Arc::new(Health::new(Duration::from_secs(10)));
        let telemetry = Arc::new(Telemetry::new(&["no-new-privs"]));
        let pages = Pages {
            node: "n1".to_owned(),
            telemetry: Arc::clone(&telemetry),
            health: Arc::clone(&health),
            delivery: None,
        };
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = runtime.block_on(Server::bind(any, pages, limits)).unwrap();
        let address = server.address();
        runtime.spawn(server.serve());
        Self { address, health, telemetry, _runtime: runtime }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// Sends bytes and reads until the server closes.
    fn exchange(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(request);
        read_all(stream)
    }

    fn get(&self, path: &str) -> (u16, String) {
        let answer = self.exchange(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes());
        (code(&answer), answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }
}

/// What comes until the end, which may be a reset.
fn read_all(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("the server did not close in time: {error}"),
        }
    }
    String::from_utf8(answer).unwrap()
}

fn code(answer: &str) -> u16 {
    answer.strip_prefix("HTTP/1.1 ").unwrap_or_else(|| panic!("{answer:?}"))[..3].parse().unwrap()
}

fn full_coverage() -> CoverageReport {
    let mut report = CoverageReport::new("6.12");
    for hook in Hook::ALL {
        report.hook(hook.name(), Support::Supported);
    }
    report
}

#[test]
fn a_blind_agent_never_looks_healthy() {
    let fixture = Fixture::start(ServerLimits::default());
    assert_eq!(fixture.get("/healthz"), (503, "hot loop has not started\n".to_owned()));
    assert_eq!(
        fixture.get("/readyz"),
        (503, "hot loop has not started\nhooks not attached yet\nstart scan not done\n".to_owned())
    );

    fixture.health.beat();
    assert_eq!(fixture.get("/healthz"), (200, "ok\n".to_owned()));

    let mut report = full_coverage();
    report.hooks.retain(|entry| entry.name != Hook::Fork.name());
    report.hooks[0].support = Support::Unsupported("kernel has no BTF".to_owned());
    fixture.health.set_coverage(report);
    assert_eq!(
        fixture.get("/readyz"),
        (
            503,
            "hook sched_process_fork not attached\n\
             hook sched_process_exec not attached: kernel has no BTF\nstart scan not done\n"
                .to_owned()
        )
    );

    fixture.health.set_coverage(full_coverage());
    assert_eq!(fixture.get("/readyz"), (503, "start scan not done\n".to_owned()));
    fixture.health.start_scan_done();
    assert_eq!(fixture.get("/readyz"), (200, "ok\n".to_owned()));

    fixture.health.canary_missed("its exec was not reported");
    let blind =
        "the agent does not see the program that it runs itself: its exec was not reported\n".to_owned();
    assert_eq!(fixture.get("/healthz"), (503, blind.clone()));
    assert_eq!(fixture.get("/readyz"), (503, blind));
    fixture.health.canary_seen(Duration::from_millis(1));
    assert_eq!(fixture.get("/healthz"), (200, "ok\n".to_owned()));
}

#[test]
fn silence_is_measured() {
    let health = Health::new(Duration::from_secs(10));
    let start = Instant::now();
    health.beat_at(start);
    assert_eq!(health.unhealthy_at(start + Duration::from_secs(9)), None);
    assert_eq!(
        health.unhealthy_at(start + Duration::from_secs(12)),
        Some("hot loop silent for 12 s".to_owned())
    );
    health.beat_at(start + Duration::from_secs(12));
    assert_eq!(health.unhealthy_at(start + Duration::from_secs(13)), None);
}

#[test]
fn metrics_and_status_show_the_counters() {
    let fixture = Fixture::start(ServerLimits::default());
    fixture.telemetry.posture.judged.add(4);
    let (code, metrics) = fixture.get("/metrics");
    assert_eq!(code, 200);
    assert!(metrics.contains("\nkestrel_posture_judged_events_total 4\n"));

    let (code, json) = fixture.get("/status");
    let status: Status = serde_json::from_str(&json).unwrap();
    assert_eq!(code, 200);
    assert_eq!((status.node.as_str(), status.healthy, status.ready), ("n1", false, false));
    assert_eq!((status.rings.len(), status.hooks.len(), status.findings.len()), (2, Hook::ALL.len(), 1));
}

#[test]
fn only_known_pages_and_reading_methods() {
    let fixture = Fixture::start(ServerLimits::default());
    for path in ["/", "/metrics/", "/metrics?x=1", "/Metrics", "/../status", "//status", "http://x/status"] {
        assert_eq!(fixture.get(path).0, 404, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "get"] {
        let answer = fixture.exchange(format!("{method} /status HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes());
        assert_eq!(code(&answer), 405, "{method}");
        assert!(answer.contains("allow: GET, HEAD\r\n"), "{answer}");
    }
    let head = fixture.exchange(b"HEAD /metrics HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(code(&head), 200);
    assert!(head.ends_with("\r\n\r\n"), "a HEAD has no body");
}

#[test]
fn one_request_a_connection() {
    let fixture = Fixture::start(ServerLimits::default());
    let two = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n".repeat(2);
    assert_eq!(fixture.exchange(&two).matches("HTTP/1.1 ").count(), 1);
}

#[test]
fn what_is_no_request_is_refused() {
    let fixture = Fixture::start(ServerLimits::default());
    assert_eq!(code(&fixture.exchange(b"\x16\x03\x01\x02\x00\x01\r\n\r\n")), 400);
    let many = "x: y\r\n".repeat(100);
    assert_eq!(code(&fixture.exchange(format!("GET /status HTTP/1.1\r\n{many}\r\n").as_bytes())), 431);
    // Closed without having been read: the answer may be lost in the reset, the page must not come.
    for request in [
        format!("GET /status HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(1 << 20)),
        format!("GET /{} HTTP/1.1\r\n\r\n", "y".repeat(1 << 20)),
    ] {
        let answer = fixture.exchange(request.as_bytes());
        assert!(answer.is_empty() || matches!(code(&answer), 414 | 431), "{answer}");
    }
    assert_eq!(fixture.get("/status").0, 200);
}

#[test]
fn a_slow_client_is_closed() {
    let limits = ServerLimits { header_time: Duration::from_millis(50), ..ServerLimits::default() };
    let fixture = Fixture::start(limits);
    // Says nothing; stops in the middle.
    for part in ["", "GET /status HTTP/1.1\r\nx:"] {
        let answer = fixture.exchange(part.as_bytes());
        assert!(answer.is_empty() || code(&answer) == 408, "{answer}");
    }
}

#[test]
fn a_client_that_drips_is_closed_too() {
    let limits = ServerLimits { connection_time: Duration::from_millis(100), ..ServerLimits::default() };
    let fixture = Fixture::start(limits);
    let mut stream = fixture.connect();
    let deadline = Instant::now() + DEADLINE;
    // Each header arrives in time, the request never ends.
    stream.write_all(b"GET /status HTTP/1.1\r\n").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    loop {
        assert!(Instant::now() < deadline, "still open");
        match stream.read(&mut [0; 16]) {
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock) => {}
            _ => break,
        }
        if stream.write_all(b"x: y\r\n").is_err() {
            break;
        }
    }
}

#[test]
fn connections_beyond_the_limit_are_refused() {
    let fixture = Fixture::start(ServerLimits { connections: 2, ..ServerLimits::default() });
    // They are accepted in order, so the third is the one too many.
    let held = [fixture.connect(), fixture.connect()];
    let refused = read_all(fixture.connect());
    assert_eq!(code(&refused), 503);
    assert!(refused.ends_with("\r\n\r\ntoo many connections\n"), "{refused}");

    drop(held);
    let deadline = Instant::now() + DEADLINE;
    loop {
        let answer = fixture.exchange(b"GET /status HTTP/1.1\r\nhost: x\r\n\r\n");
        if !answer.is_empty() && code(&answer) == 200 {
            break;
        }
        assert!(Instant::now() < deadline, "still full: {answer}");
    }
}

#[test]
fn a_taken_address_is_named() {
    let fixture = Fixture::start(ServerLimits::default());
    let pages = Pages {
        node: "n2".to_owned(),
        telemetry: Arc::clone(&fixture.telemetry),
        health: Arc::clone(&fixture.health),
        delivery: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(Server::bind(fixture.address, pages, ServerLimits::default())).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on {}", fixture.address));
}

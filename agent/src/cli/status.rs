//! `kestrel-agent status`.

use std::io::{self, Write};

use super::{Exit, OutputFormat, StatusArgs, chain, client};
use crate::{
    coverage::Inert,
    detect::{RulesStatus, Summary},
    http::{BlindStatus, CanaryStatus, DeliveryStatus, Status},
};

/// Asks the running agent and writes its answer to `out`, or why there is none to `err`.
///
/// # Errors
/// When these cannot be written.
pub fn status(args: &StatusArgs, out: &mut impl Write, err: &mut impl Write) -> io::Result<Exit> {
    let body = match client::get(args.listen, "/status") {
        Ok(body) => body,
        Err(error) => {
            writeln!(err, "{}", Inert(&chain(&error)))?;
            return Ok(Exit::Failed);
        }
    };
    let Ok(status) = serde_json::from_str::<Status>(&body) else {
        writeln!(err, "{}", client::ClientError::NotAgent { address: args.listen })?;
        return Ok(Exit::Failed);
    };
    match args.output {
        OutputFormat::Json => writeln!(out, "{}", body.trim_end())?,
        OutputFormat::Table => table(&status, out)?,
    }
    Ok(if status.healthy && status.ready { Exit::Good } else { Exit::Unhealthy })
}

fn write_rules(rules: Option<&RulesStatus>, out: &mut impl Write) -> io::Result<()> {
    let Some(RulesStatus { in_force, error, failed }) = rules else {
        return writeln!(out, "Rules     none configured");
    };
    match in_force {
        Some(Summary { hash, active, defined, warnings, .. }) => {
            let hash = hash.get(..12).unwrap_or_default();
            writeln!(out, "Rules     {active} of {defined} active, {hash}, {} warnings", warnings.len())?;
        }
        None => writeln!(out, "Rules     none in force")?,
    }
    if let Some(error) = error {
        writeln!(out, "  {} (refused {failed} times)", Inert(error))?;
    }
    Ok(())
}

/// Containers whose events were held back that are shown; the others are in `-o json`.
const THROTTLED_SHOWN: usize = 10;

fn table(status: &Status, out: &mut impl Write) -> io::Result<()> {
    let Status {
        node,
        version,
        uptime_seconds,
        runtime,
        rules,
        healthy,
        ready,
        problems,
        coverage,
        hooks,
        throttled,
        rings,
        tables,
        containers,
        findings: _,
        blind,
        canary,
        delivery,
    } = status;
    writeln!(out, "Node      {}", Inert(node))?;
    writeln!(out, "Agent     {}, up {}", Inert(version), uptime(*uptime_seconds))?;
    match runtime {
        Some(runtime) => writeln!(out, "Runtime   {} {}", Inert(&runtime.name), Inert(&runtime.version))?,
        None => writeln!(out, "Runtime   not told")?,
    }
    let health = if *healthy { "healthy" } else { "NOT HEALTHY" };
    writeln!(out, "Health    {health}, {}", if *ready { "ready" } else { "NOT READY" })?;
    for problem in problems {
        writeln!(out, "  {}", Inert(problem))?;
    }
    write_rules(rules.as_ref(), out)?;
    write!(out, "{}", coverage.table())?;

    let mut rows = Rows::new("Rings", &["received", "lost", "bytes"]);
    for ring in rings {
        rows.push(&ring.ring, &[ring.received, ring.lost, ring.bytes]);
    }
    rows.write(out)?;

    // Only where something is missing: the whole is in -o json.
    let mut rows = Rows::new("Hook losses", &["lost", "throttled", "errors", "tail failed", "recursion"]);
    for hook in hooks {
        let losses = [hook.lost, hook.throttled, hook.errors, hook.tail_failed, hook.recursion_misses];
        if losses.iter().any(|&count| count > 0) {
            rows.push(&hook.hook, &losses);
        }
    }
    rows.write(out)?;

    let mut rows = Rows::new("Throttled", &["events"]);
    for row in throttled.iter().take(THROTTLED_SHOWN) {
        rows.push(&row.container, &[row.events]);
    }
    rows.write(out)?;

    let mut rows = Rows::new("Tables", &["entries", "capacity", "evicted"]);
    for table in tables {
        rows.push(&table.table, &[table.entries, table.capacity, table.evicted]);
    }
    rows.write(out)?;

    let mut rows = Rows::new("Containers", &["pass", "fail", "drift", "exempt", "unknown"]);
    for row in containers {
        rows.push(&row.control, &[row.pass, row.fail, row.drift, row.exempt, row.unknown]);
    }
    rows.write(out)?;

    let BlindStatus { total_seconds, last } = blind;
    writeln!(out, "Blind     {total_seconds:.1} s since start")?;
    for interval in last {
        let (from, to) = (interval.from_boottime_ms as f64 / 1e3, interval.to_boottime_ms as f64 / 1e3);
        writeln!(out, "  {}  {from:.1} s to {to:.1} s after boot", Inert(&interval.reason))?;
    }
    let CanaryStatus { runs, failures, latency_us } = canary;
    write!(out, "Canary    missed {failures} of {runs} times")?;
    match latency_us {
        Some(latency_us) => writeln!(out, ", seen after {:.1} ms", *latency_us as f64 / 1e3)?,
        None => writeln!(out)?,
    }
    match delivery {
        Some(delivery) => write_delivery(delivery, out),
        None => writeln!(out, "Collector none is configured"),
    }
}

fn write_delivery(delivery: &DeliveryStatus, out: &mut impl Write) -> io::Result<()> {
    let DeliveryStatus {
        endpoint,
        connected,
        since_seconds,
        reason,
        clock_drift_ms,
        memory_only,
        unnamed,
        lanes,
    } = delivery;
    let link = if *connected { "connected" } else { "NOT CONNECTED" };
    write!(out, "Collector {}, {link}", Inert(endpoint))?;
    if let Some(since) = since_seconds {
        write!(out, " for {}", uptime(*since))?;
    }
    writeln!(out)?;
    if let Some(reason) = reason {
        writeln!(out, "  {}", Inert(reason))?;
    }
    if let Some(drift) = clock_drift_ms {
        let side = if *drift < 0 { "behind" } else { "ahead of" };
        writeln!(out, "  this node's clock is {} ms {side} the collector's", drift.unsigned_abs())?;
    }
    if let Some(reason) = memory_only {
        writeln!(out, "  IN MEMORY ONLY: {}", Inert(reason))?;
    }
    if *unnamed != 0 {
        writeln!(out, "  {unnamed} events wait for their container's names")?;
    }
    let mut rows = Rows::new("Outbox", &["waiting", "bytes", "capacity", "acked", "evicted"]);
    for lane in lanes {
        rows.push(&lane.lane, &[lane.events, lane.bytes, lane.capacity_bytes, lane.acked, lane.evicted]);
    }
    rows.write(out)
}

/// Numbers under headings, right-aligned.
struct Rows<'a> {
    title: &'a str,
    columns: &'a [&'a str],
    rows: Vec<(String, Vec<String>)>,
}

impl<'a> Rows<'a> {
    fn new(title: &'a str, columns: &'a [&'a str]) -> Self {
        Self { title, columns, rows: Vec::new() }
    }

    fn push(&mut self, name: &str, numbers: &[u64]) {
        self.rows.push((Inert(name).to_string(), numbers.iter().map(u64::to_string).collect()));
    }

    /// Nothing where there are no rows.
    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let names = self.rows.iter().map(|(name, _)| name.chars().count() + 2);
        let first = names.chain([self.title.len()]).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| {
                let numbers = self.rows.iter().map(|(_, numbers)| numbers[column].len());
                numbers.chain([self.columns[column].len()]).max().unwrap_or(0)
            })
            .collect();
        write!(out, "{:<first$}", self.title)?;
        for (column, &width) in self.columns.iter().zip(&widths) {
            write!(out, "  {column:>width$}")?;
        }
        writeln!(out)?;
        for (name, numbers) in &self.rows {
            write!(out, "  {name:<rest$}", rest = first - 2)?;
            for (number, &width) in numbers.iter().zip(&widths) {
                write!(out, "  {number:>width$}")?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

fn uptime(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        context::cri::RuntimeVersion,
        coverage::{CoverageReport, Support},
        http::{HookStatus, LaneReport, RingStatus, TableStatus, ThrottledStatus, VerdictCounts},
        telemetry::BlindInterval,
    };

    #[test]
    fn the_table() {
        let mut coverage = CoverageReport::new("6.12.0");
        coverage.hook("sched_process_exec", Support::Supported);
        coverage.control("seccomp", Support::Degraded("no allow bitmap".to_owned()));
        let hook = HookStatus {
            hook: "sched_process_exec".to_owned(),
            seen: 10,
            submitted: 7,
            lost: 3,
            filtered: 0,
            throttled: 4,
            errors: 0,
            handed_on: 0,
            tail_failed: 0,
            shrunk: 0,
            recursion_misses: 1,
        };
        let quiet = HookStatus {
            hook: "cgroup_mkdir".to_owned(),
            lost: 0,
            throttled: 0,
            recursion_misses: 0,
            ..hook.clone()
        };
        let status = Status {
            node: "n1\u{1b}[2J".to_owned(),
            version: "0.1.0".to_owned(),
            uptime_seconds: 7380,
            rules: Some(RulesStatus {
                in_force: Some(Summary {
                    hash: "0123456789abcdef".into(),
                    active: 25,
                    defined: 30,
                    loaded_ns: 1,
                    warnings: vec!["a field".into()],
                }),
                error: Some("a.yaml:1:2: no \u{1b}list".into()),
                failed: 2,
            }),
            runtime: Some(RuntimeVersion { name: "containerd".to_owned(), version: "2.0.1\n".to_owned() }),
            healthy: true,
            ready: false,
            problems: vec!["start scan not done".to_owned()],
            coverage,
            hooks: vec![hook, quiet],
            throttled: vec![ThrottledStatus { container: "c0ffee".to_owned(), events: 18_204 }],
            rings: vec![RingStatus { ring: "critical".to_owned(), received: 123_456, bytes: 9, lost: 3 }],
            tables: vec![TableStatus {
                table: "processes".to_owned(),
                entries: 5,
                capacity: 32_768,
                evicted: 0,
            }],
            findings: Vec::new(),
            containers: vec![VerdictCounts {
                control: "no-new-privs".to_owned(),
                pass: 12,
                fail: 3,
                drift: 0,
                exempt: 1,
                unknown: 0,
            }],
            blind: BlindStatus {
                total_seconds: 1.5,
                last: vec![BlindInterval {
                    from_boottime_ms: 1000,
                    to_boottime_ms: 2500,
                    reason: "detached".to_owned(),
                }],
            },
            canary: CanaryStatus { runs: 5, failures: 1, latency_us: Some(1234) },
            delivery: Some(DeliveryStatus {
                endpoint: "https://collector:9443".to_owned(),
                connected: false,
                since_seconds: Some(7),
                reason: Some("connection refused \u{1b}[2J".to_owned()),
                clock_drift_ms: Some(-12),
                memory_only: Some("no space left".to_owned()),
                unnamed: 4,
                lanes: vec![LaneReport {
                    lane: "findings".to_owned(),
                    events: 3,
                    bytes: 700,
                    capacity_bytes: 1 << 20,
                    acked: 12,
                    evicted: 0,
                }],
            }),
        };
        let mut out = Vec::new();
        table(&status, &mut out).unwrap();
        let expected = "\
Node      n1\\u{1b}[2J
Agent     0.1.0, up 2 h 3 min
Runtime   containerd 2.0.1\\u{a}
Health    healthy, NOT READY
  start scan not done
Rules     25 of 30 active, 0123456789ab, 1 warnings
  a.yaml:1:2: no \\u{1b}list (refused 2 times)
Kernel    6.12.0
Hooks     1 of 1 supported
  sched_process_exec  SUPPORTED
Controls  0 of 1 supported
  seccomp  DEGRADED  no allow bitmap
Rings       received  lost  bytes
  critical    123456     3      9
Hook losses           lost  throttled  errors  tail failed  recursion
  sched_process_exec     3          4       0            0          1
Throttled  events
  c0ffee    18204
Tables       entries  capacity  evicted
  processes        5     32768        0
Containers      pass  fail  drift  exempt  unknown
  no-new-privs    12     3      0       1        0
Blind     1.5 s since start
  detached  1.0 s to 2.5 s after boot
Canary    missed 1 of 5 times, seen after 1.2 ms
Collector https://collector:9443, NOT CONNECTED for 7 s
  connection refused \\u{1b}[2J
  this node's clock is 12 ms behind the collector's
  IN MEMORY ONLY: no space left
  4 events wait for their container's names
Outbox      waiting  bytes  capacity  acked  evicted
  findings        3    700   1048576     12        0
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

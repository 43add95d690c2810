//! The collector, and the way to it.

use inert::inert;
use kestrel_proto::v1;

use super::{Report, certificate, nodes};
use crate::{
    args::{DoctorArgs, Global},
    chain,
    connect::{self, Server},
    filter,
    text::{bytes, count},
    time,
};

const SUBJECT: &str = "collector";
/// Clocks that differ by more make times hard to read.
const DRIFT_NS: u64 = 2_000_000_000;

pub(super) async fn check(global: &Global, args: &DoctorArgs, report: &mut Report) {
    let name = inert(&global.server);
    match connect::address(global) {
        Ok(address) if connect::is_open(&address) => {
            report.warn(
                SUBJECT,
                format!("no TLS on the way to {name}"),
                "use https:// and --ca: others may read along",
            );
        }
        _ => {}
    }
    certificate::check(global, report);
    let mut server = match Server::connect(global).await {
        Ok(server) => server,
        Err(error) => {
            let remedy = "check --server, that the collector runs (its /healthz), and that no NetworkPolicy or firewall \
                          is in between; with https:// also --ca, --cert and --key";
            return report.unreached(SUBJECT, chain(&error), remedy);
        }
    };
    let before = time::now_unix_ns();
    let status = match server.watch.status(v1::StatusRequest {}).await {
        Ok(status) => status.into_inner(),
        Err(status) => {
            let remedy = match status.code() {
                tonic::Code::Unauthenticated | tonic::Code::PermissionDenied => {
                    "give a certificate for viewers with --cert and --key (DNS name viewer.kestrel)"
                }
                tonic::Code::Unimplemented => {
                    "this is no Kestrel collector, or the port of its metrics: check --server"
                }
                _ => "look into the collector's log",
            };
            return report.unreached(SUBJECT, chain(&server.refused(status)), remedy);
        }
    };
    let middle = before.midpoint(time::now_unix_ns());
    report.ok(
        SUBJECT,
        format!(
            "{name} answers, version {}, up for {}",
            inert(&status.version),
            time::span(status.uptime_ms.saturating_mul(1_000_000))
        ),
    );
    says(&status, middle, report);
    let request = v1::NodesRequest { filter: Some(filter::of_nodes(&args.node)) };
    match server.watch.nodes(request).await {
        Ok(all) => nodes::check(all.into_inner().nodes, &args.node, middle, report),
        Err(status) => {
            report.unreached(SUBJECT, chain(&server.refused(status)), "look into the collector's log")
        }
    }
}

fn says(status: &v1::StatusResponse, now_unix_ns: i64, report: &mut Report) {
    let own = env!("CARGO_PKG_VERSION");
    if status.version != own {
        let what = format!("version {}, and this kestrel is {own}", inert(&status.version));
        report.warn(SUBJECT, what, "install the kestrel of the collector's version");
    }
    if status.healthy && status.problems.is_empty() {
        report.ok(SUBJECT, "says that it is healthy");
    }
    for problem in &status.problems {
        report.fail(SUBJECT, inert(problem), "see docs/operations or the collector's log");
    }
    if !status.healthy && status.problems.is_empty() {
        report.fail(SUBJECT, "says that it is not healthy", "look into the collector's log");
    }
    let drift = status.wall_unix_ns.abs_diff(now_unix_ns);
    if drift > DRIFT_NS {
        let what = format!("its clock and this machine's differ by {}", time::span(drift));
        report.warn(SUBJECT, what, "let NTP set both clocks");
    }
    let frames = |cursor: &Option<v1::Cursor>| cursor.map_or(0, |cursor| cursor.frame);
    let held = frames(&status.next).saturating_sub(frames(&status.oldest));
    report.ok(SUBJECT, format!("log of {} in {}", bytes(status.log_bytes), count(held, "frame")));
    if status.alerts.is_empty() {
        report.warn(
            SUBJECT,
            "no alert channel is configured, so nobody is told of findings and detections",
            "set alerts.slack or alerts.webhook in the collector's configuration",
        );
    }
    for channel in &status.alerts {
        let v1::AlertChannel { name, pending, delivered, failed, last_error, grouped } = channel;
        let subject = format!("alerts {}", inert(name));
        if last_error.is_empty() {
            let grouped = match grouped {
                0 => String::new(),
                number => format!(", {} to be told as a number", count(*number, "detection")),
            };
            report
                .ok(&subject, format!("{delivered} delivered, {pending} pending, {failed} failed{grouped}"));
        } else {
            let what =
                format!("the last try failed: {}; {pending} pending, {failed} failed", inert(last_error));
            report.fail(
                &subject,
                what,
                "check the webhook's URL and that the collector may reach it (NetworkPolicy)",
            );
        }
    }
}

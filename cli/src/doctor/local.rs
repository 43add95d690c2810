//! The agent on this machine, by its HTTP endpoint.

use std::{io, net::SocketAddr, time::Duration};

use inert::inert;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::Report;

const SUBJECT: &str = "agent";
const LIMIT: Duration = Duration::from_secs(5);
/// Longest answer that is read.
const LARGEST: u64 = 4 << 20;

pub(super) async fn check(agent: SocketAddr, report: &mut Report) {
    let body = match timeout(LIMIT, get(agent)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    {
        Ok(body) => body,
        Err(error) => {
            let what = format!("cannot reach the agent at {agent}: {error}");
            return report.unreached(SUBJECT, what, "does it run? `systemctl status kestrel-agent`, or the pod's log; --agent names another address");
        }
    };
    match serde_json::from_slice::<Value>(&body) {
        Ok(status) => says(&status, report),
        Err(_) => report.unreached(
            SUBJECT,
            format!("what listens at {agent} is no Kestrel agent"),
            "--agent names another address",
        ),
    }
}

async fn get(agent: SocketAddr) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(agent).await?;
    stream.write_all(format!("GET /status HTTP/1.0\r\nHost: {agent}\r\n\r\n").as_bytes()).await?;
    let mut reply = Vec::new();
    stream.take(LARGEST).read_to_end(&mut reply).await?;
    let at = reply.windows(4).position(|window| window == b"\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
    Ok(reply.split_off(at + 4))
}

fn says(status: &Value, report: &mut Report) {
    let text = |value: &Value| inert(value.as_str().unwrap_or_default());
    report.ok(SUBJECT, format!("answers, version {}", text(&status["version"])));
    let flag = |name: &str| status[name].as_bool();
    if flag("healthy") == Some(false) {
        report.fail(
            SUBJECT,
            format!("is not healthy: {}", reasons(status)),
            "restart it, and look into its log",
        );
    }
    if flag("ready") == Some(false) {
        report.warn(
            SUBJECT,
            format!("is not ready: {}", reasons(status)),
            "the first scan takes some seconds",
        );
    }
    for (kind, list) in [("hook", &status["coverage"]["hooks"]), ("control", &status["coverage"]["controls"])]
    {
        for entry in list.as_array().into_iter().flatten() {
            let state = text(&entry["support"]);
            if state.is_empty() || state == "SUPPORTED" {
                continue;
            }
            let what = format!("{kind} {} is {state}: {}", text(&entry["name"]), text(&entry["reason"]));
            report.warn(SUBJECT, what, "a newer kernel, or more rights for the agent: the reason says which");
        }
    }
}

fn reasons(status: &Value) -> String {
    let list = status["problems"].as_array().into_iter().flatten();
    let list: Vec<_> = list.filter_map(Value::as_str).map(inert).collect();
    if list.is_empty() { "it does not say why".to_owned() } else { list.join("; ") }
}

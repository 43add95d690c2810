//! `tail`.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use inert::is_hostile;
use kestrel_proto::v1::{self, record::Event, tail_request::Start, tail_response::Response};
use serde_json::Value;
use tonic::Status;

use crate::{
    data, expect, kestrel, run,
    server::{Script, Server},
};

fn tailing(tail: Vec<Vec<Result<Response, Status>>>) -> Server {
    Server::start(Script { tail, status: data::healthy(), ..Default::default() })
}

fn missed() -> v1::Missed {
    v1::Missed {
        records: Some(3),
        from: Some(v1::Cursor { frame: 20, index: 0 }),
        to: Some(v1::Cursor { frame: 21, index: 0 }),
        reason: v1::MissedReason::Slow.into(),
    }
}

fn exec(frame: u64) -> Result<Response, Status> {
    let id = v1::ProcessId { start_ticks: 5, tgid: 100, exec_id: Some(2) };
    Ok(Response::Event(data::envelope(
        frame,
        Event::Exec(v1::Exec { process: Some(id), ..Default::default() }),
    )))
}

#[test]
fn reads_like_a_table() {
    let server = tailing(vec![data::events().into_iter().map(|event| Ok(Response::Event(event))).collect()]);
    for (name, args) in
        [("text", &["tail", "--no-follow"][..]), ("wide", &["tail", "--no-follow", "-o", "wide"])]
    {
        let (code, out, err) = run(&server, args);
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(!out.chars().any(|char| char != '\n' && is_hostile(char)), "{out}");
        expect(&format!("tail-{name}.txt"), &out);
    }
}

#[test]
fn json_is_one_flat_inert_object_a_line() {
    let mut answers: Vec<_> = data::events().into_iter().map(|event| Ok(Response::Event(event))).collect();
    answers.push(Ok(Response::Missed(missed())));
    let server = tailing(vec![answers]);
    let (code, out, _) = run(&server, &["tail", "--no-follow", "-o", "json"]);
    assert_eq!(code, 0);
    assert!(!out.chars().any(|char| char != '\n' && is_hostile(char)), "{out}");
    expect(
        "tail.jsonl",
        &out.lines()
            .filter(|line| !line.contains("first_seen"))
            .fold(String::new(), |all, line| all + line + "\n"),
    );
    let all: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let exec = all.iter().find(|one| one["type"] == "exec").unwrap();
    assert_eq!(exec["node"], "worker-1");
    assert_eq!(exec["time"], "2027-01-15T08:00:03.000Z");
    assert_eq!(exec["epoch"], "123456789abcdef0");
    assert_eq!(exec["cursor"], "3:1");
    assert_eq!(exec["process"]["argv"][0], "curl");
    assert_eq!(exec["container"]["names"]["namespace"], "shop");
    let missed = all.last().unwrap();
    assert_eq!(
        (&missed["type"], &missed["records"], &missed["reason"]),
        (&"missed".into(), &3.into(), &"slow".into())
    );
}

#[test]
fn goes_on_where_a_broken_connection_left_it_exactly_once() {
    let broken = || Err(Status::unavailable("cut"));
    let server = tailing(vec![
        vec![exec(1), exec(2), broken()],
        // One that was shown already, one that is new; then only a place.
        vec![exec(2), exec(3), Ok(Response::Reached(v1::Cursor { frame: 7, index: 0 })), broken()],
        vec![exec(8), exec(9)],
    ]);
    let (code, out, err) = run(&server, &["tail", "--no-follow", "--oldest", "-o", "json"]);
    assert_eq!(code, 0, "{err}");
    let cursors: Vec<Value> =
        out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["cursor"].clone()).collect();
    assert_eq!(cursors, ["1:1", "2:1", "3:1", "8:1", "9:1"]);
    assert_eq!(err.matches("lost (cut); trying again in").count(), 2, "{err}");
    assert!(err.contains("going on behind 2:1") && err.contains("going on behind 7:0"), "{err}");
    let starts: Vec<_> = server.asked().tail.into_iter().map(|request| request.start.unwrap()).collect();
    assert_eq!(
        starts,
        [
            Start::Oldest(v1::Oldest {}),
            Start::After(v1::Cursor { frame: 2, index: 1 }),
            Start::After(v1::Cursor { frame: 7, index: 0 }),
        ]
    );
}

#[test]
fn a_follower_that_saw_nothing_yet_loses_nothing() {
    let server = Server::start(Script {
        tail: vec![vec![Err(Status::unavailable("cut"))], vec![exec(1)]],
        status: v1::StatusResponse { wall_unix_ns: data::AT, ..data::healthy() },
        hold: true,
        ..Default::default()
    });
    let mut child = kestrel()
        .args(["tail", "--server", &server.url()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("TIME"));
    // Shown at once, though the stream goes on.
    assert!(lines.next().unwrap().unwrap().contains("EXEC"));
    let starts: Vec<_> = server.asked().tail.into_iter().map(|request| request.start.unwrap()).collect();
    assert_eq!(starts, [Start::Now(v1::Now {}), Start::SinceUnixNs(data::AT)]);
    // Asked to stop, it ends well.
    let killed =
        std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn what_was_missed_is_shown_and_not_asked_for_again() {
    let server = tailing(vec![vec![Ok(Response::Missed(missed())), Err(Status::unavailable("cut"))], vec![]]);
    let (code, out, _) = run(&server, &["tail", "--no-follow"]);
    assert_eq!(code, 0);
    assert!(
        out.contains("MISSED") && out.contains("3 events were skipped: this reader was too slow"),
        "{out}"
    );
    let starts: Vec<_> = server.asked().tail.into_iter().map(|request| request.start.unwrap()).collect();
    assert_eq!(starts.last(), Some(&Start::After(v1::Cursor { frame: 21, index: 0 })));
}

#[test]
fn a_refusal_is_final() {
    let server = tailing(vec![vec![Err(Status::permission_denied("not for you \x1b[2J"))]]);
    let (code, _, err) = run(&server, &["tail"]);
    assert_eq!(code, 2);
    assert!(err.contains("refused: not for you \\x1b[2J"), "{err}");
    assert!(!err.chars().any(|char| char != '\n' && is_hostile(char)));
    assert_eq!(server.asked().tail.len(), 1);
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let server = tailing(vec![(1..5000).map(exec).collect()]);
    let mut child = kestrel()
        .args(["tail", "--no-follow", "-o", "json", "--server", &server.url()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.contains("exec"));
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn what_is_listed_only_can_be_left_out() {
    let listed = |frame| {
        let mut finding = data::findings().remove(3).finding.unwrap();
        finding.alert = false;
        Ok(Response::Event(data::envelope(frame, Event::Finding(finding))))
    };
    let server = tailing(vec![vec![listed(1), exec(2), listed(3)]]);
    assert_eq!(run(&server, &["tail", "--no-follow"]).1.lines().count(), 4);
    let (_, out, _) = run(&server, &["tail", "--no-follow", "--alerts"]);
    assert_eq!(out.lines().count(), 2, "{out}");
    assert!(out.contains("EXEC"));
}

#[test]
fn a_start_is_asked_for_as_given() {
    let server = tailing(vec![vec![]]);
    for args in [
        &["tail", "--no-follow", "--since", "2027-01-15T08:00:00Z", "--kind", "exec,loss"][..],
        &["tail", "--no-follow", "--after", "1042:7"],
        &["tail", "--no-follow", "--priority", "Warning", "--tag", "T1552*,T1059", "--rule", "Shell*"],
    ] {
        assert_eq!(run(&server, args).0, 0);
    }
    let [since, after, matched] = &server.asked().tail[..] else { panic!("three calls") };
    assert_eq!(since.start, Some(Start::SinceUnixNs(data::AT)));
    assert_eq!(
        since.filter.as_ref().unwrap().kinds,
        [v1::EventKind::Exec as i32, v1::EventKind::Loss as i32]
    );
    assert_eq!(after.start, Some(Start::After(v1::Cursor { frame: 1042, index: 7 })));
    assert!(!after.follow);
    let filter = matched.filter.as_ref().unwrap();
    assert_eq!(filter.min_priority(), v1::Priority::Warning);
    assert_eq!(
        (filter.tags.as_slice(), filter.rules.as_slice()),
        (&["T1552*", "T1059"].map(str::to_owned)[..], &["Shell*".to_owned()][..])
    );
}

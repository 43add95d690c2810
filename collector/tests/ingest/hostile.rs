//! Peers that are broken or mean: refused with a clear sentence, and others do not notice.

use std::time::Duration;

use kestrel_collector::ingest::Options;
use kestrel_proto::v1::{self, AgentMessage, Lane, agent_message::Message, record::Event};
use prost::Message as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::Code;

use crate::rig::{DEADLINE, EPOCH, Rig, batch, exec, hello};

/// Says hello and this, and is told that.
async fn refused(rig: &Rig, message: Message, code: Code, said: &str) {
    let mut agent = rig.agent("mean").await;
    agent.send(message).await;
    let status = agent.ended().await;
    assert_eq!(status.code(), code, "{said}: {status:?}");
    assert!(status.message().contains(said), "{said}: {}", status.message());
}

fn record(event: Event) -> Message {
    let record = v1::Record { event: Some(event), ..exec(1) };
    Message::Batch(v1::Batch { records: vec![record], ..batch(Lane::Findings, 1, 1) })
}

fn detection(detection: v1::Detection) -> Message {
    record(Event::Detection(v1::Detection { rule: "r".to_owned(), ..detection }))
}

fn low() -> v1::Detection {
    v1::Detection { severity: 2, ..v1::Detection::default() }
}

fn rules(rules: v1::Rules) -> Message {
    Message::Heartbeat(v1::Heartbeat { boottime_ns: 1, rules: Some(rules), ..v1::Heartbeat::default() })
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_others_are_unharmed() {
    let rig = Rig::start().await;
    let mut good = rig.agent("good").await;
    let wrong = Code::InvalidArgument;
    let b = || batch(Lane::Detections, 1, 1);
    let long = |bytes| "x".repeat(bytes);
    for (message, said) in [
        (Message::Hello(hello("mean")), "a second hello"),
        (Message::Batch(v1::Batch { epoch: 1, ..b() }), "epoch 0000000000000001 is not in the hello"),
        (Message::Batch(v1::Batch { first_sequence: 0, ..b() }), "first_sequence 0"),
        (Message::Batch(v1::Batch { first_sequence: u64::MAX, ..b() }), "is no number of an event"),
        (Message::Batch(v1::Batch { first_sequence: 1 << 62, ..b() }), "is no number of an event"),
        (Message::Batch(v1::Batch { lane: 0, ..b() }), "lane: 0 is not known here"),
        (Message::Batch(v1::Batch { lane: 4, ..b() }), "lane: 4 is not known here"),
        (Message::Batch(v1::Batch { records: vec![], ..b() }), "records: expected 1 to 16384, got 0"),
        (Message::Batch(v1::Batch { records: vec![exec(1); 16_385], ..b() }), "got 16385"),
        (
            Message::Batch(v1::Batch { records: vec![v1::Record { boottime_ns: 0, ..exec(1) }], ..b() }),
            "0 ns is no time since a boot",
        ),
        (
            Message::Batch(v1::Batch {
                records: vec![v1::Record { boottime_ns: 1 << 63, ..exec(1) }],
                ..b()
            }),
            "is no time since a boot",
        ),
        (
            Message::Batch(v1::Batch { records: vec![v1::Record { event: None, ..exec(1) }], ..b() }),
            "without an event",
        ),
        (record(Event::Exec(v1::Exec::default())), "exec: expected a process"),
        (record(Event::Node(v1::NodeStatus::default())), "the collector itself says"),
        (
            record(Event::ContainerGone(v1::ContainerGone { container_id: "../..".to_owned() })),
            "container id of up to 64 hex digits",
        ),
        (
            record(Event::Gap(v1::Gap { lane: 2, reason: 9, ..v1::Gap::default() })),
            "gap: reason: 9 is not known",
        ),
        (
            record(Event::Gap(v1::Gap {
                lane: 2,
                reason: 1,
                epoch: 1,
                from_sequence: 5,
                to_sequence: 4,
                ..v1::Gap::default()
            })),
            "gap: 5 to 4 is no range",
        ),
        (
            record(Event::Detection(v1::Detection { severity: 2, ..v1::Detection::default() })),
            "expected a rule",
        ),
        (detection(v1::Detection { severity: 0, ..v1::Detection::default() }), "severity: 0 is not known"),
        (detection(v1::Detection { priority: 9, ..v1::Detection::default() }), "priority: 9 is not known"),
        (
            detection(v1::Detection { tags: vec![long(1); 257], ..low() }),
            "detection: tags: at most 256, got 257",
        ),
        (
            detection(v1::Detection { fields: vec![v1::DetectionField::default(); 257], ..low() }),
            "detection: fields: at most 256",
        ),
        (
            detection(v1::Detection {
                fields: vec![v1::DetectionField { name: "a".to_owned(), value: Some(long(65_537)) }],
                ..low()
            }),
            "value of a field: at most 65536",
        ),
        (
            detection(v1::Detection { ancestors: vec![v1::Ancestor::default(); 65], ..low() }),
            "detection: ancestors: at most 64",
        ),
        (
            detection(v1::Detection {
                object: Some(v1::detection::Object::Path(long(16_385).into_bytes().into())),
                ..low()
            }),
            "detection: path: at most 16384",
        ),
        (rules(v1::Rules { hash: "x".to_owned(), ..v1::Rules::default() }), "rules: expected a hash"),
        (
            rules(v1::Rules { error: Some(long(65_537)), ..v1::Rules::default() }),
            "rules: error: at most 65536",
        ),
        (
            rules(v1::Rules { warnings: vec![String::new(); 1025], ..v1::Rules::default() }),
            "rules: warnings: at most 1024",
        ),
        (record(Event::Finding(v1::Finding { id: long(32), ..v1::Finding::default() })), "32 hex digits"),
        (
            record(Event::Loss(v1::Loss { at: long(2000), ..v1::Loss::default() })),
            "loss: at: at most 1024, got 2000",
        ),
        (Message::Inventory(v1::Inventory { part: 3, parts: 3, ..v1::Inventory::default() }), "part 3 of 3"),
        (
            Message::Heartbeat(v1::Heartbeat {
                boottime_ns: 1,
                problems: vec![String::new(); 2000],
                ..v1::Heartbeat::default()
            }),
            "problems: at most 1024, got 2000",
        ),
    ] {
        refused(&rig, message, wrong, said).await;
    }
    good.batch(Lane::Detections, 1, 10).await;
    good.acked(Lane::Detections, 10).await;
    assert_eq!(rig.events().len(), 10);
    rig.stop().await;
}

#[tokio::test]
async fn a_hello_that_cannot_be() {
    let rig = Rig::with(Options { clusters: vec!["test".to_owned()], ..Options::default() }).await;
    let epoch = v1::Epoch { epoch: EPOCH, boot_id: "b".to_owned() };
    for (greeting, code, said) in [
        (
            v1::Hello { schema: 2, ..hello("n") },
            Code::FailedPrecondition,
            "schema 2 is later than this collector's 1",
        ),
        (v1::Hello { schema: 0, ..hello("n") }, Code::InvalidArgument, "without a schema"),
        (hello(""), Code::InvalidArgument, "node: expected a name"),
        (hello("a/b"), Code::InvalidArgument, "node: expected at most 253 letters"),
        (hello(&"n".repeat(254)), Code::InvalidArgument, "node: expected at most 253 letters"),
        (
            v1::Hello { cluster: "\u{1b}[31m".to_owned(), ..hello("n") },
            Code::InvalidArgument,
            "cluster: expected",
        ),
        (
            v1::Hello { cluster: "other".to_owned(), ..hello("n") },
            Code::PermissionDenied,
            "does not serve cluster",
        ),
        (v1::Hello { boot_id: String::new(), ..hello("n") }, Code::InvalidArgument, "boot_id: expected"),
        (
            v1::Hello { epochs: vec![], ..hello("n") },
            Code::InvalidArgument,
            "epochs: expected 1 to 4096, got 0",
        ),
        (
            v1::Hello { epochs: vec![epoch.clone(), epoch], ..hello("n") },
            Code::InvalidArgument,
            "is there twice",
        ),
        (v1::Hello { boottime_ns: 0, ..hello("n") }, Code::InvalidArgument, "is no time since a boot"),
    ] {
        let mut agent = rig.stranger().await;
        agent.send(Message::Hello(greeting)).await;
        let status = agent.ended().await;
        assert_eq!(status.code(), code, "{said}: {status:?}");
        assert!(status.message().contains(said), "{said}: {}", status.message());
    }
    let mut agent = rig.stranger().await;
    agent.batch(Lane::Bulk, 1, 1).await;
    assert!(agent.ended().await.message().contains("the first message has to be a hello"));
    assert!(rig.frames().is_empty());
    rig.stop().await;
}

#[tokio::test]
async fn clocks_that_are_years_off_are_no_reason() {
    let rig = Rig::start().await;
    let mut agent = rig.stranger().await;
    agent.send(Message::Hello(v1::Hello { wall_unix_ns: i64::MIN, ..hello("n1") })).await;
    agent.welcomed().await;
    let records =
        vec![v1::Record { wall_unix_ns: i64::MAX, ..exec(1) }, v1::Record { wall_unix_ns: -1, ..exec(2) }];
    agent.send(Message::Batch(v1::Batch { records, ..batch(Lane::Detections, 1, 2) })).await;
    agent.acked(Lane::Detections, 2).await;
    // Our own clock is beside it.
    assert!(rig.frames()[1].body.received_unix_ns > 1_600_000_000_000_000_000);
    rig.stop().await;
}

#[tokio::test]
async fn huge_messages_are_refused() {
    let rig = Rig::start().await;
    let large = v1::Exec { filename: vec![7; 5 << 20].into(), ..v1::Exec::default() };
    // zstd makes a few hundred bytes of it: the limit holds for what comes out.
    refused(&rig, record(Event::Exec(large)), Code::ResourceExhausted, "4194304").await;
    let empty = vec![v1::Record::default(); 1 << 20];
    let many = Message::Batch(v1::Batch { records: empty, ..batch(Lane::Bulk, 1, 1) });
    refused(&rig, many, Code::ResourceExhausted, "in memory").await;
    rig.stop().await;
}

/// Bytes after a hello, as a gRPC frame that says it is so long.
async fn raw(rig: &Rig, compressed: u8, length: u32, bytes: Vec<u8>) -> tonic::Status {
    use tonic::codegen::http;
    let mut stream = Vec::new();
    let greeting = AgentMessage { message: Some(Message::Hello(hello("raw"))) }.encode_to_vec();
    stream.push(0);
    stream.extend_from_slice(&u32::try_from(greeting.len()).unwrap().to_be_bytes());
    stream.extend_from_slice(&greeting);
    stream.push(compressed);
    stream.extend_from_slice(&length.to_be_bytes());
    stream.extend_from_slice(&bytes);
    let request = http::Request::post("http://collector/kestrel.v1.Ingest/Deliver")
        .header("content-type", "application/grpc")
        .header("grpc-encoding", "zstd")
        .header("te", "trailers")
        .body(tonic::body::Body::new(http_body_util::Full::new(bytes::Bytes::from(stream))))
        .unwrap();
    let mut channel = rig.channel().await;
    std::future::poll_fn(|context| {
        tonic::codegen::Service::<http::Request<tonic::body::Body>>::poll_ready(&mut channel, context)
    })
    .await
    .unwrap();
    let answer = tonic::codegen::Service::call(&mut channel, request).await.unwrap();
    let (parts, body) = answer.into_parts();
    if let Some(status) = tonic::Status::from_header_map(&parts.headers) {
        return status;
    }
    let body = tokio::time::timeout(DEADLINE, http_body_util::BodyExt::collect(body)).await.unwrap().unwrap();
    tonic::Status::from_header_map(body.trailers().unwrap()).unwrap()
}

#[tokio::test]
async fn bytes_that_are_no_message() {
    let rig = Rig::start().await;
    let whole = AgentMessage { message: Some(Message::Batch(batch(Lane::Bulk, 1, 3))) }.encode_to_vec();
    for cut in 1..whole.len() {
        let status = raw(&rig, 0, u32::try_from(cut).unwrap(), whole[..cut].to_vec()).await;
        // Some cuts leave a message, of fewer records or without its number.
        assert!(
            status.code() == Code::InvalidArgument || status.code() == Code::Ok,
            "cut at {cut}: {status:?}"
        );
    }
    let noise = raw(&rig, 0, 100, vec![0xff; 100]).await;
    assert_eq!(noise.code(), Code::InvalidArgument, "{noise:?}");
    assert!(noise.message().contains("not a message"), "{noise:?}");
    let no_zstd = raw(&rig, 1, 100, vec![0xff; 100]).await;
    assert!(!matches!(no_zstd.code(), Code::Ok), "{no_zstd:?}");
    let ends_early = raw(&rig, 0, 1000, vec![0; 10]).await;
    assert!(!matches!(ends_early.code(), Code::Ok), "{ends_early:?}");
    let says_huge = raw(&rig, 0, u32::MAX, vec![0; 10]).await;
    assert_eq!(says_huge.code(), Code::ResourceExhausted, "{says_huge:?}");
    let mut agent = rig.agent("good").await;
    agent.batch(Lane::Bulk, 1, 1).await;
    agent.acked(Lane::Bulk, 1).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_zstd_bomb_does_not_go_off() {
    let rig = Rig::start().await;
    // Far more than is taken, in a few KiB that declare a window of 128 MiB.
    let mut bomb = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    bomb.window_log(27).unwrap();
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), 256 << 20), &mut bomb).unwrap();
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 200_000, "{}", bomb.len());
    let status = raw(&rig, 1, u32::try_from(bomb.len()).unwrap(), bomb).await;
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    rig.stop().await;
}

#[tokio::test]
async fn a_peer_that_says_nothing_is_not_waited_for() {
    let rig = Rig::with(Options { hello_time: Duration::from_millis(200), ..Options::default() }).await;
    let mut silent = rig.stranger().await;
    let status = silent.ended().await;
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(status.message(), "no hello in time");

    // Not even HTTP/2: it costs a socket, and no one else.
    let mut slow = tokio::net::TcpStream::connect(rig.address).await.unwrap();
    slow.write_all(b"PRI * HT").await.unwrap();
    let mut agent = rig.agent("good").await;
    agent.batch(Lane::Bulk, 1, 1).await;
    agent.acked(Lane::Bulk, 1).await;
    drop(agent);
    slow.write_all(b"nonsense").await.unwrap();
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(DEADLINE, slow.read_to_end(&mut rest)).await.expect("it stays open");
    rig.stop().await;
}

//! Detections: once each, and as a number where there are many.

use super::*;

/// As the collector's clock has it.
fn now(frame: u64, change: Change) -> Transition {
    Transition { at_unix_ns: crate::state::presence::unix_ns(), ..at(frame, change) }
}

/// Of how many detections of that rule each message speaks.
fn told_of(messages: &[Received], rule: &str) -> Vec<u64> {
    let about = messages.iter().filter(|message| message.text().contains(rule));
    let count = |message: &Received| {
        let text = message.body["text"].as_str().unwrap_or_default().to_owned();
        let times = text.split_once(" times)").and_then(|(front, _)| front.rsplit_once('(')?.1.parse().ok());
        times.unwrap_or(1)
    };
    about.map(count).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detection_is_told_once_and_says_where() {
    let mut bench = Bench::new();
    bench.pace.window = Duration::from_hours(1);
    let running = bench.start();
    running.transitions.send(now(1, matched("Shell in a container"))).await.unwrap();
    running.settled(1).await;
    // Not urgent enough, and one that comes again.
    let quiet = Change::Detected(detected("Quiet", Priority::Debug).into());
    running.transitions.send(now(2, quiet)).await.unwrap();
    running.transitions.send(now(1, matched("Shell in a container"))).await.unwrap();
    running.transitions.send(now(3, matched("Another"))).await.unwrap();
    running.settled(2).await;
    let texts: Vec<_> = bench.slack.posted().iter().map(Received::text).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    for said in ["WARNING · Shell in a container", "shop/cart", "app", "Shell in a container happened"] {
        assert!(texts[0].contains(said), "{said} in {}", texts[0]);
    }
    assert!(texts[1].contains("Another") && !texts.concat().contains("Quiet"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_few_messages_whose_counts_add_up_also_over_a_kill() {
    const FLOOD: u64 = 10_000;
    let mut bench = Bench::new();
    bench.pace.window = Duration::from_hours(1);
    let running = bench.start();
    for frame in 1..=FLOOD / 2 {
        running.transitions.send(now(frame, matched("Flood"))).await.unwrap();
    }
    let taken = |running: &Running, frame| running.alerts.taken() >= Some(Place { frame, index: 0 });
    until("half of it", || taken(&running, FLOOD / 2)).await;
    running.settled(1).await;
    running.kill().await;
    // The log is read again from some way before.
    let running = bench.start();
    for frame in FLOOD / 4..=FLOOD {
        running.transitions.send(now(frame, matched("Flood"))).await.unwrap();
    }
    until("all of it", || taken(&running, FLOOD)).await;
    let status = running.alerts.status().remove(0);
    assert_eq!((status.grouped, status.detections.wanted), (FLOOD - 1, FLOOD));
    assert_eq!(told_of(&bench.slack.posted(), "Flood"), [1]);
    running.kill().await;
    // The window ends.
    bench.pace.window = Duration::ZERO;
    let running = bench.start();
    let status = running.settled(2).await;
    assert_eq!((status.grouped, status.detections.told), (0, FLOOD));
    assert_eq!(told_of(&bench.slack.posted(), "Flood"), [1, FLOOD - 1]);
    assert_eq!(repeats(&bench.slack.received()), [false, false]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_ends_by_itself() {
    let mut bench = Bench::new();
    bench.pace.window = Duration::from_millis(50);
    let running = bench.start();
    for frame in 1..=3 {
        running.transitions.send(now(frame, matched("Thrice"))).await.unwrap();
    }
    until("three", || running.alerts.status()[0].detections.told == 3).await;
    assert_eq!(told_of(&bench.slack.posted(), "Thrice").iter().sum::<u64>(), 3);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_before_the_answer_makes_a_detection_a_repeat_and_only_that() {
    let mut bench = Bench::new();
    bench.pace.window = Duration::from_hours(1);
    bench.slack.script([Answer::Hang]);
    let running = bench.start();
    running.transitions.send(now(1, matched("First"))).await.unwrap();
    until("receipt", || bench.slack.received().len() == 1).await;
    running.transitions.send(now(2, matched("Second"))).await.unwrap();
    until("taken", || running.alerts.taken() == Some(Place { frame: 2, index: 0 })).await;
    running.kill().await;
    let running = bench.start();
    for (frame, rule) in [(1, "First"), (2, "Second")] {
        running.transitions.send(now(frame, matched(rule))).await.unwrap();
    }
    running.settled(2).await;
    let received = bench.slack.received();
    assert_eq!(repeats(&received), [false, true, false]);
    assert!(received[1].text().contains("First") && received[2].text().contains("Second"));
    assert_eq!(running.alerts.status()[0].detections.wanted, 2);
    running.stop().await;
}

fn replay(changes: impl IntoIterator<Item = (u64, Change)>) -> Replayed {
    let mut replayed = Replayed::default();
    changes.into_iter().for_each(|(frame, change)| replayed.push(now(frame, change)));
    replayed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_new_or_was_off_tells_no_old_detections() {
    let mut bench = Bench::new();
    bench.pace.window = Duration::from_hours(1);
    let standing = || Standing::new(&Fold::default());
    let running = bench.start();
    assert_eq!(running.alerts.resume(), None);
    running.alerts.heal(replay([(1, matched("Before"))]), standing(), 2, 5).await.unwrap();
    running.transitions.send(now(2, matched("New"))).await.unwrap();
    running.settled(1).await;
    running.stop().await;
    // A start that goes on where it was: what was in the log, and not yet taken, is told.
    let running = bench.start();
    assert_eq!(running.alerts.resume(), Some(Place { frame: 2, index: 0 }));
    let replayed = replay([(2, matched("New")), (3, matched("Cut off"))]);
    running.alerts.heal(replayed, standing(), 4, 5).await.unwrap();
    running.settled(2).await;
    running.stop().await;
    // A start without the channel.
    let folder = bench.dir.path().join("alerts");
    let without = Alerts::open(&AlertsConfig::default(), &folder, bench.pace).unwrap();
    assert!(without.is_empty());
    let running = bench.start();
    assert_eq!(running.alerts.resume(), None);
    running.alerts.heal(replay([(5, matched("While off"))]), standing(), 6, 5).await.unwrap();
    running.transitions.send(now(6, matched("Back"))).await.unwrap();
    running.settled(3).await;
    let texts: Vec<_> = bench.slack.posted().iter().map(Received::text).collect();
    assert_eq!(texts.len(), 3);
    for (text, said) in texts.iter().zip(["New", "Cut off", "Back"]) {
        assert!(text.contains(said), "{said} in {text}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_beside_a_new_one_loses_nothing() {
    let mut bench = Bench::new();
    bench.pace.window = Duration::from_hours(1);
    let standing = || Standing::new(&Fold::default());
    let running = bench.start();
    running.alerts.heal(Replayed::default(), standing(), 1, 5).await.unwrap();
    running.transitions.send(now(1, matched("Told"))).await.unwrap();
    running.settled(1).await;
    running.kill().await;
    bench.config.webhook = bench.config.slack.clone();
    let running = bench.start();
    assert_eq!(running.alerts.resume(), Some(Place { frame: 1, index: 0 }));
    running.alerts.heal(replay([(2, matched("Cut off"))]), standing(), 3, 5).await.unwrap();
    running.settled(2).await;
    assert_eq!(running.alerts.status()[1].detections.wanted, 0);
    running.stop().await;
}

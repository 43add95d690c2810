//! From an exec in the kernel to whoever watches at the collector.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use kestrel_proto::v1::{
    EventKind, Filter, Now, TailRequest, tail_request::Start, tail_response::Response,
    watch_client::WatchClient,
};
use kestrel_tests::lab::{
    collector::{Collector, Options},
    delivery::{Delivering, wait_delivered},
    lock::KernelLock,
    tally::Counter,
};
use nix::time::{ClockId, clock_gettime};
use tokio::{runtime::Builder, time::timeout};

use crate::{
    bars,
    report::{Measure, Unit},
    stats::{Estimate, median, upper_rank},
};

const COUNT: usize = 2000;
const PAUSE: Duration = Duration::from_millis(10);
const LIMIT: Duration = Duration::from_secs(60);

fn boottime_ns() -> Result<u64> {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME)?;
    Ok(u64::try_from(now.tv_sec() * 1_000_000_000 + now.tv_nsec())?)
}

pub(super) fn measure() -> Result<Vec<Measure>> {
    let _alone = KernelLock::acquire()?;
    let dir = tempfile::tempdir()?;
    let collector = Collector::start(&Options { on_disk: true, ..Options::default() })?;
    let endpoint = collector.endpoint();
    let agent = Delivering::to(&endpoint).start(dir.path())?;
    wait_delivered(&agent, LIMIT)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut taken = runtime.block_on(async {
        let mut client = WatchClient::connect(endpoint).await?;
        let request = TailRequest {
            filter: Some(Filter { kinds: vec![EventKind::Exec.into()], ..Filter::default() }),
            start: Some(Start::Now(Now {})),
            follow: true,
        };
        let mut stream = client.tail(request).await?.into_inner();
        let path = dir.path().to_owned();
        let counting = thread::spawn(move || Counter::start(&path, COUNT as u64, PAUSE)?.finish());
        let mut taken = Vec::with_capacity(COUNT);
        while taken.len() < COUNT {
            let response = timeout(LIMIT, stream.message()).await.context("an exec does not come")??;
            let Some(Response::Event(event)) = response.context("the stream has ended")?.response else {
                continue;
            };
            let now = boottime_ns()?;
            let counted = event
                .process
                .is_some_and(|process| process.argv.first().is_some_and(|name| &name[..] == b"counted"));
            if let (true, Some(record)) = (counted, event.record) {
                taken.push(now.saturating_sub(record.boottime_ns) as f64 / 1e9);
            }
        }
        counting.join().ok().context("the counter panicked")??;
        anyhow::Ok(taken)
    })?;
    taken.sort_by(f64::total_cmp);
    let p50 = median(&taken).context("no samples")?;
    let p99 = taken[taken.len() * 99 / 100];
    let rank = upper_rank(taken.len() as u64, 0.99).context("too few samples")?;
    let confident = taken[usize::try_from(rank)? - 1];
    ensure!(p50 <= p99, "sorted");
    let p99 = Estimate { median: p99, low: p99, high: confident };
    Ok(vec![
        Measure::exact("exec to tail, p50", p50, Unit::Seconds).note(format!("{COUNT} execs, 100 a second")),
        Measure::new("exec to tail, p99", p99, Unit::Seconds).held_against(bars::TAIL_P99),
    ])
}

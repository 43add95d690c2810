//! Bytes that an exec costs on the wire: a real agent, a real collector, and a cable that counts.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use kestrel_tests::lab::{
    collector::{Collector, Options},
    delivery::{Delivering, wait_delivered},
    lock::KernelLock,
    tally::Counter,
    watch::Watcher,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{TcpListener, TcpStream},
    runtime::Builder,
};

use crate::{
    bars,
    report::{Measure, Unit},
};

/// Programs, and the time between two.
const LOADS: [(u64, Duration); 2] = [(4000, Duration::ZERO), (500, Duration::from_millis(10))];
const LIMIT: Duration = Duration::from_secs(60);

/// A way to the collector that counts what goes up.
struct Cable {
    address: SocketAddr,
    up: Arc<AtomicU64>,
}

impl Cable {
    fn lay(collector: SocketAddr) -> Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let up = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&up);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        // Ends with the process.
        thread::spawn(move || runtime.block_on(carry(listener, collector, counted)));
        Ok(Self { address, up })
    }
}

async fn carry(listener: std::net::TcpListener, collector: SocketAddr, up: Arc<AtomicU64>) -> Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (agent, _) = listener.accept().await?;
        let up = Arc::clone(&up);
        tokio::spawn(async move {
            let collector = TcpStream::connect(collector).await?;
            collector.set_nodelay(true)?;
            let (mut from_agent, mut to_agent) = agent.into_split();
            let (mut from_collector, mut to_collector) = collector.into_split();
            tokio::spawn(async move { copy(&mut from_collector, &mut to_agent).await });
            let mut buffer = vec![0; 64 << 10];
            loop {
                let read = from_agent.read(&mut buffer).await?;
                if read == 0 {
                    return Ok::<_, std::io::Error>(());
                }
                up.fetch_add(read as u64, Ordering::Relaxed);
                to_collector.write_all(&buffer[..read]).await?;
            }
        });
    }
}

pub(super) fn measure() -> Result<Vec<Measure>> {
    let _alone = KernelLock::acquire()?;
    let dir = tempfile::tempdir()?;
    let collector = Collector::start(&Options::default())?;
    let cable = Cable::lay(collector.grpc())?;
    let endpoint = format!("http://{}", cable.address);
    let agent = Delivering::to(&endpoint).start(dir.path())?;
    let mut watcher = Watcher::new(&collector.endpoint())?;
    wait_delivered(&agent, LIMIT)?;
    let mut measures = Vec::new();
    for (count, pause) in LOADS {
        let before = cable.up.load(Ordering::Relaxed);
        let counted = Counter::start(dir.path(), count, pause)?.finish()?;
        counted.wait_stored(&mut watcher, LIMIT)?;
        wait_delivered(&agent, LIMIT)?;
        let bytes = cable.up.load(Ordering::Relaxed) - before;
        let rate = counted.per_second().context("nothing was executed")?;
        let what = format!("on the wire, {rate:.0} execs/s");
        let measure = Measure::exact(&what, bytes as f64 / count as f64, Unit::Bytes)
            .note("per exec, its exit, heartbeats and framing included");
        measures.push(if pause.is_zero() { measure.held_against(bars::WIRE) } else { measure });
    }
    Ok(measures)
}

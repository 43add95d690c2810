//! An outbox and an uplink, without the agent around them.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use kestrel_agent::{
    config,
    http::Health,
    outbox::{Definition, DefinitionKey, Item, Lane, Options, Outbox},
    pipeline::clock,
    telemetry::Telemetry,
    uplink::{InventoryMaker, Reporter, Settings, Uplink, UplinkState, inventories},
};
use kestrel_proto::v1;
use prost::Message as _;
use tokio::sync::watch;

pub const DEADLINE: Duration = Duration::from_secs(30);

pub struct Rig {
    pub outbox: Outbox,
    pub state: Arc<UplinkState>,
    pub telemetry: Arc<Telemetry>,
    pub inventory: InventoryMaker,
    pub stop: watch::Sender<bool>,
    pub task: tokio::task::JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Impatient, so that tests are quick.
pub fn settings() -> Settings {
    let config = config::Config::<config::ExemptionItem>::defaults("worker-1".to_owned());
    Settings {
        heartbeat: Duration::from_millis(100),
        inventory: Duration::from_secs(3600),
        connect_time: Duration::from_secs(2),
        answer_time: Duration::from_secs(5),
        ack_time: Duration::from_millis(500),
        ping: Duration::from_millis(200),
        backoff_base: Duration::from_millis(20),
        backoff_cap: Duration::from_millis(200),
        ..Settings::new(&config, "boot-1", "6.12")
    }
}

pub fn plain(address: SocketAddr) -> config::Uplink {
    config::Uplink {
        endpoint: format!("http://{address}").parse().unwrap(),
        tls: None,
        drain_timeout: Duration::from_secs(10),
    }
}

impl Rig {
    pub fn start(uplink: config::Uplink, settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (outbox, _) = Outbox::open(&folder.path().join("outbox"), Options::new("boot-1"));
        Self::with(outbox, folder, uplink, settings)
    }

    pub fn with(
        outbox: Outbox,
        folder: tempfile::TempDir,
        uplink: config::Uplink,
        settings: Settings,
    ) -> Self {
        let telemetry = Arc::new(Telemetry::new(&[]));
        let state = Arc::new(UplinkState::default());
        let (inventories, inventory) = inventories();
        let reporter = Reporter {
            telemetry: Arc::clone(&telemetry),
            health: Arc::new(Health::new(Duration::from_secs(10))),
            outbox: outbox.clone(),
            state: Arc::clone(&state),
        };
        let uplink = Uplink {
            uplink,
            settings,
            outbox: outbox.clone(),
            inventories,
            reporter,
            state: Arc::clone(&state),
            telemetry: Arc::clone(&telemetry),
        };
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(uplink.run(stopped));
        Self { outbox, state, telemetry, inventory, stop, task, _folder: folder }
    }

    /// Events whose boottimes are these.
    pub fn append(&self, lane: Lane, numbers: impl IntoIterator<Item = u64>) {
        let mut items: Vec<_> = numbers.into_iter().map(|number| item(lane, number)).collect();
        self.outbox.append(&mut items);
    }

    pub fn waiting(&self) -> u64 {
        self.outbox.status().lanes.iter().map(|lane| lane.events).sum()
    }

    /// A series of the metrics page.
    pub fn metric(&self, series: &str) -> f64 {
        let text = self.telemetry.render();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{series} is not there")).parse().unwrap()
    }
}

/// An exec of one of a hundred processes, or in the lane of findings something that refers to nothing.
pub fn item(lane: Lane, number: u64) -> Item {
    let at = clock::now();
    let id = v1::ProcessId { start_ticks: 7, tgid: (number % 100) as u32, exec_id: Some(1) };
    let mut refers = Vec::new();
    let event = match lane {
        Lane::Findings => v1::record::Event::Ready(v1::AgentReady { containers: number, processes: 0 }),
        Lane::Detections | Lane::Bulk => {
            let process =
                v1::Process { id: Some(id), exe: Bytes::from_static(b"/bin/x"), ..v1::Process::default() };
            refers.push(Definition {
                key: DefinitionKey::Process { start_ticks: 7, tgid: id.tgid, exec_id: 1 },
                body: process.encode_to_vec().into(),
            });
            v1::record::Event::Exec(v1::Exec { process: Some(id), filename: Bytes::new() })
        }
    };
    let record = v1::Record { boottime_ns: number, wall_unix_ns: 0, event: Some(event) };
    Item { lane, at, record: record.encode_to_vec().into(), refers }
}

pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

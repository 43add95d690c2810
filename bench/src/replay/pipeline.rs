//! The whole way through the agent's hot loop: decode, context, posture, and out.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use kestrel_agent::{
    config::Scope,
    context::{Context, Host, Limits, cri},
    detect::{self, Detector, RuleSet, Users},
    inspect::node::Candidate,
    pipeline::{
        CgroupQuestion, InspectionQuestion, Message, Outgoing, Outlets, Parts, Pipeline, clock,
        lifecycle::{self, LifecycleReceiver, Processes},
        raw::{self, RawReceivers, RawStreams},
    },
    posture::{CONTROLS, Exemptions, HostFacts, Policy, Posture, Settings},
    source::SequenceCheck,
    telemetry::{
        Telemetry,
        label::{DecodeReason, Label as _, Queue, QueueDrop, Ring, ScanKind},
    },
};
use rules::{compile::Matching, load::Config};
use tokio::sync::{mpsc, watch};

use super::{Stage, mix, recording::CPUS};

/// Records of a round: what comes in 5 ms at 100,000 a second.
const ROUND: usize = 500;
/// As the agent's.
const QUEUE: usize = 1024;
/// As the agent's defaults.
const LIMITS: Limits = Limits { processes: 32_768, containers: 4096, cgroups: 16_384 };

/// A pipeline whose slow side takes everything and answers nothing.
pub(crate) struct Whole {
    name: &'static str,
    pipeline: Pipeline,
    telemetry: Arc<Telemetry>,
    changes: mpsc::Receiver<Outgoing>,
    lifecycle: LifecycleReceiver,
    raw: RawReceivers,
    /// Events that left by it.
    told: u64,
    /// Records since the end of the last round.
    in_round: usize,
    names: mpsc::Receiver<cri::Question>,
    cgroups: mpsc::Receiver<CgroupQuestion>,
    inspections: mpsc::Receiver<InspectionQuestion>,
    node: mpsc::Receiver<Vec<Candidate>>,
    _messages: mpsc::Sender<Message>,
}

impl Whole {
    /// With empty tables, after a start scan that found nothing.
    pub(crate) fn new() -> Result<Self> {
        Self::start("decode to verdict", None)
    }

    /// The same, with the rules that come with Kestrel in force.
    pub(crate) fn with_rules() -> Result<Self> {
        let texts = rules::default::FILES.map(|(name, content)| detect::Text::new(name, content));
        let rules = RuleSet::load(&texts, &Config::default(), Matching::First)?;
        Self::start("decode to rules", Some(rules))
    }

    fn start(name: &'static str, rules: Option<RuleSet>) -> Result<Self> {
        let slugs: Vec<_> = CONTROLS.iter().map(|control| control.slug).collect();
        let telemetry = Arc::new(Telemetry::new(&slugs));
        let (messages, messages_in) = mpsc::channel(QUEUE);
        let (changes, changes_out) = mpsc::channel(QUEUE);
        let (names, names_out) = mpsc::channel(QUEUE);
        let (cgroups, cgroups_out) = mpsc::channel(QUEUE);
        let (inspections, inspections_out) = mpsc::channel(QUEUE);
        let (node, node_out) = mpsc::channel(1);
        let (start_scan, _) = watch::channel(false);
        let (lifecycle, mut lifecycle_out) = lifecycle::channel(Processes::Containers);
        // Somebody reads: no more buffers are made.
        drop(lifecycle_out.try_recv());
        let (raw, raw_out) = raw::channel(
            Some(RawStreams {
                files: Scope::All,
                network: Scope::All,
                system: Scope::All,
                signals: Scope::All,
            }),
            None,
        );
        let host = Host { mnt_ns: mix::HOST.mnt, pid_ns: mix::HOST.pid, hierarchy: 0 };
        let facts = HostFacts { bounding: mix::ALL_CAPS, ns: mix::HOST, sees_layers: true };
        let posture = Posture::new(
            Settings::default(),
            Policy::default(),
            Exemptions::default(),
            facts,
            "bench".to_owned(),
        );
        let mut pipeline = Pipeline::new(Parts {
            context: Context::new(LIMITS, host),
            posture,
            telemetry: Arc::clone(&telemetry),
            messages: messages_in,
            outlets: Outlets::new(changes, names, cgroups, inspections, node, start_scan),
            lifecycle,
            raw,
            detector: Detector::new(
                detect::Limits::default(),
                0,
                "bench".to_owned(),
                clock::now(),
                Arc::clone(&telemetry),
            ),
            sequence: SequenceCheck::new(std::array::from_fn(|_| vec![0; CPUS])),
            boot_id: "bench".to_owned(),
            proof: None,
            canary: None,
            inspect_every_ns: u64::MAX,
        });
        messages.try_send(Message::ScanDone(ScanKind::Start)).context("the pipeline takes no messages")?;
        if let Some(rules) = rules {
            let users = Arc::new(Users::default());
            let rules = Message::Rules { rules: Arc::new(rules), users };
            messages.try_send(rules).context("the pipeline takes no rules")?;
        }
        pipeline.take_answers();
        Ok(Self {
            name,
            pipeline,
            telemetry,
            changes: changes_out,
            lifecycle: lifecycle_out,
            raw: raw_out,
            told: 0,
            in_round: 0,
            names: names_out,
            cgroups: cgroups_out,
            inspections: inspections_out,
            node: node_out,
            _messages: messages,
        })
    }
}

impl Stage for Whole {
    fn name(&self) -> &'static str {
        self.name
    }

    fn is_whole(&self) -> bool {
        true
    }

    fn record(&mut self, bytes: &[u8]) -> Result<()> {
        self.pipeline.record(bytes);
        self.in_round += 1;
        if self.in_round == ROUND {
            self.in_round = 0;
            self.pipeline.end_round();
            // Takes them and gives them back, as the sink does; what it makes of them is its own.
            while let Some(filled) = self.lifecycle.try_recv() {
                self.told += filled.entries().len() as u64;
            }
            for way in [&mut self.raw.rare, &mut self.raw.bulk] {
                while let Some(filled) = way.try_recv() {
                    self.told += filled.entries().len() as u64;
                }
            }
        }
        Ok(())
    }

    fn tick(&mut self, boottime_ns: u64) {
        self.pipeline.tick(boottime_ns);
    }

    fn rest(&mut self) {
        while self.changes.try_recv().is_ok() {}
        while self.names.try_recv().is_ok() {}
        while self.cgroups.try_recv().is_ok() {}
        while self.inspections.try_recv().is_ok() {}
        while self.node.try_recv().is_ok() {}
    }

    fn check(&self) -> Result<()> {
        let refused: u64 =
            DecodeReason::ALL.iter().map(|&reason| self.telemetry.decode.failed.of(reason).get()).sum();
        ensure!(refused == 0, "{refused} records were refused");
        let missing = self.telemetry.rings.lost.of(Ring::Critical).get();
        ensure!(missing == 0, "{missing} sequence numbers are missing");
        ensure!(self.telemetry.posture.judged.get() > 0, "nothing was judged");
        ensure!(self.told > 0, "nothing was told of processes");
        let lost = self.telemetry.queues.dropped.of(Queue::Lifecycle, QueueDrop::Full).get();
        ensure!(lost == 0, "{lost} events of processes found no room");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Mix, Size},
        *,
    };

    #[test]
    fn a_damaged_record_is_counted_and_those_after_it_are_judged() {
        let mut whole = Whole::new().unwrap();
        let recording = Mix::record(Size { containers: 1, processes: 2, short_lived: 1, lax_every: 0 });
        let good = recording.records().next().unwrap();
        let damaged = |at: usize, value: u8| {
            let mut bytes = good.to_vec();
            bytes[at] = value;
            bytes
        };
        whole.record(&damaged(0, 99)).unwrap();
        whole.record(&damaged(2, 200)).unwrap();
        whole.record(&good[..good.len() - 8]).unwrap();
        for reason in [DecodeReason::Version, DecodeReason::Kind, DecodeReason::Length] {
            assert_eq!(whole.telemetry.decode.failed.of(reason).get(), 1, "{reason:?}");
        }
        for record in recording.records() {
            whole.record(record).unwrap();
        }
        whole.tick(recording.now());
        assert!(whole.telemetry.posture.judged.get() > 0);
    }
}

//! One connection: batches up, acks down, until it ends.

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    time::Duration,
};

use kestrel_proto::v1::{self, collector_message::Message};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{
    Inventories, Settings,
    backoff::Backoff,
    connect::{Connection, watermark},
    end::End,
    heartbeat::Reporter,
    known::Known,
    refusal::Refusals,
    state::UplinkState,
    window::Window,
    wire::{AgentMessage, Payload},
};
use crate::{
    outbox::{Lane, Outbox, Watermark},
    telemetry::{Telemetry, label::UplinkPressure},
};

/// Most bytes of a batch.
pub(super) const BATCH_BYTES: usize = 256 << 10;
/// Room in a message for what is not records.
const ENVELOPE_BYTES: usize = 4096;
/// While a batch is on its way, one that is small waits so long for more. On an idle connection it
/// goes at once.
const GATHER: Duration = Duration::from_millis(20);
/// Longest pause that a collector may ask for.
const MAX_PAUSE: Duration = Duration::from_mins(1);
/// Batches between two parts of an inventory, while there are both.
const BATCHES_PER_PART: u32 = 4;

/// What outlives a connection, lent to it.
pub(super) struct Lent<'a> {
    pub(super) outbox: &'a Outbox,
    pub(super) settings: &'a Settings,
    pub(super) state: &'a UplinkState,
    pub(super) telemetry: &'a Telemetry,
    pub(super) reporter: &'a Reporter,
    pub(super) inventories: &'a mut Inventories,
    pub(super) backoff: &'a mut Backoff,
    pub(super) refusals: &'a mut Refusals,
}

/// A connection at work.
pub(super) struct Session<'a> {
    lent: Lent<'a>,
    window: Window,
    known: Known,
    max_batch: usize,
    parts: VecDeque<v1::Inventory>,
    /// Up to where the collector has the findings lane, by epoch, as it says itself.
    findings: HashMap<u64, u64>,
    /// The outbox may have something to send.
    has_more: bool,
    batches_since_part: u32,
    sent_parts: bool,
    heartbeat_due: Instant,
    inventory_due: Instant,
    /// A small batch waits until then.
    gather_until: Instant,
    /// The collector wants no events until then.
    paused_until: Instant,
    /// When the collector last said something.
    heard: Instant,
}

impl<'a> Session<'a> {
    /// Works until the connection ends, and says why.
    pub(super) async fn run(
        lent: Lent<'a>,
        connection: Connection,
        finish: &mut watch::Receiver<bool>,
    ) -> End {
        let Connection { outbound, inbound, welcome } = connection;
        lent.outbox.resume(&welcome.watermarks);
        if !welcome.watermarks.is_empty() {
            lent.state.acked();
        }
        let now = Instant::now();
        let not_before = lent.refusals.no_inventory_until.filter(|until| *until > now);
        let max_batch = match welcome.max_message_bytes {
            0 => BATCH_BYTES,
            most => most.saturating_sub(ENVELOPE_BYTES).clamp(1, BATCH_BYTES),
        };
        let mut session = Self {
            lent,
            window: Window::default(),
            known: Known::default(),
            max_batch,
            parts: VecDeque::new(),
            findings: HashMap::new(),
            has_more: true,
            batches_since_part: 0,
            heartbeat_due: now,
            inventory_due: not_before.unwrap_or(now),
            sent_parts: false,
            gather_until: now,
            paused_until: now,
            heard: now,
        };
        session.lent.inventories.discard();
        for mark in &welcome.watermarks {
            session.confirmed(*mark);
        }
        let Err(end) = session.work(outbound, inbound, finish).await;
        session.lent.telemetry.uplink.in_flight.set(0);
        if end.label() == crate::telemetry::label::UplinkEnd::Refused {
            session.refused();
        }
        end
    }

    async fn work(
        &mut self,
        outbound: mpsc::Sender<AgentMessage>,
        mut inbound: tonic::Streaming<v1::CollectorMessage>,
        finish: &mut watch::Receiver<bool>,
    ) -> Result<Infallible, End> {
        let mut is_open = true;
        loop {
            let now = Instant::now();
            if self.ack_deadline().is_some_and(|deadline| now >= deadline) {
                return Err(End::NoAck);
            }
            if now >= self.inventory_due {
                self.inventory_due = now + self.lent.settings.inventory;
                self.lent.inventories.ask();
            }
            let wants = is_open && self.wants_to_send(now);
            let next_look = self.next_look(now);
            tokio::select! {
                biased;
                message = inbound.message() => self.take(message?.ok_or(End::Closed)?)?,
                permit = outbound.reserve(), if wants => match permit {
                    Ok(permit) => {
                        if let Some(message) = self.next_message(Instant::now()) {
                            permit.send(message);
                        }
                    }
                    // The request is over; the answer says why.
                    Err(_) => is_open = false,
                },
                () = self.lent.outbox.changed(), if !self.has_more => self.has_more = true,
                parts = self.lent.inventories.next() => self.parts = self.attainable(parts).into(),
                _ = finish.wait_for(|finish| *finish) => break,
                () = sleep_until(next_look) => {}
            }
        }
        drop(outbound);
        // Whatever comes now changes nothing any more.
        while let Ok(Some(_)) = inbound.message().await {}
        Err(End::Finished)
    }

    /// Whether there is something to send now.
    fn wants_to_send(&self, now: Instant) -> bool {
        self.may_beat(now) || self.may_send_batch(now) || self.may_send_part(now)
    }

    fn may_beat(&self, now: Instant) -> bool {
        now >= self.heartbeat_due && !self.lent.refusals.is_careful()
    }

    fn may_send_part(&self, now: Instant) -> bool {
        !self.parts.is_empty() && now >= self.paused_until && !self.lent.refusals.is_careful()
    }

    fn may_send_batch(&self, now: Instant) -> bool {
        let is_free = self.window.is_empty();
        let has_room = if self.lent.refusals.is_careful() { is_free } else { self.window.has_room() };
        self.has_more && has_room && now >= self.paused_until && (is_free || now >= self.gather_until)
    }

    /// When something is due that nobody wakes for.
    fn next_look(&self, now: Instant) -> Instant {
        let far = now + Duration::from_hours(1);
        let later = |at: Instant| if at > now { at } else { far };
        let mut next = later(self.heartbeat_due).min(later(self.inventory_due));
        if self.has_more || !self.parts.is_empty() {
            next = next.min(later(self.gather_until)).min(later(self.paused_until));
        }
        self.ack_deadline().map_or(next, |deadline| next.min(deadline))
    }

    fn confirmed(&mut self, mark: Watermark) {
        if mark.lane == Lane::Findings {
            let sequence = self.findings.entry(mark.epoch).or_default();
            *sequence = mark.sequence.max(*sequence);
        }
    }

    /// A collector that lost its data would wait in vain for events that were acknowledged before it
    /// did: an inventory is all that it can get of them.
    fn attainable(&self, mut parts: Vec<v1::Inventory>) -> Vec<v1::Inventory> {
        if self.lent.outbox.status().lanes[Lane::Findings.index()].events == 0 {
            for after in parts.iter_mut().filter_map(|part| part.after.as_mut()) {
                let has = self.findings.get(&after.epoch).copied().unwrap_or(0);
                after.sequence = after.sequence.min(has);
            }
        }
        parts
    }

    /// When the oldest batch has waited too long, the collector being silent as well.
    fn ack_deadline(&self) -> Option<Instant> {
        let oldest = self.window.oldest()?;
        Some(oldest.sent.max(self.heard).max(self.paused_until) + self.lent.settings.ack_time)
    }

    fn next_message(&mut self, now: Instant) -> Option<AgentMessage> {
        if self.may_beat(now) {
            self.heartbeat_due = now + self.lent.settings.heartbeat;
            return Some(Payload::Heartbeat(self.lent.reporter.heartbeat()).into());
        }
        let is_parts_turn = self.batches_since_part >= BATCHES_PER_PART && self.may_send_part(now);
        if self.may_send_batch(now) && !is_parts_turn {
            if let Some(message) = self.next_batch(now) {
                return Some(message);
            }
            self.has_more = false;
        }
        if !self.may_send_part(now) {
            return None;
        }
        self.batches_since_part = 0;
        self.sent_parts = true;
        self.parts.pop_front().map(|part| Payload::Inventory(part).into())
    }

    fn next_batch(&mut self, now: Instant) -> Option<AgentMessage> {
        let batch = self.lent.outbox.next_batch(self.lent.refusals.limit(self.max_batch))?;
        // One that is nearly full has more behind it.
        let is_small = batch.bytes < self.max_batch / 2;
        self.gather_until = if is_small { now + GATHER } else { now };
        self.batches_since_part = self.batches_since_part.saturating_add(1);
        self.window.sent(&batch, now);
        let counters = &self.lent.telemetry.uplink;
        let lane = batch.lane.into();
        counters.batches.of(lane).add(1);
        counters.events.of(lane).add(batch.records.len() as u64);
        counters.bytes.of(lane).add(batch.bytes as u64);
        counters.in_flight.set(self.window.bytes() as u64);
        Some(Payload::Batch(self.known.message(batch)).into())
    }

    fn take(&mut self, message: v1::CollectorMessage) -> Result<(), End> {
        self.heard = Instant::now();
        match message.message {
            Some(Message::Ack(v1::Ack { watermark: Some(acked) })) => match watermark(&acked) {
                Some(acked) => {
                    self.confirmed(acked);
                    self.acked(acked)
                }
                None => Err(End::Protocol("it acknowledged a lane that there is not")),
            },
            Some(Message::Ack(v1::Ack { watermark: None })) => Err(End::Protocol("an ack is empty")),
            Some(Message::Pressure(pressure)) => {
                let pause = Duration::from_millis(pressure.pause_ms.into()).min(MAX_PAUSE);
                self.paused_until = self.paused_until.max(self.heard + pause);
                self.lent.telemetry.uplink.pressure.of(label(pressure.reason())).add(1);
                Ok(())
            }
            Some(Message::Welcome(_)) => Err(End::Protocol("a second welcome")),
            // Of a collector that knows more than this agent.
            None => Ok(()),
        }
    }

    fn acked(&mut self, acked: Watermark) -> Result<(), End> {
        if let Some(oldest) = self.window.oldest()
            && (oldest.epoch, oldest.lane) == (acked.epoch, acked.lane)
            && oldest.last <= acked.sequence
        {
            let took = self.heard.saturating_duration_since(oldest.sent);
            self.lent.telemetry.uplink.ack_latency.observe(took);
        }
        self.window.ack(acked).map_err(|_| End::Protocol("it acknowledged what it was not sent"))?;
        self.lent.outbox.ack(acked.epoch, acked.lane, acked.sequence);
        self.lent.backoff.succeeded();
        self.lent.refusals.acked(self.max_batch);
        self.lent.telemetry.uplink.in_flight.set(self.window.bytes() as u64);
        self.lent.state.acked();
        Ok(())
    }

    /// The collector refused something, perhaps an event.
    fn refused(&mut self) {
        if self.sent_parts {
            self.lent.refusals.no_inventory_until = Some(Instant::now() + self.lent.settings.inventory);
        }
        let Some(event) = self.lent.refusals.refused(&self.window, self.max_batch) else { return };
        tracing::error!(
            epoch = event.epoch,
            lane = event.lane.name(),
            sequence = event.first,
            "the collector refuses this event again and again: it is given up, and a gap tells so"
        );
        self.lent.outbox.refuse(event.epoch, event.lane, event.first);
        self.lent.telemetry.outbox.refused.of(event.lane.into()).add(1);
    }
}

const fn label(reason: v1::PressureReason) -> UplinkPressure {
    match reason {
        v1::PressureReason::Quota => UplinkPressure::Quota,
        v1::PressureReason::DiskFull => UplinkPressure::DiskFull,
        v1::PressureReason::Overloaded => UplinkPressure::Overloaded,
        v1::PressureReason::Unspecified => UplinkPressure::Other,
    }
}

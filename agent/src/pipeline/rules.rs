//! Rules between the stages: after context and posture have taken an event in.

use std::sync::Arc;

use super::{Outgoing, Pipeline, clock};
use crate::{
    decode::Event,
    detect::{Detection, RuleSet, Users, View},
    time::Clock,
};

impl Pipeline {
    /// Holds an event against the rules in force.
    pub(super) fn detect(&mut self, event: &Event<'_>, record: &[u8], at: Clock) {
        let Self { detector, context, posture, former, detections, .. } = self;
        detector.take(event, record, View { context, posture, former }, at, detections);
        self.send_detections();
    }

    pub(super) fn tick_rules(&mut self, now: Clock) {
        let Self { detector, context, posture, former, detections, .. } = self;
        detector.tick(View { context, posture, former }, now, detections);
        self.send_detections();
    }

    /// The records of a round are read, and with them the execs from before what was read of images.
    pub(super) fn settle_images(&mut self) {
        if !self.detector.has_images() {
            return;
        }
        let now = self.clocks.at(clock::boottime_ns());
        let Self { detector, context, posture, former, detections, .. } = self;
        detector.settle_images(View { context, posture, former }, now, detections);
        self.send_detections();
    }

    /// The records of a round are read: what happened before it began can be taken in its order.
    pub(super) fn settle_steps(&mut self) {
        let Self { detector, context, posture, former, detections, looked_up_ns, .. } = self;
        detector.settle_steps(*looked_up_ns, View { context, posture, former }, detections);
        self.send_detections();
    }

    pub(super) fn put_in_force(&mut self, rules: Arc<RuleSet>, users: Arc<Users>, now: Clock) {
        let Self { detector, context, posture, former, detections, .. } = self;
        detector.put_in_force(rules, users, View { context, posture, former }, now, detections);
        self.send_detections();
    }

    pub(super) fn finish_rules(&mut self, now: Clock) {
        let Self { detector, context, posture, former, detections, .. } = self;
        detector.finish(View { context, posture, former }, now, detections);
        self.send_detections();
    }

    fn send_detections(&mut self) {
        for detection in self.detections.drain(..) {
            let detection: Box<Detection> = Box::new(detection);
            self.outlets.send(Outgoing::Detection(detection), &self.telemetry);
        }
    }
}

//! Rules over several events.

mod loading;
mod oracle;
mod tracking;

use rules::{
    event::JsonEvent,
    load::{Config, Loader, Report, RuleSet},
    temporal::{Fired, Limits, Temporal, Tracker},
};
use serde_json::Value;

/// The report on a file, and its rules.
fn load(text: &str) -> (Report, RuleSet) {
    let mut loader = Loader::new(Config::default());
    let report = loader.load("r.yaml", text);
    (report, loader.rules().clone())
}

/// Rules of a file without mistakes, held against events one by one.
struct Held {
    temporal: Temporal,
    tracker: Tracker,
    scratch: rules::compile::Scratch,
}

impl Held {
    fn new(text: &str, limits: Limits) -> Self {
        let (report, set) = load(text);
        assert!(report.successful, "{report}");
        let temporal = set.compile_temporal();
        Self { temporal, tracker: Tracker::new(limits), scratch: rules::compile::Scratch::default() }
    }

    /// Goes on with other rules.
    fn reload(&mut self, text: &str) {
        self.temporal = Self::new(text, Limits::default()).temporal;
    }

    /// An event at a second.
    fn take(&mut self, second: u64, fields: Value) -> Vec<Fired> {
        let Value::Object(fields) = fields else { panic!("{fields} is no object") };
        let event = JsonEvent::new(fields);
        let mut parts = Vec::new();
        let Self { temporal, tracker, scratch } = self;
        temporal.matches(scratch, event.event_type(), &event, |part, truth| {
            if truth.is_true() {
                parts.push(part);
            }
        });
        let at_ns = second * 1_000_000_000;
        parts.into_iter().filter_map(|part| tracker.note(temporal, part, &event, at_ns)).collect()
    }
}

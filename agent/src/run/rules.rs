//! The rules of the configuration: read at start, and again when their files change. A set that is
//! refused changes nothing: the last good one stays in force, and it is said why.

use std::{
    fs::File,
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
};

use agent_abi::{hook::Hook, map::FILTER_ENTRIES};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::resolver::Asking;
use crate::{
    config::Streams,
    detect::{self, Loading, NeededFiles, RuleSet, Text, Users},
    filter::{Filter, PathPrefix},
    http::Health,
    kernel::{Filters, InterestTable},
    pipeline::Message,
    syscall::Wants,
    telemetry::{Telemetry, label::Reload},
};

/// Where the node's users are: in a container of the agent's own `/etc` is the image's.
const ETC: [&str; 2] = ["/proc/1/root/etc", "/etc"];

/// The rules at the agent's start.
#[derive(Clone, Debug, Default)]
pub(super) struct AtStart {
    /// Those in force.
    pub(super) rules: Option<Arc<RuleSet>>,
    /// What was read last, in force or refused.
    read: Option<[u8; 32]>,
}

/// Looks after the files while the agent runs.
pub(super) struct Reloader {
    pub(super) loading: Loading,
    pub(super) start: AtStart,
    pub(super) streams: Streams,
    pub(super) interest: InterestTable,
    pub(super) filters: Filters,
    /// What they leave out now.
    pub(super) filter: Filter,
    /// Answers of name servers are seen.
    pub(super) sees_packets: bool,
    pub(super) resolver: Asking,
    pub(super) messages: mpsc::Sender<Message>,
    pub(super) health: Arc<Health>,
    pub(super) telemetry: Arc<Telemetry>,
}

impl AtStart {
    /// Reads and compiles; `known` is what was read last, of which nothing more is said.
    fn load(loading: &Loading, known: Option<[u8; 32]>) -> Option<([u8; 32], Result<RuleSet, String>)> {
        let texts = match loading.read() {
            Ok(texts) => texts,
            Err(error) => {
                let error = error.to_string();
                let hash = Sha256::digest(&error).into();
                return (known != Some(hash)).then_some((hash, Err(error)));
            }
        };
        let hash = Text::digest(&texts);
        if known == Some(hash) {
            return None;
        }
        let set = loading.compile(&texts).map_err(|refused| refused.to_string());
        Some((hash, set))
    }

    /// The first load. Rules that are refused keep the agent from being ready, and from nothing else.
    pub(super) fn load_first(loading: &Loading, health: &Health, telemetry: &Telemetry) -> Self {
        let Some((hash, loaded)) = Self::load(loading, None) else { return Self::default() };
        let rules = note(loaded, health, telemetry);
        Self { rules, read: Some(hash) }
    }
}

/// Says what came of a load.
fn note(loaded: Result<RuleSet, String>, health: &Health, telemetry: &Telemetry) -> Option<Arc<RuleSet>> {
    let detect = &telemetry.detect;
    match loaded {
        Ok(set) => {
            let summary = set.summary();
            detect.reloads.of(Reload::Ok).add(1);
            detect.stale.set(0);
            detect.active.set(summary.active as u64);
            detect.defined.set(summary.defined as u64);
            detect.loaded_seconds.set(summary.loaded_ns / 1_000_000_000);
            tracing::info!(active = summary.active, defined = summary.defined, hash = %summary.hash, "rules in force");
            for warning in &summary.warnings {
                tracing::warn!("rules: {warning}");
            }
            health.rules_loaded(summary.clone());
            Some(Arc::new(set))
        }
        Err(error) => {
            detect.reloads.of(Reload::Failed).add(1);
            detect.stale.set(1);
            tracing::error!("rules are refused, those before stay in force: {error}");
            health.rules_refused(error);
            None
        }
    }
}

/// All that the streams and the rules want of the kernel, and which files rules want.
pub(super) fn wants(streams: &Streams, rules: Option<&RuleSet>) -> (Wants, NeededFiles) {
    // One more may stand for all others; and while one set follows another, the kernel has both.
    let room = (FILTER_ENTRIES / 2).saturating_sub(streams.files_below.len() + 1);
    let mut wants = super::filter::wants(streams);
    let files = rules.map(|rules| detect::add_to(&mut wants, rules, room)).unwrap_or_default();
    (wants, files)
}

impl Reloader {
    /// Until the other end of `stop` goes.
    pub(super) fn run(mut self, stop: &Receiver<()>) {
        if let Some(rules) = self.start.rules.take()
            && !self.put_in_force(rules)
        {
            return;
        }
        while stop.recv_timeout(self.loading.every()) == Err(RecvTimeoutError::Timeout) {
            let Some((hash, loaded)) = AtStart::load(&self.loading, self.start.read) else { continue };
            self.start.read = Some(hash);
            let Some(rules) = note(loaded, &self.health, &self.telemetry) else { continue };
            // What the new rules want comes before they do, and a file that is looked for before the call is.
            let (wants, NeededFiles { prefixes, landmarks }) = wants(&self.streams, Some(&rules));
            self.filter.prefixes = PathPrefix::with(&self.streams.files_below, prefixes);
            self.filter.landmarks = landmarks;
            let set = self.filters.set(&self.filter);
            if let Err(error) = set.and_then(|()| self.interest.set(&wants)) {
                tracing::warn!(%error, "not all that the new rules want is seen before the agent starts anew");
                self.health.rules_lack(error.to_string());
            }
            if !self.put_in_force(rules) {
                return;
            }
        }
    }

    /// Rules for names of which nothing is heard can never match.
    fn say_unheard(&self, rules: &RuleSet) {
        let unheard = rules.needs_peer_names();
        if let Some(first) = unheard.first().filter(|_| !self.sees_packets) {
            let what = format!(
                "{} rules ask for parts of names of peers, the first of them {first:?}, and can never match: the hook \
                 {} is not attached (it takes CAP_NET_ADMIN, and a start of the agent with these rules)",
                unheard.len(),
                Hook::Packet.name()
            );
            tracing::warn!("rules: {what}");
            self.health.rules_lack(what);
        }
    }

    /// Whether anybody is there to take them.
    fn put_in_force(&self, rules: Arc<RuleSet>) -> bool {
        let is_readable = |etc: &&str| File::open(Path::new(etc).join("passwd")).is_ok();
        let etc = ETC.into_iter().find(is_readable).unwrap_or(ETC[1]);
        let users = Arc::new(Users::read(Path::new(etc)));
        self.resolver.ask(rules.hosts().clone());
        self.say_unheard(&rules);
        self.messages.blocking_send(Message::Rules { rules, users }).is_ok()
    }
}

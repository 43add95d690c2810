//! How the collector is.

use kestrel_proto::v1::{AlertChannel, Cursor, NodeCondition, StatusResponse};

use super::WatchService;
use crate::{alert::ChannelStatus, state::presence::unix_ns};

impl WatchService {
    /// What `Status` answers; health and metrics may use it too.
    #[must_use]
    pub fn report(&self) -> StatusResponse {
        let mut problems = (self.health)();
        problems.extend(self.state.problems());
        let alerts = self.alerts.status();
        problems.extend(alerts.iter().flat_map(problems_of));
        let fold = self.state.read();
        let bad = fold.nodes().filter(|(_, node)| {
            matches!(node.status.condition(), NodeCondition::Silent | NodeCondition::Blind)
        });
        let bad = bad.count();
        if bad > 0 {
            problems.push(format!("{bad} nodes are silent or blind: kestrel nodes says which"));
        }
        let refusing = self.state.presences().refusing_rules();
        if refusing > 0 {
            problems.push(format!("{refusing} nodes refused their newest rules: kestrel nodes says which"));
        }
        StatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            wall_unix_ns: unix_ns(),
            uptime_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            healthy: problems.is_empty(),
            problems,
            oldest: Some(Cursor { frame: self.log.oldest(), index: 0 }),
            next: Some(Cursor { frame: *self.log.committed().borrow(), index: 0 }),
            log_bytes: self.log.bytes(),
            nodes: fold.nodes().count() as u64,
            open_findings: fold.open_findings(),
            alerts: alerts
                .into_iter()
                .map(|status| AlertChannel {
                    name: status.name.to_owned(),
                    pending: status.pending,
                    delivered: status.delivered,
                    failed: status.failed,
                    last_error: status.last_error.unwrap_or_default(),
                    grouped: status.grouped,
                })
                .collect(),
        }
    }
}

fn problems_of(status: &ChannelStatus) -> Vec<String> {
    let name = status.name;
    let mut problems = Vec::new();
    if let Some(error) = &status.last_error {
        problems.push(format!(
            "alerts to {name} do not arrive ({error}); {} wait. Look at the URL and at the way there",
            status.pending
        ));
    }
    if let Some(why) = &status.memory_only {
        problems.push(format!("alerts to {name} do not outlive the collector: {why}. Make room on the disk"));
    }
    problems
}

//! Signs of life for somebody who notices when they stop: a dead collector cannot say so itself.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    channel::error_chain,
    config::{Method, ReceiverConfig},
    post::{Outcome, Poster},
};

/// The body of a sign of life.
const BODY: &[u8] = br#"{"version":1,"source":"kestrel-collector","alive":true}"#;

/// Sends a sign of life at each interval until `stop`. While `healthy` gives a reason why the
/// collector does not do its work, none is sent, so that the receiver raises the alarm.
pub async fn run(
    config: &ReceiverConfig,
    poster: &Poster,
    healthy: impl Fn() -> Result<(), String>,
    stop: &CancellationToken,
) {
    let mut ticks = interval(config.interval.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let sent = match healthy() {
            Ok(()) => send(config, poster).await,
            Err(reason) => Err(format!("held back, the collector is not healthy: {reason}")),
        };
        match (sent, failing) {
            (Ok(()), true) => info!("signs of life arrive again"),
            (Err(reason), false) => warn!(reason, "no sign of life was sent to the receiver"),
            (Ok(()), false) | (Err(_), true) => {
                continue;
            }
        }
        failing = !failing;
    }
}

async fn send(config: &ReceiverConfig, poster: &Poster) -> Result<(), String> {
    let url = config.url.read(config.plain_http).map_err(|error| error_chain(&error))?;
    let outcome = match config.method {
        Method::Get => poster.get(&url).await,
        Method::Post => poster.post(&url, BODY.to_vec()).await,
    };
    match outcome {
        Outcome::Delivered => Ok(()),
        Outcome::Throttled(_) => Err("status 429".to_owned()),
        Outcome::Refused(reason)
        | Outcome::Revoked(reason)
        | Outcome::Failed(reason)
        | Outcome::Unknown(reason) => Err(reason),
    }
}

//! What there is before anything is attached: the state directory, the node, health over HTTP.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use tokio::task::JoinSet;

use super::{delivery::Delivery, host::Boot, lock::StateDir, rules::AtStart};
use crate::{
    config::{Config, Listen},
    detect::Loading,
    http::{Health, Pages, Server, ServerLimits},
    kernel::Mounted,
    policy::Loaded,
    posture::{CONTROLS, Exemptions, Policy},
    telemetry::Telemetry,
};

/// A hot loop that has not turned for so long is dead.
const MAX_SILENCE: Duration = Duration::from_secs(10);

/// What the rest stands on.
pub(super) struct Ground {
    pub(super) config: Config,
    pub(super) policy: Policy,
    /// Of the configuration, then of the policy.
    pub(super) exemptions: Exemptions,
    pub(super) state: StateDir,
    pub(super) mounted: Mounted,
    pub(super) boot: Boot,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) health: Arc<Health>,
    /// Where a collector is configured.
    pub(super) delivery: Option<Delivery>,
    /// Where rules are configured.
    pub(super) rules: Option<(Loading, AtStart)>,
    /// Each of them is watched.
    pub(super) tasks: JoinSet<()>,
}

impl Ground {
    /// Takes the state directory and serves HTTP: alive, and not ready.
    pub(super) async fn open(config: Config) -> Result<Self> {
        let Loaded { policy, exemptions, .. } = Policy::load(config.policy.as_deref())?;
        let exemptions = config.exemptions()?.and(exemptions);
        for exemption in exemptions.configured().filter(|exemption| exemption.asks_for_service_account()) {
            tracing::warn!(
                owner = %exemption.owner,
                reason = %exemption.reason,
                "exemption by service account matches nothing: container runtimes do not tell it"
            );
        }
        let state = StateDir::take(&config.state_dir)?;
        let mounted = Mounted::detect()?;
        let boot = Boot::read()?;
        let slugs: Vec<_> = CONTROLS.iter().map(|control| control.slug).collect();
        let telemetry = Arc::new(Telemetry::new(&slugs));
        let delivery = Delivery::open(&config, &state, &boot);
        let mut ground = Self {
            config,
            policy,
            exemptions,
            state,
            mounted,
            boot,
            telemetry,
            health: Arc::new(Health::new(MAX_SILENCE)),
            delivery,
            rules: None,
            tasks: JoinSet::new(),
        };
        ground.serve().await?;
        ground.rules = Loading::of(&ground.config).map(|loading| {
            let at_start = AtStart::load_first(&loading, &ground.health, &ground.telemetry);
            (loading, at_start)
        });
        Ok(ground)
    }

    async fn serve(&mut self) -> Result<()> {
        let Listen::At(address) = self.config.http.listen else { return Ok(()) };
        let pages = Pages {
            node: self.config.node_name.clone(),
            telemetry: Arc::clone(&self.telemetry),
            health: Arc::clone(&self.health),
            delivery: self.delivery.as_ref().map(Delivery::page),
        };
        let server = Server::bind(address, pages, ServerLimits::default()).await?;
        tracing::info!(address = %server.address(), "metrics, health and status");
        self.tasks.spawn(server.serve());
        Ok(())
    }
}

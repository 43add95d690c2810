//! One control of containers, one container: what it says in tests.

use crate::{
    context::{Container, Declared, Names, ProcessId},
    inspect::{Inspection, Limits, Mounts, NotRead},
    posture::{
        ContainerFacts, ControlId, Judgement, Outcome, Policy, Sight, UnknownReason, Witnessed,
        control::{CONTAINER, TASK_CONTROLS},
        controls::testing,
    },
};

/// 2024-02-29T12:34:56Z.
pub(super) const NOW: i64 = 1_709_210_096;

/// What was seen, known and asked for.
pub(super) struct ContainerCase {
    control: ControlId,
    pub(super) inspection: Inspection,
    pub(super) container: Container,
    pub(super) names: Option<Names>,
    pub(super) policy: Policy,
    pub(super) witnessed: Witnessed,
    pub(super) sight: Sight,
}

impl ContainerCase {
    /// Of a container that is not named and of which nothing could be read.
    pub(super) fn new(control: ControlId) -> Self {
        let inspection = Inspection {
            through: ProcessId { start_ticks: 0, tgid: 100 },
            at_ns: 0,
            mounts: Err(NotRead::Gone),
            devices: Err(NotRead::Gone),
            limits: Err(NotRead::Gone),
            open_files: Err(NotRead::Gone),
            labels: Err(NotRead::Gone),
            listeners: Err(NotRead::Gone),
            environment: Err(NotRead::Gone),
            arguments: Err(NotRead::Gone),
        };
        Self {
            control,
            inspection,
            container: testing::container(42),
            names: None,
            policy: Policy::default(),
            witnessed: Witnessed::default(),
            sight: Sight::default(),
        }
    }

    pub(super) fn mounts(mut self, mounts: Mounts) -> Self {
        self.inspection.mounts = Ok(mounts);
        self
    }

    pub(super) fn limits(mut self, limits: Limits) -> Self {
        self.inspection.limits = Ok(limits);
        self
    }

    pub(super) fn named(mut self, change: impl FnOnce(&mut Names)) -> Self {
        change(self.names.get_or_insert_with(|| testing::names("web")));
        self
    }

    pub(super) fn declares(self, change: impl FnOnce(&mut Declared)) -> Self {
        self.named(|names| change(&mut names.declared))
    }

    pub(super) fn with_facts<T>(&self, look: impl FnOnce(&ContainerFacts<'_>) -> T) -> T {
        look(&ContainerFacts {
            inspection: &self.inspection,
            container: &self.container,
            names: self.names.as_ref(),
            declared: self.names.as_ref().map(|names| &names.declared),
            witnessed: &self.witnessed,
            sight: self.sight,
            policy: &self.policy,
            now_unix: NOW,
        })
    }

    pub(super) fn judge(&self) -> Judgement {
        let control = &CONTAINER[self.control as usize - TASK_CONTROLS];
        let judgement = self.with_facts(control.check);
        assert!(judgement.explanation.observed.len() <= super::text::MOST_BYTES, "{judgement:?}");
        let declared = judgement.explanation.declared.as_ref().map_or(0, String::len);
        assert!(declared <= super::text::MOST_BYTES, "{judgement:?}");
        judgement
    }

    #[track_caller]
    pub(super) fn is(self, outcome: Outcome) -> Self {
        assert_eq!(self.judge().outcome, outcome);
        self
    }

    #[track_caller]
    pub(super) fn gives(self, outcome: Outcome, observed: &str) -> Self {
        let judgement = self.judge();
        assert_eq!((judgement.outcome, judgement.explanation.observed.as_str()), (outcome, observed));
        self
    }

    #[track_caller]
    pub(super) fn not_read(self, why: NotRead) -> Self {
        self.is(Outcome::Unknown(UnknownReason::NotRead(why)))
    }

    #[track_caller]
    pub(super) fn declared(self, declared: Option<&str>) -> Self {
        assert_eq!(self.judge().explanation.declared.as_deref(), declared);
        self
    }
}

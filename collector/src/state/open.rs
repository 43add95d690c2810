//! At the start: the snapshot, and what the log says since.

use std::{
    path::Path,
    sync::{Arc, RwLock},
};

use kestrel_proto::v1::Priority;
use tracing::{info, warn};

use super::{Change, Fold, Presences, State, Transition, snapshot};
use crate::{alert::Place, log::Log};

/// Most transitions that are handed on from a replay. What is more, [`super::Standing`] makes up for.
const REPLAYED: usize = 100_000;
/// Most detections among them. What is more is counted.
const DETECTIONS: usize = 20_000;
/// Priorities, with that which is none.
const PRIORITIES: usize = 9;

/// What a replay brought about that nobody took yet.
#[derive(Clone, Debug, Default)]
pub struct Replayed {
    /// In order.
    pub transitions: Vec<Transition>,
    detections: usize,
    left_out: [u64; PRIORITIES],
}

impl Replayed {
    /// Detections of these priorities that are not among the transitions.
    pub fn left_out(&self, wanted: impl Fn(Priority) -> bool) -> u64 {
        let counts = self.left_out.iter().zip(0..);
        let counts = counts.filter(|&(_, number)| Priority::try_from(number).is_ok_and(&wanted));
        counts.map(|(count, _)| count).sum()
    }

    /// One more, where there is room.
    pub(crate) fn push(&mut self, transition: Transition) {
        match &transition.change {
            Change::Detected(detected) if self.detections >= DETECTIONS => {
                if let Some(count) = self.left_out.get_mut(detected.urgency() as usize) {
                    *count += 1;
                }
                return;
            }
            Change::Detected(_) => self.detections += 1,
            _ if self.transitions.len() - self.detections >= REPLAYED => return,
            _ => {}
        }
        self.transitions.push(transition);
    }
}

/// A state that has read the whole log.
#[derive(Debug)]
pub struct Opened {
    /// It.
    pub state: State,
    /// Transitions that nobody took yet.
    pub replayed: Replayed,
    /// What was not as it should be.
    pub problems: Vec<String>,
}

impl State {
    /// Reads the snapshot in `dir` and the log from there on; without a snapshot that can be used, the
    /// whole log. `taken`: transitions up to this one were taken by all who take them. Blocks on the
    /// disk.
    #[must_use]
    pub fn open(dir: &Path, log: &Log, taken: Option<Place>) -> Opened {
        let mut problems = Vec::new();
        let next = *log.committed().borrow();
        let mut fold = match snapshot::read(dir) {
            Ok(Some(fold)) if fold.next_frame > next => {
                problems.push(
                    "the snapshot of the state is newer than the log; the whole log is read".to_owned(),
                );
                Fold::default()
            }
            // Its transitions would not be told. Where the log does not go back far enough, the
            // comparison of what was told with what is so has to do.
            Ok(Some(fold)) if taken.is_some() && fold.last > taken && log.oldest() == 1 => {
                problems.push(
                    "the snapshot of the state is newer than the alerts; the whole log is read".to_owned(),
                );
                Fold::default()
            }
            Ok(Some(fold)) => fold,
            Ok(None) => {
                if next > 1 {
                    info!("there is no snapshot of the state; the whole log is read");
                }
                Fold::default()
            }
            Err(error) => {
                let why = crate::alert::channel::error_chain(&error);
                problems
                    .push(format!("the snapshot of the state cannot be used, the whole log is read: {why}"));
                Fold::default()
            }
        };
        let mut replayed = Replayed::default();
        for item in log.reader(fold.next_frame) {
            match item {
                Ok(frame) => {
                    let fresh = fold.apply(&frame).into_iter().filter(|transition| {
                        let place = Place { frame: transition.frame, index: transition.index };
                        taken.is_some_and(|taken| place > taken)
                    });
                    fresh.for_each(|transition| replayed.push(transition));
                }
                // Before the oldest frame there is nothing to be missed by a state that is new.
                Err(error) if error.missing().0 == 1 && fold.next_frame == 1 => {}
                Err(error) => problems.push(format!("the state lacks what the log lost: {error}")),
            }
        }
        fold.next_frame = fold.next_frame.max(next);
        problems.truncate(20);
        for problem in &problems {
            warn!(problem, "state");
        }
        let state = Self {
            fold: Arc::new(RwLock::new(fold)),
            presences: Presences::default(),
            dir: Arc::new(dir.to_owned()),
        };
        Opened { state, replayed, problems }
    }
}

//! Programs of other builds or settings that are still attached.

use agent_abi::map::{self, Progress, RING_COUNT, Untold};
use aya::maps::MapData;

use super::{
    load::LoadError,
    maps::{Counters, MapsError, ProgressMap},
    pins::{Generation, PinError, Pins},
    program::describe,
    untold::{UntoldMap, UntoldWords},
};
use crate::source::Ring;

/// What another set of programs left unread.
pub struct Predecessor {
    /// Its critical and its bulk ring.
    pub rings: [Ring; RING_COUNT],
    /// How far its reader came.
    pub progress: Progress,
    /// What that one read and did not tell.
    pub untold: Untold,
    /// What its hooks counted.
    pub counters: Counters,
    generation: Generation,
}

impl Predecessor {
    /// All of them; what cannot be read any more is removed.
    pub(super) fn all(pins: &Pins, current: &Generation) -> Result<Vec<Self>, LoadError> {
        for other in pins.other_versions()? {
            other.remove()?;
        }
        let mut predecessors = Vec::new();
        for generation in pins.others(current)? {
            if !generation.is_complete() {
                generation.remove()?;
                continue;
            }
            match Self::open(generation.clone()) {
                Ok(predecessor) => predecessors.push(predecessor),
                Err(error) => {
                    tracing::warn!(error = describe(error), "records of the programs before cannot be read");
                    generation.remove()?;
                }
            }
        }
        Ok(predecessors)
    }

    fn open(generation: Generation) -> Result<Self, LoadError> {
        let ring = |name| -> Result<Ring, LoadError> {
            let failed = |source| MapsError::Kernel { name, source };
            let data = MapData::from_pin(generation.map(name)).map_err(failed)?;
            Ok(Ring::from_data(name, &data)?)
        };
        Ok(Self {
            rings: [ring(map::CRITICAL)?, ring(map::BULK)?],
            progress: ProgressMap::from_pin(&generation.map(map::PROGRESS))?.get()?,
            untold: AsRef::<UntoldWords>::as_ref(&UntoldMap::from_pin(&generation.map(map::UNTOLD))?).get(),
            counters: Counters::from_pin(&generation.map(map::COUNTERS))?,
            generation,
        })
    }

    /// Detaches its programs and frees its maps.
    ///
    /// # Errors
    /// When its pins cannot be removed.
    pub fn remove(self) -> Result<(), PinError> {
        self.generation.remove()
    }
}

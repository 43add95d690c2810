//! What rules do.

use super::{
    Cell, Cells,
    label::{HeldBack, Reload, Unparked},
};

/// Rules in force, and what came of them. `matches` is what was told and what was held back; what was
/// parked is what left for its names, at its deadline, for want of room, and what still waits.
#[derive(Debug, Default)]
pub struct Detect {
    /// Rules that are evaluated.
    pub active: Cell,
    /// Rules that are defined.
    pub defined: Cell,
    /// When they were loaded, seconds since 1970; 0: there are none.
    pub loaded_seconds: Cell,
    /// 1 while the newest files are not in force.
    pub stale: Cell,
    /// Times that files were read anew.
    pub reloads: Cells<Reload>,
    /// Matches.
    pub matches: Cell,
    /// Matches that were not told one by one.
    pub held_back: Cells<HeldBack>,
    /// Events that rules over several events remember now.
    pub remembered: Cell,
    /// Keys of such rules that were forgotten for want of room.
    pub forgotten: Cell,
    /// Events that were written to a recording.
    pub recorded: Cell,
    /// Events that found no room on their way there.
    pub unrecorded: Cell,
    /// Events that waited for the names of their container.
    pub parked: Cell,
    /// Of these, judged since, and why then.
    pub unparked: Cells<Unparked>,
    /// Events that wait now.
    pub waiting: Cell,
}

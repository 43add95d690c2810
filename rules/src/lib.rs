//! Falco's rule language, without I/O: text becomes a compiled set of rules, an event its matches.

#![forbid(unsafe_code)]

pub mod compile;
pub mod condition;
pub mod default;
pub mod docs;
pub mod eval;
pub mod event;
pub mod field;
pub mod load;
pub mod output;
pub mod temporal;
pub mod value;

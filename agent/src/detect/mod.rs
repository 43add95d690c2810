//! Rules held against events: what a team's Falco rules say of what happens on the node.
//!
//! ```text
//! files ─▶ rule_set ─▶ wants ─▶ the kernel's table
//!              │
//! event ─▶ subject ─▶ detector ─▶ limiter ─▶ detection
//!              └ field/    └ parked: until the container has its names, and what is asked of an image is read
//!                  └ users, hosts: names that the node knows; peers: names that were asked for;
//!                    images: what was read of files and environments
//! ```
//!
//! The hot loop holds the set that is in force; a new one is read, checked and compiled elsewhere and
//! put in its place between two events.

mod detection;
mod detector;
mod field;
mod files;
mod hosts;
mod images;
mod kind;
mod limiter;
mod loading;
mod names;
mod parked;
mod peers;
mod recorder;
mod room;
mod rule_set;
mod status;
mod steps;
mod subject;
mod users;
mod wants;

pub use self::{
    detection::{Ancestor, Detection, Object},
    detector::{Detector, View},
    field::unanswered,
    files::{FileError, Files, Source, Text},
    hosts::{HostNames, Hosts, look_up},
    limiter::Limits,
    loading::{LoadError, Loading},
    recorder::Recorder,
    rule_set::{Refused, Rule, RuleSet, Summary},
    status::RulesStatus,
    users::Users,
    wants::{NeededFiles, add_to},
};

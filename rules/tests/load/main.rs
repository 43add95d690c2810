//! Loading rules: what is taken, what is refused, where and why.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../reference/mod.rs"]
mod reference;

mod bounds;
mod exceptions;
mod falco;
mod items;
mod lab;
mod links;
mod overrides;
mod places;
mod selection;
mod warnings;

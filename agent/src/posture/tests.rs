//! Sequences of events, and what the ledger makes of them.

mod inspected;
mod lifecycle;
mod naming;
mod random;
mod restart;

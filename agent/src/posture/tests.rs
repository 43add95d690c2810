//! Sequences of events, and what the ledger makes of them.

//! mTLS between agents, collector and clients.

#![forbid(unsafe_code)]

//! Events, findings, containers and nodes on the command line.

#![forbid(unsafe_code)]

//! Whole-system tests: a real kernel and real containers.

//! Counters, gauges and a histogram: plain relaxed atomics, allocated once, at zero for every
//! label value. The hot thread bumps them; a scrape reads them.

use std::{
    marker::PhantomData,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::label::Label;

/// One number.
#[derive(Debug, Default)]
pub struct Cell(AtomicU64);

impl Cell {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// Replaces the number.
    pub fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    /// The number.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// One number per value of a label.
#[derive(Debug)]
pub struct Cells<A> {
    cells: Box<[Cell]>,
    label: PhantomData<fn(A)>,
}

impl<A: Label> Default for Cells<A> {
    fn default() -> Self {
        Self { cells: A::ALL.iter().map(|_| Cell::default()).collect(), label: PhantomData }
    }
}

impl<A: Label> Cells<A> {
    /// The number of `label`.
    #[must_use]
    pub fn of(&self, label: A) -> &Cell {
        &self.cells[label.index()]
    }

    /// Each label with its number.
    pub fn iter(&self) -> impl Iterator<Item = (A, &Cell)> {
        A::ALL.iter().copied().zip(&self.cells)
    }

    /// The sum of all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.cells.iter().map(Cell::get).sum()
    }
}

/// One number per pair of label values.
#[derive(Debug)]
pub struct Grid<A, B> {
    rows: Box<[Cells<B>]>,
    label: PhantomData<fn(A)>,
}

impl<A: Label, B: Label> Default for Grid<A, B> {
    fn default() -> Self {
        Self { rows: A::ALL.iter().map(|_| Cells::default()).collect(), label: PhantomData }
    }
}

impl<A: Label, B: Label> Grid<A, B> {
    /// The number of `(row, column)`.
    #[must_use]
    pub fn of(&self, row: A, column: B) -> &Cell {
        self.rows[row.index()].of(column)
    }

    /// Each row.
    pub fn iter(&self) -> impl Iterator<Item = (A, &Cells<B>)> {
        A::ALL.iter().copied().zip(&self.rows)
    }
}

/// One number per (name from a set given at start, label value): controls have names, not an enum.
#[derive(Debug)]
pub struct Named<B> {
    rows: Box<[(&'static str, Cells<B>)]>,
}

impl<B: Label> Named<B> {
    /// At zero for every name.
    #[must_use]
    pub fn new(names: &[&'static str]) -> Self {
        Self { rows: names.iter().map(|&name| (name, Cells::default())).collect() }
    }

    /// The numbers of `name`, when it was given at start.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<&Cells<B>> {
        self.rows.iter().find(|(known, _)| *known == name).map(|(_, cells)| cells)
    }

    /// Each name with its numbers.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Cells<B>)> {
        self.rows.iter().map(|(name, cells)| (*name, cells))
    }
}

/// Upper bounds of the latency buckets, in microseconds.
const BOUNDS_US: [u64; 13] =
    [100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000];

/// How long things took, in fixed buckets from 100 µs to 1 s.
#[derive(Debug, Default)]
pub struct Latency {
    /// One more than the bounds: what took longer than the last.
    buckets: [Cell; BOUNDS_US.len() + 1],
    sum_us: Cell,
}

impl Latency {
    /// Counts one.
    pub fn observe(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_US.partition_point(|&bound| bound < us);
        self.buckets[bucket].add(1);
        self.sum_us.add(us);
    }

    /// Sum in seconds, and (upper bound in seconds, count) per bucket, not cumulative.
    pub(super) fn snapshot(&self) -> (f64, Vec<(f64, u64)>) {
        let bounds = BOUNDS_US.iter().map(|&us| us as f64 / 1e6).chain([f64::INFINITY]);
        (self.sum_us.get() as f64 / 1e6, bounds.zip(self.buckets.iter().map(Cell::get)).collect())
    }
}

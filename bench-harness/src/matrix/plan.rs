//! What is to be run, in which order.

use super::cell::Cell;
use super::store::run_name;
use crate::scenario::{Layout, Scenario};

/// One run that is to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn<'a> {
    pub(super) cell: &'a Cell,
    /// Number of the broker.
    pub(super) broker: usize,
    /// From 0.
    pub(super) repetition: u32,
}

impl Turn<'_> {
    /// The name of the file that its numbers are in, or its trace.
    pub(super) fn file(&self, scenario: &Scenario, kind: &str) -> String {
        let broker = &scenario.brokers[self.broker].name;
        let repetition = (self.repetition + 1).to_string();
        run_name(&[&self.cell.name(), broker, &repetition], kind)
    }
}

/// All runs of a scenario in order: layout by layout, cell by cell; within a cell brokers take
/// turns, A B, B A, A B, so that what drifts with time is the same for all of them.
pub(super) fn turns<'a>(scenario: &Scenario, cells: &'a [Cell]) -> Vec<Turn<'a>> {
    let layouts = [Layout::Pinned, Layout::Shared];
    let in_layout = |layout| cells.iter().filter(move |cell| cell.layout == layout);
    let mut turns = Vec::new();
    for cell in layouts.into_iter().flat_map(in_layout) {
        for repetition in 0..scenario.repetitions_of(&cell.group) {
            let mut brokers = scenario.brokers_of(&cell.group);
            if repetition % 2 == 1 {
                brokers.reverse();
            }
            turns.extend(brokers.into_iter().map(|broker| Turn { cell, broker, repetition }));
        }
    }
    turns
}

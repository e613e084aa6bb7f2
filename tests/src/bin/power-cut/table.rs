//! The result: one row a store and scenario, and whether it is what it must be.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::Store;
use crate::cut::Outcome;
use crate::load::Scenario;

/// The runs of one scenario of one store, added up.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    /// The store.
    pub(crate) store: Store,
    /// The scenario.
    pub(crate) scenario: Scenario,
    runs: usize,
    acked: usize,
    lost: usize,
    losing: usize,
    reset: usize,
    refused: Vec<String>,
}

impl Cell {
    /// Nothing yet.
    pub(crate) fn new(store: Store, scenario: Scenario) -> Self {
        Self {
            store,
            scenario,
            runs: 0,
            acked: 0,
            lost: 0,
            losing: 0,
            reset: 0,
            refused: Vec::new(),
        }
    }

    /// For messages.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.store.name(), self.scenario.name())
    }

    /// One run more.
    pub(crate) fn add(&mut self, outcome: Outcome) {
        let Outcome {
            acked,
            lost,
            reset,
            refused,
        } = outcome;
        self.runs += 1;
        self.acked += acked;
        self.lost += lost;
        self.losing += usize::from(lost > 0);
        self.reset += usize::from(reset);
        self.refused.extend(refused);
    }

    fn is_control(&self) -> bool {
        self.store == Store::SledBareFlush
    }
}

/// Whether the stores lost nothing, opened each time, and the control lost.
pub(crate) fn holds(cells: &[Cell]) -> bool {
    let (control, stores): (Vec<&Cell>, Vec<&Cell>) = cells.iter().partition(|c| c.is_control());
    let sound = |cell: &&Cell| {
        cell.runs > 0 && cell.lost == 0 && cell.reset == 0 && cell.refused.is_empty()
    };
    stores.iter().all(sound) && control.iter().any(|cell| cell.lost > 0)
}

/// Runs of all, the control's too.
pub(crate) fn runs(cells: &[Cell]) -> usize {
    cells.iter().map(|cell| cell.runs).sum()
}

/// Acked rows that the stores lost; those of the control are not counted.
pub(crate) fn lost(cells: &[Cell]) -> usize {
    sum(cells, false, |cell| cell.lost)
}

fn sum(cells: &[Cell], control: bool, of: fn(&Cell) -> usize) -> usize {
    cells
        .iter()
        .filter(|cell| cell.is_control() == control)
        .map(of)
        .sum()
}

/// For people.
pub(crate) fn render(cells: &[Cell]) -> String {
    let mut text = format!(
        "{:<16} {:<10} {:>5} {:>11} {:>9} {:>12} {:>10} {:>12}\n",
        "store",
        "scenario",
        "runs",
        "acked rows",
        "lost",
        "losing runs",
        "said reset",
        "did not open"
    );
    for cell in cells {
        // Writing to a String does not fail.
        writeln!(
            text,
            "{:<16} {:<10} {:>5} {:>11} {:>9} {:>12} {:>10} {:>12}",
            cell.store.name(),
            cell.scenario.name(),
            cell.runs,
            cell.acked,
            cell.lost,
            cell.losing,
            cell.reset,
            cell.refused.len()
        )
        .ok();
    }
    for cell in cells.iter().filter(|cell| !cell.is_control()) {
        for words in &cell.refused {
            writeln!(text, "{} did not open: {words}", cell.name()).ok();
        }
    }
    writeln!(
        text,
        "power-cut: {} of {} acked rows lost in {} runs; control (sled's bare flush): {} of {} lost, in {} of {} runs",
        lost(cells),
        sum(cells, false, |cell| cell.acked),
        sum(cells, false, |cell| cell.runs),
        sum(cells, true, |cell| cell.lost),
        sum(cells, true, |cell| cell.acked),
        sum(cells, true, |cell| cell.losing),
        sum(cells, true, |cell| cell.runs),
    )
    .ok();
    text
}

/// For machines.
pub(crate) fn json(cells: &[Cell]) -> Value {
    let rows: Vec<Value> = cells
        .iter()
        .map(|cell| {
            json!({
                "store": cell.store.name(),
                "scenario": cell.scenario.name(),
                "control": cell.is_control(),
                "runs": cell.runs,
                "acked": cell.acked,
                "lost": cell.lost,
                "losingRuns": cell.losing,
                "saidReset": cell.reset,
                "didNotOpen": cell.refused,
            })
        })
        .collect();
    json!({ "holds": holds(cells), "rows": rows })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(store: Store, lost: usize) -> Cell {
        let mut cell = Cell::new(store, Scenario::Young);
        cell.add(Outcome {
            acked: 10,
            lost,
            ..Outcome::default()
        });
        cell
    }

    #[test]
    fn it_holds_only_if_the_stores_lose_nothing_and_the_control_does() {
        let control = |lost| cell(Store::SledBareFlush, lost);
        assert!(holds(&[cell(Store::Agent, 0), control(3)]));
        assert!(!holds(&[cell(Store::Agent, 1), control(3)]), "a store lost");
        assert!(!holds(&[cell(Store::Agent, 0), control(0)]), "no bite");
        assert!(
            !holds(&[Cell::new(Store::Agent, Scenario::Churn), control(3)]),
            "no run"
        );
        let mut closed = cell(Store::Standalone, 0);
        closed.refused.push("exit status: 1".to_owned());
        assert!(!holds(&[closed, control(3)]), "did not open");
    }

    #[test]
    fn the_last_line_counts_stores_and_control_apart() {
        let text = render(&[cell(Store::Agent, 0), cell(Store::SledBareFlush, 4)]);
        let last = text.lines().last().unwrap();
        assert!(last.contains("0 of 10 acked rows lost in 1 runs"), "{last}");
        assert!(last.contains("4 of 10 lost, in 1 of 1 runs"), "{last}");
    }
}

//! What many trials showed, as a table.

use std::collections::BTreeMap;

use crate::inject::fault::{Kind, Road, Who};
use crate::inject::trial::{Finding, Trial};

/// The sum of trials, a row for each process and road.
#[derive(Debug, Clone, Default)]
pub struct Report {
    rows: BTreeMap<(Who, Road), Row>,
    /// What was seen in trials that were not clean.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, Default)]
struct Row {
    kills: usize,
    errors: usize,
    missed: usize,
    wrong: usize,
    states: BTreeMap<String, usize>,
}

impl Report {
    /// Adds what a trial showed.
    pub fn add(&mut self, trial: &Trial, finding: Finding) {
        let row = self.rows.entry((trial.who, trial.road)).or_default();
        match (&trial.kind, finding.struck) {
            (_, false) => row.missed += 1,
            (Kind::Kill { .. }, true) => row.kills += 1,
            (Kind::Error { .. }, true) => row.errors += 1,
        }
        let state = if finding.state.is_empty() { "no answer".to_owned() } else { finding.state };
        *row.states.entry(state).or_default() += 1;
        if !finding.wrongs.is_empty() {
            row.wrong += 1;
            let Trial { who, road, kind, nth } = trial;
            self.notes.push(format!("{who} {road} {kind} {nth}:\n  {}", finding.wrongs.join("\n  ")));
        }
    }

    /// Whether no trial showed anything wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.notes.is_empty()
    }

    /// Faults that were really injected.
    #[must_use]
    pub fn struck(&self) -> usize {
        self.rows.values().map(|row| row.kills + row.errors).sum()
    }

    /// The table as Markdown.
    #[must_use]
    pub fn table(&self) -> String {
        let head = "| whose call | road | kills | errors | runs without a fault | wrong (must be 0) | answers |\n\
                    |---|---|---|---|---|---|---|\n";
        let rows = self.rows.iter().map(|((who, road), row)| {
            let Row { kills, errors, missed, wrong, states } = row;
            let states: Vec<String> =
                states.iter().map(|(state, count)| format!("{state} {count}")).collect();
            format!("| {who} | {road} | {kills} | {errors} | {missed} | {wrong} | {} |\n", states.join(", "))
        });
        std::iter::once(head.to_owned()).chain(rows).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_that_shows_something_wrong_is_counted_and_named() {
        let trial =
            Trial { who: Who::Host, road: Road::Cold, kind: Kind::Kill { call: "write".to_owned() }, nth: 7 };
        let finding = |wrongs| Finding { struck: true, state: "started".to_owned(), wrongs };
        let mut report = Report::default();
        report.add(&trial, finding(vec![]));
        assert!(report.is_clean());
        report.add(&trial, finding(vec!["left: pid 1 (x)".to_owned()]));
        assert_eq!(report.notes, ["host cold kill:write 7:\n  left: pid 1 (x)"]);
        assert!(
            report.table().ends_with("| host | cold | 2 | 0 | 0 | 1 | started 2 |\n"),
            "{}",
            report.table()
        );
    }
}

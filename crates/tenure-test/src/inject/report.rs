//! What many faults showed, as tables.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::inject::fault::{Course, Fault, Kind, Road, Who};
use crate::inject::trial::Finding;
use crate::record::Line;

/// A fault and what was found after it: a line of the record of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Struck {
    /// The fault.
    pub fault: Fault,
    /// What was found.
    #[serde(flatten)]
    pub finding: Finding,
}

/// The sum of many, by whose calls were struck on which road.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    rows: BTreeMap<Course, Row>,
    /// The faults after which something was wrong.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    wrong: BTreeSet<Fault>,
    /// What was seen then.
    #[serde(skip)]
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    kinds: BTreeMap<Kind, Calls>,
    missed: usize,
    answers: BTreeMap<String, usize>,
}

/// Calls of one kind on one road.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Calls {
    struck: usize,
    /// The number of the last one that was struck.
    last: usize,
}

impl Report {
    /// Adds a fault and what was found after it.
    pub fn add(&mut self, struck: &Struck) {
        let Struck { fault, finding } = struck;
        let row = self.rows.entry(fault.course).or_default();
        if finding.struck {
            let calls = row.kinds.entry(fault.kind.clone()).or_default();
            calls.struck += 1;
            calls.last = calls.last.max(fault.nth);
        } else {
            row.missed += 1;
        }
        let answer = if finding.state.is_empty() { "no answer" } else { &finding.state };
        *row.answers.entry(answer.to_owned()).or_default() += 1;
        if !finding.wrongs.is_empty() {
            self.wrong.insert(fault.clone());
            self.notes.push(format!("{fault}:\n  {}", finding.wrongs.join("\n  ")));
        }
    }

    /// Whether nothing was wrong after any fault.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.wrong.is_empty()
    }

    /// Faults that were really injected.
    #[must_use]
    pub fn struck(&self) -> usize {
        self.rows.values().map(|row| row.count(|_| true)).sum()
    }

    /// A row for each process and road.
    #[must_use]
    pub fn table(&self) -> String {
        let head = "| whose call | road | kills | errors | runs without a fault | wrong (must be 0) | answers |\n\
                    |---|---|---|---|---|---|---|\n";
        let rows = self.rows.iter().map(|(course, row)| {
            let Course { who, road } = course;
            let (kills, errors) = (row.count(is_kill), row.count(|kind| !is_kill(kind)));
            let wrong = self.wrong.iter().filter(|fault| fault.course == *course).count();
            let answers: Vec<String> =
                row.answers.iter().map(|(answer, count)| format!("{answer} {count}")).collect();
            format!(
                "| {who} | {road} | {kills} | {errors} | {} | {wrong} | {} |\n",
                row.missed,
                answers.join(", ")
            )
        });
        std::iter::once(head.to_owned()).chain(rows).collect()
    }

    /// For each process a row for each kind of fault and a column for each road: how many calls were struck, and the number
    /// of the last of them.
    #[must_use]
    pub fn kinds(&self) -> String {
        Who::ALL.into_iter().filter_map(|who| self.kinds_of(who)).collect()
    }

    fn kinds_of(&self, who: Who) -> Option<String> {
        let roads: Vec<(Road, &Row)> = self
            .rows
            .iter()
            .filter(|(course, _)| course.who == who)
            .map(|(course, row)| (course.road, row))
            .collect();
        let kinds: BTreeSet<&Kind> = roads.iter().flat_map(|(_, row)| row.kinds.keys()).collect();
        let names: Vec<String> = roads.iter().map(|(road, _)| road.to_string()).collect();
        let rows = kinds.iter().map(|kind| {
            let cells = roads.iter().map(|(_, row)| {
                row.kinds
                    .get(kind)
                    .map_or(" |".to_owned(), |calls| format!(" {}/{} |", calls.struck, calls.last))
            });
            format!("| `{kind}` |{}\n", cells.collect::<String>())
        });
        let head = format!("\n| {who} | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(roads.len()));
        (!kinds.is_empty()).then(|| std::iter::once(head).chain(rows).collect())
    }
}

impl Row {
    fn count(&self, of: impl Fn(&Kind) -> bool) -> usize {
        self.kinds.iter().filter(|(kind, _)| of(kind)).map(|(_, calls)| calls.struck).sum()
    }
}

fn is_kill(kind: &Kind) -> bool {
    matches!(kind, Kind::Kill { .. })
}

/// The lines of a run added up: a report for each origin, in the order in which they appear.
#[must_use]
pub fn added_up(lines: &[Line<Struck>]) -> Vec<Line<Report>> {
    let mut sums: Vec<Line<Report>> = Vec::new();
    for Line { origin, day, found } in lines {
        let at = sums.iter().position(|sum| sum.origin == *origin).unwrap_or_else(|| {
            sums.push(Line { origin: origin.clone(), day: day.clone(), found: Report::default() });
            sums.len() - 1
        });
        sums[at].found.add(found);
        if *day > sums[at].day {
            sums[at].day.clone_from(day);
        }
    }
    sums
}

/// What was published before, and these: a run that went on takes its own place.
#[must_use]
pub fn published(mut before: Vec<Line<Report>>, now: Vec<Line<Report>>) -> Vec<Line<Report>> {
    for line in now {
        match before.iter_mut().find(|published| published.origin == line.origin) {
            Some(same) => *same = line,
            None => before.push(line),
        }
    }
    before
}

/// A row for each campaign, and all that is known of the last one.
#[must_use]
pub fn table(campaigns: &[Line<Report>]) -> String {
    let Some(last) = campaigns.last() else { return "No faults yet.\n".to_owned() };
    let rows = campaigns.iter().map(|Line { origin, day, found }| {
        let changes = if origin.changed { " with changes" } else { "" };
        let faults: Vec<String> = found.wrong.iter().map(Fault::to_string).collect();
        let wrong = if faults.is_empty() {
            "0".to_owned()
        } else {
            format!("{}: {}", faults.len(), faults.join(", "))
        };
        let rows: usize = found.rows.values().map(|row| row.kinds.len()).sum();
        format!("| {}{changes} | {rows} | {} | {wrong} | {day} |\n", origin.commit, found.struck())
    });
    format!(
        "| commit | process × road × kind | calls struck | wrong (must be 0) | until |\n|---|---|---|---|---|\n{}\n\
         The last of them by process and road:\n\n{}\n\
         And by kind: `3/40` says that three calls were struck, and that the last of them was the 40th of its kind.\n{}",
        rows.collect::<String>(),
        last.found.table(),
        last.found.kinds()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Origin;

    fn struck(fault: &str, wrongs: &[&str]) -> Struck {
        let wrongs = wrongs.iter().map(|wrong| (*wrong).to_owned()).collect();
        let finding = Finding { struck: true, state: "started".to_owned(), wrongs };
        Struck { fault: fault.parse().expect("a fault"), finding }
    }

    fn line(commit: &str, fault: &str) -> Line<Struck> {
        let origin = Origin { commit: commit.to_owned(), changed: false, settings: String::new() };
        Line { origin, day: "2026-11-27".to_owned(), found: struck(fault, &[]) }
    }

    #[test]
    fn a_fault_after_which_something_is_wrong_is_counted_and_named() {
        let mut report = Report::default();
        report.add(&struck("host cold kill:write 7", &[]));
        assert!(report.is_clean());
        report.add(&struck("host cold kill:write 9", &["left: pid 1 (x)"]));
        assert_eq!(report.notes, ["host cold kill:write 9:\n  left: pid 1 (x)"]);
        let table = report.table();
        assert!(table.ends_with("| host | cold | 2 | 0 | 0 | 1 | started 2 |\n"), "{table}");
        assert!(report.kinds().ends_with("| host | cold |\n|---|---|\n| `kill:write` | 2/9 |\n"));
    }

    #[test]
    fn a_campaign_that_goes_on_takes_its_own_place_among_those_published() {
        let first = added_up(&[line("a", "host cold kill:write 1")]);
        let second = added_up(&[line("b", "host cold kill:write 1"), line("b", "host stop write:EIO 2")]);
        let all = published([first, second.clone()].concat(), second);
        assert_eq!(all.len(), 2);
        let table = table(&all);
        assert!(
            table.contains("| a | 1 | 1 | 0 | 2026-11-27 |\n| b | 2 | 2 | 0 | 2026-11-27 |\n"),
            "{table}"
        );
        assert!(table.contains("| host | cold | stop |\n"), "{table}");
        let text = crate::record::text(&all);
        let read: Vec<Line<Report>> =
            text.lines().map(|line| serde_json::from_str(line).expect("a line")).collect();
        assert_eq!(read, all);
    }
}

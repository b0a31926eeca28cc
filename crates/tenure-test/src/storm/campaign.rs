//! Trials of neighbouring seeds, added up: what the page about the storm says of all that was ever tried.

use serde::{Deserialize, Serialize};

use crate::record::Line;

use super::verdict::Verdict;

/// What the trials of some neighbouring seeds showed; of a trial, its one seed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Campaign {
    /// The first seed.
    pub from: u64,
    /// The last one.
    pub to: u64,
    /// The seeds of trials that showed what must never be seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unclean: Vec<u64>,
    /// The sum.
    pub sum: Verdict,
}

impl Campaign {
    /// One trial.
    #[must_use]
    pub fn of(seed: u64, sum: Verdict) -> Self {
        let unclean = if sum.is_clean() { vec![] } else { vec![seed] };
        Self { from: seed, to: seed, unclean, sum }
    }

    fn add(&mut self, next: Self) {
        self.to = next.to;
        self.unclean.extend(next.unclean);
        self.sum.add(next.sum);
    }
}

/// The lines added up, in the order in which their origins appear: one line for each origin and stretch of seeds without a
/// gap. A seed that a line before has counted for the same origin is not counted again.
#[must_use]
pub fn added_up(lines: Vec<Line<Campaign>>) -> Vec<Line<Campaign>> {
    let mut origins: Vec<Vec<Line<Campaign>>> = Vec::new();
    for line in lines {
        match origins.iter_mut().find(|same| same[0].origin == line.origin) {
            Some(same) => same.push(line),
            None => origins.push(vec![line]),
        }
    }
    origins.into_iter().flat_map(stretches).collect()
}

fn stretches(mut same: Vec<Line<Campaign>>) -> Vec<Line<Campaign>> {
    same.sort_by_key(|line| (line.found.from, std::cmp::Reverse(line.found.to)));
    let mut sums: Vec<Line<Campaign>> = Vec::new();
    for mut line in same {
        // What was seen in a single trial is for the run's own record.
        line.found.sum.notes.clear();
        match sums.last_mut() {
            Some(sum) if line.found.to <= sum.found.to => {}
            Some(sum) if line.found.from == sum.found.to.wrapping_add(1) => {
                sum.day = line.day.max(std::mem::take(&mut sum.day));
                sum.found.add(line.found);
            }
            _ => sums.push(line),
        }
    }
    sums
}

/// A row for each campaign, and all that is known of the last one.
#[must_use]
pub fn table(campaigns: &[Line<Campaign>]) -> String {
    let Some(last) = campaigns.last() else { return "No trials yet.\n".to_owned() };
    let rows: String = campaigns.iter().map(row).collect();
    format!(
        "| commit | each trial | seeds | trials | launchers | program starts | replacements | wrong (must be 0) | until |\n\
         |---|---|---|---|---|---|---|---|---|\n{rows}\nThe last of them in full:\n\n{}",
        last.found.sum.table()
    )
}

fn row(line: &Line<Campaign>) -> String {
    let Line { origin, day, found: Campaign { from, to, unclean, sum } } = line;
    let changes = if origin.changed { " with changes" } else { "" };
    let Verdict { trials, launchers, starts, replaced, .. } = sum;
    let wrong = if unclean.is_empty() {
        "0".to_owned()
    } else {
        let each = sum.wrongs.iter().map(|(wrong, count)| format!("{} {count}", wrong.words()));
        let seeds: Vec<String> = unclean.iter().map(u64::to_string).collect();
        format!("{} (seeds {})", each.collect::<Vec<_>>().join(", "), seeds.join(", "))
    };
    format!(
        "| {}{changes} | {} | {from} to {to} | {trials} | {launchers} | {starts} | {replaced} | {wrong} | {day} |\n",
        origin.commit, origin.settings
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Origin;
    use crate::storm::verdict::Wrong;

    fn trial(commit: &str, seed: u64) -> Line<Campaign> {
        let sum = Verdict { trials: 1, launchers: 10, ..Verdict::default() };
        let origin = Origin { commit: commit.to_owned(), changed: false, settings: "60 blows".to_owned() };
        Line { origin, day: format!("2026-11-{seed:02}"), found: Campaign::of(seed, sum) }
    }

    fn seeds(lines: &[Line<Campaign>]) -> Vec<(&str, u64, u64, usize)> {
        let told = |line: &Line<Campaign>| (line.found.from, line.found.to, line.found.sum.trials);
        lines
            .iter()
            .map(|line| (line.origin.commit.as_str(), told(line).0, told(line).1, told(line).2))
            .collect()
    }

    #[test]
    fn neighbouring_seeds_of_one_commit_make_one_campaign() {
        let lines = vec![trial("a", 2), trial("b", 4), trial("a", 1), trial("a", 7), trial("a", 3)];
        let sums = added_up(lines);
        assert_eq!(seeds(&sums), [("a", 1, 3, 3), ("a", 7, 7, 1), ("b", 4, 4, 1)]);
        assert_eq!(sums[0].day, "2026-11-03");
    }

    #[test]
    fn a_campaign_that_goes_on_is_published_once() {
        let published = added_up(vec![trial("a", 1), trial("a", 2)]);
        let run = [trial("a", 1), trial("a", 2), trial("a", 3)];
        let sums = added_up([&published[..], &run].concat());
        assert_eq!(seeds(&sums), [("a", 1, 3, 3)]);
        assert_eq!(sums[0].found.sum.launchers, 30);
    }

    #[test]
    fn the_table_names_what_was_wrong_and_where() {
        let mut bad = trial("a", 2);
        bad.found.sum.wrong(Wrong::Leftover, "pid 1");
        bad.found = Campaign::of(2, bad.found.sum);
        let sums = added_up(vec![trial("a", 1), bad, trial("b", 5)]);
        let table = table(&sums);
        let rows = "| a | 60 blows | 1 to 2 | 2 | 20 | 0 | 0 | processes left over 1 (seeds 2) | 2026-11-02 |\n\
                    | b | 60 blows | 5 to 5 | 1 | 10 | 0 | 0 | 0 | 2026-11-05 |\n";
        assert!(table.contains(rows), "{table}");
        assert!(table.contains("in full:\n\n1 trials, 10 launchers"), "{table}");
    }
}

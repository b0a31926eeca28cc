//! What a trial showed, and the sum over many.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What must never be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wrong {
    /// Two programs of one scope at once, by the oracle's lock.
    DoubleProgram,
    /// A launcher that failed, and nothing was done to it or to a worker while it lived.
    FailedLauncher,
    /// A launcher that outlived its budget, and no process stood still meanwhile.
    Hung,
    /// A start that failed without cause.
    FailedStart,
    /// A word of a person that failed without cause.
    FailedWord,
    /// More replacements between two words of a person than versions and faults allow.
    Excess,
    /// A version below the last one, without a person's word and without a failed start.
    Downgrade,
    /// A worker that was replaced a second time for what it says of its version.
    Disagreement,
    /// An answer of another version than the pinned one.
    NotPinned,
    /// A worker that was started although a person had stopped it for good.
    StartedWhileDown,
    /// A trial that did not heal: after peace a restart did not serve, or a launcher did not get the target.
    Unhealed,
    /// A replacement after everything was said.
    Unrest,
    /// A process left after the final stop.
    Leftover,
}

impl Wrong {
    /// All, in the order of the table.
    pub const ALL: [Self; 13] = [
        Self::DoubleProgram,
        Self::FailedLauncher,
        Self::Hung,
        Self::FailedStart,
        Self::FailedWord,
        Self::Excess,
        Self::Downgrade,
        Self::Disagreement,
        Self::NotPinned,
        Self::StartedWhileDown,
        Self::Unhealed,
        Self::Unrest,
        Self::Leftover,
    ];

    /// Its row.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::DoubleProgram => "double program trees",
            Self::FailedLauncher => "launchers that failed without cause",
            Self::Hung => "launchers that outlived their budget",
            Self::FailedStart => "starts that failed without cause",
            Self::FailedWord => "words of a person that failed without cause",
            Self::Excess => "replacements beyond k - 1 + f between two words of a person",
            Self::Downgrade => "downgrades without a person's word or a failed start",
            Self::Disagreement => "disagreements that were tried twice",
            Self::NotPinned => "answers of another version than the pinned one",
            Self::StartedWhileDown => "starts of what a person had stopped for good",
            Self::Unhealed => "trials that did not heal",
            Self::Unrest => "replacements after peace",
            Self::Leftover => "processes left over",
        }
    }
}

/// What must be zero, and what is merely counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Trials.
    pub trials: usize,
    /// Launchers started.
    pub launchers: usize,
    /// Programs started.
    pub starts: usize,
    /// Workers replaced by launchers.
    pub replaced: usize,
    /// Answers and errors of launchers by state.
    pub states: BTreeMap<String, usize>,
    /// What a person said, with the answer.
    pub words: BTreeMap<String, usize>,
    /// Trials by the shape of their worker.
    pub shapes: BTreeMap<String, usize>,
    /// Trials on a small disk, which the hand could fill.
    pub disks: usize,
    /// Blows by name.
    pub blows: BTreeMap<String, usize>,
    /// What must be zero.
    pub wrongs: BTreeMap<Wrong, usize>,
    /// What was seen in trials that were not clean.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Verdict {
    /// Notes something that must not be.
    pub fn wrong(&mut self, what: Wrong, told: impl Into<String>) {
        self.wrongs(what, 1, told);
    }

    /// Notes something that must not be, so many times.
    pub fn wrongs(&mut self, what: Wrong, times: usize, told: impl Into<String>) {
        if times > 0 {
            *self.wrongs.entry(what).or_default() += times;
            self.notes.push(format!("{}: {}", what.words(), told.into()));
        }
    }

    /// Adds another.
    pub fn add(&mut self, other: Self) {
        self.trials += other.trials;
        self.launchers += other.launchers;
        self.starts += other.starts;
        self.replaced += other.replaced;
        add(&mut self.states, other.states);
        add(&mut self.words, other.words);
        add(&mut self.shapes, other.shapes);
        self.disks += other.disks;
        add(&mut self.blows, other.blows);
        add(&mut self.wrongs, other.wrongs);
        self.notes.extend(other.notes);
    }

    /// Whether everything that must be zero is.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.wrongs.is_empty()
    }

    /// The table as Markdown.
    #[must_use]
    pub fn table(&self) -> String {
        let Self { trials, launchers, starts, replaced, .. } = self;
        let count = |wrong: &Wrong| self.wrongs.get(wrong).copied().unwrap_or_default();
        let row = |wrong: &Wrong| format!("| {} | {} |\n", wrong.words(), count(wrong));
        let rows: String = Wrong::ALL.iter().map(row).collect();
        let list = |map: &BTreeMap<String, usize>| {
            map.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
        };
        let (answers, words, blows) = (list(&self.states), list(&self.words), list(&self.blows));
        let (shapes, disks) = (list(&self.shapes), self.disks);
        format!(
            "{trials} trials, {launchers} launchers, {starts} program starts, {replaced} replacements\n\n\
             | must be 0 | count |\n|---|---|\n{rows}\nanswers: {answers}\n\nwords: {words}\n\nblows: {blows}\n\n\
             workers: {shapes}; {disks} trials on a disk that fills up\n"
        )
    }
}

fn add<K: Ord>(sum: &mut BTreeMap<K, usize>, other: BTreeMap<K, usize>) {
    for (key, count) in other {
        *sum.entry(key).or_default() += count;
    }
}

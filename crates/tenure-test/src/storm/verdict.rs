//! What a trial showed, and the sum over many.

use std::collections::BTreeMap;

use crate::sandbox::Output;

/// What must be zero, and what is merely counted.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// Trials.
    pub trials: usize,
    /// Launchers started.
    pub launchers: usize,
    /// Answers and errors by state.
    pub states: BTreeMap<String, usize>,
    /// Blows by name.
    pub blows: BTreeMap<String, usize>,
    /// Programs started.
    pub starts: usize,
    /// Two programs of one scope at once, by the oracle's lock. Must be 0.
    pub doubles: usize,
    /// Launchers that failed without cause. Must be 0.
    pub unexplained: usize,
    /// Processes left after the final stop. Must be 0.
    pub leftovers: usize,
    /// Trials that did not heal: a final `restart` or `ensure` did not serve. Must be 0.
    pub unhealed: usize,
    /// Trials with more replacements than versions and faults allow. Must be 0.
    pub excess_replacements: usize,
    /// Launchers that hung and were ended. Must be 0.
    pub hung: usize,
    /// What was seen in trials that were not clean.
    pub notes: Vec<String>,
}

impl Verdict {
    /// Adds another.
    pub fn add(&mut self, other: Self) {
        self.trials += other.trials;
        self.launchers += other.launchers;
        for (state, count) in other.states {
            *self.states.entry(state).or_default() += count;
        }
        for (blow, count) in other.blows {
            *self.blows.entry(blow).or_default() += count;
        }
        self.starts += other.starts;
        self.doubles += other.doubles;
        self.unexplained += other.unexplained;
        self.leftovers += other.leftovers;
        self.unhealed += other.unhealed;
        self.excess_replacements += other.excess_replacements;
        self.hung += other.hung;
        self.notes.extend(other.notes);
    }

    /// Whether everything that must be zero is.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.faults().iter().all(|(_, count)| *count == 0)
    }

    fn faults(&self) -> [(&'static str, usize); 6] {
        [
            ("double program trees", self.doubles),
            ("launchers that failed without cause", self.unexplained),
            ("launchers that hung", self.hung),
            ("processes left over", self.leftovers),
            ("trials that did not heal", self.unhealed),
            ("trials with excess replacements", self.excess_replacements),
        ]
    }

    /// The table as Markdown.
    #[must_use]
    pub fn table(&self) -> String {
        let Self { trials, launchers, starts, .. } = self;
        let row = |(what, count): &(&str, usize)| format!("| {what} | {count} |\n");
        let rows: String = self.faults().iter().map(row).collect();
        let list = |map: &BTreeMap<String, usize>| {
            map.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
        };
        let (answers, blows) = (list(&self.states), list(&self.blows));
        format!(
            "{trials} trials, {launchers} launchers, {starts} program starts\n\n\
             | must be 0 | count |\n|---|---|\n{rows}\nanswers: {answers}\n\nblows: {blows}\n"
        )
    }

    /// Counts one launcher's end. `killed`: the hand killed it. `excused`: failed starts have a cause in this trial.
    pub fn launcher(&mut self, output: &Output, killed: bool, excuses: &Excuses) {
        self.launchers += 1;
        if killed && output.status.signal.is_some() {
            *self.states.entry("killed".to_owned()).or_default() += 1;
            return;
        }
        let state = output.state();
        let explained = match state.as_str() {
            "up" | "started" | "replaced" => true,
            "warming" | "spawn-failed" | "spawn-suppressed" => excuses.failed_starts,
            "gate-held" | "timed-out" | "wedged" | "unhealthy" => excuses.stopped,
            _ => false,
        };
        if !explained {
            self.unexplained += 1;
            self.notes.push(format!("launcher: {} {} {}", output.status, output.stdout, output.stderr));
        }
        *self.states.entry(if state.is_empty() { "no answer".to_owned() } else { state }).or_default() += 1;
    }
}

/// What in a trial may explain a launcher that got no worker.
#[derive(Debug, Clone, Copy, Default)]
pub struct Excuses {
    /// Workers were killed or told to fail.
    pub failed_starts: bool,
    /// A process was stopped.
    pub stopped: bool,
}

//! One trial: blows, then what was answered and what happened is judged; then the scope heals, rests, and leaves nothing.

use tenure_core::store::event::Event;

use crate::fixtures::call::Output;

use super::cause::{self, Span};
use super::hand::{self, Ended, Trial, name};
use super::history;
use super::verdict::{Verdict, Wrong};

pub use super::hand::Plan;

/// What a launcher may take beyond its budget: the time in which the kernel ends a process, on a machine under load.
const LONGEST_CALL: u64 = 30_000;

/// Runs the trial of one seed.
#[must_use]
pub fn run(plan: &Plan, seed: u64) -> Verdict {
    let mut trial = hand::blow(plan, seed);
    judge(&mut trial);
    heal(&mut trial);
    rest(&mut trial);
    leave(&mut trial);
    let Trial { sandbox, mut verdict, causes, shape, disk, .. } = trial;
    if !verdict.is_clean() {
        verdict.notes.insert(0, format!("seed {seed}: {shape:?} {causes:?}"));
        verdict.notes.push(sandbox.story());
        sandbox.end_all();
    }
    if let Some(disk) = disk {
        disk.unmount(&sandbox);
    }
    verdict
}

/// What was answered, and what happened.
fn judge(trial: &mut Trial<'_>) {
    let events = events(trial);
    judge_launchers(trial, &history::failures(&events));
    // A word has less time than one slow start and another may take, on a machine under load.
    let starts = history::starts(&events);
    for (life, told) in std::mem::take(&mut trial.kept_waiting) {
        if !cause::fill(&starts, life) {
            trial.verdict.wrong(Wrong::FailedWord, told);
        }
    }
    for (wrong, told) in history::judge(&events, trial.versions, &trial.causes) {
        trial.verdict.wrong(wrong, told);
    }
}

fn events(trial: &Trial<'_>) -> Vec<Event> {
    let path = trial.sandbox.scope("storm").join("events.jsonl");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn judge_launchers(trial: &mut Trial<'_>, failures: &[u64]) {
    for Ended { caller, killed, output } in std::mem::take(&mut trial.ended) {
        trial.verdict.launchers += 1;
        let (state, Span { from, to }) = (output.state(), caller.life);
        let was_killed = killed && output.status.signal.is_some();
        let row = match state.as_str() {
            _ if was_killed => "killed",
            "" => "no answer",
            state => state,
        };
        *trial.verdict.states.entry(row.to_owned()).or_default() += 1;
        let told = || format!("{caller:?}: {} {} {}", output.status, output.stdout, output.stderr);
        if !was_killed && !trial.causes.explain(caller, &state, failures) {
            trial.verdict.wrong(Wrong::FailedLauncher, told());
        }
        let stood_still = trial.causes.stopped.iter().any(|span| span.meets(caller.life));
        if to - from > LONGEST_CALL && !stood_still {
            trial.verdict.wrong(Wrong::Hung, told());
        }
    }
}

/// Whatever was said is taken back, and a restart brings the highest version.
fn heal(trial: &mut Trial<'_>) {
    let top = trial.versions;
    let disagrees = trial.causes.disagrees.is_some_and(|(version, _)| version == top);
    drop(trial.launcher("start", top).run());
    let released = trial.call(["unpin", "storm", "--json", "--timeout", "20s"]).run();
    let healed = trial.launcher("restart", top).run();
    let oracle = trial.sandbox.oracle();
    let served = oracle.is_held("program") || oracle.is_held("program-beside");
    // Its proof cannot be given by a version that says that it is another one.
    let proved = healed.code() == 0 || (disagrees && healed.state() == "restart-unproved");
    if released.code() != 0 || !proved || !served {
        let told = |output: &Output| format!("{} {} {}", output.status, output.stdout, output.stderr);
        trial.verdict.wrong(Wrong::Unhealed, format!("{}\n{}", told(&released), told(&healed)));
    }
}

/// All is said: everybody gets the target, and nothing is replaced.
fn rest(trial: &mut Trial<'_>) {
    round(trial);
    let before = history::replaced(&events(trial));
    let says = trial.causes.disagrees.filter(|(one, _)| *one == trial.versions).map(|(_, says)| says);
    let answers = round(trial);
    let answered = |output: &Output| output.json()["version"].as_str().unwrap_or_default().to_owned();
    // Where the highest one says that it is another, an older one may have gone on, and serves all.
    let older = answers.first().map(|(_, output)| answered(output)).filter(|_| says.is_some());
    let expected = older.unwrap_or_else(|| name(trial.versions));
    for (version, output) in answers {
        let named = says.is_some_and(|says| says < version) && expected == name(trial.versions);
        let good = match output.state().as_str() {
            "version-disagrees" => named,
            "up" => !named && answered(&output) == expected,
            _ => false,
        };
        if !good {
            let told =
                format!("a launcher of {version}: {} {} {}", output.status, output.stdout, output.stderr);
            trial.verdict.wrong(Wrong::Unhealed, told);
        }
    }
    let replaced = history::replaced(&events(trial));
    trial.verdict.wrongs(Wrong::Unrest, replaced - before, "all was said");
    trial.verdict.replaced += replaced;
}

/// Launchers of every version at once, twice each.
fn round(trial: &Trial<'_>) -> Vec<(usize, Output)> {
    let versions = (1..=trial.versions).flat_map(|version| [version, version]);
    let running: Vec<_> =
        versions.map(|version| (version, trial.launcher("ensure", version).start())).collect();
    running.into_iter().map(|(version, running)| (version, running.wait())).collect()
}

fn leave(trial: &mut Trial<'_>) {
    let oracle = trial.sandbox.oracle();
    let stopped = trial.call(["stop", "storm", "--timeout", "30s"]).run();
    let left = trial.sandbox.processes().len();
    trial.verdict.starts += oracle.count("start");
    trial.verdict.wrongs(Wrong::DoubleProgram, oracle.count("double"), "the oracle's lock was held");
    trial.verdict.wrongs(Wrong::Leftover, left, format!("stop: {} {}", stopped.status, stopped.stderr));
    if stopped.code() != 0 {
        trial.verdict.wrong(Wrong::Unhealed, format!("stop: {} {}", stopped.status, stopped.stderr));
    }
}

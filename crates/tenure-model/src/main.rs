//! Explores all scenarios to their last state, and shows that each broken rule is found out.
//!
//! Prints one line for each exploration. Exits with 0 only if every result was as expected. Arguments choose the
//! scenarios whose names contain one of them.

#![expect(clippy::print_stdout, reason = "its words are its result")]

use std::process::ExitCode;

use tenure_model::catalog::{self, Broken};
use tenure_model::takeover::replay;
use tenure_model::{Explored, Task, explore, refute};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let is_chosen = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let mut as_expected = true;
    println!("{:80} {:>11} {:>11} {:>8}  verdict", "scenario", "states", "unique", "seconds");
    for scenario in catalog::small().iter().chain(&catalog::large()).filter(|one| is_chosen(one.name)) {
        let explored = explore(scenario);
        as_expected &= explored.holds();
        line(scenario.name, &explored, &verdict(&explored));
    }
    println!("\n{:80} {:>11} {:>11} {:>8}  verdict", "broken rule", "states", "unique", "seconds");
    for broken in catalog::broken().iter().filter(|one| is_chosen(one.scenario.name)) {
        as_expected &= is_found_out(broken);
    }
    if is_chosen("replays") {
        replays();
    }
    if as_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints the traces that tests replay with real processes, and how each may end.
fn replays() {
    println!("\n{:8} {:60} right ends", "call", "blows");
    for task in [Task::Ensure, Task::Restart] {
        for replay::Replay { blows, ends, .. } in replay::all(task) {
            let blows = blows.iter().map(|(point, blow)| format!("{blow:?} {}", point.name()));
            let blows = blows.collect::<Vec<_>>().join(", ");
            let describe = |end: &replay::ReplayEnd| match end.outcome {
                Some(outcome) => format!("{outcome:?}/{:?}", end.standing),
                None => format!("-/{:?}", end.standing),
            };
            let ends = ends.iter().map(describe).collect::<Vec<_>>().join(", ");
            println!("{:8} {blows:60} {ends}", format!("{task:?}"));
        }
    }
}

/// Whether a broken rule is found out, and whether its masking layers, if any, keep every property without it.
fn is_found_out(broken: &Broken) -> bool {
    let Broken { scenario, property, masked_by } = broken;
    let mut as_expected = true;
    if let Some(masked) = broken.masked() {
        let explored = explore(&masked);
        as_expected &= explored.holds();
        line(scenario.name, &explored, &format!("masked by {masked_by:?}: {}", verdict(&explored)));
    }
    let explored = refute(scenario, property);
    let found = explored.against(property);
    let verdict = match found {
        Some(found) => format!("found in {} steps: {property}", found.steps.len()),
        None => format!("NOT FOUND: {property}"),
    };
    line(scenario.name, &explored, &verdict);
    as_expected && found.is_some()
}

fn line(name: &str, explored: &Explored, verdict: &str) {
    let Explored { states, unique, took, .. } = explored;
    println!("{name:80} {states:>11} {unique:>11} {:>8.1}  {verdict}", took.as_secs_f64());
}

fn verdict(explored: &Explored) -> String {
    if explored.holds() {
        return "all invariants hold".to_owned();
    }
    let mut words: Vec<String> = explored.unseen.iter().map(|name| format!("NEVER SEEN: {name}")).collect();
    for found in &explored.counterexamples {
        let steps = found.steps.join("\n    ");
        words.push(format!("BROKEN: {} in {} steps:\n    {steps}", found.property, found.steps.len()));
    }
    words.join("; ")
}

//! Explores the large scenarios to the last state, and shows that each broken rule is found out.
//!
//! Prints one line an exploration; exits with 0 only if everything was as it should be. Words on the command line choose
//! the scenarios whose names contain one of them.

#![expect(clippy::print_stdout, reason = "its words are its result")]

use std::process::ExitCode;

use tenure_test::model::{Explored, catalog, explore, refute};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let is_chosen = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let mut as_expected = true;
    println!("{:60} {:>11} {:>11} {:>8}  verdict", "scenario", "states", "unique", "seconds");
    for scenario in catalog::small().iter().chain(&catalog::large()).filter(|one| is_chosen(one.name)) {
        let explored = explore(scenario);
        as_expected &= explored.holds();
        line(scenario.name, &explored, &verdict(&explored));
    }
    println!("\n{:60} {:>11} {:>11} {:>8}  verdict", "broken rule", "states", "unique", "seconds");
    for (scenario, property) in catalog::broken().into_iter().filter(|(one, _)| is_chosen(one.name)) {
        let explored = refute(&scenario, property);
        let found = explored.against(property);
        as_expected &= found.is_some();
        let verdict = match found {
            Some(found) => format!("found in {} steps: {property}", found.steps.len()),
            None => format!("NOT FOUND: {property}"),
        };
        line(scenario.name, &explored, &verdict);
    }
    if as_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn line(name: &str, explored: &Explored, verdict: &str) {
    let Explored { states, unique, took, .. } = explored;
    println!("{name:60} {states:>11} {unique:>11} {:>8.1}  {verdict}", took.as_secs_f64());
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

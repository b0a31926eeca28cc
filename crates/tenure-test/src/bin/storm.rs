//! `storm [--trials N] [--seed S] [--blows N] [--versions K]`: runs the storm and prints its table; exit 1 unless clean.

use std::process::ExitCode;

use tenure_test::storm::trial::{self, Plan};
use tenure_test::storm::verdict::Verdict;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let number = |name: &str, default: u64| {
        args.iter()
            .skip_while(|arg| *arg != name)
            .nth(1)
            .and_then(|value| value.parse().ok())
            .unwrap_or(default)
    };
    let own = std::env::current_exe().unwrap_or_default();
    let beside = |name: &str| own.with_file_name(name).display().to_string();
    let size = |name, default| usize::try_from(number(name, default)).unwrap_or(usize::MAX);
    let plan = Plan {
        tenure: beside("tenure-faulted"),
        program: beside("fixture-program"),
        blows: size("--blows", 60),
        versions: size("--versions", 4),
    };
    let (trials, seed) = (number("--trials", 1000), number("--seed", 1));
    let mut sum = Verdict::default();
    for trial in 0..trials {
        sum.add(trial::run(&plan, seed.wrapping_add(trial)));
        if trial % 100 == 99 {
            print(&format!("{} trials, clean: {}\n", trial + 1, sum.is_clean()));
        }
    }
    for note in sum.notes.iter().take(8) {
        print(&format!("{note}\n"));
    }
    print(&format!("seed {seed}, {} blows a trial\n\n{}", plan.blows, sum.table()));
    if sum.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn print(text: &str) {
    print!("{text}");
}

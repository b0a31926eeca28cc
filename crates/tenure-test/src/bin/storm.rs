//! `storm [--trials N] [--seed S] [--blows N] [--versions K]`: runs the storm and prints its table; exit 1 unless clean.
//!
//! As root it gives itself a mount namespace first, so that some trials have a disk that the hand can fill; elsewhere it
//! says that there are no disks.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use tenure_test::sandbox::Sandbox;
use tenure_test::storm::trial::{self, Plan};
use tenure_test::storm::verdict::Verdict;
use tenure_test::usual;

/// Set in the process that has a mount namespace of its own.
const PRIVATE: &str = "STORM_HAS_MOUNTS";

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
        disks: std::env::var_os(PRIVATE).is_some(),
    };
    if !plan.disks && mounts_are_permitted(&plan.tenure) {
        // It returns only if that fails, and then the storm has no disks.
        let words = ["-m", "--propagation", "private"];
        drop(Command::new("unshare").args(words).arg(&own).args(&args[1..]).env(PRIVATE, "1").exec());
    }
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

/// Whether this process may have mounts that nobody else sees.
fn mounts_are_permitted(tenure: &str) -> bool {
    let Some(unshare) = usual::tool("unshare").filter(|_| usual::is_root()) else { return false };
    let sandbox = Sandbox::new(tenure);
    sandbox.command(&unshare, ["-m", "--propagation", "private", "true"]).run().code() == 0
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn print(text: &str) {
    print!("{text}");
}

//! A short storm with a fixed seed; `cargo xtask storm` runs the long one.

use tenure_test::storm::trial::{self, Plan};
use tenure_test::storm::verdict::Verdict;

#[test]
fn a_storm_of_launchers_kills_and_failing_boots_never_makes_two_workers_and_leaves_nothing() {
    let plan = Plan {
        tenure: env!("CARGO_BIN_EXE_tenure-faulted").to_owned(),
        program: env!("CARGO_BIN_EXE_fixture-program").to_owned(),
        blows: 40,
        versions: 4,
        // A disk of its own needs mounts of its own, which the long storm gives itself.
        disks: false,
    };
    let mut sum = Verdict::default();
    for seed in 1..=12 {
        sum.add(trial::run(&plan, seed));
    }
    assert!(sum.is_clean(), "{}\n{}", sum.table(), sum.notes.join("\n"));
    assert!(sum.launchers > 100 && sum.starts > 12, "the storm blew:\n{}", sum.table());
}

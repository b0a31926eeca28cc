//! The herd: a thousand launchers at once, cold, in turn with as many `/bin/true`.

use std::path::Path;

use crate::fixtures::call::Call;
use crate::fixtures::sandbox::Sandbox;

use super::figure::{Row, median, ratio, show};
use super::warm::timed;

/// One row for a herd of `size`, measured `runs` times; also counts boots and failures.
///
/// # Panics
/// If the worker cannot be stopped between two runs.
#[must_use]
pub fn row(sandbox: &Sandbox, size: usize, runs: usize) -> Row {
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    let (mut boots, mut failed) = (0, 0);
    for _ in 0..runs {
        drop(sandbox.stop("one").expect(0));
        let before = sandbox.oracle().count("start");
        let mut refused = 0;
        ours.push(timed(|| refused = all(size, || sandbox.tenure(["ensure", "one", "--json"]))));
        failed += refused;
        boots += sandbox.oracle().count("start") - before;
        peer.push(timed(|| failed += all(size, || sandbox.command(Path::new("/bin/true"), [""; 0]))));
    }
    Row {
        what: format!("{size} concurrent cold launchers ({boots} boots in {runs} runs, {failed} failed)"),
        median: show(median(&ours)),
        against: format!("{size} `/bin/true`: {}", show(median(&peer))),
        pair: format!("ratio {:.2}", ratio(&ours, &peer)),
        promise: "ratio ≤ 3 plus the boot; 1 boot a run, 0 failed",
    }
}

/// Starts `size` calls, waits for all, counts those that did not end with 0.
fn all<'sandbox>(size: usize, call: impl Fn() -> Call<'sandbox>) -> usize {
    let running: Vec<_> = (0..size).map(|_| call().start()).collect();
    running.into_iter().map(crate::fixtures::call::Running::wait).filter(|output| output.code() != 0).count()
}

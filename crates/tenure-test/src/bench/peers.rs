//! A newcomer's HELLO while ten thousand peers of one kind keep a worker busy.

use tenure_core::deadline::monotonic;

use crate::fixtures::peers::{self, Crowd, KINDS};
use crate::fixtures::sandbox::Sandbox;

use super::figure::{self, Row};

/// Peers of each crowd.
const SIZE: usize = 10_000;

/// Measures `newcomers` for each kind of peers, at the worker `scope`, which must still be the same at the end.
///
/// # Panics
/// If the worker does not last.
#[must_use]
pub fn rows(sandbox: &Sandbox, scope: &str, newcomers: usize) -> Vec<Row> {
    let state = sandbox.scope(scope);
    let pid = || sandbox.tenure(["status", scope, "--json"]).run().expect(0).json()["pid"].clone();
    let before = pid();
    let quiet: Vec<_> = (0..newcomers).filter_map(|_| peers::newcomer(&state)).collect();
    let row = |(name, kind)| {
        let begun = monotonic();
        let crowd = Crowd::gather(&state, kind, SIZE);
        crowd.has_come();
        let came = monotonic().saturating_sub(begun);
        let asked: Vec<_> = (0..newcomers).map(|_| peers::newcomer(&state)).collect();
        let mut took: Vec<_> = asked.iter().copied().flatten().collect();
        took.sort_unstable();
        let late = took.get(took.len() * 99 / 100).copied().unwrap_or_default();
        Row {
            what: format!("a newcomer's HELLO beside {SIZE} peers: {name}"),
            median: figure::show(figure::median(&took)),
            against: format!("{} without them", figure::show(figure::median(&quiet))),
            pair: format!(
                "99 %: {}; {} of {newcomers} answered; they came in {}",
                figure::show(late),
                took.len(),
                figure::show(came)
            ),
            promise: "≤ 50 ms; the worker stays",
        }
    };
    let rows = KINDS.into_iter().map(row).collect();
    assert_eq!(pid(), before, "the worker stays");
    rows
}

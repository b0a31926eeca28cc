//! What the hand did and when: the only excuse for a launcher that got no worker.
//!
//! Times are the wall clock's milliseconds, as in the events. A blow excuses only those whose own time it hit: a launcher
//! from its start to its end, a boot from its beginning to its failure. Only a version that says
//! that it is another one is excused for the whole trial.

/// How long a boot may take that fails, its end included: its `start_timeout`, the end of the one that makes room, the grace
/// of a stop, and a second.
const LONGEST_BOOT: u64 = 7_500;

/// How long a failure may hold back the next start, by the protocol.
const LONGEST_SUPPRESSION: u64 = 30_000;

/// From when to when something was so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its first millisecond.
    pub from: u64,
    /// Its last one.
    pub to: u64,
}

/// What may go wrong for a launcher, with the times at which it did.
#[derive(Debug, Clone, Default)]
pub struct Causes {
    /// Something of a worker was killed, or a person asked it to end.
    pub ended: Vec<Span>,
    /// A process stood still.
    pub stopped: Vec<Span>,
    /// The disk was full.
    pub full: Vec<Span>,
    /// A version could not boot.
    pub failing: Vec<(usize, Span)>,
    /// A person had stopped the worker for good.
    pub down: Vec<Span>,
    /// A version that says that it is another one, and which.
    pub disagrees: Option<(usize, usize)>,
}

/// A launcher, or a person's word, as far as its end is to be explained.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    /// The version that it offers or holds.
    pub version: usize,
    /// Its life.
    pub life: Span,
}

impl Span {
    /// What began and has not ended.
    #[must_use]
    pub fn since(from: u64) -> Self {
        Self { from, to: u64::MAX }
    }

    /// Whether the two have a moment in common.
    #[must_use]
    pub fn meets(self, other: Self) -> bool {
        self.from <= other.to && other.from <= self.to
    }
}

/// Whether these take up at least half of `life`.
#[must_use]
pub fn fill(spans: &[Span], life: Span) -> bool {
    let within = |span: &Span| span.to.min(life.to).saturating_sub(span.from.max(life.from));
    spans.iter().map(within).sum::<u64>() >= (life.to - life.from).div_ceil(2).max(1)
}

/// Ends the spans that have not ended.
pub fn close<'span>(spans: impl IntoIterator<Item = &'span mut Span>, at: u64) {
    for span in spans.into_iter().filter(|span| span.to == u64::MAX) {
        span.to = at;
    }
}

fn any(spans: &[Span], life: Span) -> bool {
    spans.iter().any(|span| span.meets(life))
}

impl Causes {
    /// Whether a start of `version` that failed at `at` was made to fail.
    #[must_use]
    pub fn explain_failed_start(&self, version: usize, at: u64) -> bool {
        let boot = Span { from: at.saturating_sub(LONGEST_BOOT), to: at };
        // A successor that says that it is another version has failed.
        let disagrees = self.disagrees.is_some_and(|(one, _)| one == version);
        disagrees || self.make_starts_fail(Some(version), boot)
    }

    /// Whether the end of a launcher has a cause in its own life. `failures` are the times at which starts failed.
    #[must_use]
    pub fn explain(&self, caller: Caller, state: &str, failures: &[u64]) -> bool {
        let life = caller.life;
        let failed_within = |span: Span| failures.iter().any(|at| span.meets(Span { from: *at, to: *at }));
        let disagrees = self.disagrees.is_some_and(|(_, says)| says < caller.version);
        match state {
            "up" | "started" | "replaced" => true,
            "spawn-failed" => failed_within(life) || self.make_starts_fail(None, life),
            // A worker that ended again and again after it was ready counts as a failed start, which no event tells: what
            // made it end does.
            "spawn-suppressed" => {
                let window = Span { from: life.from.saturating_sub(LONGEST_SUPPRESSION), to: life.to };
                failed_within(window) || self.make_starts_fail(None, window)
            }
            "warming" | "gate-held" | "timed-out" | "wedged" => any(&self.stopped, life),
            "unhealthy" => any(&self.stopped, life) || disagrees || self.make_starts_fail(None, life),
            "version-disagrees" => disagrees,
            "down" => any(&self.down, life),
            "state-unusable" | "record-unusable" => any(&self.full, life),
            _ => false,
        }
    }

    /// Whether a person's word that did not do what it says has a cause in its own life.
    #[must_use]
    pub fn explain_word(&self, caller: Caller, state: &str) -> bool {
        let disagrees = self.disagrees.is_some_and(|(version, _)| version == caller.version);
        match state {
            // An offer that a worker was there for is nowhere on record.
            "pinned" | "unpinned" | "stopped" | "unknown-version" => true,
            "restart-unproved" => disagrees || self.make_starts_fail(None, caller.life),
            "spawn-failed" => self.make_starts_fail(None, caller.life),
            "gate-held" | "timed-out" | "wedged" | "survivor" => any(&self.stopped, caller.life),
            "state-unusable" | "record-unusable" => any(&self.full, caller.life),
            _ => false,
        }
    }

    /// Whether something in `span` makes starts fail: of that version, or of any.
    #[must_use]
    pub fn make_starts_fail(&self, version: Option<usize>, span: Span) -> bool {
        let fails = |(of, when): &(usize, Span)| version.is_none_or(|one| one == *of) && when.meets(span);
        let struck = any(&self.ended, span) || any(&self.stopped, span) || any(&self.full, span);
        struck || self.failing.iter().any(fails)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(from: u64, to: u64) -> Caller {
        Caller { version: 2, life: Span { from, to } }
    }

    #[test]
    fn a_blow_excuses_only_those_whose_life_it_hit() {
        let causes = Causes { ended: vec![Span { from: 500, to: 500 }], ..Causes::default() };
        assert!(causes.explain(caller(400, 600), "spawn-failed", &[]));
        assert!(!causes.explain(caller(501, 900), "spawn-failed", &[]));
        assert!(!causes.explain(caller(100, 499), "spawn-failed", &[]));
    }

    #[test]
    fn a_process_that_stands_still_excuses_until_it_goes_on() {
        let mut causes = Causes { stopped: vec![Span::since(500)], ..Causes::default() };
        assert!(causes.explain(caller(900, 950), "gate-held", &[]));
        close(&mut causes.stopped, 600);
        assert!(!causes.explain(caller(900, 950), "gate-held", &[]));
    }

    #[test]
    fn a_failed_start_suppresses_for_a_while_and_must_have_a_cause_of_its_own() {
        let causes = Causes { failing: vec![(1, Span { from: 100, to: 200 })], ..Causes::default() };
        assert!(causes.explain(caller(20_000, 20_001), "spawn-suppressed", &[150]));
        assert!(causes.explain(caller(20_000, 20_001), "spawn-suppressed", &[]), "what gave up has no event");
        assert!(!causes.explain(caller(40_000, 40_001), "spawn-suppressed", &[150]));
        assert!(causes.explain_failed_start(1, 150));
        assert!(!causes.explain_failed_start(2, 150), "another version failed");
    }

    #[test]
    fn a_life_is_filled_by_what_takes_up_half_of_it() {
        let life = Span { from: 100, to: 200 };
        assert!(fill(&[Span { from: 0, to: 130 }, Span { from: 180, to: 900 }], life));
        assert!(!fill(&[Span { from: 0, to: 130 }, Span { from: 190, to: 900 }], life));
        assert!(!fill(&[], Span { from: 100, to: 100 }));
    }

    #[test]
    fn an_answer_that_nobody_knows_is_never_excused() {
        let causes = Causes { stopped: vec![Span::since(0)], ..Causes::default() };
        assert!(!causes.explain(caller(1, 2), "bug", &[]));
    }
}

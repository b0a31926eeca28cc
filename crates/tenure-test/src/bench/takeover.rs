//! Restarts under load: closed and then spawned, against taken over, in turn and in one run.
//!
//! A table counts what clients lost; the figures hold the longest wait against what cannot be less: the drain of the old
//! program and the boot of the new one, as these two tell it themselves, under the same load.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tenure_core::deadline::monotonic;

use crate::fixtures::oracle::Line;
use crate::load::subject::Subject;
use crate::load::{Clients, Load};

use super::figure::{Row, difference, median, show};
use super::idle::pass;

/// For how long clients load in one sample: long enough that the ninety-ninth percentile is not the restart alone.
const WINDOW: Duration = Duration::from_secs(1);

/// The boot of the program that is measured: of the order of an interpreter's.
const BOOT: &str = "boot=50";

/// Where the executables are.
#[derive(Debug, Clone, Copy)]
pub struct Executables<'a> {
    /// The command line.
    pub tenure: &'a str,
    /// The server of tests.
    pub server: &'a str,
}

/// What a number of samples of the same kind showed.
#[derive(Debug, Default)]
struct Samples {
    all: Load,
    longest: Vec<Duration>,
    percentile: Vec<Duration>,
}

impl Samples {
    fn add(&mut self, load: Load) {
        self.longest.push(load.fresh.longest_with_retries);
        self.percentile.push(load.fresh.percentile(99));
        self.all.add(load);
    }

    fn lost(&self) -> String {
        let (fresh, kept) = (&self.all.fresh, &self.all.kept);
        let (refused, reset) = (fresh.refused + kept.refused, fresh.reset + kept.reset);
        format!("{refused} refused, {reset} reset, {} cut, of {}", kept.cut, fresh.answered)
    }

    fn longest(&self) -> Duration {
        self.longest.iter().max().copied().unwrap_or_default()
    }
}

/// Every figure of a restart under load.
///
/// # Panics
/// If a worker cannot be started or replaced.
#[must_use]
pub fn rows(executables: Executables<'_>, runs: usize) -> Vec<Row> {
    let mut rows = against_close_then_spawn(executables, runs);
    rows.push(one_after_the_other(executables, runs));
    rows.push(both_at_once(executables, runs));
    rows.extend(without_boot(executables, runs));
    rows
}

/// What clients lost and how long they waited, in either way.
fn against_close_then_spawn(executables: Executables<'_>, runs: usize) -> Vec<Row> {
    let subject = Subject::server(executables.tenure, executables.server, &["ready=fd", BOOT], &[]);
    let clients = Clients::default();
    let (mut spawned, mut taken) = (Samples::default(), Samples::default());
    for _ in 0..runs {
        spawned.add(subject.under_load(&clients, |_| {
            windowed(|| {
                drop(subject.call("stop").run().expect(0));
                drop(subject.call("ensure").run().expect(0));
            });
        }));
        taken.add(subject.under_load(&clients, |_| windowed(|| restart(&subject))));
    }
    subject.stop();
    let row = |what: String, ours: String, theirs: String, pair: String, promise| Row {
        what,
        median: ours,
        against: format!("`stop`, then `ensure`: {theirs}"),
        pair,
        promise,
    };
    let longest = (taken.longest(), spawned.longest());
    let change = |ours, theirs: &[Duration]| format!("{:+.1} ms", difference(ours, theirs) / 1e3);
    vec![
        row(
            format!("new connections in {runs} restarts under load, 8 + 4 clients"),
            taken.lost(),
            spawned.lost(),
            "–".to_owned(),
            "0 refused, 0 reset",
        ),
        row(
            "longest time without an answer, retries included, of all".to_owned(),
            show(longest.0),
            show(longest.1),
            change(&taken.longest, &spawned.longest),
            "–",
        ),
        row(
            "ninety-ninth percentile of new connections in a second with a restart".to_owned(),
            show(median(&taken.percentile)),
            show(median(&spawned.percentile)),
            change(&taken.percentile, &spawned.percentile),
            "–",
        ),
    ]
}

/// `overlap = false`: the longest wait, against drain and boot as the two programs of the same restart tell them.
fn one_after_the_other(executables: Executables<'_>, runs: usize) -> Row {
    let subject = Subject::server(executables.tenure, executables.server, &["ready=fd", BOOT], &[]);
    let (mut waits, mut floors) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let before = subject.sandbox.oracle().lines().len();
        let load = subject.under_load(&Clients::default(), |_| windowed(|| restart(&subject)));
        waits.push(load.fresh.longest_with_retries);
        let lines = subject.sandbox.oracle().lines();
        let of_this = lines.get(before..).unwrap_or_default();
        floors.push(between(of_this, "drain", "end") + between(of_this, "start", "serve"));
    }
    subject.stop();
    Row {
        what: "longest wait because of a restart, `overlap = false`".to_owned(),
        median: show(median(&waits)),
        against: format!("drain and boot of the same restart: {}", show(median(&floors))),
        pair: format!("{:+.1} ms", difference(&waits, &floors) / 1e3),
        promise: "≤ +20 ms",
    }
}

/// `overlap = true`: what a restart costs new connections, against the boot of the same program as another worker.
fn both_at_once(executables: Executables<'_>, runs: usize) -> Row {
    let words = ["ready=fd", BOOT, "overlaps"];
    let make = || Subject::server(executables.tenure, executables.server, &words, &["overlap = true"]);
    let (subject, elsewhere) = (make(), make());
    let (mut restarts, mut controls) = (Samples::default(), Samples::default());
    for _ in 0..runs {
        controls.add(subject.under_load(&Clients::default(), |_| {
            windowed(|| drop(elsewhere.call("ensure").run().expect(0)));
        }));
        elsewhere.stop();
        restarts.add(subject.under_load(&Clients::default(), |_| windowed(|| restart(&subject))));
    }
    subject.stop();
    Row {
        what: "ninety-ninth percentile in a second with a restart, `overlap = true`".to_owned(),
        median: show(median(&restarts.percentile)),
        against: format!("a boot elsewhere: {}", show(median(&controls.percentile))),
        pair: format!("{:+.1} ms", difference(&restarts.percentile, &controls.percentile) / 1e3),
        promise: "≤ +20 ms",
    }
}

/// The takeover alone, as the worker's own account tells it; nothing where no account does.
fn without_boot(executables: Executables<'_>, runs: usize) -> Option<Row> {
    let subject = Subject::server(executables.tenure, executables.server, &["ready=fd"], &[]);
    subject.sandbox.be_this_machine();
    drop(subject.call("ensure").run().expect(0));
    for _ in 0..runs {
        restart(&subject);
    }
    let took = took_over(&subject.sandbox.scope("w"));
    subject.stop();
    (!took.is_empty()).then(|| Row {
        what: "a takeover without the program's boot".to_owned(),
        median: show(median(&took)),
        against: "–".to_owned(),
        pair: "–".to_owned(),
        promise: "≤ 10 ms",
    })
}

/// How long each takeover took, from the words of its event: `… in N ms`.
fn took_over(scope: &Path) -> Vec<Duration> {
    let text = fs::read_to_string(scope.join("events.jsonl")).unwrap_or_default();
    text.lines().filter_map(took).collect()
}

fn took(line: &str) -> Option<Duration> {
    let event: serde_json::Value = serde_json::from_str(line).ok()?;
    let why = event["why"].as_str().filter(|_| event["what"] == "taken-over")?;
    let (_, rest) = why.rsplit_once("in ")?;
    let millis: f64 = rest.split_once(" ms")?.0.parse().ok()?;
    Duration::try_from_secs_f64(millis / 1e3).ok()
}

/// The time between two lines of the oracle's log; zero where one is missing.
fn between(lines: &[Line], from: &str, to: &str) -> Duration {
    let at = |what: &str| {
        let line = lines.iter().find(|line| line.what == what)?;
        line.detail.rsplit(' ').next()?.parse().ok().map(Duration::from_micros)
    };
    at(from).zip(at(to)).map(|(from, to)| to.saturating_sub(from)).unwrap_or_default()
}

fn restart(subject: &Subject) {
    drop(subject.call("restart").run().expect(0));
}

/// Does something within a window of load, with quiet before and after it.
fn windowed(work: impl FnOnce()) {
    let began = monotonic();
    pass(WINDOW / 4);
    work();
    pass(WINDOW.saturating_sub(monotonic().saturating_sub(began)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_takeover_tells_its_time_in_words() {
        let line = |what: &str, why: &str| format!(r#"{{"what":"{what}","why":"{why}"}}"#);
        assert_eq!(took(&line("taken-over", "from pid 7 in 7.5 ms")), Some(Duration::from_micros(7500)));
        assert_eq!(took(&line("taken-over", "from pid 7")), None);
        assert_eq!(took(&line("ready", "in 7 ms")), None);
    }

    #[test]
    fn drain_and_boot_are_told_by_the_programs() {
        let line = |what: &str, at: u64| Line {
            what: what.to_owned(),
            pid: 1,
            detail: format!("version=1.0.0 generation=1 pid=1 {at}"),
        };
        let lines = [line("drain", 1_000), line("end", 3_000), line("start", 4_000), line("serve", 9_000)];
        assert_eq!(between(&lines, "drain", "end"), Duration::from_millis(2));
        assert_eq!(between(&lines, "start", "serve"), Duration::from_millis(5));
        assert_eq!(between(&lines, "start", "never"), Duration::ZERO);
    }
}

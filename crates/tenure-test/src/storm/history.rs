//! What the events of a trial prove: how often workers were replaced, and by what.
//!
//! An epoch lasts from one word of a person about versions to the next. The bound of the theorem is held against every
//! epoch of its own: k versions and f faults allow k - 1 + f replacements, where a fault is a start that failed, or a
//! version that disagrees with its own answer. A replacement is one for each generation that made room.

use std::collections::{BTreeMap, BTreeSet};

use tenure_core::Version;
use tenure_core::store::event::{Event, What};

use super::cause::{Causes, Span, close};
use super::verdict::Wrong;

/// What is known of an epoch.
#[derive(Debug, Default)]
struct Epoch {
    /// Generations that made room for a newer version.
    older: BTreeSet<u64>,
    /// Starts that failed, and workers that gave up or failed in their probation.
    failed: usize,
    /// Who of them was told already: a launcher that waits tells it, and the worker that goes on in its place.
    told: BTreeSet<u32>,
    /// The version of the last worker that served, and the highest one that failed since.
    last: Option<(u64, u64)>,
}

/// Which worker has which generation, and who was to take its place.
#[derive(Debug, Default)]
struct Line {
    /// The generation of each pid, as far as it was told.
    generations: BTreeMap<u32, u64>,
    /// By the generation that was to make room: version and pid of the last one that was to take its place.
    successors: BTreeMap<u64, (u64, u32)>,
}

impl Line {
    fn follow(&mut self, event: &Event) {
        let Some(pid) = event.pid.filter(|_| event.what == What::Spawned) else { return };
        self.generations.insert(pid, event.generation);
        let place = event.why.strip_prefix("to take the place of generation ").and_then(|of| of.parse().ok());
        self.successors.extend(place.map(|place: u64| (place, (major(event), pid))));
    }

    /// Which version failed by this event, and the pid of its worker where that is told.
    fn failure(&mut self, event: &Event) -> Option<(u64, Option<u32>)> {
        // Whose program ends again and again gives up, which counts as a start that failed.
        let gave_up = event.what == What::ProgramExited && event.why.ends_with("are spent");
        if event.what == What::StartFailed || gave_up {
            return Some((major(event), event.pid));
        }
        // A worker whose generation has risen has taken its scope back from a successor that failed; it may have been killed
        // between its record of that and the event that tells so.
        let known = self.generations.get_mut(&event.pid?).filter(|known| **known < event.generation)?;
        let before = std::mem::replace(known, event.generation);
        self.successors.get(&before).map(|(version, pid)| (*version, Some(*pid)))
    }
}

/// Judges the events of a trial of `versions` versions.
#[must_use]
pub fn judge(events: &[Event], versions: usize, causes: &Causes) -> Vec<(Wrong, String)> {
    let (mut wrongs, mut epoch, mut is_down) = (Vec::new(), Epoch::default(), false);
    let mut corrected: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    let mut line = Line::default();
    for event in events {
        line.follow(event);
        let failed = line.failure(event).and_then(|failure| failed(&mut epoch, event, failure, causes));
        wrongs.extend(failed.map(|wrong| (wrong, told(event))));
        let wrong = match event.what {
            _ if is_a_persons(event) => {
                epoch = Epoch::default();
                None
            }
            What::Replacing if event.why.starts_with("it is older than") => {
                epoch.older.insert(event.generation);
                let bound = versions - 1 + epoch.failed;
                (epoch.older.len() > bound).then_some(Wrong::Excess)
            }
            What::Replacing if event.why.contains("says that it is") => {
                let generations = corrected.entry(&event.why).or_default();
                generations.insert(event.generation);
                (generations.len() > 1).then_some(Wrong::Disagreement)
            }
            What::Ready => served(&mut epoch, event.version.as_ref()),
            What::HeldDown | What::Released => {
                is_down = event.what == What::HeldDown;
                None
            }
            What::Spawned if is_down => Some(Wrong::StartedWhileDown),
            // The rest says nothing about what this judge looks for.
            What::Repaired | _ => None,
        };
        wrongs.extend(wrong.map(|wrong| (wrong, told(event))));
    }
    wrongs
}

/// A version that failed, by a worker of that pid where it is told: it needs a cause of its own.
fn failed(
    epoch: &mut Epoch,
    event: &Event,
    (version, pid): (u64, Option<u32>),
    causes: &Causes,
) -> Option<Wrong> {
    if pid.is_some_and(|pid| !epoch.told.insert(pid)) {
        return None;
    }
    epoch.failed += 1;
    epoch.last = epoch.last.map(|(last, failed)| (last, failed.max(version)));
    let explained = causes.explain_failed_start(number(version), event.at_ms);
    (!explained).then_some(Wrong::FailedStart)
}

fn major(event: &Event) -> u64 {
    event.version.as_ref().map_or(0, Version::major)
}

/// Whether a person has spoken: another version may follow than any policy would choose.
fn is_a_persons(event: &Event) -> bool {
    // A worker that makes room for the pinned version is not stopped.
    let of_a_pin = ["pin", "a pin that failed"].contains(&event.why.as_str());
    matches!(event.what, What::Pinned | What::Unpinned | What::Forgotten)
        || of_a_pin && matches!(event.what, What::Stopped | What::Replacing)
}

/// A worker serves: within an epoch only a failed start brings a lower version.
fn served(epoch: &mut Epoch, version: Option<&Version>) -> Option<Wrong> {
    let version = version?.major();
    let before = epoch.last.replace((version, 0));
    before.is_some_and(|(last, failed)| version < last && failed < last).then_some(Wrong::Downgrade)
}

fn number(version: u64) -> usize {
    usize::try_from(version).unwrap_or_default()
}

fn told(event: &Event) -> String {
    let version = event.version.as_ref().map(Version::to_string).unwrap_or_default();
    let Event { at_ms, what, generation, why, .. } = event;
    format!("{at_ms}: {what:?} generation {generation} {version}: {why}")
}

/// How many workers were replaced.
#[must_use]
pub fn replaced(events: &[Event]) -> usize {
    let replacing = events.iter().filter(|event| event.what == What::Replacing);
    replacing.map(|event| event.generation).collect::<BTreeSet<u64>>().len()
}

/// When starts failed.
#[must_use]
pub fn failures(events: &[Event]) -> Vec<u64> {
    events.iter().filter(|event| event.what == What::StartFailed).map(|event| event.at_ms).collect()
}

/// What a start may take by its description and the protocol: 3 s to be ready, 2 s for the end of what makes room, and a
/// probation of 100 ms. One that outlasts that hangs, and is no excuse for anybody.
const LONGEST_START: u64 = 5_500;

/// From when to when a worker was started, which keeps whoever wants the gate waiting.
#[must_use]
pub fn starts(events: &[Event]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for event in events {
        if event.what == What::Spawned {
            spans.push(Span::since(event.at_ms));
        } else if matches!(event.what, What::Ready | What::StartFailed | What::RolledBack) {
            close(&mut spans, event.at_ms);
        }
    }
    spans.retain(|span| span.to - span.from <= LONGEST_START);
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_core::protocol::wire::Asker;

    fn at(mut event: Event, at_ms: u64) -> Event {
        event.at_ms = at_ms;
        event
    }

    fn event(what: What, generation: u64, version: u64, why: &str) -> Event {
        let event = Event::now(what, generation, &Asker::default(), why);
        at(event.version(&Version::new(version, 0, 0)), generation)
    }

    fn wrongs(events: &[Event]) -> Vec<Wrong> {
        judge(events, 2, &Causes::default()).into_iter().map(|(wrong, _)| wrong).collect()
    }

    fn life(generation: u64, version: u64) -> [Event; 2] {
        [event(What::Spawned, generation, version, ""), event(What::Ready, generation, version, "")]
    }

    #[test]
    fn more_replacements_than_versions_and_faults_are_told() {
        let replaced = |generation| event(What::Replacing, generation, 1, "it is older than 2.0.0");
        assert_eq!(wrongs(&[replaced(1), replaced(1)]), []);
        assert_eq!(wrongs(&[replaced(1), replaced(2)]), [Wrong::Excess]);
        let pinned = event(What::Pinned, 0, 1, "to 1.0.0");
        assert_eq!(wrongs(&[replaced(1), pinned, replaced(2)]), []);
    }

    #[test]
    fn a_lower_version_without_a_persons_word_is_told() {
        let fall = [life(1, 2), life(2, 1)].concat();
        assert_eq!(wrongs(&fall), [Wrong::Downgrade]);
        let pinned = [event(What::Unpinned, 0, 1, "from 1.0.0")];
        assert_eq!(wrongs(&[&life(1, 2)[..], &pinned, &life(2, 1)].concat()), []);
    }

    #[test]
    fn a_lower_version_may_follow_one_that_gave_up_with_cause() {
        let gave_up = [event(
            What::ProgramExited,
            1,
            2,
            "program ended with exit status 3; 5 restarts within 1m are spent",
        )];
        let story = [&life(1, 2)[..], &gave_up, &life(2, 1)].concat();
        let causes = Causes { failing: vec![(2, Span { from: 0, to: 1 })], ..Causes::default() };
        assert_eq!(judge(&story, 2, &causes), []);
        assert_eq!(wrongs(&story), [Wrong::FailedStart], "nothing was done to it");
    }

    #[test]
    fn a_version_that_failed_in_its_probation_has_failed_once_whoever_tells_it() {
        let [spawned, ready] = life(1, 1);
        let begun =
            [spawned.pid(6), ready, event(What::Spawned, 2, 2, "to take the place of generation 1").pid(7)];
        let told = event(What::StartFailed, 2, 2, "it ended").pid(7);
        let back = event(What::RolledBack, 3, 1, "version 2.0.0 (pid 7): it ended").pid(6);
        let causes = Causes { ended: vec![Span { from: 0, to: 3 }], ..Causes::default() };
        let judged = |events: &[Event]| judge(events, 2, &causes);
        assert_eq!(judged(&[&begun[..], &life(2, 2), std::slice::from_ref(&back), &life(4, 1)].concat()), []);
        let alone = [&begun[..], &[told.clone(), back.clone()]].concat();
        assert_eq!(wrongs(&alone), [Wrong::FailedStart], "nothing was done to it");
        // Two versions and one fault: two replacements, and not three.
        let replaced = |generation| event(What::Replacing, generation, 1, "it is older than 2.0.0");
        let story = [&begun[..], &[told, back], &[replaced(1), replaced(3), replaced(4)]].concat();
        assert_eq!(judged(&story).first().map(|(wrong, _)| *wrong), Some(Wrong::Excess));
    }

    #[test]
    fn a_worker_that_was_killed_as_it_took_its_scope_back_had_a_successor_that_failed() {
        let pid = |event: Event, pid| event.pid(pid);
        let successor = event(What::Spawned, 2, 2, "to take the place of generation 1").pid(8);
        let [spawned, ready] = life(1, 2);
        let dead = |generation| event(What::FoundDead, generation, 2, "its socket stands").pid(7);
        let story = |generation| {
            [&[pid(spawned.clone(), 7), ready.clone(), successor.clone(), dead(generation)][..], &life(4, 1)]
                .concat()
        };
        let causes = Causes { ended: vec![Span { from: 0, to: 3 }], ..Causes::default() };
        assert_eq!(judge(&story(3), 2, &causes), []);
        assert_eq!(wrongs(&story(1)), [Wrong::Downgrade], "nobody took anything back");
    }

    #[test]
    fn a_start_that_outlasts_its_time_is_none() {
        let at = |what, at_ms| at(event(what, 1, 1, ""), at_ms);
        let story = |end| [at(What::Spawned, 1_000), at(What::Ready, end), at(What::Spawned, 20_000)];
        assert_eq!(starts(&story(4_000)), [Span { from: 1_000, to: 4_000 }]);
        assert_eq!(starts(&story(9_000)), []);
    }

    #[test]
    fn a_disagreement_that_is_tried_twice_is_told() {
        let tried = |generation| {
            event(What::Replacing, generation, 2, "it was started as 2.0.0 and says that it is 1.0.0")
        };
        assert_eq!(wrongs(&[tried(1)]), []);
        assert_eq!(wrongs(&[tried(1), tried(2)]), [Wrong::Disagreement]);
    }

    #[test]
    fn a_start_while_a_person_holds_it_down_is_told() {
        let held = [event(What::HeldDown, 0, 1, "")];
        let released = [event(What::Released, 0, 1, "")];
        assert_eq!(wrongs(&[&held[..], &life(1, 1)].concat()), [Wrong::StartedWhileDown]);
        assert_eq!(wrongs(&[&held[..], &released, &life(1, 1)].concat()), []);
    }

    #[test]
    fn a_failed_start_needs_a_cause() {
        assert_eq!(wrongs(&[event(What::StartFailed, 0, 2, "exit status 3")]), [Wrong::FailedStart]);
    }
}

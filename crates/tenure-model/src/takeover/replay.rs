//! Traces of the model for tests with real processes: signals at fault points, and the ends that are right.
//!
//! A replay is a list of blows. Each falls as soon as its process reaches its point; everything else is left to chance,
//! in the model as in reality. The right ends are all ends that the model reaches, so a real run must reach one of
//! them.

use std::collections::{BTreeSet, HashMap, VecDeque};

use stateright::Model;
use tenure_core::policy::point::Point;

use crate::kernel::numbers;
use crate::scenario::{Limits, Rules, Scenario, Takeover, Task};
use crate::takeover::moves::{self, Move};
use crate::takeover::point;
use crate::takeover::process::{Launcher, Origin, Outcome, Pc};
use crate::takeover::state::{LAUNCHERS, SLOTS, State};

/// A signal to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// SIGKILL.
    Kill,
    /// SIGSTOP, without a SIGCONT.
    Stop,
}

/// Who serves in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// The process that served at first.
    Old,
    /// Another one, of either version.
    New,
    /// Nobody.
    Nobody,
}

/// An end to which the model comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReplayEnd {
    /// The launcher's outcome; none if it was killed.
    pub outcome: Option<Outcome>,
    /// Who serves.
    pub standing: Standing,
}

/// A trace for real processes.
#[derive(Debug, Clone)]
pub struct Replay {
    /// What the launcher calls.
    pub task: Task,
    /// The blows, in their order.
    pub blows: Vec<(Point, Blow)>,
    /// The right ends.
    pub ends: BTreeSet<ReplayEnd>,
    /// The steps of one trace to one of them.
    pub steps: Vec<String>,
}

/// The points of a takeover that processes pass when nothing goes wrong.
pub const POINTS: &[Point] = &[
    Point::GateEntered,
    Point::SuccessorSpawned,
    Point::StandingBy,
    Point::SuccessorPrepared,
    Point::SuccessorGranted,
    Point::SuccessorRecorded,
    Point::SuccessorActive,
    Point::IncumbentPrepared,
    Point::IncumbentCommitted,
    Point::IncumbentGranted,
    Point::IncumbentRelieved,
    Point::IncumbentLeaving,
];

/// Every trace with a single kill, every trace with a single stop, and three in which the rollback is hit as well.
#[must_use]
pub fn all(task: Task) -> Vec<Replay> {
    let single = |blow: Blow| POINTS.iter().map(move |point| vec![(*point, blow)]);
    let rollback = [Point::SuccessorGranted, Point::SuccessorRecorded, Point::SuccessorActive]
        .map(|point| vec![(point, Blow::Kill), (Point::IncumbentReclaiming, Blow::Kill)]);
    single(Blow::Kill).chain(single(Blow::Stop)).chain(rollback).map(|blows| replay(task, blows)).collect()
}

/// Follows the model through these blows to every end.
///
/// # Panics
/// If there are more blows than a number of eight bits can count.
#[must_use]
pub fn replay(task: Task, blows: Vec<(Point, Blow)>) -> Replay {
    let most = u8::try_from(blows.len()).expect("few blows");
    let limits = Limits { crashes: most, stops: most, ..Limits::NONE };
    let level = u8::from(task == Task::Ensure);
    let rules = Takeover(Rules::of(&Scenario::takeover("replay").call(task, level, 1).limits(limits)));
    let mut ways = Ways::default();
    let mut ends = BTreeSet::new();
    let mut struck = None;
    for first in rules.init_states() {
        ways.reach((first, 0), None);
    }
    while let Some((s, struck_so_far)) = ways.queue.pop_front() {
        let at = (s.clone(), struck_so_far);
        let due = blows.get(struck_so_far).and_then(|blow| due(&s, *blow));
        let mut own = Vec::new();
        moves::own(&rules, &s, &mut own);
        let next: Vec<(Move, usize)> = match due {
            Some(blow) => vec![(blow, struck_so_far + 1)],
            None => own.into_iter().map(|step| (step, struck_so_far)).collect(),
        };
        if next.is_empty() && struck_so_far == blows.len() {
            ends.insert(end(&s));
            struck.get_or_insert_with(|| at.clone());
        }
        for (step, count) in next {
            let mut after = s.clone();
            moves::apply(&rules, &mut after, step);
            ways.reach((after, count), Some((at.clone(), step)));
        }
    }
    let steps = struck.map(|last| ways.to(last)).unwrap_or_default();
    Replay { task, blows, ends, steps }
}

/// The blow, if its process is at its point.
fn due(s: &State, (at, blow): (Point, Blow)) -> Option<Move> {
    let mut launchers = numbers(LAUNCHERS);
    let launcher = launchers.find(|me| point::of_launcher(s.launchers[usize::from(*me)].pc) == Some(at));
    let mut workers = numbers(SLOTS);
    let worker = workers.find(|slot| !s.at(*slot).stopped && point::of_worker(s.at(*slot)) == Some(at));
    match (launcher, worker, blow) {
        (Some(me), _, Blow::Kill) => Some(Move::KillLauncher(me)),
        (None, Some(slot), Blow::Kill) => Some(Move::KillWorker(slot)),
        (None, Some(slot), Blow::Stop) => Some(Move::Stop(slot)),
        // The other model has stopped launchers.
        (Some(_), _, Blow::Stop) | (None, None, _) => None,
    }
}

fn end(s: &State) -> ReplayEnd {
    let launcher = s.launchers.iter().find(|one| **one != Launcher::NONE);
    let outcome = launcher.and_then(|one| if let Pc::Done(outcome) = one.pc { Some(outcome) } else { None });
    let standing = match s.living().find(|(_, worker)| worker.accepts && !worker.stopped) {
        Some((_, worker)) if worker.origin == Origin::First => Standing::Old,
        Some(_) => Standing::New,
        None => Standing::Nobody,
    };
    ReplayEnd { outcome, standing }
}

/// A state, and how many blows have fallen.
type Place = (State, usize);

/// How each place was reached.
#[derive(Default)]
struct Ways {
    queue: VecDeque<Place>,
    from: HashMap<Place, Option<(Place, Move)>>,
}

impl Ways {
    fn reach(&mut self, place: Place, from: Option<(Place, Move)>) {
        if !self.from.contains_key(&place) {
            self.from.insert(place.clone(), from);
            self.queue.push_back(place);
        }
    }

    fn to(&self, last: Place) -> Vec<String> {
        let mut steps = Vec::new();
        let mut at = last;
        while let Some(Some((before, step))) = self.from.get(&at) {
            steps.push(point::describe(&before.0, *step));
            at = before.clone();
        }
        steps.reverse();
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_of_a_takeover_is_reached_and_every_single_kill_ends_in_a_worker_or_nobody() {
        for replay in all(Task::Ensure).into_iter().chain(all(Task::Restart)) {
            let stops_a_launcher = replay.blows.iter().any(|(point, blow)| {
                *blow == Blow::Stop && matches!(point, Point::GateEntered | Point::SuccessorSpawned)
            });
            assert_eq!(replay.ends.is_empty(), stops_a_launcher, "{:?}", replay.blows);
        }
    }

    #[test]
    fn a_successor_that_is_killed_before_the_probation_leaves_the_old_worker_to_a_restart() {
        let replay = replay(Task::Restart, vec![(Point::SuccessorRecorded, Blow::Kill)]);
        let right = ReplayEnd { outcome: Some(Outcome::Unproved), standing: Standing::Old };
        assert_eq!(replay.ends, BTreeSet::from([right]), "{:#?}", replay.steps);
    }

    #[test]
    fn an_incumbent_that_is_killed_after_it_prepared_leaves_its_place_to_the_successor() {
        let replay = replay(Task::Restart, vec![(Point::IncumbentCommitted, Blow::Kill)]);
        let right = ReplayEnd { outcome: Some(Outcome::Verified), standing: Standing::New };
        assert_eq!(replay.ends, BTreeSet::from([right]), "{:#?}", replay.steps);
    }
}

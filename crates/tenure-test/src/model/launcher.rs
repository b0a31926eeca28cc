//! The story of `ensure`, step by step: look, gate, look again, and the act that the shipped errand chooses.
//!
//! The steps are cut where the real story can be interleaved or can die: between the look and the act, before each lock,
//! after each thing that is written or made. `stop` and `restart` take the same way where the real ones do.

use tenure::errand::How;
use tenure::judge::Suspicion;
use tenure_worker::life::{Happening, Life};

use crate::model::policy::{Deed, Question};
use crate::model::real::{self, Change, Choice, Goal, Level, Looks, Seen};
use crate::model::scenario::{Mutation, Rules, Task};
use crate::model::state::{LAUNCHERS, Launcher, NOBODY, News, Outcome, Pc, Sight, State, Why};
use crate::model::worker;

/// How good a look is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Eye {
    /// What is there.
    Clear,
    /// A healthy worker takes too long to answer.
    Slow,
    /// The connection was made just before the end was announced.
    Late,
}

/// What a launcher sees through `eye`.
pub(super) fn observe(s: &State, eye: Eye) -> Seen {
    let looks = |slot: u8| {
        let worker = &s.workers[usize::from(slot)];
        let looks = match worker.life {
            Life::Booting => Looks::Booting,
            Life::Active if worker.ails => Looks::Stalled,
            Life::Active => Looks::Ready,
            Life::Draining | Life::Ended => Looks::Draining,
        };
        Seen::Worker(worker.level, looks)
    };
    match (s.see(), eye) {
        (Sight::Worker(_), Eye::Slow) | (Sight::Silent, _) => Seen::Silent,
        (Sight::Worker(slot), Eye::Clear | Eye::Late) => looks(slot),
        (Sight::Nobody, Eye::Late) => draining(s).map_or(Seen::Nobody, looks),
        (Sight::Nobody, Eye::Clear | Eye::Slow) => Seen::Nobody,
    }
}

/// A worker that has announced its end and still answers those who were connected.
pub(super) fn draining(s: &State) -> Option<u8> {
    let slot = s.workers.iter().position(|worker| worker.is(Life::Draining) && !worker.suspended)?;
    u8::try_from(slot).ok()
}

/// The next step of `ensure` up to the lease, and of the others up to the gate.
pub(super) fn step(rules: &Rules, s: &mut State, me: u8, eye: Eye) {
    match s.launcher(me).pc {
        Pc::Idle => begin(s, me),
        Pc::Look => look(rules, s, me, eye),
        Pc::AwaitSettled(_) => s.launcher(me).pc = Pc::Look,
        Pc::WantGate => enter(s, me),
        Pc::Gated => match s.launcher(me).task {
            Task::Ensure => act(rules, s, me, eye),
            Task::Restart => restart(rules, s, me),
            Task::Stop => s.launcher(me).pc = Pc::Retire(Why::Stop),
        },
        Pc::TakeLease => take(rules, s, me),
        Pc::Unmask => unmask(rules, s, me, false),
        // It answered, or is gone.
        Pc::StillSilent => look_again(s, me),
        Pc::Retire(_)
        | Pc::Asked(_)
        | Pc::Leaving(_)
        | Pc::Mute(_)
        | Pc::Force(_)
        | Pc::Prove(_)
        | Pc::Clear
        | Pc::Opened
        | Pc::Bound
        | Pc::Spawned(_)
        | Pc::Recorded(_)
        | Pc::AwaitReport(_)
        | Pc::Done(_)
        | Pc::Dead => {}
    }
}

fn begin(s: &mut State, me: u8) {
    match s.launcher(me).task {
        Task::Ensure => s.launcher(me).pc = Pc::Look,
        Task::Restart => s.launcher(me).pc = Pc::WantGate,
        Task::Stop => {
            if let Sight::Worker(slot) = s.see() {
                worker::happen(s, slot, Happening::StopAsked);
            }
            s.launcher(me).pc = Pc::WantGate;
        }
    }
}

fn look(rules: &Rules, s: &mut State, me: u8, eye: Eye) {
    let Launcher { level: want, memory, .. } = *s.launcher(me);
    let seen = observe(s, eye);
    let (choice, remembered) = rules.policy.choose(Question { want, goal: Goal::Unknown, seen, memory });
    match (choice, s.see()) {
        (Choice::Answer(how), _) => {
            s.launcher(me).memory = remembered;
            let outcome = answered(how, want, seen, Outcome::Joined);
            finish(rules, s, me, outcome);
        }
        (Choice::Await, Sight::Worker(slot)) => {
            s.launcher(me).memory = remembered;
            s.launcher(me).pc = Pc::AwaitSettled(slot);
        }
        (Choice::Refuse, _) => finish(rules, s, me, Outcome::Refused),
        (
            Choice::Await
            | Choice::AwaitEnd
            | Choice::Start
            | Choice::Suspect
            | Choice::Replace
            | Choice::GiveUp,
            _,
        ) => s.launcher(me).pc = Pc::WantGate,
    }
}

fn answered(how: How, want: Level, seen: Seen, not_mine: Outcome) -> Outcome {
    match (how, seen) {
        (_, Seen::Worker(level, _)) if level < want => Outcome::Older,
        (How::Started, _) => not_mine,
        (How::Up | How::Replaced, _) => Outcome::Serving(how),
    }
}

/// What a launcher that was told of readiness answers.
pub(super) fn answered_own(how: How, want: Level, seen: Seen) -> Outcome {
    answered(how, want, seen, Outcome::Serving(How::Started))
}

fn enter(s: &mut State, me: u8) {
    s.gate = me;
    let launcher = s.launcher(me);
    launcher.pc = Pc::Gated;
    launcher.laps += 1;
}

fn act(rules: &Rules, s: &mut State, me: u8, eye: Eye) {
    let Launcher { level: want, memory, .. } = *s.launcher(me);
    let record = rules.policy.change(s.desired, Change::Offer(want));
    // A version that failed by itself in this call is out of the choice, even when its quarantine ends meanwhile. One that
    // somebody stopped stays the target, and is not started again by this call.
    let failed = rules.policy.failed(memory) & rules.policy.tallied(record);
    let goal = rules.policy.goal(record, if rules.breaks(Mutation::RetriedChoice) { 0 } else { failed });
    let seen = observe(s, eye);
    let (choice, memory) = rules.policy.choose(Question { want, goal, seen, memory });
    if choice != Choice::Refuse {
        s.desired = record;
    }
    let target = startable(rules, s, me, goal);
    let launcher = s.launcher(me);
    launcher.memory = memory;
    launcher.target = target;
    if rules.breaks(Mutation::StaleRecord) {
        launcher.copy = record;
    }
    let startable = target != NOBODY;
    match choice {
        Choice::Answer(how) => finish(rules, s, me, answered(how, want, seen, Outcome::Joined)),
        Choice::Refuse => finish(rules, s, me, Outcome::Refused),
        Choice::GiveUp => finish(rules, s, me, Outcome::StillUnusable),
        Choice::Await if rules.breaks(Mutation::ImpatientBoot) => s.launcher(me).pc = Pc::Force(Why::Wedged),
        Choice::Await => look_again(s, me),
        Choice::Start | Choice::AwaitEnd | Choice::Replace if !startable => refuse_start(rules, s, me),
        Choice::Start | Choice::AwaitEnd => {
            bind_first(rules, s, me);
            s.launcher(me).pc = Pc::TakeLease;
        }
        Choice::Suspect => {
            bind_first(rules, s, me);
            s.launcher(me).pc = Pc::Unmask;
        }
        Choice::Replace => s.launcher(me).pc = Pc::Retire(Why::Replace),
    }
}

/// The version that this call would start, or [`NOBODY`].
fn startable(rules: &Rules, s: &State, me: u8, goal: Goal) -> Level {
    let Launcher { level, memory, .. } = s.launchers[usize::from(me)];
    let may = |level: Level| rules.policy.failed(memory) & (1 << level) == 0;
    match goal {
        Goal::Start(_) if rules.breaks(Mutation::OwnVersion) && may(level) => level,
        Goal::Start(target) if may(target) => target,
        Goal::Start(_) | Goal::Nothing | Goal::Unknown => NOBODY,
    }
}

/// The error of a call that may start nothing.
fn refuse_start(rules: &Rules, s: &mut State, me: u8) {
    let failed = rules.policy.failed(s.launcher(me).memory) != 0;
    finish(rules, s, me, if failed { Outcome::SpawnFailed } else { Outcome::Suppressed });
}

/// Takes the free lease; what starts confirms the gate then, and knows what it may start.
pub(super) fn take(rules: &Rules, s: &mut State, me: u8) {
    s.lock_lease(me);
    let Launcher { task, lost, target, .. } = *s.launcher(me);
    match task {
        Task::Ensure | Task::Restart if lost => finish(rules, s, me, Outcome::GateLost),
        Task::Ensure | Task::Restart if target == NOBODY => refuse_start(rules, s, me),
        Task::Ensure | Task::Restart | Task::Stop => s.launcher(me).pc = Pc::Clear,
    }
}

fn bind_first(rules: &Rules, s: &mut State, me: u8) {
    if rules.breaks(Mutation::BindFirst) {
        s.bind(me);
    }
}

fn restart(rules: &Rules, s: &mut State, me: u8) {
    let level = s.launcher(me).level;
    let record = rules.policy.change(s.desired, Change::Offer(level));
    // A person asked: what failed a moment ago is tried again now.
    s.desired = rules.policy.change(record, Change::Succeed(level));
    match rules.policy.goal(s.desired, 0) {
        Goal::Start(target) => {
            s.launcher(me).target = target;
            s.launcher(me).pc = Pc::Retire(Why::Restart);
        }
        Goal::Nothing | Goal::Unknown => finish(rules, s, me, Outcome::Suppressed),
    }
}

/// Finds out what a silent holder is; the shipped `suspect` decides.
pub(super) fn unmask(rules: &Rules, s: &mut State, me: u8, waited: bool) {
    match real::suspicion(s.lease != 0, waited, s.booting) {
        Suspicion::NoWorker => take(rules, s, me),
        Suspicion::Wait(_) => s.launcher(me).pc = Pc::StillSilent,
        // A worker that is of no use is still better than none.
        Suspicion::Wedged if s.launcher(me).target == NOBODY => refuse_start(rules, s, me),
        Suspicion::Wedged => s.launcher(me).pc = Pc::Force(Why::Wedged),
    }
}

/// Leaves the gate, with nothing in hand, to look again.
pub(super) fn look_again(s: &mut State, me: u8) {
    release(s, me);
    s.launcher(me).pc = Pc::Look;
}

fn release(s: &mut State, me: u8) {
    if s.gate == me {
        s.gate = NOBODY;
    }
    let launcher = s.launcher(me);
    (launcher.lease, launcher.socket, launcher.lost) = (0, 0, false);
    (launcher.target, launcher.copy, launcher.news) = (NOBODY, 0, News::None);
    for worker in &mut s.workers {
        if worker.parent == me {
            worker.parent = NOBODY;
        }
    }
    s.settle();
}

/// Ends the call.
pub(super) fn finish(rules: &Rules, s: &mut State, me: u8, outcome: Outcome) {
    let Launcher { task, level, .. } = *s.launcher(me);
    let undisturbed = s.left == rules.scenario.limits || disturbs_nothing(rules, s);
    let ensures = task == Task::Ensure && rules.scenario.only_ensures();
    s.unsound |= outcome.is_error() && ensures && undisturbed && rules.scenario.is_sound(level);
    release(s, me);
    let launcher = s.launcher(me);
    (launcher.memory, launcher.laps) = (0, 0);
    launcher.runs -= 1;
    launcher.pc = if launcher.runs > 0 { Pc::Idle } else { Pc::Done(outcome) };
}

/// Whether all that has happened is what a call must cope with: slow answers, and time.
fn disturbs_nothing(rules: &Rules, s: &State) -> bool {
    let mut left = s.left;
    (left.slow, left.ticks) = (rules.scenario.limits.slow, rules.scenario.limits.ticks);
    left == rules.scenario.limits
}

/// A launcher is killed: the kernel closes what it held.
pub(super) fn die(s: &mut State, me: u8) {
    release(s, me);
    *s.launcher(me) = Launcher { pc: Pc::Dead, ..Launcher::NONE };
    debug_assert!(usize::from(me) < LAUNCHERS, "a launcher");
}

/// What a call remembers of a start.
pub(super) fn remember(rules: &Rules, s: &mut State, me: u8, deed: Deed) {
    let memory = s.launcher(me).memory;
    s.launcher(me).memory = rules.policy.remember(memory, deed);
}

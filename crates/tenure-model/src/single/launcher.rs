//! The steps of `ensure`: look, gate, look again, and then the step that the shipped `Attempt` chooses.
//!
//! A step ends where the real process can be interleaved or can die: between a look and what follows from it, before
//! each lock, and after everything that is written or created. `stop` and `restart` share these steps where the real
//! ones do.

use tenure_core::policy::attempt::How;
use tenure_core::policy::decide::Suspicion;
use tenure_core::policy::lifecycle::{LifecycleEvent, LifecycleState};

use crate::kernel::{NOBODY, Sight};
use crate::mutation::Mutation;
use crate::policy::{AttemptEvent, Question, Record};
use crate::real::{self, Choice, Level, Looks, ModelCallTarget, ModelTarget, Seen};
use crate::records::Change;
use crate::scenario::{Rules, Task};
use crate::single::state::{LAUNCHERS, Launcher, News, Outcome, Pc, State, Why};
use crate::single::{account, unused, worker};

/// What a look at the scope shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum LookQuality {
    /// The worker as it is.
    Clear,
    /// Silence: a healthy worker takes too long to answer.
    Slow,
    /// A draining worker: the connection was made just before it announced its end.
    Late,
}

/// What a launcher sees by a look of this quality.
pub(super) fn observe(s: &State, quality: LookQuality) -> Seen {
    let looks = |slot: u8| {
        let worker = &s.workers[usize::from(slot)];
        let looks = match worker.state {
            LifecycleState::Booting => Looks::Booting,
            LifecycleState::Active if worker.hangs => Looks::Stalled,
            LifecycleState::Active => Looks::Ready,
            LifecycleState::Draining | LifecycleState::Ended => Looks::Draining,
        };
        Seen::Worker(worker.level, looks)
    };
    match (s.see(), quality) {
        (Sight::Worker(_), LookQuality::Slow) | (Sight::Silent, _) => Seen::Silent,
        (Sight::Worker(slot), LookQuality::Clear | LookQuality::Late) => looks(slot),
        (Sight::Nobody, LookQuality::Late) => draining(s).map_or(Seen::Nobody, looks),
        (Sight::Nobody, LookQuality::Clear | LookQuality::Slow) => Seen::Nobody,
    }
}

/// The same for a caller who uses the worker, if it gets its answer in time.
fn observe_to_use(rules: &Rules, s: &mut State, quality: LookQuality) -> Seen {
    let seen = observe(s, quality);
    if quality == LookQuality::Clear {
        unused::answer(rules, s);
    }
    seen
}

/// A worker that has announced its end and still answers earlier connections.
pub(super) fn draining(s: &State) -> Option<u8> {
    let slot =
        s.workers.iter().position(|worker| worker.is(LifecycleState::Draining) && !worker.suspended)?;
    u8::try_from(slot).ok()
}

/// The next step of `ensure` up to the lease, and of the others up to the gate.
pub(super) fn step(rules: &Rules, s: &mut State, me: u8, quality: LookQuality) {
    match s.launcher(me).pc {
        Pc::Idle => begin(rules, s, me),
        Pc::Look => look(rules, s, me, quality),
        Pc::Read(level) => read(rules, s, me, level),
        Pc::AwaitSettled(_) => s.launcher(me).pc = Pc::Look,
        Pc::WantGate => enter(s, me),
        Pc::Gated => match s.launcher(me).task {
            Task::Ensure | Task::Start => act(rules, s, me, quality),
            Task::Restart => restart(rules, s, me),
            Task::Stop => s.launcher(me).pc = Pc::Retire(Why::Stop),
            Task::Down => {
                if !rules.breaks(Mutation::LateDown) && !s.launcher(me).lost {
                    s.desired = rules.policy.change(s.desired, Change::Down);
                }
                s.launcher(me).copy = s.desired;
                s.launcher(me).pc = Pc::Retire(Why::Stop);
            }
            Task::Pin | Task::Unpin => {}
        },
        Pc::TakeLease => take(rules, s, me),
        Pc::ProbeSilent => probe_silent(rules, s, me, false),
        // It answered, or is gone.
        Pc::StillSilent => look_again(s, me),
        Pc::Settling(_)
        | Pc::Pin
        | Pc::Retire(_)
        | Pc::Asked(_)
        | Pc::Leaving(_)
        | Pc::Silent(_)
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

fn begin(rules: &Rules, s: &mut State, me: u8) {
    let task = s.launcher(me).task;
    if task == Task::Start && rules.policy.facts(s.desired).down {
        s.launcher(me).copy = s.desired;
    }
    match task {
        // A `stop --hold` is released under the gate, whatever worker is there.
        Task::Start if rules.policy.facts(s.desired).down => s.launcher(me).pc = Pc::WantGate,
        Task::Ensure | Task::Start => s.launcher(me).pc = Pc::Look,
        Task::Pin if !is_known(rules, s, me) => finish(rules, s, me, Outcome::Unknown),
        Task::Restart | Task::Pin | Task::Unpin => s.launcher(me).pc = Pc::WantGate,
        Task::Stop | Task::Down => {
            if let Sight::Worker(slot) = s.see() {
                worker::happen(s, slot, LifecycleEvent::StopAsked);
            }
            s.launcher(me).pc = Pc::WantGate;
        }
    }
}

/// Whether the version to be pinned was offered.
pub(super) fn is_known(rules: &Rules, s: &State, me: u8) -> bool {
    let level = s.launchers[usize::from(me)].level;
    rules.policy.facts(s.desired).offered & (1 << level) != 0
}

fn look(rules: &Rules, s: &mut State, me: u8, quality: LookQuality) {
    let Launcher { level: criteria, memory, .. } = *s.launcher(me);
    let seen = observe_to_use(rules, s, quality);
    let (choice, remembered) =
        rules.policy.choose(Question { criteria, target: ModelTarget::Unknown, seen, memory });
    if rules.breaks(Mutation::EarlyLook) {
        s.launcher(me).copy = s.desired;
    }
    match (choice, s.see()) {
        (Choice::Read, _) => match seen {
            Seen::Worker(level, _) => s.launcher(me).pc = Pc::Read(level),
            Seen::Nobody | Seen::Silent => s.launcher(me).pc = Pc::WantGate,
        },
        (Choice::Answer(how), _) => {
            s.launcher(me).memory = remembered;
            let outcome = answered(how, criteria, seen, Outcome::Joined);
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
            | Choice::Correct
            | Choice::GiveUp,
            _,
        ) => s.launcher(me).pc = Pc::WantGate,
    }
}

/// Reads the record to decide whether the worker is to stay: an older one, or one of another app. The record counts only
/// if it has this call's offer, or keeps the name for another app.
fn read(rules: &Rules, s: &mut State, me: u8, level: Level) {
    let Launcher { level: criteria, memory, .. } = *s.launcher(me);
    if !rules.policy.is_known(s.desired, criteria) && !rules.breaks(Mutation::StrangeRecord) {
        s.launcher(me).pc = Pc::WantGate;
        return;
    }
    let (target, seen) = (target(rules, s, me, s.desired).target, Seen::Worker(level, Looks::Ready));
    match rules.policy.choose(Question { criteria, target, seen, memory }).0 {
        Choice::Answer(how) => finish(rules, s, me, answered(how, criteria, seen, Outcome::Joined)),
        Choice::Refuse => finish(rules, s, me, Outcome::Refused),
        Choice::Await
        | Choice::AwaitEnd
        | Choice::Start
        | Choice::Suspect
        | Choice::Replace
        | Choice::Correct
        | Choice::Read
        | Choice::GiveUp => s.launcher(me).pc = Pc::WantGate,
    }
}

/// The target of this call by a record.
fn target(rules: &Rules, s: &State, me: u8, record: Record) -> ModelCallTarget {
    let Launcher { level: asks, memory, .. } = s.launchers[usize::from(me)];
    let ignores = rules.breaks(Mutation::PinIgnored);
    let record = if ignores { rules.policy.change(record, Change::Unpin) } else { record };
    if rules.breaks(Mutation::RetriedChoice) {
        let target = rules.policy.target(record, asks, 0, 0);
        let is_left = |level: &Level| rules.policy.failed(memory) & (1 << level) == 0;
        return ModelCallTarget { startable: target.startable.filter(is_left), ..target };
    }
    rules.policy.target(record, asks, memory, 0)
}

fn answered(how: How, criteria: Level, seen: Seen, not_mine: Outcome) -> Outcome {
    match seen {
        Seen::Worker(level, _) if level < criteria => Outcome::Older,
        Seen::Worker(..) | Seen::Nobody | Seen::Silent if how == How::Started => not_mine,
        Seen::Worker(..) | Seen::Nobody | Seen::Silent => Outcome::Serving(how),
    }
}

/// The outcome of a launcher whose own worker has reported ready.
pub(super) fn answered_own(how: How, criteria: Level, seen: Seen) -> Outcome {
    answered(how, criteria, seen, Outcome::Serving(How::Started))
}

fn enter(s: &mut State, me: u8) {
    s.gate = me;
    let launcher = s.launcher(me);
    launcher.pc = Pc::Gated;
    launcher.gate_entries += 1;
}

fn act(rules: &Rules, s: &mut State, me: u8, quality: LookQuality) {
    let Launcher { task, level: criteria, memory, lost, .. } = *s.launcher(me);
    let mut record = rules.policy.change(s.desired, Change::Offer(criteria));
    if task == Task::Start {
        record = rules.policy.change(record, Change::Up);
    }
    let wanted = target(rules, s, me, record);
    let seen = observe_to_use(rules, s, quality);
    let (choice, memory) = rules.policy.choose(Question { criteria, target: wanted.target, seen, memory });
    if choice != Choice::Refuse {
        if lost && record != s.desired {
            finish(rules, s, me, Outcome::GateLost);
            return;
        }
        s.desired = record;
        s.downed &= task != Task::Start;
    }
    let target = startable(rules, s, me, wanted);
    let launcher = s.launcher(me);
    launcher.memory = memory;
    launcher.target = target;
    if rules.breaks(Mutation::StaleRecord) {
        launcher.copy = record;
    }
    let startable = target != NOBODY;
    match choice {
        Choice::Answer(how) => finish(rules, s, me, answered(how, criteria, seen, Outcome::Joined)),
        Choice::Refuse => finish(rules, s, me, Outcome::Refused),
        Choice::GiveUp => finish(rules, s, me, Outcome::StillUnusable),
        Choice::Await if rules.breaks(Mutation::ImpatientBoot) => s.launcher(me).pc = Pc::Force(Why::Wedged),
        Choice::Await => look_again(s, me),
        Choice::Start | Choice::AwaitEnd | Choice::Replace | Choice::Correct if !startable => {
            refuse_start(rules, s, me);
        }
        Choice::Start | Choice::AwaitEnd => {
            bind_first(rules, s, me);
            s.launcher(me).pc = Pc::TakeLease;
        }
        Choice::Suspect => {
            bind_first(rules, s, me);
            s.launcher(me).pc = Pc::ProbeSilent;
        }
        Choice::Correct => {
            note_disagreement(rules, s, me, target);
            s.launcher(me).pc = Pc::Retire(Why::Replace);
        }
        // With a known target no call reads the record: `Read` does not occur.
        Choice::Replace | Choice::Read => s.launcher(me).pc = Pc::Retire(Why::Replace),
    }
}

fn note_disagreement(rules: &Rules, s: &mut State, me: u8, target: Level) {
    if !s.launcher(me).lost && !rules.breaks(Mutation::PairUnrecorded) {
        s.desired = rules.policy.change(s.desired, Change::Disagree(target));
    }
}

/// The version that this call may start, or [`NOBODY`].
fn startable(rules: &Rules, s: &State, me: u8, target: ModelCallTarget) -> Level {
    let Launcher { level, memory, .. } = s.launchers[usize::from(me)];
    let may = |level: Level| rules.policy.failed(memory) & (1 << level) == 0;
    match target.startable {
        _ if is_down(rules, s, me) => NOBODY,
        Some(_) if rules.breaks(Mutation::OwnVersion) && may(level) => level,
        Some(target) => target,
        None => NOBODY,
    }
}

/// Whether a person holds the worker down.
fn is_down(rules: &Rules, s: &State, me: u8) -> bool {
    let early = rules.breaks(Mutation::EarlyLook);
    rules.policy.facts(if early { s.launchers[usize::from(me)].copy } else { s.desired }).down
}

/// Ends a call that may start nothing, with its error.
fn refuse_start(rules: &Rules, s: &mut State, me: u8) {
    let failed = rules.policy.failed(s.launcher(me).memory) != 0;
    let outcome = match (is_down(rules, s, me), failed) {
        (true, _) => Outcome::HeldDown,
        (false, true) => Outcome::SpawnFailed,
        (false, false) => Outcome::Suppressed,
    };
    finish(rules, s, me, outcome);
}

/// Takes the free lease. A start then confirms the gate and its target.
pub(super) fn take(rules: &Rules, s: &mut State, me: u8) {
    s.lock_lease(me);
    let Launcher { task, lost, target, .. } = *s.launcher(me);
    let stops = matches!(task, Task::Stop | Task::Down);
    if !stops && lost {
        finish(rules, s, me, Outcome::GateLost);
    } else if !stops && target == NOBODY {
        refuse_start(rules, s, me);
    } else {
        s.launcher(me).pc = Pc::Clear;
    }
}

fn bind_first(rules: &Rules, s: &mut State, me: u8) {
    if rules.breaks(Mutation::BindFirst) {
        s.bind(me);
    }
}

fn restart(rules: &Rules, s: &mut State, me: u8) {
    let Launcher { level, lost, .. } = *s.launcher(me);
    if rules.policy.is_taken(s.desired, level) {
        finish(rules, s, me, Outcome::Refused);
        return;
    }
    let record = rules.policy.change(s.desired, Change::Offer(level));
    if rules.policy.facts(record).down {
        finish(rules, s, me, Outcome::HeldDown);
        return;
    }
    // A person asked for it, so a version that has just failed is tried again.
    let tried = rules.policy.facts(record).pinned.unwrap_or(level);
    let before = s.desired;
    let record = rules.policy.change(record, Change::BeginAnew(tried));
    if lost && record != s.desired {
        finish(rules, s, me, Outcome::GateLost);
        return;
    }
    s.desired = record;
    // Its failures are cleared from the record, so it must not count as a version that has served.
    s.served &= !(rules.policy.facts(before).tallied & (1 << tried));
    match rules.policy.target(s.desired, level, 0, 0).startable {
        Some(target) => {
            s.launcher(me).target = target;
            s.launcher(me).pc = Pc::Retire(Why::Restart);
        }
        None => finish(rules, s, me, Outcome::Suppressed),
    }
}

/// Finds out what a silent process is; the shipped `suspect` decides.
pub(super) fn probe_silent(rules: &Rules, s: &mut State, me: u8, waited: bool) {
    match real::suspicion(s.lease != 0, waited, s.booting) {
        Suspicion::NoWorker => take(rules, s, me),
        Suspicion::Wait(_) => s.launcher(me).pc = Pc::StillSilent,
        // Without a target the silent worker is left alone: it is better than none.
        Suspicion::Wedged if s.launcher(me).target == NOBODY => refuse_start(rules, s, me),
        Suspicion::Wedged => s.launcher(me).pc = Pc::Force(Why::Wedged),
    }
}

/// Leaves the gate and every lock, to look again.
pub(super) fn look_again(s: &mut State, me: u8) {
    release(s, me);
    s.launcher(me).pc = Pc::Look;
}

pub(super) fn release(s: &mut State, me: u8) {
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
    account::settle(rules, s, me, outcome);
    release(s, me);
    let launcher = s.launcher(me);
    (launcher.memory, launcher.gate_entries) = (0, 0);
    launcher.runs -= 1;
    launcher.pc = if launcher.runs > 0 { Pc::Idle } else { Pc::Done(outcome) };
}

/// A launcher is killed: the kernel closes its descriptors.
pub(super) fn die(s: &mut State, me: u8) {
    release(s, me);
    *s.launcher(me) = Launcher { pc: Pc::Dead, ..Launcher::NONE };
    debug_assert!(usize::from(me) < LAUNCHERS, "a launcher");
}

/// A call remembers an event.
pub(super) fn remember(rules: &Rules, s: &mut State, me: u8, event: AttemptEvent) {
    let memory = s.launcher(me).memory;
    s.launcher(me).memory = rules.policy.remember(memory, event);
}

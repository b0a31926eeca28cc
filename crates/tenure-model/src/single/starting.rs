//! Starts a worker while the launcher holds the lease: generation, socket, process, record, go, and then its report.

use tenure_core::policy::lifecycle::LifecycleState;

use crate::kernel::NOBODY;
use crate::mutation::Mutation;
use crate::policy::{AttemptEvent, Question};
use crate::real::{Choice, Looks, ModelTarget, STRANGERS, Seen};
use crate::records::Change;
use crate::scenario::{Rules, Task};
use crate::single::state::{Launcher, News, Outcome, Pc, State, Worker};
use crate::single::{launcher, pinning, worker};

/// The next step of a start.
pub(super) fn step(rules: &Rules, s: &mut State, me: u8) {
    match s.launcher(me).pc {
        Pc::Clear => open(rules, s, me),
        Pc::Opened => {
            if !rules.breaks(Mutation::BindFirst) || s.launcher(me).socket == 0 {
                s.bind(me);
                s.settle();
            }
            s.launcher(me).pc = Pc::Bound;
        }
        Pc::Bound => spawn(s, me),
        Pc::Spawned(slot) => {
            // The recorded identity of a worker that has died meanwhile names no living process.
            s.lineage = if s.launcher(me).news == News::None { slot } else { NOBODY };
            s.launcher(me).pc = Pc::Recorded(slot);
        }
        Pc::Recorded(slot) => {
            if s.launcher(me).news == News::None {
                s.worker(slot).go = true;
            }
            let launcher = s.launcher(me);
            (launcher.lease, launcher.socket) = (0, 0);
            launcher.pc = Pc::AwaitReport(slot);
            s.settle();
        }
        Pc::AwaitReport(_) => hear(rules, s, me),
        Pc::Idle
        | Pc::Look
        | Pc::AwaitSettled(_)
        | Pc::WantGate
        | Pc::Gated
        | Pc::TakeLease
        | Pc::ProbeSilent
        | Pc::StillSilent
        | Pc::Retire(_)
        | Pc::Asked(_)
        | Pc::Leaving(_)
        | Pc::Silent(_)
        | Pc::Force(_)
        | Pc::Prove(_)
        | Pc::Read(_)
        | Pc::Settling(_)
        | Pc::Pin
        | Pc::Done(_)
        | Pc::Dead => {}
    }
}

/// No process of a former program is left: `stop` is done, and a start opens the next generation.
fn open(rules: &Rules, s: &mut State, me: u8) {
    let Launcher { task, target, copy, .. } = *s.launcher(me);
    if matches!(task, Task::Stop | Task::Down) {
        s.path = 0;
        let is_down = task == Task::Stop || rules.policy.facts(copy).down;
        if !is_down && rules.breaks(Mutation::LateDown) {
            launcher::release(s, me);
            s.launcher(me).pc = Pc::Pin;
        } else {
            // The worker is stopped, but a `stop --hold` was not recorded, and its caller gets an error.
            launcher::finish(rules, s, me, if is_down { Outcome::Stopped } else { Outcome::GateLost });
        }
        return;
    }
    for worker in s.workers.iter_mut().filter(|worker| worker.present) {
        worker.age += 1;
    }
    s.lineage = NOBODY;
    s.booting = true;
    let facts = rules.policy.facts(s.desired);
    if task == Task::Pin || facts.pinned == Some(target) {
        // A person asked for this version: to start it is no downgrade.
        s.served = 0;
    }
    let above = s.served & !((2_u8 << target) - 1);
    s.downgraded |= above & !facts.tallied != 0;
    let own = (1 << STRANGERS) - 1;
    s.usurped |= s.served & if target < STRANGERS { !own } else { own } != 0;
    if rules.unstartable & (1 << target) != 0 {
        s.replaced -= 1;
        if rules.breaks(Mutation::UntalliedStart) {
            launcher::finish(rules, s, me, Outcome::SpawnFailed);
        } else {
            fail(rules, s, me, true);
        }
        return;
    }
    s.launcher(me).pc = Pc::Opened;
}

fn spawn(s: &mut State, me: u8) {
    let Launcher { target, lease, socket, .. } = *s.launcher(me);
    let Some(slot) = free(s) else { return };
    *s.worker(slot) = Worker {
        present: true,
        state: LifecycleState::Booting,
        level: target,
        lease,
        socket,
        parent: me,
        ..Worker::NONE
    };
    s.launcher(me).pc = Pc::Spawned(slot);
}

/// A slot without worker and program.
pub(super) fn free(s: &State) -> Option<u8> {
    let slot = s.workers.iter().position(|worker| !worker.present && !worker.program)?;
    u8::try_from(slot).ok()
}

fn hear(rules: &Rules, s: &mut State, me: u8) {
    match s.launcher(me).news {
        News::Ready => serve(rules, s, me),
        News::Failed => fail(rules, s, me, true),
        News::Stopped => fail(rules, s, me, false),
        News::None => {}
    }
}

fn serve(rules: &Rules, s: &mut State, me: u8) {
    let Launcher { task, level: criteria, target, .. } = *s.launcher(me);
    record(rules, s, me, Change::Succeed(target));
    match task {
        Task::Restart => return launcher::finish(rules, s, me, Outcome::Restarted),
        Task::Pin => return pinning::started(rules, s, me),
        Task::Ensure | Task::Start | Task::Stop | Task::Down | Task::Unpin => {}
    }
    launcher::remember(rules, s, me, AttemptEvent::Started);
    let seen = Seen::Worker(target, Looks::Ready);
    let memory = s.launcher(me).memory;
    match rules.policy.choose(Question { criteria, target: ModelTarget::start(target), seen, memory }).0 {
        Choice::Answer(how) => launcher::finish(rules, s, me, launcher::answered_own(how, criteria, seen)),
        Choice::Await
        | Choice::AwaitEnd
        | Choice::Start
        | Choice::Suspect
        | Choice::Replace
        | Choice::Correct
        | Choice::Read
        | Choice::GiveUp
        | Choice::Refuse => launcher::look_again(s, me),
    }
}

/// The start failed. A boot that somebody stopped does not count against its spec.
fn fail(rules: &Rules, s: &mut State, me: u8, is_its_own: bool) {
    let Launcher { task, target, .. } = *s.launcher(me);
    if is_its_own {
        record(rules, s, me, Change::Fail(target));
    }
    match task {
        Task::Restart => return launcher::finish(rules, s, me, Outcome::SpawnFailed),
        Task::Pin => return pinning::failed(rules, s, me),
        Task::Ensure | Task::Start | Task::Stop | Task::Down | Task::Unpin => {}
    }
    launcher::remember(rules, s, me, AttemptEvent::StartFailed(target));
    launcher::look_again(s, me);
}

/// Changes the record, if the launcher still holds the gate.
fn record(rules: &Rules, s: &mut State, me: u8, change: Change) {
    let Launcher { lost, copy, .. } = *s.launcher(me);
    if !lost {
        s.desired = rules.policy.change(s.desired, change);
    } else if rules.breaks(Mutation::StaleRecord) {
        s.desired = rules.policy.change(copy, change);
    }
}

/// A launcher ends, by its handle, the worker that it started and that was not ready in time.
pub(super) fn give_up(s: &mut State, slot: u8) {
    worker::kill(s, slot);
}

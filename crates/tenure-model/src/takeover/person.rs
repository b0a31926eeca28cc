//! `restart` and `pin` under the gate. A pin is recorded once a worker of its version serves and is proved.
//!
//! Both put their target in the place of the present worker, as an `ensure` does. A pin also finds out whether anything
//! has to be done, can send a worker on probation back, is recorded last, and starts another version again if its own
//! does not serve.

use tenure_core::policy::takeover::{Successor, SuccessorEvent};

use crate::kernel::{NOBODY, Sight};
use crate::mutation::Mutation;
use crate::real::{Looks, Seen};
use crate::records::Change;
use crate::scenario::Rules;
use crate::takeover::call::{self, finish, observe};
use crate::takeover::process::{Kin, News, Outcome, Pc, Phase, Why};
use crate::takeover::proof::finish_failed;
use crate::takeover::replacing;
use crate::takeover::state::State;
use crate::takeover::successor;

/// `restart` under the gate: clears the failures of the version, and chooses the target.
pub(super) fn restart(rules: &Rules, s: &mut State, me: u8) {
    let level = s.launcher(me).level;
    if rules.policy.is_taken(s.record, level) {
        return finish(rules, s, me, Outcome::SpawnFailed);
    }
    let anew = rules.policy.facts(s.record).pinned.unwrap_or(level);
    if !call::keep(rules, s, &[Change::Offer(level), Change::BeginAnew(anew)]) {
        return finish(rules, s, me, Outcome::SpawnFailed);
    }
    s.begin_anew(anew);
    match call::target(rules, s, level, 0).startable {
        Some(target) => {
            s.chooses(me, target);
            s.launcher(me).pc = Pc::Put;
        }
        None => finish(rules, s, me, Outcome::SpawnFailed),
    }
}

/// Puts the target in the place of the present worker, if there is one.
pub(super) fn put(rules: &Rules, s: &mut State, me: u8) {
    match s.see() {
        Sight::Worker(slot) => replacing::attempt(rules, s, me, slot),
        Sight::Silent => s.launcher(me).pc = Pc::Silent,
        Sight::Nobody => s.launcher(me).pc = Pc::TakeLease,
    }
}

/// `pin` under the gate.
pub(super) fn pin(rules: &Rules, s: &mut State, me: u8) {
    let level = s.launcher(me).level;
    let is_known = rules.policy.facts(s.record).offered & (1 << level) != 0;
    if !is_known || !call::is_trusted(rules, s, level) || !call::keep(rules, s, &[]) {
        return finish(rules, s, me, Outcome::PinFailed);
    }
    let pinned = rules.policy.facts(s.record).pinned;
    let launcher = s.launcher(me);
    (launcher.pinned, launcher.target) = (pinned, level);
    s.begin_epoch(level);
    if rules.breaks(Mutation::EarlyPin) {
        s.change(rules, Change::Pin(level));
    }
    match (observe(rules, s), s.see()) {
        (Seen::Worker(stands, Looks::Booting | Looks::OnProbation), Sight::Worker(slot))
            if stands == level =>
        {
            s.launcher(me).pc = Pc::Settling(slot);
        }
        (Seen::Worker(stands, Looks::Ready), _) if stands == level => s.launcher(me).pc = Pc::Pin,
        (Seen::Worker(_, Looks::OnProbation), Sight::Worker(slot)) if comes_back(s, slot) == Some(level) => {
            s.launcher(me).pc = Pc::Back(slot);
            send_back(rules, s, slot);
        }
        (Seen::Nobody | Seen::Silent, _) if s.lease == 0 => s.launcher(me).pc = Pc::Pin,
        (_, _) => s.launcher(me).pc = Pc::Put,
    }
}

/// The version that takes its scope back from the worker in `slot`, if that ends now.
fn comes_back(s: &State, slot: u8) -> Option<u8> {
    match (s.at(slot).phase, s.at(slot).predecessor) {
        (Phase::Successor(Successor::Active), Kin::Alive(before)) => Some(s.at(before).level),
        (_, _) => None,
    }
}

/// Asks the worker in `slot` to end, so that the one before it goes on. This is no failure.
fn send_back(rules: &Rules, s: &mut State, slot: u8) {
    s.worker(slot).news = News::Ended;
    successor::learn(rules, s, slot, SuccessorEvent::Failed);
}

/// The worker that was sent back is gone: looks whether the version to be pinned serves again.
pub(super) fn came_back(rules: &Rules, s: &mut State, me: u8) {
    let level = s.launcher(me).level;
    let is_back = observe(rules, s) == Seen::Worker(level, Looks::Ready);
    s.launcher(me).pc = if is_back { Pc::Pin } else { Pc::Put };
}

/// The awaited worker of the version to be pinned has settled, or is gone.
pub(super) fn settled(rules: &Rules, s: &mut State, me: u8, slot: u8) {
    let level = s.launcher(me).level;
    if slot != NOBODY && observe(rules, s) == Seen::Worker(level, Looks::Ready) {
        s.launcher(me).pc = Pc::Pin;
    } else {
        finish(rules, s, me, Outcome::PinFailed);
    }
}

/// Starts what would run without the pin, unless the worker that made room has its place back.
pub(super) fn put_back(rules: &Rules, s: &mut State, me: u8) {
    let level = s.launcher(me).level;
    let stands = matches!(s.see(), Sight::Worker(slot) if s.at(slot).level != level);
    let target = call::target_of(rules, s, call::counted(rules, s), (level, 0)).startable;
    match target.filter(|target| *target != level && !stands && !rules.breaks(Mutation::NothingPutBack)) {
        Some(target) => {
            s.chooses(me, target);
            let launcher = s.launcher(me);
            (launcher.news, launcher.pc) = (News::None, Pc::Ask(Why::Replace));
        }
        None => finish_failed(rules, s, me),
    }
}

/// Records the pin, which is its last step.
pub(super) fn hold(rules: &Rules, s: &mut State, me: u8) {
    let level = s.launcher(me).level;
    if call::keep(rules, s, &[Change::Pin(level)]) {
        s.pinned = level;
        finish(rules, s, me, Outcome::Pinned);
    } else {
        finish(rules, s, me, Outcome::PinFailed);
    }
}

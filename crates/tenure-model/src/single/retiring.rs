//! Ends a worker and proves its end. The worker is asked first and gets the time that it announces; it is killed only
//! if it does not react.

use tenure_core::policy::lifecycle::LifecycleEvent;

use crate::kernel::{NOBODY, Sight, numbers};
use crate::mutation::Mutation;
use crate::policy::AttemptEvent;
use crate::scenario::Rules;
use crate::single::launcher::{self, LookQuality};
use crate::single::state::{Outcome, Pc, SLOTS, State, Why};
use crate::single::worker;

/// The next step towards the end of a worker.
pub(super) fn step(rules: &Rules, s: &mut State, me: u8, quality: LookQuality) {
    let pc = s.launcher(me).pc;
    match pc {
        Pc::Retire(why) => ask(rules, s, me, why, quality),
        Pc::Asked(why) => prove(rules, s, me, why, true),
        // Somebody else has asked it before, or it was ending by itself.
        Pc::Leaving(why) => prove(rules, s, me, why, false),
        // It answers again, or is gone.
        Pc::Silent(why) => s.launcher(me).pc = Pc::Retire(why),
        Pc::Force(why) => force(rules, s, me, why),
        Pc::Prove(why) if s.lease == 0 => prove(rules, s, me, why, true),
        Pc::Prove(_) => launcher::finish(rules, s, me, Outcome::Survivor),
        Pc::Idle
        | Pc::Look
        | Pc::AwaitSettled(_)
        | Pc::WantGate
        | Pc::Gated
        | Pc::TakeLease
        | Pc::ProbeSilent
        | Pc::StillSilent
        | Pc::Clear
        | Pc::Opened
        | Pc::Bound
        | Pc::Spawned(_)
        | Pc::Recorded(_)
        | Pc::AwaitReport(_)
        | Pc::Read(_)
        | Pc::Settling(_)
        | Pc::Pin
        | Pc::Done(_)
        | Pc::Dead => {}
    }
}

fn ask(rules: &Rules, s: &mut State, me: u8, why: Why, quality: LookQuality) {
    if why == Why::Replace && s.launcher(me).lost {
        launcher::finish(rules, s, me, Outcome::GateLost);
    } else if s.lease == 0 {
        prove(rules, s, me, why, false);
    } else {
        s.launcher(me).pc = match s.see() {
            Sight::Worker(slot) if quality == LookQuality::Clear => {
                if rules.breaks(Mutation::StaleSuccessor) && why == Why::Replace {
                    s.launcher(me).target = s.worker(slot).level;
                }
                worker::happen(s, slot, LifecycleEvent::StopAsked);
                Pc::Asked(why)
            }
            Sight::Worker(_) | Sight::Silent if rules.breaks(Mutation::SilenceForced) => Pc::Force(why),
            Sight::Worker(_) | Sight::Silent => Pc::Silent(why),
            Sight::Nobody if rules.breaks(Mutation::DrainForced) => Pc::Force(why),
            Sight::Nobody => Pc::Leaving(why),
        };
    }
}

/// Takes the free lease, which proves that no worker is there. A worker that made room counts as replaced.
fn prove(rules: &Rules, s: &mut State, me: u8, why: Why, ended: bool) {
    if why == Why::Replace {
        launcher::remember(rules, s, me, AttemptEvent::Retired);
        s.replaced += i8::from(ended);
    }
    launcher::take(rules, s, me);
}

/// Signals the worker in the lineage; where the lineage is empty, every worker with the scope's cookie.
fn force(rules: &Rules, s: &mut State, me: u8, why: Why) {
    let confirms = why == Why::Wedged || !rules.breaks(Mutation::UnconfirmedForce);
    if confirms && s.launcher(me).lost {
        launcher::finish(rules, s, me, Outcome::GateLost);
        return;
    }
    let marked = |slot: &u8| s.workers[usize::from(*slot)].present;
    let victims: Vec<u8> =
        if s.lineage == NOBODY { numbers(SLOTS).filter(marked).collect() } else { vec![s.lineage] };
    if victims.is_empty() {
        launcher::finish(rules, s, me, Outcome::Unverifiable);
        return;
    }
    for slot in victims {
        worker::kill(s, slot);
    }
    s.launcher(me).pc = Pc::Prove(why);
}

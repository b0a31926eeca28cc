//! The life of a worker as a state machine: which event leads to which state, and what is done in which order.
//!
//! Pure: no clock, no I/O. [`step`] returns [`Orders`], which can only be carried out as a whole: product and model
//! pass an executor with one method for each action, and this room keeps the order. States only go forward, and an
//! announced end is never taken back.
//!
//! ```text
//! Booting ──AppReady──▶ Active
//!    │ └──end asked──┐    │ └──AppFailed, Drained, Stalled──┐
//!    │               ▼    ▼ end asked                       ▼
//!    │             Draining ──AppFailed, Drained, deadline──▶ Ended
//!    └──────AppFailed, Drained, deadline─────────────────────┘
//!
//! end asked: StopAsked, or SelfCheckFailed; for an active worker also Idle
//! ```

/// The state of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LifecycleState {
    /// Started, and has not said that it serves.
    Booting,
    /// Serves.
    Active,
    /// Has announced its end, and finishes its work.
    Draining,
    /// Exits.
    Ended,
}

/// What happens to a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LifecycleEvent {
    /// The app says that it serves.
    AppReady,
    /// The app says that it cannot serve, or no longer can.
    AppFailed,
    /// Somebody asked it to end.
    StopAsked,
    /// Its state directory is no longer its own.
    SelfCheckFailed,
    /// Nobody has used it for its `idle_timeout`.
    Idle,
    /// It was not ready in time.
    BootDeadline,
    /// It did not end within the time that it had announced.
    DrainDeadline,
    /// The app's runtime has not answered for too long.
    Stalled,
    /// The app has finished its work.
    Drained,
}

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    ReportReady,
    CloseListener,
    Drain,
    LeaveScope,
    ReportFailed,
    Exit { code: i32 },
}

/// Carries out orders: one method for each action.
pub trait LifecycleExecutor {
    /// Tells the launcher that the worker serves.
    fn report_ready(&mut self);

    /// Closes the control socket's listener: late callers are refused and block on the lease.
    fn close_listener(&mut self);

    /// Announces the end and lets the app finish its work.
    fn drain(&mut self);

    /// Waits until no takeover is under way, and removes the paths that lead callers to this worker.
    fn leave_scope(&mut self);

    /// Tells a launcher that still waits for an answer that the worker exits without having served.
    fn report_failed(&mut self);

    /// Exits; nothing comes after it.
    fn exit(&mut self, code: i32);
}

/// The actions on the way from one state to the next.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orders(&'static [Action]);

impl Orders {
    /// Whether there are none: then the event has changed nothing.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Carries out every action, in order.
    pub fn carry_out(self, executor: &mut impl LifecycleExecutor) {
        for action in self.0 {
            match *action {
                Action::ReportReady => executor.report_ready(),
                Action::CloseListener => executor.close_listener(),
                Action::Drain => executor.drain(),
                Action::LeaveScope => executor.leave_scope(),
                Action::ReportFailed => executor.report_failed(),
                Action::Exit { code } => executor.exit(code),
            }
        }
    }
}

/// Exit code of an end that was asked for.
pub const EXIT_ENDED: i32 = 0;

/// Exit code of every other end.
pub const EXIT_FAILED: i32 = 1;

/// The state to which the event leads, and the actions on the way.
pub fn step(state: LifecycleState, event: LifecycleEvent) -> (LifecycleState, Orders) {
    use Action::{CloseListener, Drain, Exit, LeaveScope, ReportFailed, ReportReady};
    use LifecycleEvent::{
        AppFailed, AppReady, BootDeadline, DrainDeadline, Drained, Idle, SelfCheckFailed, Stalled, StopAsked,
    };

    const FAILED: Action = Exit { code: EXIT_FAILED };
    const ENDED: Action = Exit { code: EXIT_ENDED };

    let (next, actions): (LifecycleState, &'static [Action]) = match (state, event) {
        (LifecycleState::Booting, AppReady) => (LifecycleState::Active, &[ReportReady]),
        (LifecycleState::Booting, AppFailed | Drained) => {
            (LifecycleState::Ended, &[CloseListener, LeaveScope, ReportFailed, FAILED])
        }
        // After a deadline nothing is waited for and nothing is removed.
        (LifecycleState::Booting, BootDeadline) => {
            (LifecycleState::Ended, &[CloseListener, ReportFailed, FAILED])
        }
        // A launcher that waits for this boot is told at the end, because it expects a failed process to be gone.
        (LifecycleState::Booting | LifecycleState::Active, StopAsked | SelfCheckFailed) => {
            (LifecycleState::Draining, &[CloseListener, Drain])
        }
        (LifecycleState::Active, Idle) => (LifecycleState::Draining, &[CloseListener, Drain]),
        (LifecycleState::Active, AppFailed) => (LifecycleState::Ended, &[CloseListener, LeaveScope, FAILED]),
        (LifecycleState::Active, Drained) => (LifecycleState::Ended, &[CloseListener, LeaveScope, ENDED]),
        (LifecycleState::Active, Stalled) => (LifecycleState::Ended, &[CloseListener, FAILED]),
        // The app's own thread can end while the watchdog already ends the process.
        (LifecycleState::Draining | LifecycleState::Ended, AppFailed) | (LifecycleState::Ended, Drained) => {
            (LifecycleState::Ended, &[LeaveScope, ReportFailed, FAILED])
        }
        (LifecycleState::Draining, Drained) => (LifecycleState::Ended, &[LeaveScope, ReportFailed, ENDED]),
        // The deadline also holds for an app that has finished its work: its process may hang.
        (LifecycleState::Draining | LifecycleState::Ended, DrainDeadline) => {
            (LifecycleState::Ended, &[FAILED])
        }

        // Whoever waits for a boot uses the worker, and one end is enough.
        (LifecycleState::Booting, DrainDeadline | Stalled | Idle)
        | (LifecycleState::Active, AppReady | BootDeadline | DrainDeadline)
        | (
            LifecycleState::Draining | LifecycleState::Ended,
            AppReady | StopAsked | SelfCheckFailed | Idle | BootDeadline | Stalled,
        ) => (state, &[]),
    };
    (next, Orders(actions))
}

#[cfg(test)]
mod tests {
    use super::*;
    use LifecycleEvent::{
        AppFailed, AppReady, BootDeadline, DrainDeadline, Drained, Idle, SelfCheckFailed, Stalled, StopAsked,
    };

    const ALL: [LifecycleEvent; 9] = [
        AppReady,
        AppFailed,
        StopAsked,
        SelfCheckFailed,
        Idle,
        BootDeadline,
        DrainDeadline,
        Stalled,
        Drained,
    ];

    /// Where each event of [`ALL`] leads.
    const TABLE: [(LifecycleState, [LifecycleState; 9]); 4] = {
        use LifecycleState::{Active as A, Booting as B, Draining as D, Ended as E};
        [
            (B, [A, E, D, D, B, E, B, B, E]),
            (A, [A, E, D, D, D, A, A, E, E]),
            (D, [D, E, D, D, D, D, E, D, E]),
            (E, [E, E, E, E, E, E, E, E, E]),
        ]
    };

    fn cases() -> impl Iterator<Item = (LifecycleState, LifecycleEvent)> {
        TABLE.iter().flat_map(|(state, _)| ALL.map(|event| (*state, event)))
    }

    #[test]
    fn every_event_leads_where_the_table_says() {
        for (state, row) in TABLE {
            for (event, next) in ALL.into_iter().zip(row) {
                assert_eq!(step(state, event).0, next, "{state:?} {event:?}");
            }
        }
    }

    #[test]
    fn an_end_is_followed_by_an_exit_and_nothing_after_it() {
        for (state, event) in cases() {
            let (next, Orders(actions)) = step(state, event);
            let exits = actions.iter().position(|action| matches!(action, Action::Exit { .. }));
            assert_eq!(
                exits.is_some(),
                next == LifecycleState::Ended && !actions.is_empty(),
                "{state:?} {event:?}"
            );
            assert!(exits.is_none_or(|at| at == actions.len() - 1));
        }
    }

    #[test]
    fn an_end_closes_the_listener_first_and_only_once() {
        for (state, event) in cases() {
            let (next, Orders(actions)) = step(state, event);
            let begins = matches!(state, LifecycleState::Booting | LifecycleState::Active)
                && !matches!(next, LifecycleState::Booting | LifecycleState::Active);
            assert_eq!(actions.first() == Some(&Action::CloseListener), begins, "{state:?} {event:?}");
            assert!(!actions.iter().skip(1).any(|action| *action == Action::CloseListener));
        }
    }

    /// The executor of each thread of the kit does nothing for what is never ordered on it.
    #[test]
    fn each_thread_is_ordered_what_it_can_do() {
        for (state, event) in cases() {
            for action in step(state, event).1.0 {
                let app = matches!(event, AppReady | AppFailed | Drained);
                let asked = matches!(event, StopAsked | SelfCheckFailed | Idle);
                let can = match action {
                    Action::CloseListener => true,
                    Action::ReportReady | Action::LeaveScope => app,
                    Action::Drain => asked,
                    Action::ReportFailed | Action::Exit { .. } => !asked,
                };
                assert!(can, "{state:?} {event:?}: {action:?}");
            }
        }
    }

    #[test]
    fn readiness_is_reported_once_and_never_after_a_stop() {
        assert_eq!(step(LifecycleState::Booting, AppReady).1.0, [Action::ReportReady]);
        for state in [LifecycleState::Active, LifecycleState::Draining, LifecycleState::Ended] {
            assert_eq!(step(state, AppReady), (state, Orders(&[])));
        }
    }

    #[test]
    fn only_an_end_that_was_asked_for_is_a_success() {
        for (state, event) in cases() {
            if step(state, event).1.0.contains(&Action::Exit { code: EXIT_ENDED }) {
                assert_eq!(event, Drained);
                assert_ne!(state, LifecycleState::Booting);
            }
        }
    }
}

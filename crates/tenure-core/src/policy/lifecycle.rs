//! The life of a worker as a machine: what may follow what, and what is then to be done.
//!
//! Pure: no clock, no I/O. The kit carries the deeds out in the order in which it gets them; the model does the same with
//! model workers. A life only goes forward, and an announced end is never taken back.

/// Where a worker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Life {
    /// Started, and has not said that it serves.
    Booting,
    /// Serves.
    Active,
    /// Has announced its end and ends what it does.
    Draining,
    /// Has nothing left to do but to exit.
    Ended,
}

/// What happens to it.
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
    /// It was not ready in time.
    BootDeadline,
    /// It did not end within the time that it had announced.
    DrainDeadline,
    /// The app's runtime has not answered for too long.
    Stalled,
    /// The app has ended what it did.
    Drained,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LifecycleAction {
    /// Tell the launcher that it serves.
    ReportReady,
    /// Tell the launcher that it will exit without having served.
    ReportFailed,
    /// Close the control socket's listener: late callers are refused and block on the lease.
    CloseListener,
    /// Announce the end and let the app end what it does.
    Drain,
    /// Exit; nothing comes after it.
    Exit {
        /// The exit code.
        code: i32,
    },
}

/// Exit code of an end that was asked for.
pub const EXIT_ENDED: i32 = 0;

/// Exit code of every other end.
pub const EXIT_FAILED: i32 = 1;

/// The next stand and what is to be done on the way. No deeds mean that nothing changes.
#[must_use]
pub fn step(life: Life, event: LifecycleEvent) -> (Life, &'static [LifecycleAction]) {
    use LifecycleAction::{CloseListener, Drain, Exit, ReportFailed, ReportReady};
    use LifecycleEvent::{
        AppFailed, AppReady, BootDeadline, DrainDeadline, Drained, SelfCheckFailed, Stalled, StopAsked,
    };

    const FAILED: LifecycleAction = Exit { code: EXIT_FAILED };
    const ENDED: LifecycleAction = Exit { code: EXIT_ENDED };

    match (life, event) {
        (Life::Booting, AppReady) => (Life::Active, &[ReportReady]),
        (Life::Booting, AppFailed | BootDeadline | Drained) => (Life::Ended, &[ReportFailed, FAILED]),
        // The launcher is told at the end: one that hears of a failure expects the process to be gone.
        (Life::Booting | Life::Active, StopAsked | SelfCheckFailed) => {
            (Life::Draining, &[CloseListener, Drain])
        }
        (Life::Active, AppFailed | Stalled) => (Life::Ended, &[CloseListener, FAILED]),
        (Life::Active, Drained) => (Life::Ended, &[CloseListener, ENDED]),
        // An app that has said that it is done has a deadline as well: its process may not end.
        (Life::Draining, AppFailed | DrainDeadline) | (Life::Ended, DrainDeadline) => {
            (Life::Ended, &[FAILED])
        }
        (Life::Draining, Drained) => (Life::Ended, &[ENDED]),

        (Life::Booting, DrainDeadline | Stalled)
        | (Life::Active, AppReady | BootDeadline | DrainDeadline)
        | (Life::Draining, AppReady | StopAsked | SelfCheckFailed | BootDeadline | Stalled)
        | (
            Life::Ended,
            AppReady | AppFailed | StopAsked | SelfCheckFailed | BootDeadline | Stalled | Drained,
        ) => (life, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use LifecycleEvent::{
        AppFailed, AppReady, BootDeadline, DrainDeadline, Drained, SelfCheckFailed, Stalled, StopAsked,
    };

    const ALL: [LifecycleEvent; 8] =
        [AppReady, AppFailed, StopAsked, SelfCheckFailed, BootDeadline, DrainDeadline, Stalled, Drained];

    /// Where each happening of [`ALL`] leads.
    const TABLE: [(Life, [Life; 8]); 4] = {
        use Life::{Active as A, Booting as B, Draining as D, Ended as E};
        [
            (B, [A, E, D, D, E, B, B, E]),
            (A, [A, E, D, D, A, A, E, E]),
            (D, [D, E, D, D, D, E, D, E]),
            (E, [E, E, E, E, E, E, E, E]),
        ]
    };

    #[test]
    fn every_happening_leads_where_the_table_says() {
        for (life, row) in TABLE {
            for (event, next) in ALL.into_iter().zip(row) {
                assert_eq!(step(life, event).0, next, "{life:?} {event:?}");
            }
        }
    }

    #[test]
    fn an_end_is_followed_by_an_exit_and_nothing_after_it() {
        for (life, event) in TABLE.iter().flat_map(|(life, _)| ALL.map(|event| (*life, event))) {
            let (next, deeds) = step(life, event);
            let exits = deeds.iter().position(|action| matches!(action, LifecycleAction::Exit { .. }));
            assert_eq!(exits.is_some(), next == Life::Ended && !deeds.is_empty(), "{life:?} {event:?}");
            assert!(exits.is_none_or(|at| at == deeds.len() - 1));
        }
    }

    #[test]
    fn an_announced_end_closes_the_listener_first() {
        for life in [Life::Booting, Life::Active] {
            for event in [StopAsked, SelfCheckFailed] {
                assert_eq!(
                    step(life, event),
                    (Life::Draining, &[LifecycleAction::CloseListener, LifecycleAction::Drain][..])
                );
            }
        }
    }

    #[test]
    fn readiness_is_reported_once_and_never_after_a_stop() {
        assert_eq!(step(Life::Booting, AppReady).1, [LifecycleAction::ReportReady]);
        for life in [Life::Active, Life::Draining, Life::Ended] {
            assert_eq!(step(life, AppReady), (life, &[][..]));
        }
    }

    #[test]
    fn only_an_end_that_was_asked_for_is_a_success() {
        for (life, event) in TABLE.iter().flat_map(|(life, _)| ALL.map(|event| (*life, event))) {
            if step(life, event).1.contains(&LifecycleAction::Exit { code: EXIT_ENDED }) {
                assert_eq!(event, Drained);
                assert_ne!(life, Life::Booting);
            }
        }
    }
}

//! Both sides of a takeover as state tables: state and event of incumbent and successor, to next state and action.
//!
//! Pure: no clock, no I/O. An incumbent carries out the one action that it gets, and passes the result on as the next
//! event. A successor asks whether a step is allowed, and gives up where it is not. The model does the same with model
//! processes. Three rules are in the tables and nowhere else: an incumbent goes on only when its successor is proved
//! gone, a successor acts alone only when its incumbent is proved gone, and an announced end is never taken back.

/// The state of an incumbent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Incumbent {
    /// Serves, and has no successor.
    Serving,
    /// Serves; a successor shares its lease and its listeners.
    Prepared,
    /// Waits until its app has stopped serving.
    Quiescing,
    /// Generation, ledger and control socket are the successor's. The app does not serve; only with `overlap` it serves
    /// until the successor is active.
    Granted,
    /// Does not serve; the successor serves, on probation.
    Relieved,
    /// Ends the successor, and then does what is named here.
    Ending(Then),
    /// Takes the scope back.
    Reclaiming,
    /// Has announced its end.
    Leaving,
}

/// What an incumbent does once its successor is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Then {
    /// Serves: it never stopped.
    Serve,
    /// Takes the scope back.
    Reclaim,
    /// Ends as well.
    Leave,
}

/// What happens to an incumbent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IncumbentEvent {
    /// A successor asks it to prepare, and is admitted.
    Prepare,
    /// The successor asks it to stop serving.
    Commit,
    /// Its app has stopped serving.
    Quiesced,
    /// Its app cannot stop serving.
    NotQuiesced,
    /// Its app has not stopped serving in time.
    Stuck,
    /// The successor serves.
    Active,
    /// The successor gives up.
    Aborted {
        /// Somebody asked the worker to end, so the incumbent ends too.
        ends: bool,
    },
    /// The connection has ended, or the time of the state is over.
    Lost,
    /// The successor is proved gone.
    SuccessorGone,
    /// The probation is over.
    ProbationOver,
    /// Somebody asked this worker to end.
    StopAsked,
    /// It has the scope back, and its app serves or is about to.
    Reclaimed,
    /// It cannot take the scope back.
    NotReclaimed,
}

/// What an incumbent does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IncumbentAction {
    /// Record the successor in the lineage, and hand over lease and listeners.
    Share,
    /// Make the app stop serving.
    Quiesce,
    /// Stop answering callers, and hand over what the app has left.
    Grant,
    /// End the successor by its verified handle, and wait until it is gone.
    EndSuccessor,
    /// Open a generation of its own above the successor's, and serve again.
    Reclaim,
    /// Announce the end: drain and exit.
    Leave,
    /// Exit at once.
    Exit,
}

/// What incumbent and successor agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Terms {
    /// Both programs run for a while: the incumbent's goes on until the successor is active.
    pub overlap: bool,
    /// A probation follows ACTIVE.
    pub probation: bool,
}

/// The next state of an incumbent, and its action. Without an action it waits for the next event.
#[must_use]
#[expect(clippy::match_same_arms, reason = "the table is read state by state")]
pub fn incumbent(
    state: Incumbent,
    event: IncumbentEvent,
    terms: Terms,
) -> (Incumbent, Option<IncumbentAction>) {
    use Incumbent as I;
    use IncumbentEvent as E;

    let ending = |then| (I::Ending(then), Some(IncumbentAction::EndSuccessor));
    match (state, event) {
        (I::Serving, E::Prepare) => (I::Prepared, Some(IncumbentAction::Share)),

        (I::Prepared, E::Commit) if terms.overlap => (I::Granted, Some(IncumbentAction::Grant)),
        (I::Prepared, E::Commit) => (I::Quiescing, Some(IncumbentAction::Quiesce)),
        // The successor is not the worker yet: whoever has ended it did not mean to end the worker.
        (I::Prepared, E::Lost | E::Aborted { .. } | E::SuccessorGone) => ending(Then::Serve),
        (I::Prepared, E::StopAsked) => ending(Then::Leave),

        (I::Quiescing, E::Quiesced) => (I::Granted, Some(IncumbentAction::Grant)),
        (I::Quiescing, E::Stuck) => (I::Leaving, Some(IncumbentAction::Exit)),
        (I::Quiescing, E::NotQuiesced | E::Lost | E::SuccessorGone | E::Aborted { ends: false }) => {
            ending(Then::Reclaim)
        }
        (I::Quiescing, E::StopAsked | E::Aborted { ends: true }) => ending(Then::Leave),

        (I::Granted, E::Active) if terms.probation => (I::Relieved, None),
        (I::Granted, E::Active) | (I::Relieved, E::ProbationOver) => {
            (I::Leaving, Some(IncumbentAction::Leave))
        }
        (I::Granted | I::Relieved, E::Lost | E::SuccessorGone | E::Aborted { ends: false }) => {
            ending(Then::Reclaim)
        }
        // The successor is the worker now, and goes on or ends by itself.
        (I::Granted | I::Relieved, E::StopAsked | E::Aborted { ends: true }) => {
            (I::Leaving, Some(IncumbentAction::Leave))
        }

        (I::Ending(Then::Serve), E::SuccessorGone) => (I::Serving, None),
        (I::Ending(Then::Reclaim), E::SuccessorGone) => (I::Reclaiming, Some(IncumbentAction::Reclaim)),
        (I::Ending(Then::Leave), E::SuccessorGone) => (I::Leaving, Some(IncumbentAction::Leave)),
        (I::Ending(_), E::StopAsked) => (I::Ending(Then::Leave), None),
        // The last message of a successor that somebody had asked to end: the incumbent must not undo that.
        (I::Ending(Then::Reclaim), E::Aborted { ends: true }) => (I::Leaving, Some(IncumbentAction::Leave)),

        (I::Reclaiming, E::Reclaimed) => (I::Serving, None),
        (I::Reclaiming, E::NotReclaimed) => (I::Leaving, Some(IncumbentAction::Exit)),
        (I::Reclaiming, E::StopAsked) => (I::Leaving, Some(IncumbentAction::Leave)),

        (
            I::Serving
            | I::Prepared
            | I::Quiescing
            | I::Granted
            | I::Relieved
            | I::Ending(_)
            | I::Reclaiming
            | I::Leaving,
            _,
        ) => (state, None),
    }
}

/// The state of a successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Successor {
    /// Boots beside the incumbent, which shares nothing with it yet.
    Standby,
    /// Has sent PREPARE.
    Asking,
    /// Shares lease and listeners.
    Prepared,
    /// Has sent COMMIT.
    Committing,
    /// Has lost the connection, and finds out whether the incumbent is gone.
    Proving,
    /// It is the worker, and does not serve yet.
    Granted,
    /// Serves.
    Active,
    /// Gives up.
    Over,
}

/// What happens to a successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SuccessorEvent {
    /// It has done all that can be done beside an incumbent.
    Booted,
    /// The incumbent has handed over lease and listeners.
    Prepared,
    /// The incumbent declines: the launcher is to end it, and starts the new worker after it.
    Refused,
    /// The incumbent does not hand over now, and must not be ended for that.
    Kept,
    /// It needs nothing more but the grant.
    Willing,
    /// The incumbent has stopped serving.
    Granted,
    /// The connection to the incumbent has ended.
    Lost,
    /// The time for an answer is over.
    Late,
    /// The incumbent is proved gone.
    IncumbentGone,
    /// The incumbent is not proved gone.
    IncumbentLives,
    /// Its app serves.
    Ready,
    /// It cannot go on, or was asked to end.
    Failed,
}

/// What a successor does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SuccessorAction {
    /// Send PREPARE.
    Ask,
    /// Send COMMIT.
    Commit,
    /// Find out whether the incumbent is gone.
    Prove,
    /// Open the generation, durably, then answer callers.
    Open,
    /// Send ACTIVE and give the gate back.
    Tell,
    /// Exit, and report that the incumbent declined.
    Decline,
    /// Send ABORT and exit.
    GiveUp,
}

/// The next state of a successor, and its action. Without an action it waits for the next event.
#[must_use]
#[expect(clippy::match_same_arms, reason = "the table is read state by state")]
pub fn successor(state: Successor, event: SuccessorEvent) -> (Successor, Option<SuccessorAction>) {
    use Successor as S;
    use SuccessorEvent as E;

    match (state, event) {
        (S::Standby, E::Booted) => (S::Asking, Some(SuccessorAction::Ask)),
        (S::Asking, E::Prepared) => (S::Prepared, None),
        // Only the incumbent can decline. A lost connection or a late answer may be the successor's own trouble.
        (S::Asking | S::Committing, E::Refused) => (S::Over, Some(SuccessorAction::Decline)),
        (S::Asking, E::Kept | E::Lost | E::Late) => (S::Over, Some(SuccessorAction::GiveUp)),
        (S::Prepared, E::Willing) => (S::Committing, Some(SuccessorAction::Commit)),
        (S::Prepared | S::Committing, E::Lost) => (S::Proving, Some(SuccessorAction::Prove)),
        (S::Committing, E::Granted) | (S::Proving, E::IncumbentGone) => {
            (S::Granted, Some(SuccessorAction::Open))
        }
        (S::Committing, E::Kept | E::Late) | (S::Proving, E::IncumbentLives) => {
            (S::Over, Some(SuccessorAction::GiveUp))
        }
        (S::Granted, E::Ready) => (S::Active, Some(SuccessorAction::Tell)),
        (
            S::Standby | S::Asking | S::Prepared | S::Committing | S::Proving | S::Granted | S::Active,
            E::Failed,
        ) => (S::Over, Some(SuccessorAction::GiveUp)),
        (
            S::Standby
            | S::Asking
            | S::Prepared
            | S::Committing
            | S::Proving
            | S::Granted
            | S::Active
            | S::Over,
            _,
        ) => (state, None),
    }
}

#[cfg(test)]
mod tests;

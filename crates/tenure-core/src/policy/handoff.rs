//! Both sides of a takeover as tables: where incumbent and successor stand, what they hear, what they do next.
//!
//! Pure: no clock, no I/O. An incumbent carries out the one deed that it gets and tells the machine what came of it; a
//! successor asks where a step is allowed, and gives up where it is not. The model does the same with model processes. Three rules are in the tables and nowhere else: an incumbent goes on only when its
//! successor is proved gone, a successor acts alone only when its incumbent is proved gone, and an end that was announced
//! is never taken back.

/// Where an incumbent stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Incumbent {
    /// Serves, and nobody is there to take its place.
    Serving,
    /// Serves; a successor shares its lease and its listeners.
    Prepared,
    /// Makes its app stop serving.
    Quiescing,
    /// Does not serve: generation, ledger and control socket are the successor's.
    Granted,
    /// The successor serves, on probation.
    Relieved,
    /// Ends the successor, and then does this.
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

/// What an incumbent hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IncumbentEvent {
    /// A successor asks it to prepare, and may.
    Prepare,
    /// The successor asks it to stop serving.
    Commit,
    /// Its app has stopped serving.
    Quiesced,
    /// Its app cannot.
    NotQuiesced,
    /// Its app has not answered in time.
    Stuck,
    /// The successor serves.
    Active,
    /// The successor gives up; where it `ends`, because somebody asked the worker to end.
    Aborted {
        /// Whether the incumbent is to end too.
        ends: bool,
    },
    /// The connection has ended, or the time of the phase.
    Lost,
    /// The successor is proved gone.
    SuccessorGone,
    /// The probation is over.
    BakeOver,
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

/// What the two agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Terms {
    /// Both programs are there for a while: the incumbent's goes on until the successor is active.
    pub overlap: bool,
    /// There is a probation after ACTIVE.
    pub bakes: bool,
}

impl Incumbent {
    /// Whether its app may serve.
    #[must_use]
    pub fn serves(self) -> bool {
        match self {
            Self::Serving | Self::Prepared | Self::Ending(Then::Serve) => true,
            Self::Quiescing
            | Self::Granted
            | Self::Relieved
            | Self::Ending(Then::Reclaim | Then::Leave)
            | Self::Reclaiming
            | Self::Leaving => false,
        }
    }
}

/// The next stand of an incumbent, and what is to be done. No deed means: wait for more.
#[must_use]
#[expect(clippy::match_same_arms, reason = "the table is read state by state")]
pub fn incumbent(
    state: Incumbent,
    heard: IncumbentEvent,
    terms: Terms,
) -> (Incumbent, Option<IncumbentAction>) {
    use Incumbent as I;
    use IncumbentEvent as H;

    let ending = |then| (I::Ending(then), Some(IncumbentAction::EndSuccessor));
    match (state, heard) {
        (I::Serving, H::Prepare) => (I::Prepared, Some(IncumbentAction::Share)),

        (I::Prepared, H::Commit) if terms.overlap => (I::Granted, Some(IncumbentAction::Grant)),
        (I::Prepared, H::Commit) => (I::Quiescing, Some(IncumbentAction::Quiesce)),
        // It is not the worker yet: whoever ends it means it and not the worker.
        (I::Prepared, H::Lost | H::Aborted { .. } | H::SuccessorGone) => ending(Then::Serve),
        (I::Prepared, H::StopAsked) => ending(Then::Leave),

        (I::Quiescing, H::Quiesced) => (I::Granted, Some(IncumbentAction::Grant)),
        (I::Quiescing, H::Stuck) => (I::Leaving, Some(IncumbentAction::Exit)),
        (I::Quiescing, H::NotQuiesced | H::Lost | H::SuccessorGone | H::Aborted { ends: false }) => {
            ending(Then::Reclaim)
        }
        (I::Quiescing, H::StopAsked | H::Aborted { ends: true }) => ending(Then::Leave),

        (I::Granted, H::Active) if terms.bakes => (I::Relieved, None),
        (I::Granted, H::Active) | (I::Relieved, H::BakeOver) => (I::Leaving, Some(IncumbentAction::Leave)),
        (I::Granted | I::Relieved, H::Lost | H::SuccessorGone | H::Aborted { ends: false }) => {
            ending(Then::Reclaim)
        }
        // The worker is the other one now, and goes on or ends by itself.
        (I::Granted | I::Relieved, H::StopAsked | H::Aborted { ends: true }) => {
            (I::Leaving, Some(IncumbentAction::Leave))
        }

        (I::Ending(Then::Serve), H::SuccessorGone) => (I::Serving, None),
        (I::Ending(Then::Reclaim), H::SuccessorGone) => (I::Reclaiming, Some(IncumbentAction::Reclaim)),
        (I::Ending(Then::Leave), H::SuccessorGone) => (I::Leaving, Some(IncumbentAction::Leave)),
        (I::Ending(_), H::StopAsked) => (I::Ending(Then::Leave), None),
        // Its last words: somebody had asked the worker to end, and that is not this one's to undo.
        (I::Ending(Then::Reclaim), H::Aborted { ends: true }) => (I::Leaving, Some(IncumbentAction::Leave)),

        (I::Reclaiming, H::Reclaimed) => (I::Serving, None),
        (I::Reclaiming, H::NotReclaimed) => (I::Leaving, Some(IncumbentAction::Exit)),
        (I::Reclaiming, H::StopAsked) => (I::Leaving, Some(IncumbentAction::Leave)),

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

/// Where a successor stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Successor {
    /// Has what it needs of its own; nothing is shared with it.
    Standby,
    /// Has sent PREPARE.
    Asking,
    /// Shares lease and listeners.
    Prepared,
    /// Has sent COMMIT.
    Committing,
    /// Has lost the incumbent, and finds out whether it is gone.
    Proving,
    /// It is the worker, and does not serve yet.
    Granted,
    /// Serves.
    Active,
    /// Gives up.
    Over,
}

/// What a successor hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SuccessorEvent {
    /// It has done all that can be done beside an incumbent.
    Booted,
    /// The incumbent has handed over lease and listeners.
    Prepared,
    /// The incumbent does not hand over: it is to be ended by somebody else, who starts the new worker after it.
    Refused,
    /// The incumbent does not hand over now, and is not to be ended for it.
    Kept,
    /// Nothing is missing but the grant.
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
    /// Exit: the incumbent has said itself that somebody else is to make room.
    Decline,
    /// Send ABORT and exit.
    GiveUp,
}

/// The next stand of a successor, and what is to be done. No step means: wait for more.
#[must_use]
#[expect(clippy::match_same_arms, reason = "the table is read state by state")]
pub fn successor(state: Successor, word: SuccessorEvent) -> (Successor, Option<SuccessorAction>) {
    use Successor as S;
    use SuccessorEvent as W;

    match (state, word) {
        (S::Standby, W::Booted) => (S::Asking, Some(SuccessorAction::Ask)),
        (S::Asking, W::Prepared) => (S::Prepared, None),
        // Whether it is to be ended is for the incumbent to say: a connection that is lost, or an answer that is late, may be
        // this worker's own trouble.
        (S::Asking | S::Committing, W::Refused) => (S::Over, Some(SuccessorAction::Decline)),
        (S::Asking, W::Kept | W::Lost | W::Late) => (S::Over, Some(SuccessorAction::GiveUp)),
        (S::Prepared, W::Willing) => (S::Committing, Some(SuccessorAction::Commit)),
        (S::Prepared | S::Committing, W::Lost) => (S::Proving, Some(SuccessorAction::Prove)),
        (S::Committing, W::Granted) | (S::Proving, W::IncumbentGone) => {
            (S::Granted, Some(SuccessorAction::Open))
        }
        (S::Committing, W::Kept | W::Late) | (S::Proving, W::IncumbentLives) => {
            (S::Over, Some(SuccessorAction::GiveUp))
        }
        (S::Granted, W::Ready) => (S::Active, Some(SuccessorAction::Tell)),
        (
            S::Standby | S::Asking | S::Prepared | S::Committing | S::Proving | S::Granted | S::Active,
            W::Failed,
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

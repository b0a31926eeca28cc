//! The answer table: what a call ended with, as the word in JSON and as the exit code. One table, here.
//!
//! Data only. The reference page of exit codes has one row for each [`AnswerState`], and a check keeps the two alike.

use tenure_core::ErrorKind;

/// What a call ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum AnswerState {
    /// A worker was up and is acceptable; a degraded one warns.
    Up,
    /// This call started a worker, or lost the race to start it.
    Started,
    /// This call put a worker in the place of another.
    Replaced,
    /// The worker, its program and their children are proved gone, or nothing ran.
    Stopped,
    /// A version is held, and the worker is of it, or will be.
    Pinned,
    /// No version is held any more.
    Unpinned,
    /// An offer was taken back.
    Forgotten,
    /// A project's file may start what it describes.
    Trusted,
    /// A project's file may start nothing any more.
    Revoked,
    /// The doctor has looked, and nothing needs a hand.
    Healthy,
    /// The configuration can be used.
    Valid,
    /// A configuration file was written.
    Written,
    /// The budget was spent while the worker was still booting; it goes on.
    Warming,
    /// The budget was spent in another stage, which is named.
    TimedOut,
    /// No worker runs, and nothing was to be started.
    Down,
    /// The worker could not be started; stage, cause and its last words are told.
    SpawnFailed,
    /// It failed a moment ago, and the next try is held back.
    SpawnSuppressed,
    /// The call came from inside the worker that it asks for.
    Recursion,
    /// A restart could not be proved.
    RestartUnproved,
    /// Something of the worker did not end.
    Survivor,
    /// An invariant of `tenure` itself does not hold.
    Bug,
    /// The answer could not be written.
    OutputFailed,
    /// Ctrl-C, or a request to end.
    Interrupted,
    /// The words on the command line do not go together.
    WrongUse,
    /// A sandbox, a permission or a namespace is in the way.
    Denied,
    /// The state directory or a record in it cannot be used.
    StateUnusable,
    /// A limit of this process is too low for a worker, which would inherit it.
    LimitTooLow,
    /// Somebody answers on the control socket who is not our worker.
    NotOurs,
    /// The worker is newer and shares no protocol version with this `tenure`.
    ClientTooOld,
    /// The worker says that it is older than what it was started as; with `--strict`, an older one than offered as well.
    VersionDisagrees,
    /// A version is to be pinned that nobody has offered.
    UnknownVersion,
    /// A version is to be forgotten that a person holds.
    VersionPinned,
    /// The same version runs with another command, directory or listeners; with `--strict`, with other settings.
    SpecConflict,
    /// No worker of that name is configured.
    NotConfigured,
    /// The worker is described by a project's file that is not trusted, or not any more.
    Untrusted,
    /// A configuration cannot be read, or says something that is not understood.
    BadConfig,
    /// The worker is there and still boots.
    Booting,
    /// The worker is there, and its app does not serve; with `--strict`, a degraded one as well.
    Unhealthy,
    /// The worker is there and does not answer.
    Wedged,
    /// The doctor has looked, and something needs a hand.
    Findings,
    /// Another process holds the gate for longer than the budget.
    GateHeld,
}

impl AnswerState {
    /// The word in JSON.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Started => "started",
            Self::Replaced => "replaced",
            Self::Stopped => "stopped",
            Self::Pinned => "pinned",
            Self::Unpinned => "unpinned",
            Self::Forgotten => "forgotten",
            Self::Warming => "warming",
            Self::TimedOut => "timed-out",
            Self::Down => "down",
            Self::SpawnFailed => "spawn-failed",
            Self::SpawnSuppressed => "spawn-suppressed",
            Self::Recursion => "recursion",
            Self::RestartUnproved => "restart-unproved",
            Self::Survivor => "survivor",
            Self::Bug => "bug",
            Self::OutputFailed => "output-failed",
            Self::Interrupted => "interrupted",
            Self::WrongUse => "wrong-use",
            Self::Denied => "denied",
            Self::StateUnusable => "state-unusable",
            Self::LimitTooLow => "limit-too-low",
            Self::NotOurs => "not-ours",
            Self::ClientTooOld => "client-too-old",
            Self::VersionDisagrees => "version-disagrees",
            Self::UnknownVersion => "unknown-version",
            Self::VersionPinned => "version-pinned",
            Self::SpecConflict => "spec-conflict",
            Self::NotConfigured => "not-configured",
            Self::Untrusted => "untrusted",
            Self::Trusted => "trusted",
            Self::Revoked => "revoked",
            Self::Healthy => "healthy",
            Self::Valid => "valid",
            Self::Written => "written",
            Self::BadConfig => "bad-config",
            Self::Booting => "booting",
            Self::Unhealthy => "unhealthy",
            Self::Wedged => "wedged",
            Self::Findings => "findings",
            Self::GateHeld => "gate-held",
        }
    }

    /// The exit code. 0 and 3 agree with what LSB says of `status`, 2 and 6 with what it says of any action, 124 with
    /// `timeout(1)`, 130 with what shells show after Ctrl-C; the others are ours.
    pub(crate) fn exit(self) -> u8 {
        match self {
            Self::Up
            | Self::Started
            | Self::Replaced
            | Self::Stopped
            | Self::Pinned
            | Self::Unpinned
            | Self::Forgotten
            | Self::Trusted
            | Self::Revoked
            | Self::Healthy
            | Self::Valid
            | Self::Written => 0,
            Self::SpawnFailed
            | Self::SpawnSuppressed
            | Self::Recursion
            | Self::RestartUnproved
            | Self::Survivor
            | Self::Bug
            | Self::OutputFailed => 1,
            Self::WrongUse => 2,
            Self::Down => 3,
            Self::Denied | Self::StateUnusable | Self::LimitTooLow | Self::NotOurs => 4,
            Self::ClientTooOld
            | Self::VersionDisagrees
            | Self::UnknownVersion
            | Self::VersionPinned
            | Self::SpecConflict => 5,
            Self::NotConfigured | Self::Untrusted | Self::BadConfig => 6,
            // A doctor that has looked has not failed, so findings are not 1; what it found stands between somebody and a
            // worker that serves as it should, which is what 7 says of a worker.
            Self::Booting | Self::Unhealthy | Self::Wedged | Self::Findings => 7,
            Self::GateHeld => 8,
            Self::Warming | Self::TimedOut => 124,
            Self::Interrupted => 130,
        }
    }

    /// The answer that a failure of the library is. A kind that is newer than this table is told as a bug: it is one.
    pub(crate) fn of_kind(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Denied => Self::Denied,
            ErrorKind::StateUnusable | ErrorKind::RecordUnusable | ErrorKind::RecordTooNew => {
                Self::StateUnusable
            }
            ErrorKind::NotOurs => Self::NotOurs,
            ErrorKind::ClientTooOld => Self::ClientTooOld,
            ErrorKind::SpecConflict => Self::SpecConflict,
            ErrorKind::VersionDisagrees => Self::VersionDisagrees,
            ErrorKind::UnknownVersion => Self::UnknownVersion,
            ErrorKind::VersionPinned => Self::VersionPinned,
            ErrorKind::Untrusted => Self::Untrusted,
            ErrorKind::HeldDown => Self::Down,
            ErrorKind::LimitTooLow => Self::LimitTooLow,
            ErrorKind::SpawnFailed => Self::SpawnFailed,
            ErrorKind::SpawnSuppressed => Self::SpawnSuppressed,
            ErrorKind::Recursion => Self::Recursion,
            ErrorKind::Wedged => Self::Wedged,
            ErrorKind::GateHeld => Self::GateHeld,
            ErrorKind::TimedOut => Self::TimedOut,
            ErrorKind::Survivor => Self::Survivor,
            ErrorKind::StillUnusable => Self::Unhealthy,
            ErrorKind::RestartUnproved => Self::RestartUnproved,
            ErrorKind::Bug | _ => Self::Bug,
        }
    }
}

impl serde::Serialize for AnswerState {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

/// A name of Rust in the words of JSON: `SpawnFailed` as `spawn-failed`.
pub(crate) fn kebab(name: &str) -> String {
    let mut kebab = String::with_capacity(name.len() + 4);
    for one in name.chars() {
        if one.is_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.extend(one.to_lowercase());
    }
    kebab
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [AnswerState; 41] = [
        AnswerState::Up,
        AnswerState::Started,
        AnswerState::Replaced,
        AnswerState::Stopped,
        AnswerState::Pinned,
        AnswerState::Unpinned,
        AnswerState::Forgotten,
        AnswerState::Trusted,
        AnswerState::Revoked,
        AnswerState::Healthy,
        AnswerState::Valid,
        AnswerState::Written,
        AnswerState::Warming,
        AnswerState::TimedOut,
        AnswerState::Down,
        AnswerState::SpawnFailed,
        AnswerState::SpawnSuppressed,
        AnswerState::Recursion,
        AnswerState::RestartUnproved,
        AnswerState::Survivor,
        AnswerState::Bug,
        AnswerState::OutputFailed,
        AnswerState::Interrupted,
        AnswerState::WrongUse,
        AnswerState::Denied,
        AnswerState::StateUnusable,
        AnswerState::LimitTooLow,
        AnswerState::NotOurs,
        AnswerState::ClientTooOld,
        AnswerState::VersionDisagrees,
        AnswerState::UnknownVersion,
        AnswerState::VersionPinned,
        AnswerState::SpecConflict,
        AnswerState::NotConfigured,
        AnswerState::Untrusted,
        AnswerState::BadConfig,
        AnswerState::Booting,
        AnswerState::Unhealthy,
        AnswerState::Wedged,
        AnswerState::Findings,
        AnswerState::GateHeld,
    ];

    #[test]
    fn the_word_of_an_answer_is_its_name() {
        for state in ALL {
            assert_eq!(state.word(), kebab(&format!("{state:?}")));
        }
    }

    #[test]
    fn only_answers_of_success_exit_with_zero() {
        let successes: Vec<_> = ALL.into_iter().filter(|state| state.exit() == 0).collect();
        let stands = [
            AnswerState::Up,
            AnswerState::Started,
            AnswerState::Replaced,
            AnswerState::Stopped,
            AnswerState::Pinned,
            AnswerState::Unpinned,
            AnswerState::Forgotten,
        ];
        let written = [
            AnswerState::Trusted,
            AnswerState::Revoked,
            AnswerState::Healthy,
            AnswerState::Valid,
            AnswerState::Written,
        ];
        assert_eq!(successes, [&stands[..], &written[..]].concat());
    }
}

//! The states that a call can end in: for each its word in JSON and its exit code.
//!
//! Data only. A state that a failure of the library leads to has both from the row of its error kind. The reference
//! page of exit codes has one row for each [`AnswerState`], and a test compares the two.

use tenure_core::{ErrorKind, ErrorRow};

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
    /// A version is pinned, and the worker is of it, or will be.
    Pinned,
    /// No version is pinned any more.
    Unpinned,
    /// An offer was taken back.
    Forgotten,
    /// A signal was sent to the program.
    Signalled,
    /// What workers of projects that are gone have left was looked for, and nothing was removed.
    Prunable,
    /// What workers of projects that are gone have left was removed.
    Pruned,
    /// What a project's file would start was shown, and nothing was changed.
    Shown,
    /// A project's file may start what it describes.
    Trusted,
    /// A project's file may start nothing any more.
    Revoked,
    /// The doctor has looked, and no finding is an error.
    Healthy,
    /// The configuration can be used.
    Valid,
    /// A configuration file was written.
    Written,
    /// The budget was spent while the worker was still booting; it goes on.
    Warming,
    /// The budget was spent in another stage, which the message names.
    TimedOut,
    /// No worker runs, and nothing was to be started.
    Down,
    /// The worker could not be started; the failure has the stage, the cause and the last lines of its log.
    SpawnFailed,
    /// It failed a moment ago, and the next try is held back.
    SpawnSuppressed,
    /// A worker that the wanted one depends on could not be ensured.
    DependencyFailed,
    /// The call came from inside the worker that it asks for.
    Recursion,
    /// A restart could not be proved.
    RestartUnproved,
    /// A process of the worker did not end.
    Survivor,
    /// An invariant of `tenure` itself does not hold.
    Bug,
    /// The answer could not be written.
    OutputFailed,
    /// Ctrl-C, or a request to end.
    Interrupted,
    /// The command line cannot be understood.
    WrongUse,
    /// A sandbox, a permission or a namespace is in the way.
    Denied,
    /// The state directory or a record in it cannot be used.
    StateUnusable,
    /// A limit of this process is too low for a worker, which would inherit it.
    LimitTooLow,
    /// The process that answers on the control socket is not the worker.
    NotOurs,
    /// The worker is newer and shares no protocol version with this `tenure`.
    ClientTooOld,
    /// The worker says that it is older than what it was started as; with `--strict`, an older one than offered as
    /// well.
    VersionDisagrees,
    /// A version is to be pinned that nobody has offered.
    UnknownVersion,
    /// A version is to be forgotten that a person holds.
    VersionPinned,
    /// The name is kept for another app, whatever the versions are.
    OtherApp,
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
    /// The doctor has looked, and at least one finding is an error.
    Findings,
    /// Another process holds the gate for longer than the budget.
    GateHeld,
}

impl AnswerState {
    /// Every state.
    pub(crate) const ALL: [Self; 47] = [
        Self::Up,
        Self::Started,
        Self::Replaced,
        Self::Stopped,
        Self::Pinned,
        Self::Unpinned,
        Self::Forgotten,
        Self::Signalled,
        Self::Prunable,
        Self::Pruned,
        Self::Shown,
        Self::Trusted,
        Self::Revoked,
        Self::Healthy,
        Self::Valid,
        Self::Written,
        Self::Warming,
        Self::TimedOut,
        Self::Down,
        Self::SpawnFailed,
        Self::SpawnSuppressed,
        Self::DependencyFailed,
        Self::Recursion,
        Self::RestartUnproved,
        Self::Survivor,
        Self::Bug,
        Self::OutputFailed,
        Self::Interrupted,
        Self::WrongUse,
        Self::Denied,
        Self::StateUnusable,
        Self::LimitTooLow,
        Self::NotOurs,
        Self::ClientTooOld,
        Self::VersionDisagrees,
        Self::UnknownVersion,
        Self::VersionPinned,
        Self::OtherApp,
        Self::SpecConflict,
        Self::NotConfigured,
        Self::Untrusted,
        Self::BadConfig,
        Self::Booting,
        Self::Unhealthy,
        Self::Wedged,
        Self::Findings,
        Self::GateHeld,
    ];

    /// The word in JSON, and the exit code. 0 and 3 agree with what LSB says of `status`, 2 and 6 with what it says of
    /// any action, 124 with `timeout(1)`, 130 with what shells show after Ctrl-C; the others are ours. A doctor that
    /// has looked has not failed, so findings are not 1; what it found stands between somebody and a worker that serves
    /// as it should, which is what 7 says of a worker.
    fn row(self) -> (&'static str, u8) {
        match self {
            Self::Up => ("up", 0),
            Self::Started => ("started", 0),
            Self::Replaced => ("replaced", 0),
            Self::Stopped => ("stopped", 0),
            Self::Pinned => ("pinned", 0),
            Self::Unpinned => ("unpinned", 0),
            Self::Forgotten => ("forgotten", 0),
            Self::Signalled => ("signalled", 0),
            Self::Prunable => ("prunable", 0),
            Self::Pruned => ("pruned", 0),
            Self::Shown => ("shown", 0),
            Self::Trusted => ("trusted", 0),
            Self::Revoked => ("revoked", 0),
            Self::Healthy => ("healthy", 0),
            Self::Valid => ("valid", 0),
            Self::Written => ("written", 0),
            Self::Warming => ("warming", 124),
            Self::TimedOut => of_library(ErrorKind::TimedOut),
            Self::Down => of_library(ErrorKind::HeldDown),
            Self::SpawnFailed => of_library(ErrorKind::SpawnFailed),
            Self::SpawnSuppressed => of_library(ErrorKind::SpawnSuppressed),
            Self::DependencyFailed => of_library(ErrorKind::DependencyFailed),
            Self::Recursion => of_library(ErrorKind::Recursion),
            Self::RestartUnproved => of_library(ErrorKind::RestartUnproved),
            Self::Survivor => of_library(ErrorKind::Survivor),
            Self::Bug => of_library(ErrorKind::Bug),
            Self::OutputFailed => ("output-failed", 1),
            Self::Interrupted => ("interrupted", 130),
            Self::WrongUse => ("wrong-use", 2),
            Self::Denied => of_library(ErrorKind::Denied),
            Self::StateUnusable => of_library(ErrorKind::StateUnusable),
            Self::LimitTooLow => of_library(ErrorKind::LimitTooLow),
            Self::NotOurs => of_library(ErrorKind::NotOurs),
            Self::ClientTooOld => of_library(ErrorKind::ClientTooOld),
            Self::VersionDisagrees => of_library(ErrorKind::VersionDisagrees),
            Self::UnknownVersion => of_library(ErrorKind::UnknownVersion),
            Self::VersionPinned => of_library(ErrorKind::VersionPinned),
            Self::OtherApp => of_library(ErrorKind::OtherApp),
            Self::SpecConflict => of_library(ErrorKind::SpecConflict),
            Self::NotConfigured => ("not-configured", 6),
            Self::Untrusted => of_library(ErrorKind::Untrusted),
            Self::BadConfig => ("bad-config", 6),
            Self::Booting => ("booting", 7),
            Self::Unhealthy => of_library(ErrorKind::StillUnusable),
            Self::Wedged => of_library(ErrorKind::Wedged),
            Self::Findings => ("findings", 7),
            Self::GateHeld => of_library(ErrorKind::GateHeld),
        }
    }

    /// The word in JSON.
    pub(crate) fn word(self) -> &'static str {
        self.row().0
    }

    /// The exit code.
    pub(crate) fn exit(self) -> u8 {
        self.row().1
    }

    /// The state that a failure of the library ends in.
    pub(crate) fn of_kind(kind: ErrorKind) -> Self {
        let word = ErrorRow::of(kind).state;
        Self::ALL.into_iter().find(|state| state.word() == word).unwrap_or(Self::Bug)
    }
}

/// The word and the exit code of a failure of the library.
fn of_library(kind: ErrorKind) -> (&'static str, u8) {
    let ErrorRow { state, exit, .. } = ErrorRow::of(kind);
    (state, exit)
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
    use tenure_core::Blame;

    use super::*;

    #[test]
    fn the_word_of_an_answer_is_its_name() {
        for state in AnswerState::ALL {
            assert_eq!(state.word(), kebab(&format!("{state:?}")));
        }
    }

    #[test]
    fn only_answers_of_success_exit_with_zero() {
        let successes: Vec<_> = AnswerState::ALL.into_iter().filter(|state| state.exit() == 0).collect();
        let stands = [
            AnswerState::Up,
            AnswerState::Started,
            AnswerState::Replaced,
            AnswerState::Stopped,
            AnswerState::Pinned,
            AnswerState::Unpinned,
            AnswerState::Forgotten,
            AnswerState::Signalled,
            AnswerState::Prunable,
            AnswerState::Pruned,
        ];
        let written = [
            AnswerState::Shown,
            AnswerState::Trusted,
            AnswerState::Revoked,
            AnswerState::Healthy,
            AnswerState::Valid,
            AnswerState::Written,
        ];
        assert_eq!(successes, [&stands[..], &written[..]].concat());
    }

    #[test]
    fn every_kind_of_the_library_has_a_state_of_its_word_and_exit_code() {
        for kind in ErrorKind::ALL {
            let (row, state) = (ErrorRow::of(kind), AnswerState::of_kind(kind));
            assert_eq!(
                (row.word, row.state, row.exit),
                (&*kebab(&format!("{kind:?}")), state.word(), state.exit())
            );
        }
    }

    #[test]
    fn the_pages_of_the_reference_have_the_rows_of_the_tables() {
        let page = include_str!("../../../docs/reference/exit-codes.md");
        for state in AnswerState::ALL {
            let row = format!("| `{}` | {} | ", state.word(), state.exit());
            assert!(page.contains(&row), "no row {row}");
        }
        let page = include_str!("../../../docs/reference/errors.md");
        for kind in ErrorKind::ALL {
            let ErrorRow { state, blame, retryable, .. } = ErrorRow::of(kind);
            let blame =
                if blame == Blame::Bug { "`tenure`".to_owned() } else { kebab(&format!("{blame:?}")) };
            let row =
                format!("| `{kind:?}` | `{state}` | {blame} | {}", if retryable { "yes" } else { "no |" });
            assert!(page.contains(&row), "no row {row}");
        }
    }
}

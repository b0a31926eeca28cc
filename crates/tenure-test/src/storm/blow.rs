//! What the hand does to a trial: start, kill, stop, continue.

use tenure_sys::process::{ProcessHandle, Signal};
use tenure_sys::tree::Marked;

use super::dice::Dice;

/// One blow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blow {
    /// Another launcher, of a random version.
    Launch,
    /// SIGKILL to a random launcher.
    KillLauncher,
    /// SIGKILL to the host.
    KillHost,
    /// SIGKILL to the shim.
    KillShim,
    /// SIGKILL to the program.
    KillProgram,
    /// SIGSTOP to the host.
    StopHost,
    /// SIGSTOP to a random launcher, which may hold the gate.
    StopLauncher,
    /// SIGCONT to everything that was stopped.
    Continue,
    /// `tenure stop`.
    Retire,
    /// From now on programs fail to boot, or do so no longer.
    ToggleFailure,
    /// Waits for a random launcher to end: lets the trial make progress.
    Settle,
}

/// Which process of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The host.
    Host,
    /// The shim.
    Shim,
    /// The program.
    Program,
}

impl Blow {
    /// A random blow; launches are the most common.
    pub fn choose(dice: &mut Dice) -> Self {
        match dice.below(100) {
            0..=49 => Self::Launch,
            50..=58 => Self::KillLauncher,
            59..=63 => Self::KillHost,
            64..=66 => Self::KillShim,
            67..=70 => Self::KillProgram,
            71..=72 => Self::StopHost,
            73..=74 => Self::StopLauncher,
            75..=81 => Self::Continue,
            82..=84 => Self::Retire,
            85..=86 => Self::ToggleFailure,
            _ => Self::Settle,
        }
    }

    /// Whether this blow may make a start fail without anything being wrong with `tenure`.
    #[must_use]
    pub fn excuses_failed_starts(self) -> bool {
        match self {
            Self::KillHost
            | Self::KillShim
            | Self::KillProgram
            | Self::StopHost
            | Self::Retire
            | Self::ToggleFailure => true,
            Self::Launch | Self::KillLauncher | Self::StopLauncher | Self::Continue | Self::Settle => false,
        }
    }
}

/// A random process of that part among those that carry the scope's cookie.
pub fn pick(marked: Vec<Marked>, part: Part, dice: &mut Dice) -> Option<ProcessHandle> {
    let mut of_part: Vec<ProcessHandle> =
        marked.into_iter().filter(|found| is(part, found)).map(|found| found.handle).collect();
    if of_part.is_empty() { None } else { Some(of_part.swap_remove(dice.below(of_part.len()))) }
}

fn is(part: Part, found: &Marked) -> bool {
    let program = found.command.contains("fixture-program");
    let shim = found.command.starts_with("tenure-shim");
    match part {
        Part::Host => found.cookie.ends_with("/-/worker") && !shim && !program,
        Part::Shim => shim,
        Part::Program => program && !found.command.contains("parked"),
    }
}

/// Sends a signal to a process of the sandbox that was found alive; it may have ended since.
pub fn strike(handle: &ProcessHandle, signal: Signal) {
    drop(handle.signal(signal));
}

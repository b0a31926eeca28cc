//! What the hand does to a trial: start, kill, stop, continue; and what it says as a person.

use tenure_sys::process::{ProcessHandle, Signal};
use tenure_sys::tree::CookieCarrier;

use crate::fixtures::dice::Dice;

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
    /// SIGKILL to host and shim at once: nobody is left to end the program.
    KillBoth,
    /// A launcher of the highest version, and 2 to 400 ms later SIGKILL to it, a host, a shim or a program.
    StrikeUpgrade,
    /// From now on the disk is full, or is so no longer.
    ToggleDisk,
    /// SIGSTOP to the host.
    StopHost,
    /// SIGSTOP to a random launcher, which may hold the gate.
    StopLauncher,
    /// SIGCONT to everything that was stopped.
    Continue,
    /// `tenure stop`.
    Retire,
    /// From now on a random version fails to boot, or does so no longer.
    ToggleFailure,
    /// `tenure pin` of a random version.
    Pin,
    /// `tenure unpin`.
    Unpin,
    /// `tenure stop --hold`.
    HoldDown,
    /// `tenure start` of a random version.
    Start,
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
            0..=37 => Self::Launch,
            38..=40 => Self::StrikeUpgrade,
            41..=42 => Self::KillBoth,
            43..=45 => Self::ToggleDisk,
            46..=53 => Self::KillLauncher,
            54..=57 => Self::KillHost,
            58..=60 => Self::KillShim,
            61..=64 => Self::KillProgram,
            65..=66 => Self::StopHost,
            67..=68 => Self::StopLauncher,
            69..=75 => Self::Continue,
            76..=77 => Self::Retire,
            78..=81 => Self::ToggleFailure,
            82..=85 => Self::Pin,
            86..=88 => Self::Unpin,
            89 => Self::HoldDown,
            90..=91 => Self::Start,
            _ => Self::Settle,
        }
    }
}

/// A random process of that part among those that carry the scope's cookie.
pub fn pick(carriers: Vec<CookieCarrier>, part: Part, dice: &mut Dice) -> Option<ProcessHandle> {
    let mut of_part: Vec<ProcessHandle> =
        carriers.into_iter().filter(|found| is(part, found)).map(|found| found.handle).collect();
    if of_part.is_empty() { None } else { Some(of_part.swap_remove(dice.below(of_part.len()))) }
}

fn is(part: Part, found: &CookieCarrier) -> bool {
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

//! The end of a program's tree, in three steps: ask the program, ask the rest of its tree, kill what is left.
//!
//! - The grace belongs to the tree. A program that ends at once may leave the process that serves behind (a shell, `npm
//!   start`): the rest of the tree then has what is left of the grace.
//! - A program that is still there after half of its grace may be a wrapper that keeps the signal to itself, so the
//!   rest is asked then.
//! - Nobody is signalled by number. A descendant is listed, its handle is opened, and it is listed again: a handle
//!   whose process still lives then is the handle of the listed process.
//! - The end has come when the kernel says that the shim has no child any more. Every orphan of the tree becomes its
//!   child, so the steps are repeated while children end and others appear.

use std::time::Duration;

use tenure_core::deadline::Deadline;
use tenure_core::launch::end::orphans;
use tenure_core::spec::scope::{COOKIE_VARIABLE, WORKER};
use tenure_sys::process::{self, Delivery, ProcessHandle, Signal};
use tenure_sys::{socket, tree};

use super::message::LeftProcess;

/// The least that the rest gets after it was asked, and after the grace of a program that has used it up.
const URGE: Duration = Duration::from_secs(1);

/// An end that has begun.
pub(super) struct TreeEnd {
    signal: Signal,
    /// Until when the rest is left to the program.
    alone: Deadline,
    grace: Deadline,
    /// The program has used up its grace, and was killed.
    is_late: bool,
    step: TreeStep,
}

enum TreeStep {
    /// The program was asked.
    Asked,
    /// The rest was asked, and has until then; the program has its grace.
    Urged(Deadline),
    /// All that is found is killed.
    Killing,
}

/// What was killed because it did not end when it was asked.
#[derive(Debug)]
pub(super) struct Killed {
    pub(super) pid: u32,
    pub(super) command: String,
}

impl TreeEnd {
    /// Asks the program, if it still runs.
    pub(super) fn ask(program: Option<&ProcessHandle>, signal: Signal, grace: Duration) -> Self {
        if let Some(program) = program.filter(|_| !grace.is_zero()) {
            orphans::signal_politely(program, signal);
        }
        let (alone, grace) = (Deadline::start(grace / 2), Deadline::start(grace));
        Self { signal, alone, grace, is_late: false, step: TreeStep::Asked }
    }

    /// Takes the next step if it is due, or repeats the last; tells whom it kills the first time. To be called
    /// whenever a child has ended or [`Self::patience`] is over.
    pub(super) fn go_on(&mut self, program: Option<&ProcessHandle>) -> Vec<Killed> {
        let mut killed = Vec::new();
        match &self.step {
            TreeStep::Asked if program.is_some() && !self.alone.remaining().is_zero() => {}
            TreeStep::Asked => {
                for handle in descendants(program) {
                    orphans::signal_politely(&handle, self.signal);
                }
                // Processes that end only after their program get a moment for that.
                let left = self.grace.remaining();
                let limit = if program.is_some() { left + URGE } else { left.max(URGE) };
                self.step = TreeStep::Urged(Deadline::start(limit));
                killed.extend(self.end_late(program));
            }
            TreeStep::Urged(limit) if !limit.remaining().is_zero() => killed.extend(self.end_late(program)),
            TreeStep::Urged(_) => {
                killed.extend(descendants(None).iter().filter_map(kill));
                self.step = TreeStep::Killing;
            }
            // Processes that were forked meanwhile, or cannot be killed.
            TreeStep::Killing => descendants(None).iter().for_each(|handle| drop(kill(handle))),
        }
        killed
    }

    /// Sends SIGKILL once to a program whose grace is over.
    fn end_late(&mut self, program: Option<&ProcessHandle>) -> Option<Killed> {
        let program = program.filter(|_| self.grace.remaining().is_zero() && !self.is_late)?;
        self.is_late = true;
        kill(program)
    }

    /// How long to wait for the end of a child until the next step is due; `None` when no step is left.
    pub(super) fn patience(&self) -> Option<Duration> {
        match &self.step {
            TreeStep::Asked => Some(self.alone.remaining()),
            TreeStep::Urged(_) if !self.is_late && !self.grace.remaining().is_zero() => {
                Some(self.grace.remaining())
            }
            TreeStep::Urged(limit) => Some(limit.remaining()),
            TreeStep::Killing => None,
        }
    }
}

/// The descendants of this process that belong to its program. A worker of another scope that was started from inside
/// the program is nobody's child, but a subreaper inherits it: it and what lives below it are left alone.
pub(super) fn family() -> Vec<u32> {
    let mut family = tree::descendants_of(std::process::id());
    if family.is_empty() {
        return family;
    }
    let ours = std::env::var(COOKIE_VARIABLE).unwrap_or_default();
    let scope = |cookie: &str| cookie.split('/').next().unwrap_or_default().to_owned();
    for carrier in tree::with_cookie("") {
        if carrier.cookie.ends_with(WORKER) && scope(&carrier.cookie) != scope(&ours) {
            let below = tree::descendants_of(carrier.handle.pid());
            family.retain(|pid| *pid != carrier.handle.pid() && !below.contains(pid));
        }
    }
    family
}

/// How many processes of a tree are told: the rest descends from the same one.
const MOST_TOLD: usize = 4;

/// What lives of the family, for people.
pub(super) fn left() -> Vec<LeftProcess> {
    let told = family().into_iter().filter_map(|pid| {
        let command = process::command_line(pid).filter(|command| !command.is_empty())?;
        let listens = socket::addresses_of(&[pid]).unwrap_or_default();
        Some(LeftProcess { pid, command, listens })
    });
    told.take(MOST_TOLD).collect()
}

/// Handles of every descendant of this process that belongs to its program, but `except`.
fn descendants(except: Option<&ProcessHandle>) -> Vec<ProcessHandle> {
    let handles: Vec<ProcessHandle> = family()
        .into_iter()
        .filter(|pid| except.is_none_or(|except| except.pid() != *pid))
        .filter_map(|pid| ProcessHandle::open(pid).ok())
        .collect();
    let still = tree::descendants_of(std::process::id());
    handles.into_iter().filter(|handle| still.contains(&handle.pid())).collect()
}

/// Kills a process. `None` where it had ended, or cannot be signalled: then it keeps the lock of the tree, which names
/// it.
fn kill(handle: &ProcessHandle) -> Option<Killed> {
    let (pid, command) = (handle.pid(), process::command_line(handle.pid()).unwrap_or_default());
    let sent = matches!(handle.signal(Signal::Kill), Ok(Delivery::Sent));
    sent.then_some(Killed { pid, command })
}

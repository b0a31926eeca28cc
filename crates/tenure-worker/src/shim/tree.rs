//! The end of a program's tree, in three steps: ask the program, urge the rest, kill what is left.
//!
//! Nobody is signalled by number. A descendant is listed, its handle opened, and it is listed again: if the handle's process
//! still lives then, it is the one that was listed. Whether the end has come is not decided here but by the kernel, when
//! the shim has no child any more: every orphan of the tree becomes its child, so the steps are repeated for as long as
//! children end and others appear in their place.

use std::time::Duration;

use tenure::deadline::Deadline;
use tenure::scope::{COOKIE_VARIABLE, WORKER};
use tenure_sys::process::{ProcessHandle, Signal};
use tenure_sys::tree;

/// How long what the program left behind may take after SIGTERM: it was not the one that was asked to serve, and its
/// program has had its grace before.
const URGE: Duration = Duration::from_secs(1);

/// An end that has begun.
pub(super) struct Ending {
    step: Step,
}

enum Step {
    /// The program was asked, and may take this long.
    Asked(Deadline),
    /// The rest was asked.
    Urged(Deadline),
    /// All that is found is killed.
    Killing,
}

impl Ending {
    /// Asks the program, if it still runs.
    pub(super) fn ask(program: Option<&ProcessHandle>, signal: Signal, grace: Duration) -> Self {
        if let Some(program) = program.filter(|_| !grace.is_zero()) {
            signal_one(program, signal);
            return Self { step: Step::Asked(Deadline::start(grace)) };
        }
        Self { step: Step::Asked(Deadline::start(Duration::ZERO)) }
    }

    /// Takes the next step if it is due, or repeats the last. To be called whenever a child has ended or
    /// [`Self::patience`] is over.
    pub(super) fn go_on(&mut self, program: Option<&ProcessHandle>) {
        match &self.step {
            Step::Asked(grace) if program.is_some() && !grace.remaining().is_zero() => {}
            Step::Asked(_) => {
                // Its grace is over: what it gets now cannot be refused.
                if let Some(program) = program {
                    signal_one(program, Signal::Kill);
                }
                signal_descendants(Signal::Term, program);
                self.step = Step::Urged(Deadline::start(URGE));
            }
            Step::Urged(limit) if !limit.remaining().is_zero() => {}
            Step::Urged(_) | Step::Killing => {
                self.step = Step::Killing;
                signal_descendants(Signal::Kill, None);
            }
        }
    }

    /// Until when nothing is to be done unless a child ends; for ever when only the kernel can help.
    pub(super) fn patience(&self) -> Option<Duration> {
        match &self.step {
            Step::Asked(limit) | Step::Urged(limit) => Some(limit.remaining()),
            Step::Killing => None,
        }
    }
}

/// The descendants of this process that belong to its program. A worker of another scope that was started from inside the
/// program is nobody's child, but a subreaper inherits it: it and what lives below it are left alone.
pub(super) fn family() -> Vec<u32> {
    let mut family = tree::descendants_of(std::process::id());
    if family.is_empty() {
        return family;
    }
    let ours = std::env::var(COOKIE_VARIABLE).unwrap_or_default();
    let scope = |cookie: &str| cookie.split('/').next().unwrap_or_default().to_owned();
    for marked in tree::with_cookie("") {
        if marked.cookie.ends_with(WORKER) && scope(&marked.cookie) != scope(&ours) {
            let below = tree::descendants_of(marked.handle.pid());
            family.retain(|pid| *pid != marked.handle.pid() && !below.contains(pid));
        }
    }
    family
}

/// Signals every descendant of this process that belongs to its program, but `except`.
fn signal_descendants(signal: Signal, except: Option<&ProcessHandle>) {
    let handles: Vec<ProcessHandle> = family()
        .into_iter()
        .filter(|pid| except.is_none_or(|except| except.pid() != *pid))
        .filter_map(|pid| ProcessHandle::open(pid).ok())
        .collect();
    let still = tree::descendants_of(std::process::id());
    for handle in handles.iter().filter(|handle| still.contains(&handle.pid())) {
        signal_one(handle, signal);
    }
}

/// Signals, and lets a stopped process go on so that it can take the signal. One that cannot be signalled stays, and the
/// lock that it holds says so.
fn signal_one(process: &ProcessHandle, signal: Signal) {
    if process.signal(signal).is_ok() && signal != Signal::Kill {
        drop(process.signal(Signal::Cont));
    }
}

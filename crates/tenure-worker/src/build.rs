//! Whether the files that this worker was started from are still the same.
//!
//! - The kernel queues changes, and no thread waits for them: a change costs nothing until a launcher says HELLO.
//! - At HELLO the control thread asks whether a change is queued. That is one system call, and no file is read.
//! - A queued change that can concern the build has a thread of its own read the files again. Until it has, the answer
//!   is that they may have changed, and the launcher reads them itself before it replaces anything.
//! - The answer covers every change that was made before HELLO: the kernel queues a change within the call that makes
//!   it.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use tenure_core::causes;
use tenure_core::protocol::wire::Hello;
use tenure_core::spec::Spec;
use tenure_sys::discard::best_effort;
use tenure_sys::poll;
use tenure_sys::thread;
use tenure_sys::wake::Waker;

use crate::status::Status;

use watcher::FileWatcher;

pub(crate) mod watched;
pub(crate) mod watcher;

/// Name of the check that says why a build cannot be read or watched.
const CHECK: &str = "source";

/// What the control thread, the host and the reading thread share. The lock protects each from a half-done reading of
/// another; the control thread never waits for it.
#[derive(Debug, Clone)]
pub(crate) struct BuildWatcher(Arc<WatcherShared>);

#[derive(Debug)]
struct WatcherShared {
    watcher: Mutex<Option<FileWatcher>>,
    /// Up when the files are to be read again.
    stale: Waker,
}

impl BuildWatcher {
    /// Watches nothing.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(WatcherShared { watcher: Mutex::new(None), stale: Waker::new()? })))
    }

    /// Watches and reads the build of `spec`, where it names one. To be called before anything of it is started: the
    /// worker answers for the files as they are now. A build that cannot be read or watched is shown as a failed check
    /// and does not keep the worker from serving.
    pub(crate) fn begin(&self, spec: &Spec, status: &Status) -> io::Result<()> {
        if spec.build.is_empty() {
            return Ok(());
        }
        // Without the lock: there is no watcher yet that a HELLO could ask.
        match FileWatcher::open(spec) {
            Ok(watcher) => {
                tell(&watcher, status);
                *self.watcher() = Some(watcher);
            }
            Err(error) => {
                show(status, Some(&format!("failed to {}", causes::in_one_line(&error))));
                return Ok(());
            }
        }
        let (watcher, status) = (self.clone(), status.clone());
        thread::start("tenure-source", move || {
            loop {
                watcher.await_change();
                watcher.look_again(&status);
            }
        })
    }

    /// The program is about to start anew: from here on the worker answers for the files as they are now.
    pub(crate) fn begin_again(&self, status: &Status) {
        if let Some(watcher) = self.watcher().as_mut() {
            watcher.begin_again();
            tell(watcher, status);
        }
    }

    /// Whether the files have changed since, or may have. Never waits, and reads no file.
    pub(crate) fn has_changed(&self) -> bool {
        let mut watcher = match self.0.watcher.try_lock() {
            Ok(watcher) => watcher,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // The reading thread has the lock.
            Err(TryLockError::WouldBlock) => return true,
        };
        let Some(watcher) = watcher.as_mut() else { return false };
        let changed = watcher.may_have_changed();
        if watcher.is_stale() {
            self.0.stale.wake();
        }
        changed
    }

    /// What HELLO answers now: the account, and whether the build may have changed.
    pub(crate) fn hello_with_build(&self, status: &Status) -> Hello {
        // Asked first: a program that begins again meanwhile is of the new build, and then says so beside a change.
        let source_changed = self.has_changed();
        let mut hello = status.hello();
        hello.source_changed = source_changed;
        hello
    }

    fn await_change(&self) {
        // Only a lack of memory ends the wait early; then there is nothing to read again.
        best_effort(poll::wait_readable([self.0.stale.as_fd()], None));
        self.0.stale.drain();
    }

    fn look_again(&self, status: &Status) {
        if let Some(watcher) = self.watcher().as_mut().filter(|watcher| watcher.is_stale()) {
            watcher.look_again();
            tell(watcher, status);
        }
    }

    fn watcher(&self) -> MutexGuard<'_, Option<FileWatcher>> {
        self.0.watcher.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell(watcher: &FileWatcher, status: &Status) {
    status.set_content(watcher.content());
    show(status, watcher.trouble());
}

/// Shows why a build cannot be told, to launchers and in the worker's log, once for each reason.
fn show(status: &Status, trouble: Option<&str>) {
    let shown = status.hello().app.checks.into_iter().find(|check| check.name == CHECK);
    match (trouble, shown) {
        (None, Some(_)) => status.forget_check(CHECK),
        (Some(why), shown) if shown.as_ref().is_none_or(|shown| shown.detail != why) => {
            status.check(CHECK, false, why);
            best_effort(writeln!(io::stderr(), "tenure: the build of this worker cannot be told: {why}"));
        }
        (Some(_) | None, _) => {}
    }
}

#[cfg(test)]
mod tests;

//! What a call waits for, in one line that disappears again: only on a terminal, and only after a second.
//!
//! A small thread waits on a channel that the end of the call closes. After the second it looks once at the worker and
//! shows what is awaited. It changes nothing and decides nothing.

use std::io::{IsTerminal, stderr};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tenure_core::{Scope, Standing};
use tenure_sys::discard::best_effort;

use crate::config::ScopeTarget;
use crate::output::account;
use crate::output::render::Screen;

/// A shorter wait needs no explanation.
const PATIENCE: Duration = Duration::from_secs(1);

/// In bytes: one look at a worker and one line of text need little.
const STACK: usize = 256 * 1024;

/// Shown while it lives.
#[derive(Debug)]
pub(crate) struct Progress {
    ended: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Begins a wait for a worker. Costs nothing where nobody looks.
    pub(crate) fn of(screen: Screen, target: &ScopeTarget) -> Option<Self> {
        if screen.is_quiet() || !stderr().is_terminal() {
            return None;
        }
        let (ended, end) = mpsc::channel::<()>();
        let ScopeTarget { scope, display_name, .. } = target.clone();
        let thread = Builder::new().name("tenure-progress".to_owned()).stack_size(STACK).spawn(move || {
            if end.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                screen.note(&format!("\r{display_name}: {}…", awaited(&scope)));
                // Nothing is ever sent: the end of the call closes the channel.
                if end.recv().is_err() {
                    screen.note("\r\u{1b}[2K");
                }
            }
        });
        Some(Self { ended: Some(ended), thread: Some(thread.ok()?) })
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.ended.take());
        if let Some(thread) = self.thread.take() {
            // The panic hook has reported it already.
            best_effort(thread.join());
        }
    }
}

fn awaited(scope: &Scope) -> String {
    match tenure_core::status(scope) {
        Ok(Standing::Serving(hello)) => format!("waiting while {} is replaced", account::line(&hello)),
        Ok(Standing::NotServing(hello)) if hello.draining => {
            format!("waiting for the end of {}", account::line(&hello))
        }
        Ok(Standing::NotServing(hello)) => format!("waiting until {} is ready", account::line(&hello)),
        Ok(Standing::Silent { who, .. }) => format!("waiting for an answer ({})", who.join("; ")),
        Ok(Standing::Down) => match tenure_core::gate_holder(scope) {
            Ok(Some(holder)) => format!("waiting for its launcher ({holder})"),
            Ok(None) | Err(_) => "waiting for it to start".to_owned(),
        },
        Ok(Standing::Denied(_) | Standing::Foreign(_) | _) | Err(_) => "waiting".to_owned(),
    }
}

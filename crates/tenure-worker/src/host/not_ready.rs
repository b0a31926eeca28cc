//! What a host knows of a program that is not ready, from the start of the question to its answer.
//!
//! The thread that asks notes each answer, so that HELLO tells the last one. The tables of the kernel and the log are
//! read only when a boot has failed: by the host's thread, or by the watchdog when the time of the boot is over.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tenure_core::launch::start::listen;
use tenure_core::protocol::not_ready::NotReady;
use tenure_core::spec::scope::Scope;
use tenure_core::spec::{ListenMode, Ready, Stdin};
use tenure_core::store::logs::{self, LogPositions};
use tenure_core::store::paths::StateDir;
use tenure_sys::{socket, tree};

use crate::status::Status;

use super::diagnosis::{self, Evidence, Listener, UnreadyEnd};
use super::readiness::{Answer, AnswerKind, plain_lines};

/// What stays the same while one start is asked.
#[derive(Debug)]
pub(super) struct Question {
    /// All of the program descends from it.
    pub(super) shim: u32,
    pub(super) ready: Ready,
    /// What is asked or awaited.
    pub(super) target: String,
    /// Where nothing is asked: that what is awaited has not come.
    pub(super) missing: Option<&'static str>,
    pub(super) listeners: Vec<Listener>,
    /// The listener that is asked, among them.
    pub(super) asked: Option<usize>,
    pub(super) command: Vec<String>,
    pub(super) stdin: Stdin,
    pub(super) cwd: PathBuf,
    /// Whose log it is, and where this start begins in it.
    pub(super) log: (PathBuf, Scope, LogPositions),
}

/// A program that is not ready; clones share what is known of it.
#[derive(Debug, Clone)]
pub(super) struct UnreadyProgram(Arc<UnreadyInner>);

#[derive(Debug)]
struct UnreadyInner {
    status: Status,
    question: Question,
    /// The kind of the last answer: written by the thread that asks, read by whoever explains.
    answer: Mutex<Option<AnswerKind>>,
}

impl UnreadyProgram {
    /// The question begins; HELLO tells it from now on.
    pub(super) fn begin(status: Status, question: Question) -> Self {
        let unready = Self(Arc::new(UnreadyInner { status, question, answer: Mutex::new(None) }));
        let inner = &unready.0;
        inner.status.set_not_ready(Some(inner.question.told(inner.question.missing)));
        let theirs = unready.clone();
        inner.status.set_diagnosis(Some(Arc::new(move || theirs.explain(None))));
        unready
    }

    /// Notes an answer that did not pass.
    pub(super) fn note(&self, answer: &Answer) {
        let Self(inner) = self;
        *inner.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer.kind);
        inner.status.set_not_ready(Some(inner.question.told(Some(&answer.words))));
    }

    /// What is known, why, and what to change. Reads the tables of the kernel and the end of the log.
    pub(super) fn explain(&self, end: Option<UnreadyEnd>) -> NotReady {
        let Self(inner) = self;
        let question = &inner.question;
        let told = inner.status.hello().app.not_ready.map(|told| *told);
        let asked = question.asked.and_then(|index| question.listeners.get(index));
        let queue = asked.filter(|asked| asked.mode == ListenMode::Inherit);
        let waiting = queue.map_or(0, |asked| {
            listen::listening(&asked.address).iter().map(|socket| socket.waiting).max().unwrap_or(0)
        });
        let evidence = Evidence {
            told: told.unwrap_or_else(|| question.told(question.missing)),
            ready: question.ready.clone(),
            answer: *inner.answer.lock().unwrap_or_else(PoisonError::into_inner),
            asked: asked.cloned(),
            listeners: question.listeners.clone(),
            listens: socket::addresses_of(&tree::descendants_of(question.shim)),
            waiting,
            end,
            last_words: question.last_words(),
            command: question.command.clone(),
            stdin: question.stdin,
            cwd: question.cwd.display().to_string(),
        };
        diagnosis::explain(&evidence)
    }

    /// The question is over: the program is ready, or has ended.
    pub(super) fn end(self) {
        self.0.status.set_diagnosis(None);
    }
}

impl Question {
    fn told(&self, answer: Option<&str>) -> NotReady {
        let mut told = NotReady::of(self.ready.word(), self.target.clone());
        told.answer = answer.map(str::to_owned);
        told
    }

    fn last_words(&self) -> Option<Vec<String>> {
        let (directory, scope, logs_begin) = &self.log;
        let state = StateDir::at(directory, scope).ok()?;
        let lines = logs::output_since(&state, *logs_begin);
        let plain = lines.iter().flat_map(|line| plain_lines(line.as_bytes()));
        Some(plain.filter(|line| !line.trim().is_empty()).collect())
    }
}

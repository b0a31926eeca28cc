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

use super::diagnosis::{self, Evidence, Listener, MainLack, UnreadyEnd};
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
    /// What is known by now: written by the thread that asks and by the host's, read by whoever explains.
    known: Mutex<Known>,
}

#[derive(Debug, Clone, Default)]
struct Known {
    /// The kind and the words of the last answer.
    answer: Option<(AnswerKind, String)>,
    /// Why no main process is known, where one is to be found.
    lack: Option<MainLack>,
}

impl UnreadyProgram {
    /// The question begins; HELLO tells it from now on. `lack`: why the main process is not known, where one is sought.
    pub(super) fn begin(status: Status, question: Question, lack: Option<MainLack>) -> Self {
        let known = Mutex::new(Known { answer: None, lack });
        let unready = Self(Arc::new(UnreadyInner { status, question, known }));
        let theirs = unready.clone();
        unready.learn(|_| {});
        unready.0.status.set_diagnosis(Some(Arc::new(move || theirs.explain(None))));
        unready
    }

    /// Notes an answer that did not pass.
    pub(super) fn note(&self, answer: &Answer) {
        self.learn(|known| known.answer = Some((answer.kind, answer.words.clone())));
    }

    /// Notes why the main process is not known; `None` where it is.
    pub(super) fn note_main(&self, lack: Option<MainLack>) {
        self.learn(|known| known.lack = lack);
    }

    fn learn(&self, change: impl FnOnce(&mut Known)) {
        let Self(inner) = self;
        let told = {
            let mut known = inner.known.lock().unwrap_or_else(PoisonError::into_inner);
            change(&mut known);
            inner.question.told(&known)
        };
        inner.status.set_not_ready(Some(told));
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
        let known = inner.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let evidence = Evidence {
            told: told.unwrap_or_else(|| question.told(&known)),
            ready: question.ready.clone(),
            answer: known.answer.map(|(kind, _)| kind),
            lack: known.lack,
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
    fn told(&self, known: &Known) -> NotReady {
        let (target, answer) = match (&known.lack, &known.answer) {
            // Whatever a check is answered, the program is not ready before that.
            (Some(_), _) => ("its main process", Some("is not known yet")),
            (None, Some((_, words))) => (self.target.as_str(), Some(words.as_str())),
            (None, None) => (self.target.as_str(), self.missing),
        };
        let mut told = NotReady::of(self.ready.word(), target);
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

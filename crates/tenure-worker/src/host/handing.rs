//! How a host makes room for another worker, and comes back: between the thread of the takeover and the host's own loop.
//!
//! The thread of the takeover leaves a word at the desk and waits, for a bounded time; the loop hears it like anything else,
//! does it in its own order, and answers. There is never more than one word: a later one puts an earlier one aside.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use tenure_core::deadline::Deadline;
use tenure_sys::discard::best_effort;
use tenure_sys::wake::Waker;

use crate::handoff::hand_over::{Back, HandOver};

/// Longest wait for the beginning of a start: 10 s for the reading of a large build, and what the loop may be busy with
/// before it, twice over.
const COMES_BACK: Duration = Duration::from_secs(20);

/// What a host is asked.
#[derive(Debug)]
pub(super) enum HostQuery {
    /// End the program and whatever belongs to it, by then.
    MakeRoom(Deadline),
    /// Start it again; the text says why the other worker failed.
    ComeBack(String),
}

struct HandoffMessage {
    word: HostQuery,
    reply: Sender<Result<(), String>>,
}

/// The host's side.
pub(super) struct HandoffMailbox {
    arrived: Receiver<HandoffMessage>,
    waker: Arc<Waker>,
    /// Who waits for an answer.
    waiting: Option<Sender<Result<(), String>>>,
    /// Room was asked for, by then, and nobody has called back.
    room_by: Option<Deadline>,
}

/// The side of the takeover.
pub(super) struct HandoffHooks {
    letters: Sender<HandoffMessage>,
    waker: Arc<Waker>,
}

/// A desk, and the hooks by which it is reached.
pub(super) fn open() -> io::Result<(HandoffMailbox, HandoffHooks)> {
    let (letters, arrived) = mpsc::channel();
    let waker = Arc::new(Waker::new()?);
    let mailbox = HandoffMailbox { arrived, waker: Arc::clone(&waker), waiting: None, room_by: None };
    Ok((mailbox, HandoffHooks { letters, waker }))
}

impl HandoffMailbox {
    /// Readable when a word has arrived.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.waker.as_fd()
    }

    /// Takes the last word that has arrived; whoever left it waits for [`Self::answer`].
    pub(super) fn take(&mut self) -> Option<HostQuery> {
        // Down first: what is sent from here on puts it up again.
        self.waker.drain();
        let HandoffMessage { word, reply } = self.arrived.try_iter().last()?;
        self.waiting = Some(reply);
        if let HostQuery::MakeRoom(until) = &word {
            self.room_by = Some(*until);
        }
        Some(word)
    }

    /// When the room has to be there that was asked for; `None` while the program may serve.
    pub(super) fn room_by(&self) -> Option<Deadline> {
        self.room_by
    }

    /// The program serves, or is about to: nobody has asked for room any more.
    pub(super) fn is_back(&mut self) {
        self.room_by = None;
    }

    /// Answers whoever waits.
    pub(super) fn answer(&mut self, answer: Result<(), String>) {
        if let Some(reply) = self.waiting.take() {
            // One that has given up waiting needs no answer.
            best_effort(reply.send(answer));
        }
    }
}

impl HandoffHooks {
    fn ask(&self, word: HostQuery, within: Duration) -> Result<(), String> {
        let (reply, replied) = mpsc::channel();
        let ended = || "its host is at its end".to_owned();
        self.letters.send(HandoffMessage { word, reply }).map_err(|_| ended())?;
        self.waker.wake();
        match replied.recv_timeout(within) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => Err("its host did not answer in time".to_owned()),
            Err(RecvTimeoutError::Disconnected) => Err(ended()),
        }
    }
}

impl HandOver for HandoffHooks {
    /// A program has nothing to pack: what it keeps is in its own store.
    fn quiesce(&mut self, until: Deadline) -> Result<Vec<u8>, String> {
        self.ask(HostQuery::MakeRoom(until), until.remaining()).map(|()| Vec::new())
    }

    /// The host has never let go of its listeners; those that come back are the same.
    fn resume(&mut self, back: Back) -> Result<(), String> {
        self.ask(HostQuery::ComeBack(back.why), COMES_BACK)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use tenure_sys::poll::{self, Interest, Readiness};

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn back() -> Back {
        Back { state: Vec::new(), generation: 3, listeners: Vec::new(), why: "it died".to_owned() }
    }

    fn heard(mailbox: &mut HandoffMailbox) -> HostQuery {
        poll::wait(&mut [Interest::new(mailbox.as_fd(), Readiness::Read)], Some(LONG)).expect("a wait");
        mailbox.take().expect("a word")
    }

    #[test]
    fn who_asks_waits_for_the_answer_of_the_loop() {
        let (mut mailbox, mut hooks) = open().expect("a desk");
        let asks = thread::spawn(move || (hooks.quiesce(Deadline::start(LONG)), hooks.resume(back())));
        assert!(matches!(heard(&mut mailbox), HostQuery::MakeRoom(_)));
        assert!(mailbox.room_by().is_some());
        mailbox.answer(Ok(()));
        assert!(matches!(heard(&mut mailbox), HostQuery::ComeBack(why) if why == "it died"));
        assert!(mailbox.room_by().is_some(), "until it is back");
        mailbox.answer(Err("its files have changed".to_owned()));
        let told = asks.join().expect("both were answered");
        assert_eq!(told, (Ok(Vec::new()), Err("its files have changed".to_owned())));
    }

    #[test]
    fn a_host_that_does_not_answer_or_ends_keeps_nobody_waiting() {
        let (mut mailbox, mut hooks) = open().expect("a desk");
        let late = hooks.quiesce(Deadline::start(Duration::ZERO));
        assert_eq!(late, Err("its host did not answer in time".to_owned()));
        let asks = thread::spawn(move || (hooks.resume(back()), hooks.resume(back())));
        assert!(matches!(heard(&mut mailbox), HostQuery::MakeRoom(_) | HostQuery::ComeBack(_)));
        drop(mailbox);
        let (waited, late) = asks.join().expect("both were answered");
        assert_eq!(waited, Err("its host is at its end".to_owned()));
        assert_eq!(late, waited);
    }

    #[test]
    fn a_later_word_puts_an_earlier_one_aside() {
        let (mut mailbox, mut hooks) = open().expect("a desk");
        assert!(hooks.quiesce(Deadline::start(Duration::ZERO)).is_err());
        let comes = thread::spawn(move || hooks.resume(back()));
        let mut word = heard(&mut mailbox);
        if matches!(word, HostQuery::MakeRoom(_)) {
            word = heard(&mut mailbox);
        }
        assert!(matches!(word, HostQuery::ComeBack(_)));
        mailbox.is_back();
        mailbox.answer(Ok(()));
        assert_eq!(comes.join().expect("it was answered"), Ok(()));
        assert!(mailbox.room_by().is_none());
    }
}

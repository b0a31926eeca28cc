//! How a host makes room for another worker, and comes back: between the thread of the takeover and the host's own
//! loop.
//!
//! The thread of the takeover sends a request and waits for its answer, for a bounded time. The loop takes the request
//! like any other event and answers when it has carried it out. Only the last request counts: whoever made an earlier
//! one has given up.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use tenure_core::deadline::Deadline;
use tenure_core::policy::supervisor::SupervisorEvent;
use tenure_sys::discard::best_effort;

use crate::mailbox::{Mailbox, MailboxSender};
use crate::takeover::context::IncumbentAnswer;
use crate::takeover::hooks::{Back, TakeoverHooks};

/// Longest wait for the beginning of a start: 10 s for the reading of a large build, and what the loop may be busy with
/// before it, twice over.
const COMES_BACK: Duration = Duration::from_secs(20);

/// What a host is asked.
#[derive(Debug)]
pub(super) enum TakeoverRequest {
    /// End the program and whatever belongs to it, by then.
    MakeRoom(Deadline),
    /// Start it again; the text says why the other worker failed.
    ComeBack(String),
}

type Reply = Sender<Result<(), String>>;

/// The host's side.
pub(super) struct TakeoverRequests {
    mailbox: Mailbox<(TakeoverRequest, Reply)>,
    /// What becomes of the worker before this one, until it is gone.
    incumbent: Mailbox<IncumbentAnswer>,
    /// Who waits for an answer.
    waiting: Option<Reply>,
    /// Until when the program has to make room, while that request stands.
    room_by: Option<Deadline>,
}

/// The side of the takeover.
pub(super) struct HostHooks(MailboxSender<(TakeoverRequest, Reply)>);

impl TakeoverRequests {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { mailbox: Mailbox::new()?, incumbent: Mailbox::new()?, waiting: None, room_by: None })
    }

    /// The hooks through which a takeover reaches this host.
    pub(super) fn hooks(&self) -> HostHooks {
        HostHooks(self.mailbox.sender())
    }

    /// To whom the worker before this one says what it does.
    pub(super) fn incumbent_watch(&self) -> MailboxSender<IncumbentAnswer> {
        self.incumbent.sender()
    }

    /// Readable when the worker before this one has said what it does.
    pub(super) fn incumbent(&self) -> BorrowedFd<'_> {
        self.incumbent.as_fd()
    }

    /// What the worker before this one has said, as events of the machine.
    pub(super) fn incumbent_answers(&self) -> Vec<SupervisorEvent> {
        let event = |answer| match answer {
            IncumbentAnswer::Left => SupervisorEvent::IncumbentLeft,
            IncumbentAnswer::ComesBack => SupervisorEvent::IncumbentComesBack,
        };
        self.incumbent.take().map(event).collect()
    }

    /// Readable when a request has arrived.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.mailbox.as_fd()
    }

    /// Takes the last request that has arrived; whoever made it waits for [`Self::answer`].
    pub(super) fn take(&mut self) -> Option<TakeoverRequest> {
        let (request, reply) = self.mailbox.take().last()?;
        self.waiting = Some(reply);
        if let TakeoverRequest::MakeRoom(until) = &request {
            self.room_by = Some(*until);
        }
        Some(request)
    }

    /// Until when the program has to be gone to make room; `None` while it may serve.
    pub(super) fn room_by(&self) -> Option<Deadline> {
        self.room_by
    }

    /// Notes that the program serves again, or is about to.
    pub(super) fn is_back(&mut self) {
        self.room_by = None;
    }

    /// Answers whoever waits.
    pub(super) fn answer(&mut self, answer: Result<(), String>) {
        if let Some(reply) = self.waiting.take() {
            // A requester that has given up needs no answer.
            best_effort(reply.send(answer));
        }
    }
}

impl HostHooks {
    fn ask(&self, request: TakeoverRequest, within: Duration) -> Result<(), String> {
        let (reply, replied) = mpsc::channel();
        let ended = || "its host is at its end".to_owned();
        self.0.send((request, reply)).map_err(|_| ended())?;
        match replied.recv_timeout(within) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => Err("its host did not answer in time".to_owned()),
            Err(RecvTimeoutError::Disconnected) => Err(ended()),
        }
    }
}

impl TakeoverHooks for HostHooks {
    /// A program has nothing to pack: what it keeps is in its own store.
    fn quiesce(&mut self, until: Deadline) -> Result<Vec<u8>, String> {
        self.ask(TakeoverRequest::MakeRoom(until), until.remaining()).map(|()| Vec::new())
    }

    /// The host kept its own listeners, so the duplicates that come back are dropped.
    fn resume(&mut self, back: Back) -> Result<(), String> {
        self.ask(TakeoverRequest::ComeBack(back.why), COMES_BACK)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use tenure_sys::poll;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn back() -> Back {
        Back { state: Vec::new(), generation: 3, listeners: Vec::new(), why: "it died".to_owned() }
    }

    fn requests() -> (TakeoverRequests, HostHooks) {
        let requests = TakeoverRequests::new().expect("a mailbox");
        let hooks = requests.hooks();
        (requests, hooks)
    }

    fn next(requests: &mut TakeoverRequests) -> TakeoverRequest {
        poll::wait_readable([requests.as_fd()], Some(LONG)).expect("a wait");
        requests.take().expect("a request")
    }

    #[test]
    fn who_asks_waits_for_the_answer_of_the_loop() {
        let (mut requests, mut hooks) = requests();
        let asks = thread::spawn(move || (hooks.quiesce(Deadline::start(LONG)), hooks.resume(back())));
        assert!(matches!(next(&mut requests), TakeoverRequest::MakeRoom(_)));
        assert!(requests.room_by().is_some());
        requests.answer(Ok(()));
        assert!(matches!(next(&mut requests), TakeoverRequest::ComeBack(why) if why == "it died"));
        assert!(requests.room_by().is_some(), "until it is back");
        requests.answer(Err("its files have changed".to_owned()));
        let told = asks.join().expect("both were answered");
        assert_eq!(told, (Ok(Vec::new()), Err("its files have changed".to_owned())));
    }

    #[test]
    fn a_host_that_does_not_answer_or_ends_keeps_nobody_waiting() {
        let (mut requests, mut hooks) = requests();
        let late = hooks.quiesce(Deadline::start(Duration::ZERO));
        assert_eq!(late, Err("its host did not answer in time".to_owned()));
        let asks = thread::spawn(move || (hooks.resume(back()), hooks.resume(back())));
        assert!(matches!(next(&mut requests), TakeoverRequest::MakeRoom(_) | TakeoverRequest::ComeBack(_)));
        drop(requests);
        let (waited, late) = asks.join().expect("both were answered");
        assert_eq!(waited, Err("its host is at its end".to_owned()));
        assert_eq!(late, waited);
    }

    #[test]
    fn a_later_request_puts_an_earlier_one_aside() {
        let (mut requests, mut hooks) = requests();
        assert!(hooks.quiesce(Deadline::start(Duration::ZERO)).is_err());
        let comes = thread::spawn(move || hooks.resume(back()));
        let mut request = next(&mut requests);
        if matches!(request, TakeoverRequest::MakeRoom(_)) {
            request = next(&mut requests);
        }
        assert!(matches!(request, TakeoverRequest::ComeBack(_)));
        requests.is_back();
        requests.answer(Ok(()));
        assert_eq!(comes.join().expect("it was answered"), Ok(()));
        assert!(requests.room_by().is_none());
    }
}

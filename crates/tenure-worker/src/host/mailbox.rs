//! How threads that read or check for one start tell the host what they found.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

use tenure_core::policy::supervisor::SupervisorEvent;
use tenure_sys::discard::best_effort;
use tenure_sys::wake::Waker;

/// Where happenings arrive.
pub(super) struct Mailbox {
    sender: Sender<(u32, SupervisorEvent)>,
    arrived: Receiver<(u32, SupervisorEvent)>,
    waker: Arc<Waker>,
}

/// Where to send them, for one start.
pub(super) struct MailboxSender {
    start: u32,
    sender: Sender<(u32, SupervisorEvent)>,
    waker: Arc<Waker>,
}

impl Mailbox {
    pub(super) fn new() -> io::Result<Self> {
        let (sender, arrived) = mpsc::channel();
        Ok(Self { sender, arrived, waker: Arc::new(Waker::new()?) })
    }

    /// Where what belongs to this start is to be sent.
    pub(super) fn sender(&self, start: u32) -> MailboxSender {
        MailboxSender { start, sender: self.sender.clone(), waker: Arc::clone(&self.waker) }
    }

    /// Readable when something has arrived.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.waker.as_fd()
    }

    /// Takes what has arrived for this start; what is of another one is dropped.
    pub(super) fn take(&self, start: u32) -> Vec<SupervisorEvent> {
        // Down first: what is sent from here on puts it up again.
        self.waker.drain();
        self.arrived.try_iter().filter(|(of, _)| *of == start).map(|(_, event)| event).collect()
    }
}

impl MailboxSender {
    /// Sends; a host that is gone needs no telling.
    pub(super) fn tell(&self, event: SupervisorEvent) {
        best_effort(self.sender.send((self.start, event)));
        self.waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_start_says_is_dropped() {
        let post = Mailbox::new().expect("a waker");
        let (old, new) = (post.sender(1), post.sender(2));
        old.tell(SupervisorEvent::Ready);
        new.tell(SupervisorEvent::Passed);
        assert_eq!(post.take(2), [SupervisorEvent::Passed]);
        assert_eq!(post.take(2), []);
    }
}

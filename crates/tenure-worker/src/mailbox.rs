//! What one thread tells another that waits for several things at once.
//!
//! A queue whose descriptor is readable while something is in it: its owner waits for messages in the same `poll` as
//! for everything else. Messages of one sender arrive in their order. A sender never blocks, and learns of a mailbox
//! that is gone.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SendError, Sender};

use tenure_sys::wake::Waker;

/// The receiving end.
#[derive(Debug)]
pub(crate) struct Mailbox<T> {
    arrived: Receiver<T>,
    sender: MailboxSender<T>,
}

/// A sending end.
#[derive(Debug)]
pub(crate) struct MailboxSender<T> {
    queue: Sender<T>,
    waker: Arc<Waker>,
}

impl<T> Mailbox<T> {
    /// An empty mailbox. Fails only for want of a descriptor.
    pub(crate) fn new() -> io::Result<Self> {
        let (queue, arrived) = mpsc::channel();
        Ok(Self { arrived, sender: MailboxSender { queue, waker: Arc::new(Waker::new()?) } })
    }

    /// One more sending end.
    pub(crate) fn sender(&self) -> MailboxSender<T> {
        MailboxSender { queue: self.sender.queue.clone(), waker: Arc::clone(&self.sender.waker) }
    }

    /// Takes what has arrived, in its order.
    pub(crate) fn take(&self) -> impl Iterator<Item = T> {
        // Down first: what is sent from here on puts it up again.
        self.sender.waker.drain();
        self.arrived.try_iter()
    }
}

impl<T> AsFd for Mailbox<T> {
    /// Readable when something has arrived.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.sender.waker.as_fd()
    }
}

impl<T> MailboxSender<T> {
    /// Sends; an error gives the message back, because the mailbox is gone.
    pub(crate) fn send(&self, message: T) -> Result<(), SendError<T>> {
        self.queue.send(message)?;
        self.waker.wake();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tenure_sys::poll;

    use super::*;

    fn is_readable(mailbox: &Mailbox<u8>) -> bool {
        poll::wait_readable([mailbox.as_fd()], Some(Duration::ZERO)).expect("a wait") == [true]
    }

    #[test]
    fn a_mailbox_is_readable_until_all_that_arrived_is_taken_in_its_order() {
        let mailbox = Mailbox::new().expect("a waker");
        let sender = mailbox.sender();
        assert!(!is_readable(&mailbox));
        sender.send(1).and_then(|()| sender.send(2)).expect("sent");
        assert!(is_readable(&mailbox));
        assert_eq!(mailbox.take().collect::<Vec<u8>>(), [1, 2]);
        assert!(!is_readable(&mailbox));
    }

    #[test]
    fn what_is_sent_to_a_mailbox_that_is_gone_comes_back() {
        let mailbox = Mailbox::new().expect("a waker");
        let sender = mailbox.sender();
        drop(mailbox);
        assert_eq!(sender.send(1), Err(SendError(1)));
    }
}

//! Whose turn it is to speak on a relay, judged by bytes and time: the rule by which a drain ends relays.
//!
//! TCP shows no request and no answer, only who sent the last bytes and when. So the rule guesses. It suits protocols
//! in which the client asks and the program answers, and rather waits too long than cuts an answer:
//!
//! - The client sent last: its request is under way and is waited for.
//! - The program sent last: the answer may be complete. It is taken to be, once the program has been silent for
//!   [`ANSWERED`], and for twice the longest pause that this answer has made so far.
//! - The program sent last, and the client has sent more since: a client that takes turns has the whole answer, so
//!   [`ASKED`] is enough, or twice the longest pause.
//! - Nothing was sent yet: [`SILENT`].
//!
//! It cannot know that an answer goes on after a first pause longer than [`ANSWERED`], nor that both sides speak at
//! once, so that the program waits for bytes that are kept back (the body of an upload after `100 Continue`, a
//! WebSocket, HTTP/2). Such relays end early in a drain.

use std::time::Duration;

/// How long a program is silent after a complete answer. Unintended pauses stay far below: Nagle's algorithm with
/// delayed acknowledgements holds a small write for 40 ms on the loopback, and a loaded machine runs a thread tens of
/// ms late. The rest is for programs that send a head first and then look for its body.
pub(super) const ANSWERED: Duration = Duration::from_millis(250);

/// The same where the client has spoken again: only bytes under way in the kernel are waited for, 40 ms as above.
pub(super) const ASKED: Duration = Duration::from_millis(50);

/// A relay that has carried nothing is quiet after this long: a client with a request has sent it by then, on a slow
/// line too; others keep a connection for later.
pub(super) const SILENT: Duration = Duration::from_secs(1);

/// Who sent the last bytes, and when.
#[derive(Debug, Clone, Copy)]
enum Last {
    Nobody,
    Client,
    Program(Duration),
}

/// What was heard on a relay.
#[derive(Debug)]
pub(super) struct Talk {
    born: Duration,
    last: Last,
    /// The longest pause of the program since the client's last bytes.
    pause: Duration,
    /// The client has sent something that was not passed on.
    asked: bool,
}

impl Talk {
    pub(super) fn new(now: Duration) -> Self {
        Self { born: now, last: Last::Nobody, pause: Duration::ZERO, asked: false }
    }

    /// Bytes of the client were passed on.
    pub(super) fn client_spoke(&mut self) {
        (self.last, self.pause, self.asked) = (Last::Client, Duration::ZERO, false);
    }

    /// Bytes of the program were passed on.
    pub(super) fn program_spoke(&mut self, now: Duration) {
        if let Last::Program(before) = self.last {
            self.pause = self.pause.max(now.saturating_sub(before));
        }
        self.last = Last::Program(now);
    }

    /// The client has sent something that is not passed on.
    pub(super) fn client_asked(&mut self) {
        self.asked = true;
    }

    /// Whether something of the client waits to be passed on.
    pub(super) fn has_asked(&self) -> bool {
        self.asked
    }

    /// Whether the client's last bytes have an answer, or the beginning of one.
    pub(super) fn is_answered(&self) -> bool {
        match self.last {
            Last::Program(_) => true,
            Last::Nobody | Last::Client => false,
        }
    }

    /// When the relay becomes quiet if nothing moves until then; `None` while a request is under way.
    pub(super) fn quiet_at(&self) -> Option<Duration> {
        match self.last {
            Last::Client => None,
            Last::Program(at) => {
                let least = if self.asked { ASKED } else { ANSWERED };
                Some(at.saturating_add(least.max(self.pause.saturating_mul(2))))
            }
            Last::Nobody => Some(self.born.saturating_add(SILENT)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_request_is_waited_for_and_an_answer_is_over_after_a_while() {
        let mut talk = Talk::new(at(0));
        assert_eq!((talk.quiet_at(), talk.is_answered()), (Some(SILENT), false));
        talk.client_spoke();
        assert_eq!((talk.quiet_at(), talk.is_answered()), (None, false));
        talk.program_spoke(at(9000));
        assert_eq!((talk.quiet_at(), talk.is_answered()), (Some(at(9000) + ANSWERED), true));
        talk.client_spoke();
        assert_eq!(talk.quiet_at(), None);
    }

    #[test]
    fn an_answer_may_pause_for_twice_as_long_as_it_has_done() {
        let mut talk = Talk::new(at(0));
        talk.client_spoke();
        for ms in [1000, 1010, 2010, 2020] {
            talk.program_spoke(at(ms));
        }
        assert_eq!(talk.quiet_at(), Some(at(2020 + 2000)));
        // The next answer is not the last one.
        talk.client_spoke();
        talk.program_spoke(at(3000));
        assert_eq!(talk.quiet_at(), Some(at(3000) + ANSWERED));
    }

    #[test]
    fn a_client_that_speaks_again_has_its_answer() {
        let mut talk = Talk::new(at(0));
        talk.client_spoke();
        talk.program_spoke(at(100));
        talk.client_asked();
        assert_eq!(talk.quiet_at(), Some(at(100) + ASKED));
        // Unless the program goes on in its own way.
        talk.program_spoke(at(140));
        assert_eq!(talk.quiet_at(), Some(at(140 + 80)));
        assert!(talk.has_asked());
        talk.client_spoke();
        assert!(!talk.has_asked());
    }
}

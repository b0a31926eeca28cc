//! Crowds at a worker's control socket: thousands of peers of one kind, who keep what they have and come again.
//!
//! A crowd is one thread and its connections. It never stops coming: whenever it has as many connections as it is large, the
//! oldest makes room for another. So the worker is always over its own limit, and a newcomer finds the queue as full as the
//! crowd can make it.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tenure_core::deadline::monotonic;
use tenure_core::protocol::wire::{self, Answer, ControlRequest, Until};
use tenure_sys::dir::Dir;
use tenure_sys::{limits, socket};

use crate::meeting::PATIENCE;
use crate::storm::dice::Dice;

/// What the peers of a crowd do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// They connect and say nothing.
    Many,
    /// They send a part of a request, and no more.
    Half,
    /// They send a request a byte at a time.
    Loris,
    /// They ask to be told of something that never happens.
    Wait,
    /// They ask as much as the socket takes, and read no answer.
    Pipeline,
    /// They announce more than a request may have.
    Huge,
    /// They ask, hear and leave.
    Churn,
    /// They send requests with changed bytes.
    Fuzz,
}

/// Every kind, with its name.
pub const KINDS: [(&str, Kind); 8] = [
    ("many", Kind::Many),
    ("half", Kind::Half),
    ("loris", Kind::Loris),
    ("wait", Kind::Wait),
    ("pipeline", Kind::Pipeline),
    ("huge", Kind::Huge),
    ("churn", Kind::Churn),
    ("fuzz", Kind::Fuzz),
];

/// How long one peer waits for room in the queue, and for an answer that it wants.
const LIMIT: Duration = Duration::from_secs(1);

/// A crowd at work; it leaves when this is dropped.
#[derive(Debug)]
pub struct Crowd {
    off: Arc<AtomicBool>,
    come: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Crowd {
    /// Sends `size` peers of a kind to the control socket in `scope`.
    ///
    /// # Panics
    /// If the directory cannot be opened, or there is no thread for it.
    #[must_use]
    pub fn gather(scope: &Path, kind: Kind, size: usize) -> Self {
        // As many as the machine gives; a crowd that has fewer is still one.
        drop(limits::set_nofile_soft(u64::MAX));
        let dir = Dir::open_private(scope).expect("a worker has a directory of ours");
        let (tell, come) = mpsc::channel();
        let off = Arc::new(AtomicBool::new(false));
        let (theirs, mut crowd) = (Arc::clone(&off), Members::new(kind, size));
        let work = move || {
            let mut tell = Some(tell);
            while !theirs.load(Ordering::Relaxed) {
                crowd.come_and_go(&dir);
                if crowd.all_came()
                    && let Some(tell) = tell.take()
                {
                    // Nobody waits for it who does not want to know.
                    let _heard = tell.send(());
                }
            }
        };
        let thread = thread::Builder::new().name("crowd".to_owned()).spawn(work).expect("a thread");
        Self { off, come, thread: Some(thread) }
    }

    /// Returns when as many peers have come as the crowd is large.
    ///
    /// # Panics
    /// If they do not within twice [`PATIENCE`].
    pub fn has_come(&self) {
        self.come.recv_timeout(PATIENCE * 2).expect("a worker takes a crowd in");
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.off.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// The peers of a crowd.
struct Members {
    kind: Kind,
    size: usize,
    came: usize,
    held: VecDeque<UnixStream>,
    dice: Dice,
    hello: Vec<u8>,
    wait: Vec<u8>,
}

impl Members {
    fn new(kind: Kind, size: usize) -> Self {
        let frame = |request: &ControlRequest| wire::encode(request).expect("a request encodes");
        let never = ControlRequest::Wait {
            until: Until::GenerationAbove(u64::MAX - 1),
            within_ms: 1 << 50,
            proved: false,
        };
        let (hello, wait) = (frame(&ControlRequest::Hello), frame(&never));
        Self { kind, size, came: 0, held: VecDeque::new(), dice: Dice::new(1), hello, wait }
    }

    fn all_came(&self) -> bool {
        self.came >= self.size
    }

    /// One more peer comes, and the oldest leaves where there are too many.
    fn come_and_go(&mut self, dir: &Dir) {
        let Ok(stream) = socket::connect_unix(dir, "control.sock", LIMIT) else { return };
        self.came += 1;
        if let Some(stream) = self.act(stream) {
            self.held.push_back(stream);
            // Each keeps two descriptors of the machine busy, its own and the worker's; these are only ours.
            let most = self.size.min(usize::try_from(limits::nofile().0).unwrap_or(self.size) / 2);
            if self.held.len() > most {
                self.held.pop_front();
            }
        }
    }

    /// What a peer does; those that stay connected are returned. Whatever the worker refuses is fine.
    fn act(&mut self, mut stream: UnixStream) -> Option<UnixStream> {
        stream.set_read_timeout(Some(LIMIT)).ok()?;
        match self.kind {
            Kind::Many => {}
            Kind::Half => {
                let part = 1 + self.dice.below(self.hello.len() - 1);
                stream.write_all(self.hello.get(..part)?).ok()?;
            }
            Kind::Loris => {
                stream.write_all(self.hello.get(..1)?).ok()?;
                self.trickle();
            }
            Kind::Wait => stream.write_all(&self.wait).ok()?,
            Kind::Pipeline => {
                stream.set_nonblocking(true).ok()?;
                let many = self.hello.repeat(1000);
                while stream.write(&many).is_ok() {}
            }
            Kind::Huge => {
                let length = [65_537, u32::MAX, 65_536, 262_144][self.dice.below(4)];
                let mut bytes = vec![wire::WIRE_VERSION];
                bytes.extend(length.to_be_bytes());
                bytes.resize(5 + self.dice.below(65_536), b'A');
                stream.write_all(&bytes).ok()?;
            }
            Kind::Churn => {
                stream.write_all(&self.hello).ok()?;
                let _answer: Option<Answer> = wire::read(&mut stream).ok();
                return None;
            }
            Kind::Fuzz => {
                let mut bytes = self.hello.clone();
                for _ in 0..=self.dice.below(4) {
                    let at = self.dice.below(bytes.len());
                    bytes[at] = u8::try_from(self.dice.below(256)).unwrap_or_default();
                }
                stream.write_all(&bytes).ok()?;
                stream.shutdown(std::net::Shutdown::Write).ok()?;
                drop(stream.read(&mut [0; 4096]));
                return None;
            }
        }
        Some(stream)
    }

    /// Some who are there send one byte more of their request; those who were closed find out.
    fn trickle(&mut self) {
        for _ in 0..4 {
            let Some(mut stream) = self.held.pop_front() else { return };
            if stream.write_all(self.hello.get(1..2).unwrap_or_default()).is_ok() {
                self.held.push_back(stream);
            }
        }
    }
}

/// A newcomer's HELLO: how long it took from the connection to the answer; `None` where it was closed without one.
///
/// # Panics
/// If the directory cannot be opened.
#[must_use]
pub fn newcomer(scope: &Path) -> Option<Duration> {
    let dir = Dir::open_private(scope).expect("a worker has a directory of ours");
    let began = monotonic();
    let mut stream = socket::connect_unix(&dir, "control.sock", PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    wire::write(&mut stream, &ControlRequest::Hello).ok()?;
    let answer: Answer = wire::read(&mut stream).ok()?;
    matches!(answer, Answer::Hello(_)).then(|| monotonic().saturating_sub(began))
}

//! What an app does when another worker takes its place, and when that one fails. The app's side of a takeover.

use std::os::fd::OwnedFd;

use tenure_core::deadline::Deadline;

/// The hooks of an app that can make room and come back.
///
/// Both are called on a thread of the kit, one at a time, while the rest of the app goes on: an app with a runtime
/// sends itself a message and waits for the answer. A worker whose app has given such hooks
/// ([`Worker::set_takeover_hooks`](crate::Worker::set_takeover_hooks)) is replaced without a refused connection; one
/// without them is asked to end first.
pub trait TakeoverHooks: Send {
    /// Stops accepting, and packs what a successor needs to go on: jobs that are queued, for example. What was accepted
    /// before may go on until the worker is asked to end. New connections wait in the kernel's queue from here on.
    ///
    /// What is packed goes to the successor, or comes back by [`TakeoverHooks::resume`]. Where somebody asks the worker
    /// to end at that moment it is lost, like the memory of any worker that is stopped: keep what must outlive a stop
    /// in a store.
    ///
    /// After `until` the process is ended, since an app that neither serves nor answers is of no use. An error, as a
    /// lowercase fragment, means that the app cannot stop: [`TakeoverHooks::resume`] is called then as well.
    fn quiesce(&mut self, until: Deadline) -> Result<Vec<u8>, String>;

    /// Takes back what [`TakeoverHooks::quiesce`] gave away and accepts again: the successor has failed, and is gone.
    fn resume(&mut self, back: Back) -> Result<(), String>;
}

/// What an app gets back.
#[derive(Debug)]
pub struct Back {
    /// What it had packed; empty where it never came to that.
    pub state: Vec<u8>,
    /// Its generation from now on: above that of the successor, so that what the successor wrote late is refused.
    pub generation: u64,
    /// The listeners, as [`Worker::take_listener`](crate::Worker::take_listener) gave them, by name.
    pub listeners: Vec<(String, OwnedFd)>,
    /// Why the successor failed, as far as it is known.
    pub why: String,
}

//! The listener of the control socket: there while this worker answers callers, taken away while another one does, or
//! nobody.
//!
//! The control thread takes the listener from here each time it waits, so that another thread can take it away without
//! asking that thread. A caller that was just accepted is still answered, with the state of that moment.

use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex, PoisonError};

/// The listener, where it is open.
#[derive(Debug, Default)]
pub(crate) struct ControlListener(Mutex<Option<Arc<UnixListener>>>);

impl ControlListener {
    /// Callers are answered on this listener from now on.
    pub(crate) fn open(&self, listener: UnixListener) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(listener));
    }

    /// No more callers are taken, and this descriptor of the socket is closed.
    pub(crate) fn close(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The listener, where this worker answers callers.
    pub(crate) fn listener(&self) -> Option<Arc<UnixListener>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

//! The control socket as a door: open while this worker answers callers, closed while another one does or nobody.
//!
//! The control thread takes the listener from here each time it waits, so that whoever closes the door needs no word with
//! it. A caller that it was just accepting is answered still; its answer then says how things stand.

use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex, PoisonError};

/// The place of the listener.
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

    /// The listener while the door is open.
    pub(crate) fn listener(&self) -> Option<Arc<UnixListener>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

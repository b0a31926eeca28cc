//! Sockets: how launchers and workers reach each other, and who owns a socket.
//!
//! Local sockets are bound and reached through a verified directory handle; a peer is known by what the kernel says
//! about it, not by what it says about itself. Nothing here knows a frame or a protocol.

mod message;
mod owner;
mod peer;
mod sock_diag;
mod tcp;
mod unix;

pub(crate) use message::recv_now;
pub use message::{ReceivedMessage, pair, recv, recv_long, send, send_long};
pub use owner::{ListeningSocket, SocketOwner, addresses_of, listener_pids, listening_sockets, owner_of_tcp};
pub use peer::{PeerCred, overflow_uid, peer_cred, peer_process};
pub use sock_diag::SockDiag;
pub use tcp::{bind_tcp, connect_tcp, reset_at_close};
pub use unix::{ConnectError, bind_unix, connect_unix, relisten};

//! Sockets: how launchers and workers reach each other, and who owns a socket.
//!
//! Local sockets are bound and reached through a verified directory handle; a peer is known by what the kernel says
//! about it, not by what it says about itself. Nothing here knows a frame or a protocol.

mod clients;
mod connection;
mod message;
mod owner;
mod peer;
mod place;
mod sock_diag;
mod tcp;
mod unix;
mod unix_diag;

pub use clients::{has_clients, has_clients_at};
pub use connection::Connection;
pub(crate) use message::recv_now;
pub use message::{ReceivedMessage, pair, peek, recv, recv_long, send, send_long};
pub use owner::{ListeningSocket, SocketOwner, addresses_of, listener_pids, listening_sockets, owner_of_tcp};
pub use peer::{PeerCred, overflow_uid, peer_cred, peer_process};
pub use place::{DeadSocket, SocketPlace, Standing};
pub use sock_diag::SockDiag;
pub use tcp::{bind_tcp, connect_tcp, reset_at_close};
pub use unix::{ConnectError, PATH_LIMIT, bind_unix, connect_path, connect_unix, relisten};
pub use unix_diag::{leads_to, listener_pids_at, listening_at};

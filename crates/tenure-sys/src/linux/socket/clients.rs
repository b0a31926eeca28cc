//! Whether anybody is connected to an address: for a worker that ends when nobody is.
//!
//! The kernel is asked by `sock_diag(7)` about the network namespace of the caller, whoever has accepted the
//! connection, and also before anybody has. Where that is forbidden (some sandboxes), the tables in /proc/net tell the
//! same of TCP. Connections of the caller itself do not count: a check of its own is nobody's use.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use crate::linux::process::procfs;

use super::owner::{self, FAMILIES};
use super::sock_diag::{Connected, SockDiag};
use super::unix_diag;

/// Whether another process is connected to the TCP address, or, where that is a wildcard, to one that it covers. A
/// client whose connection nobody has accepted counts, and so does one that has sent its last byte and is not answered
/// yet.
///
/// # Errors
/// The kernel tells it in no way.
pub fn has_clients(address: SocketAddr) -> io::Result<bool> {
    let mut kernel = SockDiag::new().ok();
    let own = own_sockets();
    for (any, table) in FAMILIES {
        let any = SocketAddr::new(any, address.port());
        let told = kernel.as_mut().and_then(|kernel| kernel.connected(any).ok());
        let found = match told {
            Some(found) => found,
            None => owner::connected_in(table)?,
        };
        let mut here = found.into_iter().filter(|one| owner::covers(address, one.own));
        if here.any(|one| !is_own(kernel.as_mut(), one, &own)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether another process is connected to the local socket at the path. One at whose path no file stands has no
/// clients that can be told.
///
/// # Errors
/// The kernel does not tell it.
pub fn has_clients_at(path: &Path) -> io::Result<bool> {
    let own = own_sockets();
    Ok(unix_diag::connections_at(path)?.iter().any(|other| !own.contains(other)))
}

/// The sockets of this process, by inode; none where it may not look.
fn own_sockets() -> Vec<u64> {
    procfs::sockets_of(std::process::id()).unwrap_or_default()
}

/// Whether the other end of the connection is a socket of this process.
fn is_own(kernel: Option<&mut SockDiag>, connected: Connected, own: &[u64]) -> bool {
    let other = kernel.and_then(|kernel| kernel.inode(connected.peer, connected.own).ok().flatten());
    other.is_some_and(|inode| own.contains(&inode))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::time::Duration;

    use super::*;
    use crate::linux::spawn::{self, Child, Launch, Stream};

    /// Another process that has the stream alone, until the stream ends.
    fn client(stream: impl Into<OwnedFd>) -> Child {
        let stream = stream.into();
        let launch = Launch {
            stdin: Stream::Fd(stream.as_fd()),
            ..Launch::new(Path::new("/bin/cat"), Path::new("/"))
        };
        spawn::child(&launch).expect("a system has cat")
    }

    fn await_end(client: &Child) {
        let ended = client.wait_within(Duration::from_mins(1)).expect("our own child");
        assert!(ended.is_some(), "its input has ended");
    }

    #[test]
    fn a_connection_of_another_process_counts_and_one_of_its_own_does_not() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let server = listener.local_addr().expect("an address");
            assert!(!has_clients(server).expect("an answer"), "{server}");
            let own = TcpStream::connect(server).expect("it listens");
            assert!(!has_clients(server).expect("an answer"), "{server}");
            let client = client(own);
            assert!(has_clients(server).expect("an answer"), "nobody has accepted it: {server}");
            let (mut accepted, _) = listener.accept().expect("a client");
            assert!(has_clients(server).expect("an answer"), "{server}");
            accepted.shutdown(std::net::Shutdown::Write).expect("it is open");
            await_end(&client);
            accepted.read_to_end(&mut Vec::new()).expect("it has ended");
            drop(accepted);
            assert!(!has_clients(server).expect("an answer"), "{server}");
        }
    }

    #[test]
    fn a_wildcard_has_the_clients_of_each_address() {
        let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
        let server = listener.local_addr().expect("an address");
        let own = TcpStream::connect(("127.0.0.1", server.port())).expect("it listens");
        let client = client(own);
        assert!(has_clients(server).expect("an answer"));
        drop(listener);
        await_end(&client);
    }

    #[test]
    fn a_path_has_clients_while_another_process_is_connected() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("socket");
        assert!(!has_clients_at(&path).expect("an answer"), "nothing stands there");
        let listener = UnixListener::bind(&path).expect("a free name");
        let own = UnixStream::connect(&path).expect("it listens");
        assert!(!has_clients_at(&path).expect("an answer"));
        let client = client(own);
        assert!(has_clients_at(&path).expect("an answer"), "nobody has accepted it");
        let (accepted, _) = listener.accept().expect("a client");
        assert!(has_clients_at(&path).expect("an answer"));
        accepted.shutdown(std::net::Shutdown::Write).expect("it is open");
        await_end(&client);
        assert!(!has_clients_at(&path).expect("an answer"), "its other end is gone");
    }

    #[test]
    fn the_table_tells_the_connections_that_the_kernel_tells() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let server = listener.local_addr().expect("an address");
        let client = TcpStream::connect(server).expect("it listens");
        let connection = Connected { own: server, peer: client.local_addr().expect("an address") };
        let (_, table) = FAMILIES[0];
        assert!(owner::connected_in(table).expect("a table").contains(&connection));
        let told = SockDiag::new().and_then(|mut kernel| kernel.connected(server)).expect("an answer");
        assert_eq!(told, [connection]);
    }
}

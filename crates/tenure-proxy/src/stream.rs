//! Listeners and connections over TCP or at a path, so that the other rooms need not tell them apart.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;

use mio::event::Source;
use mio::{Interest, Registry, Token, net};
use tenure_core::spec::Address;
use tenure_sys::pipe;
use tenure_sys::socket;

/// A listener whose clients are relayed.
#[derive(Debug)]
pub enum ProxyListener {
    /// On an address and port.
    Tcp(TcpListener),
    /// At a path.
    Unix(UnixListener),
}

impl ProxyListener {
    pub(super) fn duplicate(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(listener) => Self::Tcp(listener.try_clone()?),
            Self::Unix(listener) => Self::Unix(listener.try_clone()?),
        })
    }

    pub(super) fn into_watched(self) -> io::Result<WatchedListener> {
        match self {
            Self::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                Ok(WatchedListener::Tcp(net::TcpListener::from_std(listener)))
            }
            Self::Unix(listener) => {
                listener.set_nonblocking(true)?;
                Ok(WatchedListener::Unix(net::UnixListener::from_std(listener)))
            }
        }
    }
}

impl From<TcpListener> for ProxyListener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl From<UnixListener> for ProxyListener {
    fn from(listener: UnixListener) -> Self {
        Self::Unix(listener)
    }
}

impl From<ProxyListener> for OwnedFd {
    fn from(listener: ProxyListener) -> Self {
        match listener {
            ProxyListener::Tcp(listener) => listener.into(),
            ProxyListener::Unix(listener) => listener.into(),
        }
    }
}

/// A listener that raises events.
#[derive(Debug)]
pub(super) enum WatchedListener {
    Tcp(net::TcpListener),
    Unix(net::UnixListener),
}

impl WatchedListener {
    /// Makes accepts return at once, for everyone who has the socket.
    pub(super) fn set_nonblocking(&self) -> io::Result<()> {
        let listener = match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener) => listener.as_fd(),
        };
        pipe::set_nonblocking(listener, true)
    }

    pub(super) fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => listener.accept().map(|(client, _)| Stream::Tcp(client)),
            Self::Unix(listener) => listener.accept().map(|(client, _)| Stream::Unix(client)),
        }
    }
}

/// A connection.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(net::TcpStream),
    Unix(net::UnixStream),
}

/// What the kernel says of a connection to a program.
#[derive(Clone, Copy)]
pub(super) enum FarEnd {
    /// Our address, and the program's.
    Tcp(SocketAddr, SocketAddr),
    /// The user who listens.
    Unix(u32),
}

impl Stream {
    /// Begins to connect. At a path this is over at once: a full queue is an error of kind `WouldBlock`.
    pub(super) fn connect(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => net::TcpStream::connect(*address).map(Self::Tcp),
            Address::Unix(path) => net::UnixStream::connect(path).map(Self::Unix),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Fails unless a connection that was being made stands.
    pub(super) fn connected(&self, address: &Address) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => {
                if let Some(error) = stream.take_error()? {
                    return Err(error);
                }
                if Some(stream.local_addr()?) == address.tcp() {
                    // Where nobody listens, TCP lets a socket connect to itself if its own port happens to be the one
                    // asked for.
                    return Err(io::ErrorKind::ConnectionRefused.into());
                }
                stream.set_nodelay(true)
            }
            Self::Unix(stream) => stream.take_error()?.map_or(Ok(()), Err),
        }
    }

    pub(super) fn far_end(&self) -> Option<FarEnd> {
        match self {
            Self::Tcp(stream) => Some(FarEnd::Tcp(stream.local_addr().ok()?, stream.peer_addr().ok()?)),
            Self::Unix(stream) => socket::peer_cred(stream).ok().map(|peer| FarEnd::Unix(peer.uid)),
        }
    }

    /// Sends small writes at once.
    pub(super) fn send_at_once(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_nodelay(true),
            Self::Unix(_) => Ok(()),
        }
    }

    /// Whether a short read means that nothing is left. At a path, a read also ends before bytes that came with
    /// descriptors.
    pub(super) fn reads_all(&self) -> bool {
        matches!(self, Self::Tcp(_))
    }

    pub(super) fn take_error(&self) -> io::Result<Option<io::Error>> {
        match self {
            Self::Tcp(stream) => stream.take_error(),
            Self::Unix(stream) => stream.take_error(),
        }
    }

    pub(super) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(how),
            Self::Unix(stream) => stream.shutdown(how),
        }
    }

    /// Whether bytes wait to be read.
    pub(super) fn has_bytes(&self) -> bool {
        socket::peek(self.as_fd()).is_ok_and(|count| count > 0)
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Watching is the same for both, and so is the macro's text.
macro_rules! watched {
    ($kind:ident) => {
        impl Source for $kind {
            fn register(&mut self, registry: &Registry, token: Token, wanted: Interest) -> io::Result<()> {
                match self {
                    Self::Tcp(socket) => socket.register(registry, token, wanted),
                    Self::Unix(socket) => socket.register(registry, token, wanted),
                }
            }

            fn reregister(&mut self, registry: &Registry, token: Token, wanted: Interest) -> io::Result<()> {
                match self {
                    Self::Tcp(socket) => socket.reregister(registry, token, wanted),
                    Self::Unix(socket) => socket.reregister(registry, token, wanted),
                }
            }

            fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
                match self {
                    Self::Tcp(socket) => socket.deregister(registry),
                    Self::Unix(socket) => socket.deregister(registry),
                }
            }
        }
    };
}

watched!(WatchedListener);
watched!(Stream);

//! Listening sockets: where they are, who binds them, and where a proxied one leads. Data only.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::os_text;

/// Where a socket listens.
///
/// ```
/// use tenure::Address;
///
/// let tcp = Address::Tcp("127.0.0.1:80".parse()?);
/// let unix = Address::Unix("/run/app.sock".into());
/// assert!(tcp.tcp().is_some() && unix.tcp().is_none());
/// assert_eq!(unix.to_string(), "/run/app.sock");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// An address and its port.
    Tcp(SocketAddr),
    /// The path of a local socket.
    Unix(PathBuf),
}

impl Address {
    /// The address and port; `None` for a local socket.
    #[must_use]
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// The path; `None` for an address and port.
    #[must_use]
    pub fn unix(&self) -> Option<&Path> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix(path) => Some(path),
        }
    }

    /// The address as a variable holds it: bytes that are not UTF-8 as [`crate::os_text`] says.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Tcp(address) => address.to_string(),
            Self::Unix(path) => os_text::text(path.as_os_str()),
        }
    }

    /// The address of which exactly one form is written.
    pub(crate) fn of(tcp: Option<SocketAddr>, unix: Option<String>) -> Option<Self> {
        match (tcp, unix) {
            (Some(tcp), None) => Some(Self::Tcp(tcp)),
            (None, Some(unix)) => Some(Self::Unix(os_text::os(&unix).into_owned().into())),
            (Some(_), Some(_)) | (None, None) => None,
        }
    }

    /// Both forms, of which one is there.
    pub(crate) fn into_forms(self) -> (Option<SocketAddr>, Option<String>) {
        match self {
            Self::Tcp(tcp) => (Some(tcp), None),
            Self::Unix(unix) => (None, Some(os_text::text(unix.as_os_str()))),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl From<PathBuf> for Address {
    fn from(path: PathBuf) -> Self {
        Self::Unix(path)
    }
}

/// A listening socket of the worker.
///
/// ```
/// use tenure::{Address, Listen, ListenMode, Upstream};
///
/// let own = Listen::self_bound("admin", "127.0.0.1:8081".parse()?);
/// let proxied = Listen::proxy("http", "127.0.0.1:8080".parse()?, Upstream::Port("PORT".into()));
/// assert!(own.to.is_none() && proxied.to.is_some());
/// let local = Listen::at("rpc", ListenMode::Inherit, Address::Unix("run/rpc.sock".into()));
/// assert!(local.address.unix().is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "WrittenListen", into = "WrittenListen")]
#[non_exhaustive]
pub struct Listen {
    /// Name under which the socket is found in `LISTEN_FDNAMES` and in endpoints.
    pub name: String,
    /// Address. Port 0 means the port that the listener had the last time, else a free one. A relative path begins at
    /// the worker's directory. An empty path means a socket in the scope's own directory.
    pub address: Address,
    /// Who binds it.
    pub mode: ListenMode,
    /// In mode `proxy`: where the program listens, for the host alone.
    pub to: Option<Upstream>,
}

/// A listener as it is written.
#[derive(Serialize, Deserialize)]
struct WrittenListen {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tcp: Option<SocketAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unix: Option<String>,
    #[serde(default)]
    mode: ListenMode,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<Upstream>,
}

/// A listener that does not have exactly one address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("use the listener {name:?}: it needs `tcp` or `unix`, and not both")]
pub struct NotOneAddress {
    /// Its name.
    pub name: String,
}

impl TryFrom<WrittenListen> for Listen {
    type Error = NotOneAddress;

    fn try_from(written: WrittenListen) -> Result<Self, NotOneAddress> {
        let WrittenListen { name, tcp, unix, mode, to } = written;
        match Address::of(tcp, unix) {
            Some(address) => Ok(Self { name, address, mode, to }),
            None => Err(NotOneAddress { name }),
        }
    }
}

impl From<Listen> for WrittenListen {
    fn from(listen: Listen) -> Self {
        let (tcp, unix) = listen.address.into_forms();
        Self { name: listen.name, tcp, unix, mode: listen.mode, to: listen.to }
    }
}

impl Listen {
    /// A socket that `tenure` binds and hands to the program.
    pub fn inherit(name: impl Into<String>, tcp: SocketAddr) -> Self {
        Self::at(name, ListenMode::Inherit, tcp.into())
    }

    /// A socket that the program binds itself.
    pub fn self_bound(name: impl Into<String>, tcp: SocketAddr) -> Self {
        Self::at(name, ListenMode::SelfBound, tcp.into())
    }

    /// A socket that `tenure` keeps; connections are relayed to the address on which the program listens.
    pub fn proxy(name: impl Into<String>, tcp: SocketAddr, to: Upstream) -> Self {
        Self { to: Some(to), ..Self::at(name, ListenMode::Proxy, tcp.into()) }
    }

    /// A socket at any address. In mode `proxy`, `to` has to be set as well.
    pub fn at(name: impl Into<String>, mode: ListenMode, address: Address) -> Self {
        Self { name: name.into(), address, mode, to: None }
    }

    /// The path of a local socket whose description names it; `cwd` is the worker's directory.
    #[must_use]
    pub fn named_path(&self, cwd: &Path) -> Option<PathBuf> {
        self.address.unix().filter(|path| !path.as_os_str().is_empty()).map(|path| cwd.join(path))
    }
}

/// Who binds a listening socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ListenMode {
    /// `tenure` binds it and hands it to the program: `LISTEN_FDS`, from descriptor 3.
    #[default]
    #[serde(rename = "inherit")]
    Inherit,
    /// The program binds it. `tenure` checks that the port is free before the start, and that the program's tree holds
    /// it afterwards.
    #[serde(rename = "self")]
    SelfBound,
    /// `tenure` binds it and keeps it. Connections are relayed to the program's own address, which only the host uses.
    #[serde(rename = "proxy")]
    Proxy,
}

/// Where a program behind a proxy listens. Written as an address, or as `env:NAME` for a port that the host chooses and
/// tells the program in that variable. For a local socket, written as `unix:PATH`, or as `env-path:NAME` for a path that
/// the host chooses.
///
/// ```
/// use tenure::Upstream;
///
/// assert_eq!(Upstream::try_from("env:PORT".to_owned())?.variable(), Some("PORT"));
/// assert!(Upstream::try_from("127.0.0.1:8081".to_owned())?.address().is_some());
/// assert!(Upstream::try_from("unix:run/app.sock".to_owned())?.address().is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Upstream {
    /// The program binds this address by itself.
    Address(SocketAddr),
    /// The program binds, on 127.0.0.1, the port that this variable names.
    Port(String),
    /// The program binds this path by itself. A relative path begins at its directory.
    Socket(PathBuf),
    /// The program binds the path that this variable names: another one in each start.
    Path(String),
}

impl Upstream {
    /// The address and port that the program binds by itself; `None` where the host chooses, and for a local socket.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Address(address) => Some(*address),
            Self::Port(_) | Self::Socket(_) | Self::Path(_) => None,
        }
    }

    /// The variable in which the program is told where to listen; `None` where that is written here.
    #[must_use]
    pub fn variable(&self) -> Option<&str> {
        match self {
            Self::Address(_) | Self::Socket(_) => None,
            Self::Port(variable) | Self::Path(variable) => Some(variable),
        }
    }

    /// What the program in `cwd` binds by itself; `None` where the host chooses.
    #[must_use]
    pub fn fixed(&self, cwd: &Path) -> Option<Address> {
        match self {
            Self::Address(address) => Some(Address::Tcp(*address)),
            Self::Socket(path) => Some(Address::Unix(cwd.join(path))),
            Self::Port(_) | Self::Path(_) => None,
        }
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Port(variable) => write!(f, "env:{variable}"),
            Self::Socket(path) => write!(f, "unix:{}", path.display()),
            Self::Path(variable) => write!(f, "env-path:{variable}"),
        }
    }
}

impl From<Upstream> for String {
    fn from(upstream: Upstream) -> Self {
        match &upstream {
            Upstream::Socket(path) => format!("unix:{}", os_text::text(path.as_os_str())),
            Upstream::Address(_) | Upstream::Port(_) | Upstream::Path(_) => upstream.to_string(),
        }
    }
}

/// Neither an address nor a path nor a variable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "understand {text:?}: write an address such as 127.0.0.1:8081, env:NAME, unix:PATH, or env-path:NAME"
)]
pub struct BadUpstream {
    /// As written.
    pub text: String,
}

impl TryFrom<String> for Upstream {
    type Error = BadUpstream;

    fn try_from(text: String) -> Result<Self, BadUpstream> {
        let variable = |name: &str| !name.is_empty() && !name.contains(['=', '\0']);
        let read = match text.split_once(':') {
            Some(("env", name)) => variable(name).then(|| Self::Port(name.to_owned())),
            Some(("env-path", name)) => variable(name).then(|| Self::Path(name.to_owned())),
            Some(("unix", path)) => {
                (!path.is_empty()).then(|| Self::Socket(os_text::os(path).into_owned().into()))
            }
            Some(_) | None => text.parse().ok().map(Self::Address),
        };
        read.ok_or(BadUpstream { text })
    }
}

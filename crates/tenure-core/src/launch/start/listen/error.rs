//! Why a worker's socket cannot be bound.

use std::io;
use std::path::PathBuf;

use tenure_sys::dir::DirError;
use tenure_sys::socket::{PATH_LIMIT, SocketOwner};

use crate::os_text::shell::word;
use crate::spec::Address;
use crate::store::records::RecordError;

/// A socket cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The control socket cannot be bound.
    #[error("bind the control socket")]
    Control(#[source] io::Error),
    /// An address is taken.
    #[error("listen on {address} for {name:?}: {owner} listens there")]
    Taken {
        /// The listener's name.
        name: String,
        /// The address.
        address: Address,
        /// Who holds it, as far as the kernel tells.
        owner: String,
    },
    /// An address cannot be bound.
    #[error("listen on {address} for {name:?}")]
    Bind {
        /// The listener's name.
        name: String,
        /// The address.
        address: Address,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something that is not the worker's stands at the path of a local socket.
    #[error("listen on {} for {name:?}: {what} stands there", path.display())]
    Stands {
        /// The listener's name.
        name: String,
        /// The path.
        path: PathBuf,
        /// What it is, in words.
        what: String,
    },
    /// Other users could replace a socket in this directory.
    #[error(
        "listen on {} for {name:?}: others can move files in its directory (mode {mode:04o}); close it with `chmod go-w {}`",
        path.display(),
        word(directory)
    )]
    OpenToOthers {
        /// The listener's name.
        name: String,
        /// The path.
        path: PathBuf,
        /// Its directory.
        directory: PathBuf,
        /// The mode of that directory.
        mode: u32,
    },
    /// The directory of a local socket is not there.
    #[error("listen on {} for {name:?}: its directory does not exist; `mkdir -p {}` makes it", path.display(), word(directory))]
    NoDirectory {
        /// The listener's name.
        name: String,
        /// The path.
        path: PathBuf,
        /// Its directory.
        directory: PathBuf,
    },
    /// A local socket cannot be in this directory.
    #[error("listen on {} for {name:?}", path.display())]
    Directory {
        /// The listener's name.
        name: String,
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: DirError,
    },
    /// The list of the scope's local sockets cannot be written. No socket was bound.
    #[error(transparent)]
    Record(RecordError),
    /// A program cannot bind so long a path.
    #[error(
        "listen on {} for {name:?}: the path has {} bytes, and a program can bind {PATH_LIMIT} at most",
        path.display(),
        path.as_os_str().len()
    )]
    TooLong {
        /// The listener's name.
        name: String,
        /// The path.
        path: PathBuf,
    },
}

impl ListenError {
    /// Whether the path of a local socket is the cause, and not who listens there.
    #[must_use]
    pub fn is_of_the_path(&self) -> bool {
        match self {
            Self::Stands { .. }
            | Self::OpenToOthers { .. }
            | Self::NoDirectory { .. }
            | Self::Directory { .. }
            | Self::TooLong { .. } => true,
            Self::Taken { .. } | Self::Bind { .. } | Self::Control(_) | Self::Record(_) => false,
        }
    }

    /// Whether the spec's address is the cause, rather than that this process or the machine has no more descriptors or
    /// memory: `ENFILE`, `EMFILE`, `ENOMEM`, `EAGAIN`, `ENOBUFS`.
    #[must_use]
    pub fn is_of_the_spec(&self) -> bool {
        match self {
            Self::Taken { .. }
            | Self::Stands { .. }
            | Self::OpenToOthers { .. }
            | Self::NoDirectory { .. }
            | Self::Directory { .. }
            | Self::TooLong { .. } => true,
            Self::Bind { source, .. } => !matches!(source.raw_os_error(), Some(11 | 12 | 23 | 24 | 105)),
            Self::Control(_) | Self::Record(_) => false,
        }
    }
}

/// The error that names who listens on an address.
pub(super) fn taken(name: &str, address: Address, owner: Option<SocketOwner>) -> ListenError {
    let owner = owner.map_or_else(
        || "a process that cannot be seen".to_owned(),
        |owner| match (owner.pid, owner.command) {
            (Some(pid), command) => format!("pid {pid} ({})", command.unwrap_or_default()),
            (None, _) => format!("a process of uid {}", owner.uid),
        },
    );
    ListenError::Taken { name: name.to_owned(), address, owner }
}

//! Why a fence refuses; both fences share these errors.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tenure_sys::dir::DirError;

/// Why a store was not claimed, or not written to.
#[derive(Debug, thiserror::Error)]
pub enum FenceError {
    /// A newer generation has claimed the store. This worker has been replaced: it should drain and end.
    #[error("use the store as generation {ours}, which generation {theirs} has claimed")]
    Newer {
        /// The generation that asked.
        ours: u64,
        /// The one that the store belongs to.
        theirs: u64,
    },
    /// The store remembers an older generation than the claim, so it is another store: it was replaced under the
    /// worker, for example by a backup.
    #[error("use the store as generation {ours}, because it has gone back to generation {theirs}")]
    WentBack {
        /// The generation that asked.
        ours: u64,
        /// The one that the store remembers.
        theirs: u64,
    },
    /// The generation does not fit into the store.
    #[error("claim the store for generation {generation}, which is beyond {limit}")]
    TooLarge {
        /// The generation that asked.
        generation: u64,
        /// The highest one that the store can remember.
        limit: u64,
    },
    /// Something else stands where the fence should be. It is left as it is.
    #[error("read the fence: {found}")]
    Foreign {
        /// What was found.
        found: String,
    },
    /// A process holds the fence's lock for longer than a write takes, for example because it was stopped.
    #[error("lock the fence {} within {limit:?}", path.display())]
    Busy {
        /// The lock's file.
        path: PathBuf,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The database refuses; with `sqlite` the source is a `rusqlite::Error`.
    #[error("{doing} in the database")]
    Database {
        /// What was tried.
        doing: &'static str,
        /// Why it was refused.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A directory cannot be used.
    #[error("open the store")]
    Directory(#[source] DirError),
    /// A file or directory cannot be read or written.
    #[error("{doing} {}", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it was refused.
        #[source]
        source: io::Error,
    },
}

impl FenceError {
    /// Whether this worker has been replaced: it will never write to this store again, and should end.
    #[must_use]
    pub fn is_replaced(&self) -> bool {
        matches!(self, Self::Newer { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_both_generations() {
        let refused = FenceError::Newer { ours: 4, theirs: 7 };
        assert!(refused.is_replaced());
        assert_eq!(refused.to_string(), "use the store as generation 4, which generation 7 has claimed");
        let back = FenceError::WentBack { ours: 4, theirs: 3 };
        assert!(!back.is_replaced());
        assert_eq!(
            back.to_string(),
            "use the store as generation 4, because it has gone back to generation 3"
        );
    }
}

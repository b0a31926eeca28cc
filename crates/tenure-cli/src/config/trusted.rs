//! Whether a project's file may start programs.

use std::path::Path;

use tenure_core::store::trust;

use super::error::ConfigError;
use super::find::SourceFile;

pub(crate) use tenure_core::store::trust::TrustStanding;

/// The records below a state root.
#[derive(Debug, Clone)]
pub(crate) struct TrustedFiles(trust::TrustStore);

impl TrustedFiles {
    /// The records of this user.
    pub(crate) fn of_user() -> Result<Self, ConfigError> {
        trust::TrustStore::of_user().map(Self).map_err(ConfigError::Root)
    }

    /// The records below `root`.
    #[cfg(test)]
    pub(crate) fn below(root: &Path) -> Self {
        Self(trust::TrustStore::below(root))
    }

    /// What is known about a file with this content. A record that cannot be read counts as none.
    pub(crate) fn standing(&self, source: &SourceFile) -> Result<TrustStanding, ConfigError> {
        self.0.standing(&source.path, source.text.as_bytes()).map_err(ConfigError::Trust)
    }

    /// Refuses a file that may not start the worker `worker`.
    pub(crate) fn demand(&self, source: &SourceFile, worker: &str) -> Result<(), ConfigError> {
        let changed = match self.standing(source)? {
            TrustStanding::Trusted => return Ok(()),
            TrustStanding::Changed => true,
            TrustStanding::Unknown => false,
        };
        Err(ConfigError::Untrusted { name: worker.to_owned(), path: source.path.clone(), changed })
    }

    /// Allows a file with this content.
    pub(crate) fn allow(&self, source: &SourceFile) -> Result<(), ConfigError> {
        self.0.allow(&source.path, source.text.as_bytes()).map_err(ConfigError::Trust)
    }

    /// Forgets the file at a path; whether something was known.
    pub(crate) fn revoke(&self, path: &Path) -> Result<bool, ConfigError> {
        self.0.revoke(path).map_err(ConfigError::Trust)
    }
}

#[cfg(test)]
mod tests {
    use super::super::find::Level;
    use super::*;

    #[test]
    fn a_file_that_is_not_trusted_or_has_changed_is_refused_by_name() {
        let root = tempfile::tempdir().expect("a directory");
        let trusted = TrustedFiles::below(root.path());
        let source = |text: &str| SourceFile::new("/p/tenure.toml".into(), text.to_owned(), Level::Project);
        let refused = trusted.demand(&source("a"), "w").expect_err("nobody has looked at it");
        assert!(refused.to_string().contains("/p/tenure.toml: the file is not trusted"), "{refused}");
        trusted.allow(&source("a")).expect("recorded");
        trusted.demand(&source("a"), "w").expect("trusted");
        let refused = trusted.demand(&source("b"), "w").expect_err("changed");
        assert!(refused.to_string().contains("changed since it was trusted"), "{refused}");
    }
}

//! The files of the workspace in memory, by their path below the root: the input of every check.
//!
//! Checks take a [`Tree`] and touch no disk, so that a test can hand them a tree of a few lines. Build output and
//! installed modules are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::failure::Failure;

/// Texts, and the names of all other files, by path with `/` between the parts.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    texts: BTreeMap<String, String>,
    paths: BTreeSet<String>,
}

/// Endings of the files whose text is read.
const READ: [&str; 3] = ["rs", "md", "txt"];

/// Directories that are left out.
const LEFT_OUT: [&str; 4] = [".git", "target", "node_modules", "book"];

impl Tree {
    /// Reads all that lies below `root`.
    pub(crate) fn read(root: &Path) -> Result<Self, Failure> {
        let mut tree = Self::default();
        tree.read_below(root, "")?;
        Ok(tree)
    }

    /// A tree of these texts.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            tree.add(path, Some((*text).to_owned()));
        }
        tree
    }

    /// The text of one file.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// Whether there is a file or directory of this path; the empty path is the root.
    pub(crate) fn has(&self, path: &str) -> bool {
        path.is_empty() || self.paths.contains(path)
    }

    /// The texts below a directory whose names end so, with their whole paths.
    pub(crate) fn below(&self, directory: &str, ending: &str) -> impl Iterator<Item = (&str, &str)> {
        let ours = move |path: &str| path.starts_with(directory) && path.ends_with(ending);
        self.texts
            .iter()
            .filter(move |(path, _)| ours(path))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    fn add(&mut self, path: &str, text: Option<String>) {
        for (at, _) in path.match_indices('/') {
            self.paths.insert(path[..at].to_owned());
        }
        self.paths.insert(path.to_owned());
        if let Some(text) = text {
            self.texts.insert(path.to_owned(), text);
        }
    }

    fn read_below(&mut self, directory: &Path, prefix: &str) -> Result<(), Failure> {
        let unreadable = |source| Failure::Read { path: directory.to_owned(), source };
        for entry in std::fs::read_dir(directory).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            if entry.file_type().map_err(unreadable)?.is_dir() {
                if !LEFT_OUT.contains(&name.as_str()) {
                    self.read_below(&entry.path(), &format!("{path}/"))?;
                }
            } else if READ.iter().any(|ending| name.ends_with(&format!(".{ending}"))) {
                let text = std::fs::read_to_string(entry.path())
                    .map_err(|source| Failure::Read { path: entry.path(), source })?;
                self.add(&path, Some(text));
            } else {
                self.add(&path, None);
            }
        }
        Ok(())
    }
}

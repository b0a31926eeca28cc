//! `env.file`: variables in the form of a `.env` file, read when a worker is started and never shown.
//!
//! The file is read by the launcher that starts the worker, so no record, document or message contains its values, and
//! a call that starts nothing does not open it.

use std::cell::Cell;
use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tenure_sys::{dir, user};

use crate::os_text::shell::word;
use crate::spec::Spec;
use crate::spec::environment::{self, Variables};

/// Longest file in bytes: far above any list of variables that a program can be started with.
const LONGEST: u64 = 1 << 20;

/// A file of variables cannot be used. The message never quotes the file.
#[derive(Debug, thiserror::Error)]
pub enum EnvFileError {
    /// It cannot be read.
    #[error("read `env.file` {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Others could have written it.
    #[error("believe `env.file` {}: it {why}", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Who could have, and the remedy.
        why: String,
    },
    /// It is no list of variables.
    #[error("understand `env.file` {}: {why}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// Where, without what stands there.
        why: String,
    },
}

/// Adds the variables of the spec's file to `built`; those of `env.set` are above them. Variables that belong to
/// `tenure` itself are left out.
pub(super) fn add(spec: &Spec, built: &mut Variables) -> Result<(), EnvFileError> {
    let Some(file) = &spec.env.file else { return Ok(()) };
    let path = spec.cwd.join(file);
    let unread = |source| EnvFileError::Read { path: path.clone(), source };
    let opened = dir::open_regular(&path).map_err(unread)?;
    expect_ours(&path, &opened.metadata().map_err(unread)?)?;
    let bytes = dir::read_opened(opened, &path, LONGEST).map_err(unread)?;
    for (name, value) in parse(&path, &bytes)? {
        if !environment::is_ours(&name) && !spec.env.set.contains_key(&name) {
            built.insert(name, value);
        }
    }
    Ok(())
}

/// Refuses a file of another user than this one or root, and one that everybody can write.
fn expect_ours(path: &Path, found: &Metadata) -> Result<(), EnvFileError> {
    let refused = |why| EnvFileError::Exposed { path: path.to_owned(), why };
    if ![0, user::effective_uid()].contains(&found.uid()) {
        return Err(refused(format!("belongs to uid {}: copy it, and name your copy", found.uid())));
    }
    if found.mode() & 0o002 != 0 {
        return Err(refused(format!("can be written by everybody: `chmod o-w {}`", word(path))));
    }
    Ok(())
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<(String, String)>, EnvFileError> {
    let line = Cell::new(0);
    // The error of the parser quotes the line, and what stands before a `=` can be a part of a secret as well.
    let form = |why: &str| EnvFileError::Form {
        path: path.to_owned(),
        why: format!("what ends in line {} {why}", line.get()),
    };
    let mut read: Vec<(String, String)> = Vec::new();
    for entry in dotenvy::from_read_iter(LineByLine { left: bytes, line: &line }) {
        let (name, value) = entry.map_err(|_| form("is not NAME=VALUE"))?;
        if name.contains('\0') || value.contains('\0') {
            return Err(form("has a NUL byte"));
        }
        read.push((name, value));
    }
    Ok(read)
}

/// Gives a reader one line at a time, so that it is known which one it has read.
struct LineByLine<'a> {
    left: &'a [u8],
    line: &'a Cell<usize>,
}

impl Read for LineByLine<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let end = self.left.iter().position(|byte| *byte == b'\n').map_or(self.left.len(), |end| end + 1);
        let length = end.min(into.len());
        let (now, later) = self.left.split_at(length);
        into[..length].copy_from_slice(now);
        self.left = later;
        // The rest of a long line comes with the next reads.
        self.line.set(self.line.get() + usize::from(length == end && length > 0));
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn added(text: &str, mode: u32) -> Result<Variables, String> {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join(".env");
        fs::write(&file, text).expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("ours");
        let mut spec = Spec::of_command(vec!["true".into()], directory.path().to_owned());
        spec.env.file = Some(".env".into());
        spec.env.set.insert("SET".to_owned(), "1".to_owned());
        let mut built = Variables::from([("KEPT".to_owned(), "caller".to_owned())]);
        add(&spec, &mut built).map(|()| built).map_err(|error| error.to_string())
    }

    #[test]
    fn what_it_says_is_above_the_callers_and_below_what_is_set() {
        let text = "# comment\nexport TOKEN='a b#c'\nKEPT=file\nSET=file\nTENURE_STATE_DIR=/x\nEMPTY=\n";
        let built = added(text, 0o600).expect("it can be read");
        let of = |name: &str| built.get(name).map(String::as_str);
        assert_eq!((of("TOKEN"), of("KEPT"), of("EMPTY")), (Some("a b#c"), Some("file"), Some("")));
        assert_eq!((of("SET"), of("TENURE_STATE_DIR")), (None, None));
    }

    #[test]
    fn what_cannot_be_understood_is_not_quoted() {
        let long = format!("LONG={}\n", "x".repeat(100_000));
        for (text, line) in [
            ("FIRST=1\n\nhunter2 is the password\n", "line 3 is not"),
            ("FIRST=1\nc2VjcmV0Cg==\nhunter2 is the password", "line 3 is not"),
            (&format!("{long}hunter2 is the password\n"), "line 2 is not"),
            ("FIRST='hunter2\n\n", "line 2 is not"),
            ("FIRST=hunter2\0\n", "line 1 has a NUL byte"),
        ] {
            let error = added(text, 0o600).expect_err("no variable");
            let quoted = ["hunter2", "c2VjcmV0Cg", "FIRST"].iter().any(|part| error.contains(part));
            assert!(error.contains(line) && !quoted, "{error}");
        }
    }

    #[test]
    fn a_file_that_everybody_can_write_is_refused_with_the_remedy() {
        let error = added("A=1\n", 0o602).expect_err("exposed");
        assert!(error.contains("`chmod o-w "), "{error}");
    }
}

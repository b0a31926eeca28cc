//! Finding the executable that a command names: one resolver for launchers and hosts.
//!
//! Reads the file system and nothing else; a failure is never cached.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::os_text;

/// The name (`argv[0]`) of the small parent between a host and its program, which can end the program's tree by itself.
pub const SHIM: &str = "tenure-shim";

/// Variable that names the `tenure` executable which hosts programs.
pub const HOST_VARIABLE: &str = "TENURE_HOST";

/// A program that is not there, or cannot be executed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoProgram {
    /// Nothing of that name.
    #[error("find the program {program:?}: there is no such file{}", searched(.path.as_deref()))]
    Missing {
        /// As the command names it.
        program: String,
        /// The PATH that was searched, where it was.
        path: Option<String>,
    },
    /// There is something, and it is not executable.
    #[error("run the program {program:?}: {found:?} is {what}")]
    NotExecutable {
        /// As the command names it.
        program: String,
        /// What was found.
        found: PathBuf,
        /// Why it cannot be executed.
        what: String,
    },
}

fn searched(path: Option<&str>) -> String {
    path.map(|path| format!(" in PATH ({path})")).unwrap_or_default()
}

/// The executable of `program`: relative to `cwd` if its name has a slash, else the first of that name in `path`.
pub fn resolve(program: &str, cwd: &Path, path: Option<&str>) -> Result<PathBuf, NoProgram> {
    if program.contains('/') {
        let found = cwd.join(&*os_text::os(program));
        if is_executable(&found) {
            return Ok(found);
        }
        let program = program.to_owned();
        return Err(match what_else(&found) {
            Some(what) => NoProgram::NotExecutable { program, found, what },
            None => NoProgram::Missing { program, path: None },
        });
    }
    let path = path.unwrap_or("/usr/local/bin:/usr/bin:/bin");
    let path_bytes = os_text::os(path);
    let directories = std::env::split_paths(&*path_bytes).filter(|directory| directory.is_absolute());
    directories
        .map(|directory| directory.join(&*os_text::os(program)))
        .find(|candidate| is_executable(candidate))
        .ok_or_else(|| NoProgram::Missing { program: program.to_owned(), path: Some(path.to_owned()) })
}

/// What stands at `path` instead of an executable file, without opening it.
fn what_else(path: &Path) -> Option<String> {
    let named = path.symlink_metadata().ok()?;
    Some(match path.metadata() {
        Ok(found) if found.is_file() => "a file that may not be executed, which `chmod +x` allows".to_owned(),
        Ok(found) => format!("{}, and no file", tenure_sys::dir::kind_of(&found)),
        Err(_) if named.is_symlink() => "a link that leads nowhere".to_owned(),
        Err(error) => format!("out of reach: {error}"),
    })
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_searched_in_path_and_a_slash_means_below_cwd() {
        let root = Path::new("/");
        assert_eq!(resolve("sh", root, Some("/nowhere:/bin")).expect("sh"), Path::new("/bin/sh"));
        assert_eq!(resolve("bin/sh", root, None).expect("sh"), Path::new("/bin/sh"));
    }

    #[test]
    fn what_is_missing_is_named_with_where_it_was_sought() {
        let missing = resolve("no-such-program", Path::new("/"), Some("/bin")).expect_err("missing");
        assert_eq!(
            missing.to_string(),
            "find the program \"no-such-program\": there is no such file in PATH (/bin)"
        );
        let plain = resolve("./etc/passwd", Path::new("/"), None).expect_err("not executable");
        assert!(plain.to_string().contains("may not be executed"), "{plain}");
        for (other, what) in [("./etc", "a directory, and no file"), ("/dev/null", "a device, and no file")] {
            let told = resolve(other, Path::new("/"), None).expect_err("not executable").to_string();
            assert!(told.ends_with(what), "{told}");
        }
    }
}

//! `tenure init`: writes a commented `tenure.toml` to begin with, and never overwrites one.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use tenure_core::Scope;
use tenure_core::os_text::PathText;

use crate::answer::AnswerState;
use crate::args::words;
use crate::cmd::call::{Call, Run};
use crate::config::{self, Level, PROJECT_FILE, SourceFile, TrustedFiles};
use crate::output::failure::Failure;
use crate::output::render::{self, printable};

/// The worker's name if the directory's name cannot be one.
const FALLBACK: &str = "worker";

#[derive(Debug, Serialize)]
struct InitDocument<'a> {
    state: AnswerState,
    path: PathText<'a>,
    name: &'a str,
    trusted: bool,
}

/// Write a tenure.toml to begin with.
///
/// An existing file is never overwritten.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tenure init web -- node server.mjs  a commented tenure.toml to go on with

Exit codes:
  6  there is a tenure.toml already, or it cannot be written")]
pub(crate) struct Init {
    /// The worker's name; without it, the name of the directory.
    name: Option<String>,
    /// The program.
    #[arg(last = true, value_name = "CMD", value_parser = words())]
    command: Vec<String>,
}

impl Run for Init {
    fn run(&self, call: &Call) -> Result<u8, Failure> {
        let here = call.here()?;
        let path = here.join(PROJECT_FILE);
        let name = self.name.clone().unwrap_or_else(|| name_of(&here));
        Scope::new(&name, None).map_err(config::ConfigError::Name)?;
        let text = config::starter(&name, &self.command);
        write(&path, &text)?;
        // The caller typed the command, and nobody else wrote any of the file, so it can be trusted at once.
        let source = SourceFile::new(path.clone(), text, Level::Project);
        let described = !self.command.is_empty();
        let trust = described.then(|| TrustedFiles::of_user().and_then(|trusted| trusted.allow(&source)));
        let trusted = matches!(trust, Some(Ok(())));
        if call.screen.wants_json() {
            let (state, name) = (AnswerState::Written, name.as_str());
            render::document(&InitDocument { state, path: PathText(&path), name, trusted })?;
        }
        call.screen.info(&format!("wrote {}", printable(&path.display().to_string())));
        match trust {
            Some(Ok(())) => {
                call.screen.info(&format!(
                    "  its present content is trusted, because you typed its command: `tenure ensure {name}` starts it"
                ));
                call.screen.info("  after each change of the file, `tenure trust` allows the new content");
            }
            Some(Err(error)) => {
                call.screen.warning(&format!("it could not be trusted: failed to {error}; {}", error.remedy()));
            }
            None => call.screen.info(&format!(
                "  fill in its `command`; then `tenure config check`, `tenure trust` and `tenure ensure {name}`"
            )),
        }
        Ok(AnswerState::Written.exit())
    }
}

/// Creates the file; an existing file is left as it is.
fn write(path: &PathBuf, text: &str) -> Result<(), Failure> {
    let made = OpenOptions::new().write(true).create_new(true).open(path);
    let written = made.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        let failure =
            Failure::because(AnswerState::BadConfig, &Unwritten { path: path.clone(), source: error });
        failure.hint("`tenure config check` says whether the file that is there can be used")
    })
}

/// The file cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("write {}", path.display())]
struct Unwritten {
    path: PathBuf,
    source: io::Error,
}

/// The directory's name, as far as it can be a worker's.
fn name_of(directory: &Path) -> String {
    let name = directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let allowed = |one: char| one.is_ascii_alphanumeric() || matches!(one, '.' | '_' | '-');
    let name: String = name.chars().map(|one| if allowed(one) { one } else { '-' }).collect();
    if Scope::new(&name, None).is_ok() { name } else { FALLBACK.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_gives_its_name_where_it_can_be_one() {
        assert_eq!(name_of(Path::new("/home/a/my app")), "my-app");
        assert_eq!(name_of(Path::new("/home/a/.hidden")), FALLBACK);
        assert_eq!(name_of(Path::new("/")), FALLBACK);
    }
}

//! The arguments about the record that every long run takes, and its exit code.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::record::Origin;

/// The arguments about the record.
#[derive(Debug, clap::Args)]
pub struct RecordArgs {
    /// Keep each finished trial in this file, and run only those that are not in it yet
    #[arg(long, value_name = "FILE")]
    pub into: Option<PathBuf>,
    /// Go on in a file that holds trials of another commit or with other settings
    #[arg(long, requires = "into")]
    pub mix: bool,
    /// Run nothing: print the table of the file
    #[arg(long, requires = "into")]
    table: bool,
    /// Run nothing: add what the file holds to the record beside this page, and to the table in it
    #[arg(long, value_name = "PAGE", requires = "into", conflicts_with = "table")]
    pub publish: Option<PathBuf>,
    /// The commit that was built (`cargo xtask` says it)
    #[arg(long, default_value = "unknown")]
    commit: String,
    /// What was built has changes that are in no commit (`cargo xtask` says it)
    #[arg(long)]
    changed: bool,
}

impl RecordArgs {
    /// The file to tell of, where nothing is to be run.
    #[must_use]
    pub fn file_to_tell(&self) -> Option<&Path> {
        self.into.as_deref().filter(|_| self.table || self.publish.is_some())
    }

    /// What this run tries.
    #[must_use]
    pub fn origin(&self, settings: String) -> Origin {
        Origin { commit: self.commit.clone(), changed: self.changed, settings }
    }
}

/// The exit code of a run that found all clean or not, or could not go on.
#[expect(clippy::print_stderr, reason = "whoever typed it is told why it ended")]
#[must_use]
pub fn exit_code(clean: Result<bool, Box<dyn Error>>) -> ExitCode {
    match clean {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("failed: {error}");
            ExitCode::from(2)
        }
    }
}

/// Prints what such a program is for: its table.
#[expect(clippy::print_stdout, reason = "the table is what a long run is for")]
pub fn print(text: &str) {
    print!("{text}");
}

//! Why a task did not succeed, and how that is reported.
//!
//! A step carries all faults that it found, one line each, so that one run shows everything that is to be fixed in that
//! step.

use std::path::PathBuf;

/// Why a task did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The words of the command line name no task.
    Usage(String),
    /// A program could not be started.
    Start { command: String, source: std::io::Error },
    /// A program ran and did not succeed.
    Ended { command: String, how: String },
    /// A file or directory could not be read.
    Read { path: PathBuf, source: std::io::Error },
    /// A file or directory could not be written.
    Write { path: PathBuf, source: std::io::Error },
    /// A command's output lacks what it is documented to hold.
    Answer { command: String, lacks: String },
    /// Something that the tests need is not installed and cannot be installed from here.
    Missing { what: String, remedy: String },
    /// A check ran and found faults.
    Findings { check: &'static str, findings: Vec<String> },
}

impl Failure {
    /// `Ok` where a check has found nothing.
    pub(crate) fn unless_clean(check: &'static str, findings: Vec<String>) -> Result<(), Self> {
        if findings.is_empty() { Ok(()) } else { Err(Self::Findings { check, findings }) }
    }

    /// Tells this failure on stderr.
    #[expect(clippy::print_stderr, reason = "a task tells its failure to whoever typed it")]
    pub(crate) fn report(&self) {
        eprintln!("xtask: {}", self.text());
    }

    fn text(&self) -> String {
        match self {
            Self::Usage(text) => text.clone(),
            Self::Start { command, source } => format!("failed to start `{command}`: {source}"),
            Self::Ended { command, how } => format!("`{command}` ended with {how}"),
            Self::Read { path, source } => format!("failed to read {}: {source}", path.display()),
            Self::Write { path, source } => format!("failed to write {}: {source}", path.display()),
            Self::Answer { command, lacks } => format!("the answer of `{command}` lacks {lacks}"),
            Self::Missing { what, remedy } => format!("missing: {what}\nhint: {remedy}"),
            Self::Findings { check, findings } => {
                format!("{check}: {} to mend\n  {}", findings.len(), findings.join("\n  "))
            }
        }
    }
}

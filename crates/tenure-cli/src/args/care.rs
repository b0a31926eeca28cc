//! What the commands take that look after an installation: its configuration, its faults, and this command itself.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::worker::By;

/// What `doctor` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Doctor {
    /// The worker's name, or NAME@KEY; without it, every worker that ever ran here and the place where they are kept.
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) by: By,
    /// Apply the remedies that are safe, and say each.
    #[arg(long)]
    pub(crate) fix: bool,
}

/// What `trust` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Trust {
    /// The directory of the project; without it, the one whose `tenure.toml` is found from here.
    #[arg(id = "project", value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
    /// Take the permission back.
    #[arg(long)]
    pub(crate) revoke: bool,
}

/// What `config` is asked for.
#[derive(Debug, Clone)]
pub(crate) enum Config {
    /// Whether the files can be used.
    Check(ConfigCheck),
    /// What is in force, and where each value comes from.
    Show(ConfigShow),
    /// The JSON Schema of a file.
    Schema,
}

/// What `config check` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigCheck {
    /// Check this file; without it, every file that a call from here would read.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// What `config show` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigShow {
    /// The worker's name; without it, every worker that is configured here.
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) by: By,
}

/// What `init` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Init {
    /// The worker's name; without it, the name of the directory.
    pub(crate) name: Option<String>,
    /// The program.
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,
}

/// What `completions` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Completions {
    /// The shell: bash, zsh, fish, elvish, nushell or powershell.
    #[arg(hide_possible_values = true)]
    pub(crate) shell: Shell,
}

/// A shell for which completions are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    /// GNU bash.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
    /// elvish.
    Elvish,
    /// Nushell.
    Nushell,
    /// `PowerShell`.
    Powershell,
}

/// What `man` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Man {
    /// Write the pages of all commands into DIR instead, and say which.
    #[arg(id = "pages", long = "directory", value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
}

/// What the demo's own worker takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct DemoWorker {
    /// The version that it answers with.
    pub(crate) serve: String,
    /// Fail after so many answers; 0 is a boot that fails.
    #[arg(long, value_name = "ANSWERS")]
    pub(crate) fail_after: Option<u64>,
}

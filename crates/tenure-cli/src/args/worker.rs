//! What the commands take that act on one worker, or look at it.

use std::path::PathBuf;

use clap::Args;
use tenure_core::Version;
use tenure_core::launch::version::parse;
use tenure_core::spec::amount::Span;

/// Reads a version as people and programs write it, also with a `v` before it.
fn version(text: &str) -> Result<Version, String> {
    parse(text).map_err(|no| format!("a version is written as 1.4.0: {}", no.why))
}

/// What `ensure` and `start` take.
#[derive(Debug, Clone, Args)]
pub(crate) struct Ensure {
    #[command(flatten)]
    pub(crate) wanted: WorkerSelection,
    /// A worker that is still booting when the time is over is a success (exit 0 instead of 124).
    #[arg(long)]
    pub(crate) accept_warming: bool,
    /// Fail instead of warning: degraded (exit 7), other settings or an older version than offered (exit 5).
    #[arg(long)]
    pub(crate) strict: bool,
    /// The program, which then needs no configuration.
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,
}

/// What `restart` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Restart {
    #[command(flatten)]
    pub(crate) wanted: WorkerSelection,
    /// Start the new program beside the old one this time, as `overlap = true` does each time.
    #[arg(long, conflicts_with = "force")]
    pub(crate) overlap: bool,
    /// End the old worker first, instead of taking over from it.
    #[arg(long)]
    pub(crate) force: bool,
    /// The program, which then needs no configuration.
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,
}

/// What `stop` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Stop {
    #[command(flatten)]
    pub(crate) named: WorkerArg,
    /// Stay down: nothing starts it again but `tenure start`.
    #[arg(long)]
    pub(crate) hold: bool,
}

/// What `pin` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Pin {
    #[command(flatten)]
    pub(crate) named: WorkerArg,
    /// The version: one that was offered before.
    #[arg(value_parser = version)]
    pub(crate) version: Version,
}

/// Which worker is wanted, and where it is described.
#[derive(Debug, Clone, Args)]
pub(crate) struct WorkerSelection {
    /// The worker's name, or NAME@KEY.
    pub(crate) name: String,
    /// One of several workers of that name; projects have their directory's.
    #[arg(long, value_name = "K")]
    pub(crate) key: Option<String>,
    /// The version wanted, whatever the configuration says.
    #[arg(long, value_name = "V", value_parser = version)]
    pub(crate) version: Option<Version>,
    /// Read this configuration file and no other.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["spec", "command"])]
    pub(crate) config: Option<PathBuf>,
    /// Read the worker's description from stdin as JSON.
    #[arg(long, value_name = "-", value_parser = ["-"], hide_possible_values = true, conflicts_with = "command")]
    pub(crate) spec: Option<String>,
}

/// Which worker is meant.
#[derive(Debug, Clone, Args)]
pub(crate) struct WorkerArg {
    /// The worker's name, or NAME@KEY as `list` shows it.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) by: By,
}

/// How a name is told apart.
#[derive(Debug, Clone, Args)]
pub(crate) struct By {
    /// One of several workers of that name; no configuration is read then.
    #[arg(long, value_name = "K")]
    pub(crate) key: Option<String>,
    /// Look the name up in this configuration file.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// What `status` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct StatusArgs {
    /// The worker's name, or NAME@KEY; without it, every worker that is configured here.
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) by: By,
}

/// What `logs` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct LogsArgs {
    #[command(flatten)]
    pub(crate) named: WorkerArg,
    /// Go on with what is written from now on.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// The last N lines.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    pub(crate) lines: usize,
    /// The worker's own log instead of its program's output.
    #[arg(long)]
    pub(crate) boot: bool,
}

/// What `events` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Events {
    #[command(flatten)]
    pub(crate) named: WorkerArg,
    /// Go on with what happens from now on.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Only what happened within this time, such as 5m.
    #[arg(long, value_name = "T")]
    pub(crate) since: Option<Span>,
}

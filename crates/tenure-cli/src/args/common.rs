//! The flags that every command takes. They are declared before the command and with it; the later value counts.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tenure_core::spec::amount::Span;

/// Flags that every command takes, before or after its name.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own on the command line")]
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Common {
    /// Write one JSON document to stdout (one a line where there is a stream), errors included.
    #[arg(long)]
    pub(crate) json: bool,
    /// Say nothing but errors.
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more.
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// When to colour what is meant for people: auto (on a terminal), always or never [auto].
    #[arg(long, value_name = "WHEN", hide_possible_values = true)]
    pub(crate) color: Option<Color>,
    /// The longest time that the call may take, such as 500ms, 10s or 2m [60s].
    #[arg(long, value_name = "D")]
    pub(crate) timeout: Option<Span>,
    /// Never start a worker: say what stands.
    #[arg(long)]
    pub(crate) no_daemon: bool,
    /// Do as if started in DIR.
    #[arg(id = "start_in", short = 'C', value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
}

impl Common {
    /// Both, where these stood behind the command and `before` before it; the later value counts.
    pub(crate) fn or(self, before: Self) -> Self {
        Self {
            json: self.json || before.json,
            quiet: self.quiet || before.quiet,
            verbose: self.verbose || before.verbose,
            color: self.color.or(before.color),
            timeout: self.timeout.or(before.timeout),
            no_daemon: self.no_daemon || before.no_daemon,
            directory: self.directory.or(before.directory),
        }
    }
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

//! The arguments that several commands share. What one command takes stands in the file of that command.
//!
//! The structs here have no doc comments of their own: clap would take them for what the command is about.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Arg, ArgAction, Args, ValueEnum};
use tenure_core::deadline::{millis, wall_millis};
use tenure_core::launch::version::parse;
use tenure_core::spec::amount::Span;
use tenure_core::{Version, os_text, utc};
use tenure_sys::process::Signal;

// A command's own arguments and the flags that every command takes. They are declared with each command, and once more
// before it, because clap's global arguments would be copied into every command before the first argument is read.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub(crate) struct WithCommon<T: Args> {
    #[command(flatten)]
    pub(crate) own: T,
    #[command(flatten)]
    pub(crate) common: Common,
}

// Help is short with `-h` and with `--help`: the long text of a command is for the manual.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own on the command line")]
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Everywhere", disable_help_flag = true, arg = help_flag())]
#[group(skip)]
pub(crate) struct Common {
    /// Write one JSON document to stdout (for a stream, one on each line), errors included.
    #[arg(long)]
    pub(crate) json: bool,
    /// Show errors only.
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Show more details.
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// When to colour text for people: auto (on a terminal), always or never [auto].
    #[arg(long, value_name = "WHEN", hide_possible_values = true)]
    pub(crate) color: Option<Color>,
    /// The longest time that the call may take, such as 500ms, 10s or 2m [60s].
    #[arg(long, value_name = "D", value_parser = duration)]
    pub(crate) timeout: Option<Span>,
    /// Never start a worker; report what runs.
    #[arg(long = "no-daemon")]
    pub(crate) no_spawn: bool,
    /// Run as if started in DIR.
    #[arg(id = "start_in", short = 'C', value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
}

fn help_flag() -> Arg {
    let help = Arg::new("help").short('h').long("help").help("Print help");
    help.action(ArgAction::HelpShort).help_heading(None::<&str>)
}

impl Common {
    /// These flags, which stood behind the command, and those that stood before it; the later value counts.
    pub(crate) fn or(&self, before: &Self) -> Self {
        Self {
            json: self.json || before.json,
            quiet: self.quiet || before.quiet,
            verbose: self.verbose || before.verbose,
            color: self.color.or(before.color),
            timeout: self.timeout.or(before.timeout),
            no_spawn: self.no_spawn || before.no_spawn,
            directory: self.directory.clone().or_else(|| before.directory.clone()),
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

// Which worker is wanted, and where it is described.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub(crate) struct WorkerSelection {
    /// The worker's name, or NAME@KEY.
    pub(crate) name: String,
    /// The key, which tells workers of one name apart; a project's is made from its directory.
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

// Which worker is meant.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub(crate) struct WorkerArg {
    /// The worker's name, or NAME@KEY as `list` shows it.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) by: KeyOrFile,
}

// How a plain name is resolved: by its key, or in one file.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
pub(crate) struct KeyOrFile {
    /// The key, which tells workers of one name apart; with it, no configuration is read.
    #[arg(long, value_name = "K")]
    pub(crate) key: Option<String>,
    /// Look the name up in this configuration file.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// A moment on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// So long before now.
    Ago(Span),
    /// This one, in milliseconds since the Unix epoch.
    At(u64),
}

impl When {
    /// Milliseconds since the Unix epoch.
    pub(crate) fn at_ms(self) -> u64 {
        match self {
            Self::Ago(ago) => wall_millis().saturating_sub(millis(ago.duration())),
            Self::At(at_ms) => at_ms,
        }
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ago = || text.parse().map(Self::Ago).ok();
        utc::parse(text).map(Self::At).or_else(ago).ok_or_else(|| {
            "write how long ago, such as 10m, or a time in UTC, such as 2026-01-31T08:00Z".to_owned()
        })
    }
}

/// Reads the words of a command, whatever bytes they have.
pub(crate) fn words() -> impl TypedValueParser<Value = String> {
    OsStringValueParser::new().map(|word| os_text::text(&word))
}

/// Reads a duration.
pub(crate) fn duration(text: &str) -> Result<Span, String> {
    text.parse().map_err(|_| "write a whole number and a unit, such as 500ms, 10s or 2m".to_owned())
}

/// Reads how many of something.
pub(crate) fn count(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "write a whole number, such as 20".to_owned())
}

/// Reads a version as people and programs write it, also with a `v` before it.
pub(crate) fn version(text: &str) -> Result<Version, String> {
    parse(text).map_err(|no| match no.why {
        why if why.starts_with("write ") => why,
        why => format!("write a version, such as 1.4.0 ({why})"),
    })
}

/// Reads a signal by its name.
pub(crate) fn signal(text: &str) -> Result<Signal, String> {
    text.parse().map_err(|_| {
        "write one of TERM, KILL, INT, HUP, QUIT, USR1, USR2, CONT, WINCH, TTIN, TTOU, STOP".to_owned()
    })
}

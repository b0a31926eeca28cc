//! The words of the command line: commands, flags and their types.
//!
//! Each command's arguments are declared when that command is the one typed ([`clap::Command::defer`]): a call pays for
//! its own flags only, and help stays complete. The flags that all take are declared twice, before the command and with
//! it, and not as clap's global ones: those are copied into every command before the first word is read. Types and
//! spelling only; what the words mean is elsewhere.

use std::mem::ManuallyDrop;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, ValueEnum};
use tenure::Version;
use tenure::amount::Span;

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
    #[arg(short = 'C', value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
}

impl Common {
    /// Both, where these stood behind the command and `before` before it; the later value counts.
    fn or(self, before: Self) -> Self {
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

/// What `ensure` and `start` take.
#[derive(Debug, Clone, Args)]
pub(crate) struct Ensure {
    #[command(flatten)]
    pub(crate) wanted: Wanted,
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
    pub(crate) wanted: Wanted,
    /// The program, which then needs no configuration.
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,
}

/// Which worker is wanted, and where it is described.
#[derive(Debug, Clone, Args)]
pub(crate) struct Wanted {
    /// The worker's name, or NAME@KEY.
    pub(crate) name: String,
    /// One of several workers of that name; projects have their directory's.
    #[arg(long, value_name = "K")]
    pub(crate) key: Option<String>,
    /// The version wanted, whatever the configuration says.
    #[arg(long, value_name = "V")]
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
pub(crate) struct Named {
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
pub(crate) struct Status {
    /// The worker's name, or NAME@KEY; without it, every worker that is configured here.
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) by: By,
}

/// What `logs` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Logs {
    #[command(flatten)]
    pub(crate) named: Named,
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
    pub(crate) named: Named,
    /// Go on with what happens from now on.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Only what happened within this time, such as 5m.
    #[arg(long, value_name = "T")]
    pub(crate) since: Option<Span>,
}

/// What `completions` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Completions {
    /// The shell.
    pub(crate) shell: clap_complete::Shell,
}

/// What the demo's own worker takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct DemoWorker {
    /// The version that it answers with.
    pub(crate) serve: String,
    /// Fail to boot.
    #[arg(long)]
    pub(crate) fail: bool,
}

/// A command with its arguments.
#[derive(Debug, Clone)]
pub(crate) enum Words {
    Ensure(Ensure),
    Status(Status),
    List,
    Stop(Named),
    Restart(Restart),
    Logs(Logs),
    Events(Events),
    Host,
    Demo,
    DemoWorker(DemoWorker),
    Completions(Completions),
    Version,
}

/// The table of exit codes in a sentence.
const EXIT_CODES: &str = "`tenure COMMAND --help` says more. Exit codes: 0 it serves, 1 it failed, 2 wrong use, \
    3 not running, 4 not permitted, 5 versions or descriptions disagree, 6 not configured, 7 there but not serving, \
    8 held by another, 124 still booting.";

/// The whole command; arguments of commands are added when one is entered.
pub(crate) fn command() -> Command {
    let command = Command::new("tenure")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .max_term_width(100)
        .after_help(EXIT_CODES);
    let about = "Exactly one healthy worker of the right version, from any number of launchers";
    Common::augment_args(command).about(about).long_about(None).subcommands(commands())
}

/// Declares what a command takes; what it is about stands in the list of commands already.
fn declare(command: Command, own: fn(Command) -> Command) -> Command {
    let about = command.get_about().cloned().unwrap_or_default();
    Common::augment_args(own(command)).about(about).long_about(None)
}

fn arguments<T: Args>(command: Command) -> Command {
    declare(command, T::augment_args)
}

fn no_arguments(command: Command) -> Command {
    declare(command, |command| command)
}

/// The scope that a host was started for: shown in lists of processes, while what it is handed decides.
fn scope_argument(command: Command) -> Command {
    let name = |command: Command| {
        command
            .arg(Arg::new("name").value_name("NAME").required(true).help("The scope that it was started for"))
    };
    declare(command, name)
}

fn commands() -> [Command; 13] {
    let one = |name: &'static str, about: &'static str| Command::new(name).about(about);
    [
        one("ensure", "Return when one healthy worker serves; start it if need be")
            .override_usage("tenure ensure [OPTIONS] NAME [-- CMD…]")
            .defer(arguments::<Ensure>),
        one("start", "The same as ensure")
            .override_usage("tenure start [OPTIONS] NAME [-- CMD…]")
            .defer(arguments::<Ensure>),
        one("status", "Say what is; start nothing").defer(arguments::<Status>),
        one("list", "Say what is, of every worker that ever ran here").defer(no_arguments),
        one("stop", "End a worker; return when it and its children are proved gone")
            .defer(arguments::<Named>),
        one("restart", "Put a new worker in the place of the old one, and prove it")
            .override_usage("tenure restart [OPTIONS] NAME [-- CMD…]")
            .defer(arguments::<Restart>),
        one("logs", "Show the last lines of a worker's output").defer(arguments::<Logs>),
        one("events", "Show who started, replaced and stopped a worker, when, and why")
            .defer(arguments::<Events>),
        one("host", "Keep a program in the foreground; `tenure ensure` starts this")
            .hide(true)
            .defer(scope_argument),
        one("demo", "Show the whole life of a worker in half a minute, with real processes")
            .defer(no_arguments),
        one("demo-worker", "The small HTTP server of the demo").hide(true).defer(arguments::<DemoWorker>),
        one("completions", "Write the completions of a shell to stdout").defer(arguments::<Completions>),
        one("version", "Say which version this is, and which formats it speaks").defer(no_arguments),
    ]
}

/// Reads the arguments, the first of which is the name of the program.
pub(crate) fn read(
    args: impl IntoIterator<Item: Into<std::ffi::OsString> + Clone>,
) -> Result<(Common, Words), clap::Error> {
    // Never dropped: the process is about to end, and taking hundreds of small pieces apart is time that a caller waits.
    let mut command = ManuallyDrop::new(command());
    let mut matches = command.try_get_matches_from_mut(args)?;
    let before = Common::from_arg_matches_mut(&mut matches)?;
    let (name, mut matches) = matches.remove_subcommand().expect("clap demands a command");
    let matches = &mut matches;
    let common = Common::from_arg_matches_mut(matches)?.or(before);
    let words = match name.as_str() {
        "ensure" | "start" => Words::Ensure(typed(matches)?),
        "status" => Words::Status(typed(matches)?),
        "list" => Words::List,
        "stop" => Words::Stop(typed(matches)?),
        "restart" => Words::Restart(typed(matches)?),
        "logs" => Words::Logs(typed(matches)?),
        "events" => Words::Events(typed(matches)?),
        "host" => Words::Host,
        "demo" => Words::Demo,
        "demo-worker" => Words::DemoWorker(typed(matches)?),
        "completions" => Words::Completions(typed(matches)?),
        _ => Words::Version,
    };
    Ok((common, words))
}

fn typed<T: FromArgMatches>(matches: &mut ArgMatches) -> Result<T, clap::Error> {
    T::from_arg_matches_mut(matches)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> (Common, Words) {
        read(line.split(' ')).expect(line)
    }

    #[test]
    fn the_declaration_of_every_command_holds_together() {
        command().debug_assert();
    }

    #[test]
    fn flags_for_all_stand_before_or_after_the_command() {
        let lines = ["tenure --json -C /d ensure memory", "tenure -C /e ensure memory --json -C /d"];
        for line in lines {
            let (common, words) = parse(line);
            assert!(common.json && common.directory == Some("/d".into()), "{line}");
            assert!(matches!(words, Words::Ensure(ensure) if ensure.wanted.name == "memory"));
        }
    }

    #[test]
    fn what_stands_after_two_dashes_is_the_program_and_nothing_of_ours() {
        let (common, words) = parse("tenure ensure web --version 1.2.3 -- node --json -q");
        assert!(!common.json && !common.quiet);
        let Words::Ensure(ensure) = words else { panic!("ensure expected") };
        assert_eq!(ensure.command, ["node", "--json", "-q"]);
        assert_eq!(ensure.wanted.version, Some(Version::new(1, 2, 3)));
    }

    #[test]
    fn two_descriptions_of_one_worker_are_refused() {
        let read = |line: &str| read(line.split(' '));
        assert!(read("tenure ensure web --spec - -- node").is_err());
        assert!(read("tenure restart web --config f.toml -- node").is_err());
    }
}

//! The commands: each is one file with its arguments (clap derive), its examples and exit codes, and `impl Run`.
//!
//! `CONTRIBUTING.md` lists what a new command needs.

use std::ffi::OsString;
use std::mem::ManuallyDrop;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::args::{Common, WithCommon};

pub(crate) mod call;
mod completions;
mod config;
pub(crate) mod demo;
mod doctor;
mod ensure;
mod events;
mod forget;
mod help;
mod host;
mod init;
mod logs;
mod man;
mod pin;
mod prune;
mod restart;
mod signal;
mod status;
mod stop;
mod trust;
mod version;

use call::{Call, Run};

/// Exactly one healthy worker of the right version, from any number of launchers.
///
/// tenure keeps long-lived background processes (workers) so that any number of callers get exactly one healthy worker
/// of the right version. It has no daemon of its own: each caller does what has to be done, and the kernel says which
/// processes run.
///
/// NAME is a worker's name, or NAME@KEY as `tenure list` shows it. A tenure.toml that is found upward from the working
/// directory describes the workers of a project; ~/.config/tenure/*.toml those of a user; /etc/tenure/*.toml those of a
/// system. `tenure ensure NAME -- CMD` needs none of them.
///
/// Data goes to stdout, everything else to stderr: what changed, warnings, errors, and with each error a hint that says
/// what to type next. With --json stdout has one document, or for a stream one on each line; errors are documents too.
#[derive(Debug, Parser)]
#[command(
    name = "tenure",
    version,
    disable_help_subcommand = true,
    override_usage = "tenure [OPTIONS] COMMAND",
    max_term_width = 100,
    after_help = EXIT_CODES,
    after_long_help = MANUAL,
)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    before: Common,
    #[command(subcommand)]
    command: Invocation,
}

// The arguments of a command are declared when that command was typed (`defer`), so that a call pays for its own only.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
enum Invocation {
    Ensure(WithCommon<ensure::Ensure>),
    Start(WithCommon<ensure::Start>),
    Stop(WithCommon<stop::Stop>),
    Restart(WithCommon<restart::Restart>),
    Signal(WithCommon<signal::Signal>),
    Reload(WithCommon<signal::Reload>),
    Status(WithCommon<status::Status>),
    #[command(visible_alias = "ls")]
    List(WithCommon<status::List>),
    Logs(WithCommon<logs::Logs>),
    Events(WithCommon<events::Events>),
    Doctor(WithCommon<doctor::Doctor>),
    Prune(WithCommon<prune::Prune>),
    Pin(WithCommon<pin::Pin>),
    Unpin(WithCommon<pin::Unpin>),
    Forget(WithCommon<forget::Forget>),
    Init(WithCommon<init::Init>),
    Config(WithCommon<config::Config>),
    Trust(WithCommon<trust::Trust>),
    Demo(WithCommon<demo::Demo>),
    Man(WithCommon<man::Man>),
    Completions(WithCommon<completions::Completions>),
    Version(WithCommon<version::Version>),
    #[command(hide = true)]
    Host(WithCommon<host::Host>),
    #[command(hide = true)]
    DemoWorker(WithCommon<demo::worker::DemoWorker>),
}

impl Invocation {
    /// The flags for all that were typed behind the command, and the command.
    fn parts(&self) -> (Common, &dyn Run) {
        match self {
            Self::Ensure(typed) => typed.parts(),
            Self::Start(typed) => typed.parts(),
            Self::Stop(typed) => typed.parts(),
            Self::Restart(typed) => typed.parts(),
            Self::Signal(typed) => typed.parts(),
            Self::Reload(typed) => typed.parts(),
            Self::Status(typed) => typed.parts(),
            Self::List(typed) => typed.parts(),
            Self::Logs(typed) => typed.parts(),
            Self::Events(typed) => typed.parts(),
            Self::Doctor(typed) => typed.parts(),
            Self::Prune(typed) => typed.parts(),
            Self::Pin(typed) => typed.parts(),
            Self::Unpin(typed) => typed.parts(),
            Self::Forget(typed) => typed.parts(),
            Self::Init(typed) => typed.parts(),
            Self::Config(typed) => typed.parts(),
            Self::Trust(typed) => typed.parts(),
            Self::Demo(typed) => typed.parts(),
            Self::Man(typed) => typed.parts(),
            Self::Completions(typed) => typed.parts(),
            Self::Version(typed) => typed.parts(),
            Self::Host(typed) => typed.parts(),
            Self::DemoWorker(typed) => typed.parts(),
        }
    }
}

const EXIT_CODES: &str = "\
Exit codes:
  0    success
  1    failure; the cause is shown
  2    wrong use
  3    the worker does not run
  4    not permitted: a sandbox, a permission, the state directory
  5    versions or descriptions disagree
  6    not configured, not trusted, or the configuration is wrong
  7    the worker is there and does not serve; or `tenure doctor` found an error
  8    another process holds the gate
  124  the time is over; a worker that boots goes on
  130  interrupted

`tenure COMMAND --help` shows the flags and exit codes of a command.";

/// What only the manual says.
const MANUAL: &str = "\
Environment:
  TENURE_STATE_DIR                Root of all state, an absolute path. Default: .local/state/tenure in the home of the user.
  TENURE_CONFIG_DIR               Directory of the user's configuration files, an absolute path. Default: .config/tenure in the home.
  TENURE_NO_SPAWN                 Anything but the empty string or 0: never start a worker, as --no-daemon.
  NO_COLOR, CLICOLOR_FORCE, TERM  No colours, colours everywhere, and no colours where it is `dumb`.

Files:
  tenure.toml              Workers of a project, found upward from the working directory.
  ~/.config/tenure/*.toml  Workers of a user.
  /etc/tenure/*.toml       Workers of a system.
  ~/.local/state/tenure    Locks, records, sockets and logs of every worker.

Examples:
  tenure ensure web                            as tenure.toml describes it
  tenure ensure web -- python3 -m http.server  without configuration
  tenure ensure web --json --timeout 5s        for a program, for at most 5 s";

impl CommandLine {
    /// Reads the arguments, the first of which is the name of the program.
    pub(crate) fn read(args: &[OsString]) -> Result<Self, clap::Error> {
        // Never dropped: the process is about to end, and taking hundreds of small pieces apart is time that a caller
        // waits.
        let mut command = ManuallyDrop::new(Self::command());
        let mut matches = command.try_get_matches_from_mut(args).map_err(|error| {
            let help = [ErrorKind::DisplayHelp, ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand];
            if !help.contains(&error.kind()) {
                return error;
            }
            help::for_help(Self::command()).try_get_matches_from(args).err().unwrap_or(error)
        })?;
        Self::from_arg_matches_mut(&mut matches)
    }

    /// The call that was typed, and the command to run in it.
    pub(crate) fn parts(&self) -> (Call, &dyn Run) {
        let (common, command) = self.command.parts();
        (Call::new(common.or(&self.before), Self::command), command)
    }
}

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::*;

    fn read(line: &str) -> Result<CommandLine, clap::Error> {
        CommandLine::read(&line.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    fn parse(line: &str) -> (Common, Invocation) {
        let line = read(line).expect(line);
        (line.parts().0.common, line.command)
    }

    #[test]
    fn the_declaration_of_every_command_holds_together() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn flags_for_all_stand_before_or_after_the_command() {
        let lines = [
            "tenure --json -C /d ensure memory",
            "tenure -C /e ensure memory --json -C /d",
            "tenure -C /e config -C /f check --json -C /d",
        ];
        for line in lines {
            let (common, _) = parse(line);
            assert!(common.json && common.directory == Some("/d".into()), "{line}");
        }
    }

    #[test]
    fn what_stands_after_two_dashes_is_the_program_and_nothing_of_ours() {
        let (common, command) = parse("tenure ensure web --version 1.2.3 -- node --json -q");
        assert!(!common.json && !common.quiet);
        let Invocation::Ensure(WithCommon { own, .. }) = command else { panic!("ensure expected") };
        assert_eq!(own.command, ["node", "--json", "-q"]);
        assert_eq!(own.wanted.version, Some(tenure_core::Version::new(1, 2, 3)));
    }

    #[test]
    fn two_descriptions_of_one_worker_are_refused() {
        assert!(read("tenure ensure web --spec - -- node").is_err());
        assert!(read("tenure restart web --config f.toml -- node").is_err());
    }

    #[test]
    fn two_manners_of_one_restart_are_refused() {
        let flags = |line: &str| {
            let Invocation::Restart(WithCommon { own, .. }) = parse(line).1 else {
                panic!("restart expected")
            };
            (own.overlap, own.force)
        };
        assert_eq!(flags("tenure restart web"), (false, false));
        assert_eq!(flags("tenure restart web --overlap"), (true, false));
        assert_eq!(flags("tenure restart web --force"), (false, true));
        assert!(read("tenure restart web --force --overlap").is_err());
    }

    /// Hands over every command that is shown, and those below it.
    fn each_shown(command: &Command, seen: &mut dyn FnMut(&Command)) {
        for one in command.get_subcommands().filter(|one| !one.is_hide_set()) {
            seen(one);
            each_shown(one, seen);
        }
    }

    #[test]
    fn a_value_that_cannot_be_used_is_told_with_its_flag_and_an_example() {
        let mut command = CommandLine::command();
        command.build();
        let mut refused = 0;
        each_shown(&command, &mut |one| {
            let name = one.get_bin_name().unwrap_or_default();
            for flag in one
                .get_arguments()
                .filter_map(|arg| arg.get_long().filter(|_| arg.get_action().takes_values()))
            {
                let needed = one.get_positionals().filter(|arg| arg.is_required_set());
                let value = |arg: &clap::Arg| if arg.get_id() == "signal" { "TERM" } else { "1.0.0" };
                let positionals = needed.map(|arg| value(arg).to_owned());
                let words = name.split(' ').map(str::to_owned).chain([format!("--{flag}"), "?(".to_owned()]);
                let args: Vec<OsString> = words.chain(positionals).map(OsString::from).collect();
                let Err(error) = CommandLine::read(&args) else { continue };
                let is_of_value =
                    [ErrorKind::InvalidValue, ErrorKind::ValueValidation].contains(&error.kind());
                let told = crate::output::typed::wrong_use(&error, &args).filter(|_| is_of_value);
                let Some(told) = told else { continue };
                refused += 1;
                assert!(told.starts_with(&format!("`--{flag}` cannot be \"?(\": write ")), "{told}");
                assert!(told.contains("such as") || told.contains("one of"), "{told}");
            }
        });
        assert!(refused > 20, "{refused}");
    }

    #[test]
    fn what_is_wrong_with_a_command_line_is_told_in_our_words() {
        let told = |line: &str| {
            let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            crate::output::typed::wrong_use(&CommandLine::read(&args).expect_err(line), &args).expect(line)
        };
        for (line, words) in [
            ("tenure logs q -n -1", "there is no flag `-1`; if it is the value of `-n`, write `-n=-1`"),
            ("tenure pin q -1", "there is no flag `-1`"),
            ("tenure logs --json -zx", "there is no flag `-zx`"),
            ("tenure ensure q --timeut 5s", "there is no flag `--timeut`; did you mean `--timeout`?"),
            ("tenure status a b c", "`b` is one word too many"),
            ("tenure signal q", "<SIGNAL> is missing"),
            ("tenure logs -n 1 -n 2", "`--lines` is written twice"),
            ("tenure restart q --overlap --force", "`--overlap` and `--force` exclude each other"),
            ("tenure stop --hold=1", "`--hold` takes no value"),
            ("tenure config shw", "there is no command `shw`; did you mean `show`?"),
        ] {
            assert_eq!(told(line), words, "{line}");
        }
    }

    #[test]
    fn every_example_is_understood_and_fits_a_narrow_terminal() {
        let mut command = CommandLine::command();
        command.build();
        each_shown(&command, &mut |one| {
            let name = one.get_display_name().unwrap_or_default();
            let text = one.get_after_help().map(ToString::to_string).unwrap_or_default();
            let (first, rest) = text.split_once('\n').unwrap_or_default();
            assert_eq!(first, "Examples:", "{name}");
            for row in rest.lines().take_while(|row| !row.is_empty()) {
                let typed = row.trim_start().split("  ").next().unwrap_or_default();
                let typed = typed.split(" | ").next().and_then(|typed| typed.split(" > ").next());
                assert!(read(typed.expect("a first part")).is_ok(), "{name}: {row}");
            }
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{name}: {text}");
        });
    }
}

//! The words of the command line: commands, and which arguments belong to which.
//!
//! Each command's arguments are declared when that command is the one typed ([`clap::Command::defer`]): a call pays for
//! its own flags only, and help stays complete. The flags that all take are declared twice, before the command and with
//! it, and not as clap's global ones: those are copied into every command before the first word is read. What only a reader
//! of help needs is added when help is what was asked for. Types and spelling only; what the words mean is elsewhere.

use std::ffi::OsString;
use std::mem::ManuallyDrop;

use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

mod care;
mod common;
pub(crate) mod help;
pub(crate) mod style;
mod worker;

pub(crate) use care::{
    Completions, Config, ConfigCheck, ConfigShow, DemoWorker, Doctor, Init, Man, Shell, Trust,
};
pub(crate) use common::{Color, Common};
pub(crate) use help::{Rows, page};
pub(crate) use style::{EXITS, GROUPS, dressed};
pub(crate) use worker::{
    By, Ensure, Events, LogsArgs, Pin, Restart, StatusArgs, Stop, WorkerArg, WorkerSelection,
};

/// A command with its arguments.
#[derive(Debug, Clone)]
pub(crate) enum Invocation {
    Ensure(Ensure),
    Start(Ensure),
    Status(StatusArgs),
    List,
    Stop(Stop),
    Restart(Restart),
    Pin(Pin),
    Unpin(WorkerArg),
    /// An offer is taken back.
    Forget(Pin),
    Logs(LogsArgs),
    Events(Events),
    Doctor(Doctor),
    Trust(Trust),
    Config(Config),
    Init(Init),
    Host,
    Demo,
    DemoWorker(DemoWorker),
    Man(Man),
    Completions(Completions),
    Version,
}

/// The whole command; arguments of commands are added when one is entered.
pub(crate) fn command() -> Command {
    let command = Command::new("tenure")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .override_usage("tenure [OPTIONS] COMMAND")
        .max_term_width(100);
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

/// The commands below `config`.
fn config_commands(command: Command) -> Command {
    let own = |command: Command| {
        command.subcommand_required(true).arg_required_else_help(true).subcommands([
            one("check", "Say whether the files can be used, and what is wrong with them")
                .defer(arguments::<ConfigCheck>),
            one("show", "Show what is in force, and where each value comes from")
                .defer(arguments::<ConfigShow>),
            one("schema", "Write the JSON Schema of a tenure.toml to stdout").defer(no_arguments),
        ])
    };
    declare(command, own)
}

fn one(name: &'static str, about: &'static str) -> Command {
    Command::new(name).about(about)
}

fn commands() -> Vec<Command> {
    vec![
        one("ensure", "Return when one healthy worker serves; start it if need be")
            .override_usage("tenure ensure [OPTIONS] NAME [-- CMD…]")
            .defer(arguments::<Ensure>),
        one("start", "The same, also after `stop --hold`")
            .override_usage("tenure start [OPTIONS] NAME [-- CMD…]")
            .defer(arguments::<Ensure>),
        one("stop", "End a worker; return when it and its children are proved gone").defer(arguments::<Stop>),
        one("restart", "Put a new worker in the place of the old one, and prove it")
            .override_usage("tenure restart [OPTIONS] NAME [-- CMD…]")
            .defer(arguments::<Restart>),
        one("status", "Say what is; start nothing").defer(arguments::<StatusArgs>),
        one("list", "Say what is, of every worker that ever ran here")
            .visible_alias("ls")
            .defer(no_arguments),
        one("pin", "Hold one version, whatever is offered; the only downgrade there is")
            .defer(arguments::<Pin>),
        one("unpin", "Release the pinned version").defer(arguments::<WorkerArg>),
        one("forget", "Take an offered version back").defer(arguments::<Pin>),
        one("logs", "Show the last lines of a worker's output").defer(arguments::<LogsArgs>),
        one("events", "Show who started, replaced and stopped a worker, when, and why")
            .defer(arguments::<Events>),
        one("trust", "Allow a project's tenure.toml to start what it describes").defer(arguments::<Trust>),
        one("config", "Check the configuration, show it, or write its schema").defer(config_commands),
        one("init", "Write a tenure.toml to begin with").defer(arguments::<Init>),
        one("doctor", "Say what is the matter, and what to do about it; start nothing")
            .defer(arguments::<Doctor>),
        one("host", "Keep a program in the foreground; `tenure ensure` starts this")
            .hide(true)
            .defer(scope_argument),
        one("demo", "Show the whole life of a worker in half a minute, with real processes")
            .defer(no_arguments),
        one("demo-worker", "The small HTTP server of the demo").hide(true).defer(arguments::<DemoWorker>),
        one("man", "Write the manual to stdout, or its pages into a directory").defer(arguments::<Man>),
        one("completions", "Write the completions of a shell to stdout").defer(arguments::<Completions>),
        one("version", "Say which version this is, and which formats it speaks").defer(no_arguments),
    ]
}

/// Reads the arguments, the first of which is the name of the program.
pub(crate) fn read(
    args: impl IntoIterator<Item: Into<OsString> + Clone> + Clone,
) -> Result<(Common, Invocation), clap::Error> {
    // Never dropped: the process is about to end, and taking hundreds of small pieces apart is time that a caller waits.
    let mut command = ManuallyDrop::new(command());
    let mut matches = command.try_get_matches_from_mut(args.clone()).map_err(|error| told(error, args))?;
    let before = Common::from_arg_matches_mut(&mut matches)?;
    let (name, mut matches) = matches.remove_subcommand().expect("clap demands a command");
    let matches = &mut matches;
    let mut common = Common::from_arg_matches_mut(matches)?.or(before);
    let words = match name.as_str() {
        "ensure" => Invocation::Ensure(typed(matches)?),
        "start" => Invocation::Start(typed(matches)?),
        "status" => Invocation::Status(typed(matches)?),
        "list" => Invocation::List,
        "stop" => Invocation::Stop(typed(matches)?),
        "restart" => Invocation::Restart(typed(matches)?),
        "pin" => Invocation::Pin(typed(matches)?),
        "unpin" => Invocation::Unpin(typed(matches)?),
        "forget" => Invocation::Forget(typed(matches)?),
        "logs" => Invocation::Logs(typed(matches)?),
        "events" => Invocation::Events(typed(matches)?),
        "doctor" => Invocation::Doctor(typed(matches)?),
        "trust" => Invocation::Trust(typed(matches)?),
        "config" => Invocation::Config(config(matches, &mut common)?),
        "init" => Invocation::Init(typed(matches)?),
        "host" => Invocation::Host,
        "demo" => Invocation::Demo,
        "demo-worker" => Invocation::DemoWorker(typed(matches)?),
        "man" => Invocation::Man(typed(matches)?),
        "completions" => Invocation::Completions(typed(matches)?),
        _ => Invocation::Version,
    };
    Ok((common, words))
}

/// Help is written by the dressed command; any other error is told as it is.
fn told(error: clap::Error, args: impl IntoIterator<Item: Into<OsString> + Clone>) -> clap::Error {
    let help = [ErrorKind::DisplayHelp, ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand];
    if help.contains(&error.kind()) {
        dressed(command()).try_get_matches_from(args).err().unwrap_or(error)
    } else {
        error
    }
}

/// The command below `config`, with which the shared flags may stand as well.
fn config(matches: &mut ArgMatches, common: &mut Common) -> Result<Config, clap::Error> {
    let (name, mut matches) = matches.remove_subcommand().expect("clap demands a command");
    let matches = &mut matches;
    *common = Common::from_arg_matches_mut(matches)?.or(common.clone());
    Ok(match name.as_str() {
        "check" => Config::Check(typed(matches)?),
        "show" => Config::Show(typed(matches)?),
        _ => Config::Schema,
    })
}

fn typed<T: FromArgMatches>(matches: &mut ArgMatches) -> Result<T, clap::Error> {
    T::from_arg_matches_mut(matches)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> (Common, Invocation) {
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
            assert!(matches!(words, Invocation::Ensure(ensure) if ensure.wanted.name == "memory"));
        }
    }

    #[test]
    fn what_stands_after_two_dashes_is_the_program_and_nothing_of_ours() {
        let (common, words) = parse("tenure ensure web --version 1.2.3 -- node --json -q");
        assert!(!common.json && !common.quiet);
        let Invocation::Ensure(ensure) = words else { panic!("ensure expected") };
        assert_eq!(ensure.command, ["node", "--json", "-q"]);
        assert_eq!(ensure.wanted.version, Some(tenure_core::Version::new(1, 2, 3)));
    }

    #[test]
    fn two_descriptions_of_one_worker_are_refused() {
        let read = |line: &str| read(line.split(' '));
        assert!(read("tenure ensure web --spec - -- node").is_err());
        assert!(read("tenure restart web --config f.toml -- node").is_err());
    }

    #[test]
    fn two_manners_of_one_restart_are_refused() {
        let flags = |line: &str| {
            let Invocation::Restart(restart) = parse(line).1 else { panic!("restart expected") };
            (restart.overlap, restart.force)
        };
        assert_eq!(flags("tenure restart web"), (false, false));
        assert_eq!(flags("tenure restart web --overlap"), (true, false));
        assert_eq!(flags("tenure restart web --force"), (false, true));
        assert!(read("tenure restart web --force --overlap".split(' ')).is_err());
    }
}

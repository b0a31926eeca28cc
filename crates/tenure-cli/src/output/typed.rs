//! What was typed and cannot be used, in words of our own: the argument, its value, and what to write.
//!
//! Pure. The parser of the command line has words for it too, which end with what a reader of numbers says, and some of
//! its tips cannot be followed.

use std::error::Error as _;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Names the fault of a command line, as a fragment of a sentence; `None` if the parser shows help instead.
pub(crate) fn wrong_use(error: &clap::Error, args: &[OsString]) -> Option<String> {
    let invalid = text(error, ContextKind::InvalidArg);
    Some(match error.kind() {
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => wrong_value(error)?,
        ErrorKind::UnknownArgument => unknown(invalid?, error, args),
        ErrorKind::InvalidSubcommand => {
            let command = text(error, ContextKind::InvalidSubcommand)?;
            format!("there is no command `{command}`{}", meant(error, ContextKind::SuggestedSubcommand))
        }
        ErrorKind::MissingRequiredArgument => {
            let missing: Vec<&str> = texts(error, ContextKind::InvalidArg).collect();
            let are = if missing.len() == 1 { "is" } else { "are" };
            format!("{} {are} missing", missing.join(" and "))
        }
        ErrorKind::ArgumentConflict => conflict(name(invalid?), error),
        ErrorKind::TooManyValues => format!("`{}` takes no value", name(invalid?)),
        ErrorKind::InvalidUtf8 => "a flag or a value that has to be text is none".to_owned(),
        ErrorKind::NoEquals
        | ErrorKind::TooFewValues
        | ErrorKind::WrongNumberOfValues
        | ErrorKind::MissingSubcommand
        | ErrorKind::DisplayHelp
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        | ErrorKind::DisplayVersion
        | ErrorKind::Io
        | ErrorKind::Format
        | _ => return None,
    })
}

/// The hint: the help of the command that was typed, or the list of all commands.
pub(crate) fn help_for(error: &clap::Error) -> String {
    let usage = error.get(ContextKind::Usage).map(ToString::to_string).unwrap_or_default();
    let words = usage.split_whitespace().skip_while(|word| *word != "tenure").skip(1);
    let is_name = |word: &&str| word.chars().all(|one| one.is_ascii_lowercase() || one == '-');
    let command: Vec<&str> = words.take_while(|word| is_name(word)).collect();
    match command.join(" ") {
        command if command.is_empty() => "`tenure --help` lists the commands".to_owned(),
        command => format!("`tenure {command} --help` lists what it takes"),
    }
}

/// Names the argument whose value cannot be used, the value, and what to write.
fn wrong_value(error: &clap::Error) -> Option<String> {
    let argument = text(error, ContextKind::InvalidArg)?;
    let value = text(error, ContextKind::InvalidValue).unwrap_or_default();
    let choices: Vec<&str> = texts(error, ContextKind::ValidValue).collect();
    let choices = (!choices.is_empty()).then(|| format!("write one of {}", choices.join(", ")));
    let wanted = choices.or_else(|| Some(error.source()?.to_string()));
    let name = name(argument);
    Some(match (value, wanted) {
        ("", None) => format!("`{name}` needs a value: {argument}"),
        ("", Some(wanted)) => format!("`{name}` needs a value: {wanted}"),
        (value, None) => format!("`{name}` cannot be {value:?}"),
        (value, Some(wanted)) => format!("`{name}` cannot be {value:?}: {wanted}"),
    })
}

/// A word that is no flag here, or one too many.
fn unknown(word: &str, error: &clap::Error, args: &[OsString]) -> String {
    if !word.starts_with('-') {
        return format!("`{word}` is one word too many");
    }
    let meant = meant(error, ContextKind::SuggestedArg);
    // The parser names the first letter of a bundle of short flags; what was typed begins with it.
    let at = args.iter().position(|arg| arg.to_str().is_some_and(|arg| arg.starts_with(word)));
    let before = at.and_then(|at| args.get(at.checked_sub(1)?)?.to_str());
    let typed = at.and_then(|at| args[at].to_str()).unwrap_or(word);
    let is_number = typed[1..].starts_with(|first: char| first.is_ascii_digit());
    let flag = before.filter(|before| is_number && before.starts_with('-') && !before.contains('='));
    match flag {
        Some(flag) => {
            format!("there is no flag `{typed}`; if it is the value of `{flag}`, write `{flag}={typed}`")
        }
        None => format!("there is no flag `{typed}`{meant}"),
    }
}

fn conflict(argument: &str, error: &clap::Error) -> String {
    let one = text(error, ContextKind::PriorArg);
    let mut others = one.into_iter().chain(texts(error, ContextKind::PriorArg)).map(name).peekable();
    match others.peek() {
        Some(other) if *other == argument => format!("`{argument}` is written twice"),
        Some(_) => {
            let others: Vec<String> = others.map(|other| format!("`{other}`")).collect();
            format!("`{argument}` and {} exclude each other", others.join(", "))
        }
        None => format!("`{argument}` and another argument exclude each other"),
    }
}

fn meant(error: &clap::Error, kind: ContextKind) -> String {
    let mut words: Vec<String> =
        text(error, kind).into_iter().chain(texts(error, kind)).map(|word| format!("`{word}`")).collect();
    // The parser's best guess is its last.
    words.reverse();
    if words.is_empty() { String::new() } else { format!("; did you mean {}?", words.join(" or ")) }
}

/// An argument as it is typed, without its value: `-n` of `-n <N>`.
fn name(argument: &str) -> &str {
    argument.split([' ', '=']).next().unwrap_or(argument).trim_matches(['<', '>', '[', ']'])
}

fn text(error: &clap::Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text),
        _ => None,
    }
}

fn texts(error: &clap::Error, kind: ContextKind) -> impl Iterator<Item = &str> {
    let found = match error.get(kind) {
        Some(ContextValue::Strings(texts)) => texts.as_slice(),
        _ => &[],
    };
    found.iter().map(String::as_str)
}

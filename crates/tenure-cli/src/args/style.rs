//! The command as it is shown to a person: in groups, with examples and exit codes.
//!
//! Only help and the manual need it. A call that does something pays for none of it.

use std::fmt::Write;

use clap::Command;
use clap::builder::StyledStr;
use clap::builder::styling::Style;

use super::help::{Rows, page};

/// The commands as a person looks for them. Each that is not hidden stands here once.
pub(crate) const GROUPS: [(&str, &[&str]); 5] = [
    ("Keep a worker", &["ensure", "start", "stop", "restart"]),
    ("See what is", &["status", "list", "logs", "events", "doctor"]),
    ("Choose a version", &["pin", "unpin", "forget"]),
    ("Describe workers", &["init", "config", "trust"]),
    ("Get to know tenure", &["demo", "man", "completions", "version"]),
];

/// The exit codes of all commands.
pub(crate) const EXITS: Rows = &[
    ("0", "it serves, or is gone where that was asked for"),
    ("1", "it failed; the cause is told"),
    ("2", "wrong use"),
    ("3", "not running"),
    ("4", "not permitted: a sandbox, a permission, the state directory"),
    ("5", "versions or descriptions disagree"),
    ("6", "not configured, not trusted, or the configuration is wrong"),
    ("7", "there, and not serving; or `tenure doctor` found an error"),
    ("8", "another process holds the gate"),
    ("124", "the time was over; a worker that boots goes on"),
    ("130", "interrupted"),
];

/// The command with its groups, and each command with its page. Everything that was put off is declared in it.
pub(crate) fn dressed(mut command: Command) -> Command {
    command.build();
    let header = *command.get_styles().get_header();
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}{{all-args}}{{after-help}}",
        groups(&command)
    );
    let exits =
        format!("{}\n\n`tenure COMMAND --help` says more of each.", section(header, "Exit codes", EXITS));
    command
        .help_template(StyledStr::from(template))
        .after_help(StyledStr::from(exits))
        // They stand in their groups, so clap is not to list them again.
        .mut_subcommands(|one| with_page(one, "").hide(true))
}

/// The command and the commands below it with their examples and exit codes.
fn with_page(command: Command, above: &str) -> Command {
    let name = format!("{above}{}", command.get_name());
    let header = *command.get_styles().get_header();
    let page = page(&name);
    let below = format!("{name} ");
    let command = command.mut_subcommands(|one| with_page(one, &below));
    let Some(page) = page else { return command };
    let mut text = section(header, "Examples", page.examples);
    if !page.exits.is_empty() {
        text = format!("{text}\n\n{}", section(header, "Exit codes", page.exits));
    }
    command.after_help(StyledStr::from(text))
}

fn groups(command: &Command) -> String {
    let about = |name: &&str| {
        let one = command.find_subcommand(name)?;
        Some((one.get_name(), one.get_about()?.to_string()))
    };
    let groups: Vec<(&str, Vec<(&str, String)>)> =
        GROUPS.iter().map(|(group, names)| (*group, names.iter().filter_map(about).collect())).collect();
    let header = *command.get_styles().get_header();
    let literal = *command.get_styles().get_literal();
    let width = groups.iter().flat_map(|(_, rows)| rows).map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (group, rows) in groups.iter().filter(|(_, rows)| !rows.is_empty()) {
        writeln!(text, "{header}{group}:{header:#}").expect("a string takes all");
        for (name, about) in rows {
            writeln!(text, "  {literal}{name:width$}{literal:#}  {about}").expect("a string takes all");
        }
        text.push('\n');
    }
    text
}

/// A heading, and rows of two columns below it.
fn section(header: Style, heading: &str, rows: Rows) -> String {
    let width = rows.iter().filter(|(_, more)| !more.is_empty()).map(|(first, _)| first.len()).max();
    let width = width.unwrap_or(0);
    let lines: Vec<String> =
        rows.iter().map(|(first, more)| format!("  {first:width$}  {more}").trim_end().to_owned()).collect();
    format!("{header}{heading}:{header:#}\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::args::{command, read};

    /// Every command that is shown, by its words.
    fn shown() -> Vec<String> {
        fn below(command: &Command, above: &str, all: &mut Vec<String>) {
            for one in command.get_subcommands().filter(|one| !one.is_hide_set()) {
                let name = format!("{above}{}", one.get_name());
                below(one, &format!("{name} "), all);
                all.push(name);
            }
        }
        let (mut command, mut all) = (command(), Vec::new());
        command.build();
        below(&command, "", &mut all);
        all
    }

    #[test]
    fn every_command_that_is_shown_stands_in_one_group_and_has_a_page() {
        let grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        assert_eq!(grouped.iter().collect::<BTreeSet<_>>().len(), grouped.len());
        for name in shown() {
            assert!(page(&name).is_some(), "{name} has no page");
            assert!(name.contains(' ') || grouped.contains(&name.as_str()), "{name} is in no group");
        }
    }

    #[test]
    fn every_example_is_understood_and_fits_a_narrow_terminal() {
        for name in shown() {
            let page = page(&name).expect("each has one");
            assert!(!page.examples.is_empty(), "{name}");
            for (line, _) in page.examples {
                let words = line.split(" | ").next().and_then(|line| line.split(" > ").next());
                assert!(read(words.expect("a first part").split(' ')).is_ok(), "{line}");
            }
            for line in section(Style::new(), "Examples", page.examples).lines() {
                assert!(line.chars().count() <= 80, "{line}");
            }
        }
    }
}

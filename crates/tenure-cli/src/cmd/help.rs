//! The commands as help shows them: in groups, and with headings in colour. Only help and the manual need this.

use std::fmt::Write;

use clap::Command;
use clap::builder::StyledStr;

/// The headings that part the list of commands, each before the command that it stands above.
const HEADINGS: [(&str, &str); 5] = [
    ("ensure", "Keep a worker"),
    ("status", "Look at workers"),
    ("pin", "Choose a version"),
    ("init", "Describe workers"),
    ("demo", "About tenure"),
];

/// The command as help shows it. Everything that was put off is declared in it.
pub(crate) fn for_help(mut command: Command) -> Command {
    command.build();
    let rows = list(&command);
    let template =
        format!("{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{rows}{{all-args}}{{after-help}}");
    // They stand in their groups, so clap is not to list them again.
    with_headings(command).help_template(StyledStr::from(template)).mut_subcommands(|one| one.hide(true))
}

/// The command and those below it, with the headings of their examples and exit codes in the style of clap's own.
fn with_headings(command: Command) -> Command {
    let header = *command.get_styles().get_header();
    let heading = |line: &str| {
        if is_heading(line) { format!("{header}{line}{header:#}") } else { line.to_owned() }
    };
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let text = text.lines().map(heading).collect::<Vec<_>>().join("\n");
    command.after_help(StyledStr::from(text)).mut_subcommands(with_headings)
}

/// Whether a line of the text below the options is the heading of the lines after it.
pub(crate) fn is_heading(line: &str) -> bool {
    line.ends_with(':') && !line.starts_with(' ')
}

/// The commands that are shown, in their order and below their headings.
pub(crate) fn groups(command: &Command) -> Vec<(&'static str, Vec<&Command>)> {
    let mut groups: Vec<(_, Vec<_>)> = Vec::new();
    for one in command.get_subcommands().filter(|one| !one.is_hide_set()) {
        let heading =
            HEADINGS.iter().find(|(first, _)| *first == one.get_name()).map(|(_, heading)| *heading);
        if heading.is_none()
            && let Some((_, group)) = groups.last_mut()
        {
            group.push(one);
        } else {
            groups.push((heading.unwrap_or_default(), vec![one]));
        }
    }
    groups
}

fn list(command: &Command) -> String {
    let (header, literal) = (*command.get_styles().get_header(), *command.get_styles().get_literal());
    let groups = groups(command);
    let width = groups.iter().flat_map(|(_, group)| group).map(|one| one.get_name().len()).max().unwrap_or(0);
    let mut text = String::new();
    for (heading, group) in groups {
        writeln!(text, "{header}{heading}:{header:#}").expect("a string takes all");
        for one in group {
            let (name, about) = (one.get_name(), one.get_about().cloned().unwrap_or_default());
            writeln!(text, "  {literal}{name:width$}{literal:#}  {about}").expect("a string takes all");
        }
        text.push('\n');
    }
    text
}

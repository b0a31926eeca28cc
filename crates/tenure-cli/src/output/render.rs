//! The only room that prints: documents and data to stdout, everything else to stderr.
//!
//! Each document is one write. Colour is decided per stream, from `--color` and what the stream leads to; documents and
//! what a worker wrote are never coloured.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use clap::error::ErrorKind;
use serde::Serialize;
use tenure_core::os_text;
use tenure_sys::discard::best_effort;

use crate::answer::AnswerState;
use crate::args::{Color, Common};
use crate::output::failure::{ErrorBody, Failure};
use crate::output::typed;

/// Version of every JSON document that a command writes.
const SCHEMA: u32 = 1;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// The flags that decide what a call prints, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    json: bool,
    quiet: bool,
    verbose: bool,
    color: Color,
}

impl Screen {
    /// The screen that these flags ask for.
    pub(crate) fn new(common: &Common) -> Self {
        let Common { json, quiet, verbose, color, .. } = *common;
        Self { json, quiet, verbose, color: color.unwrap_or(Color::Auto) }
    }

    /// The screen of a command line that could not be read, as far as its flags can be told.
    pub(crate) fn of_unread(args: &[OsString]) -> Self {
        let own: Vec<&OsString> = args.iter().take_while(|arg| *arg != "--").collect();
        let after = |flag: &str| own.windows(2).rev().find(|pair| pair[0] == flag).map(|pair| pair[1]);
        let joined = own.iter().rev().find_map(|arg| arg.to_str()?.strip_prefix("--color="));
        let color =
            joined.or_else(|| after("--color")?.to_str()).and_then(|when| Color::from_str(when, false).ok());
        let json = own.iter().any(|arg| *arg == "--json");
        Self { json, quiet: false, verbose: false, color: color.unwrap_or(Color::Auto) }
    }

    /// Whether documents are wanted instead of words.
    pub(crate) fn wants_json(self) -> bool {
        self.json
    }

    /// Whether people want to see more.
    pub(crate) fn is_verbose(self) -> bool {
        self.verbose
    }

    /// Whether people want to see errors only.
    pub(crate) fn is_quiet(self) -> bool {
        self.quiet
    }

    /// Prints what changed, for people.
    pub(crate) fn info(self, line: &str) {
        if !self.quiet && !self.json {
            self.note(&format!("{line}\n"));
        }
    }

    /// Prints a warning for people. With --json, warnings are part of the document.
    pub(crate) fn warning(self, line: &str) {
        if !self.quiet && !self.json {
            self.note(&format!("{WARNING}warning{WARNING:#}: {line}\n"));
        }
    }

    /// Prints a failure: as a document with --json, else as lines with the remedy last.
    pub(crate) fn failure(self, failure: &Failure) {
        self.failure_after(failure, &[]);
    }

    /// The same, with the warnings of the search for its worker in the document.
    pub(crate) fn failure_after(self, failure: &Failure, warnings: &[WarningBody]) {
        if failure.unheard {
            return;
        }
        let Failure { state, body, .. } = failure;
        let refusal = ErrorDocument { state: *state, error: body };
        // If the document cannot be written to stdout, the failure is printed to stderr, which may lead elsewhere.
        if self.json && warned_document(&refusal, warnings).is_ok() {
            return;
        }
        let mut lines = format!("{ERROR}error{ERROR:#}: failed to {}", printable(&body.message));
        for cause in &body.causes {
            lines.push_str(": ");
            lines.push_str(&printable(cause));
        }
        lines.push('\n');
        for line in &body.last_words {
            lines.push_str("    ");
            lines.push_str(&printable(line));
            lines.push('\n');
        }
        if let Some(hint) = &body.hint {
            lines = format!("{lines}{HINT}hint{HINT:#}: {}\n", printable(hint));
        }
        self.note(&lines);
    }

    /// Prints the help, or what is wrong with a command line, and returns the exit code: help and version are data, the
    /// rest is wrong use.
    pub(crate) fn clap(self, error: &clap::Error, args: &[OsString]) -> u8 {
        let text = error.render();
        if !error.use_stderr() {
            return self.data(&text.ansi().to_string()).map_or_else(
                |failure| {
                    self.failure(&failure);
                    failure.exit()
                },
                |()| 0,
            );
        }
        let wrong = typed::wrong_use(error, args);
        if self.json || wrong.is_some() {
            let what = wrong.unwrap_or_else(|| in_a_line(error.kind(), &text.to_string()));
            let failure = Failure::new(AnswerState::WrongUse, format!("read the command line: {what}"))
                .hint(typed::help_for(error));
            self.failure(&failure);
        } else {
            self.note(&text.ansi().to_string());
        }
        AnswerState::WrongUse.exit()
    }

    /// Writes styled data for people to stdout.
    pub(crate) fn data(self, styled: &str) -> Result<(), Failure> {
        bytes(&self.styled_for(&io::stdout(), styled).map_err(|error| Failure::of_output(&error))?)
    }

    /// Writes styled text to stderr; one that is closed is no reason to fail.
    pub(crate) fn note(self, styled: &str) {
        if let Ok(text) = self.styled_for(&io::stderr(), styled) {
            best_effort(io::stderr().write_all(&text));
        }
    }

    /// The text with its colours, or without them: `NO_COLOR`, `CLICOLOR_FORCE`, `TERM=dumb` and what the stream leads
    /// to decide where --color does not.
    fn styled_for(self, stream: &impl RawStream, styled: &str) -> io::Result<Vec<u8>> {
        let choice = match self.color {
            Color::Auto => AutoStream::choice(stream),
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        let mut text = AutoStream::new(Vec::new(), choice);
        text.write_all(styled.as_bytes())?;
        Ok(text.into_inner())
    }
}

/// The colour of a state: green if the worker serves, yellow if it may soon, red if it does not, dim if none runs.
pub(crate) fn style(state: AnswerState) -> Style {
    if matches!(state, AnswerState::Down | AnswerState::Stopped) {
        Style::new().dimmed()
    } else if matches!(state, AnswerState::Warming | AnswerState::Booting | AnswerState::TimedOut) {
        AnsiColor::Yellow.on_default()
    } else if state.exit() == 0 {
        AnsiColor::Green.on_default()
    } else {
        AnsiColor::Red.on_default()
    }
}

/// The columns of the terminal that stdout is; none where it is not one.
pub(crate) fn width() -> Option<usize> {
    let stdout = io::stdout();
    let size = stdout.is_terminal().then(|| terminal_size::terminal_size_of(stdout)).flatten();
    size.map(|(width, _)| usize::from(width.0)).filter(|width| *width > 0)
}

/// The document of a failure.
#[derive(Debug, Serialize)]
struct ErrorDocument<'failure> {
    state: AnswerState,
    error: &'failure ErrorBody,
}

/// A document with the version of its format before all else.
#[derive(Debug, Serialize)]
pub(crate) struct Versioned<'body, T> {
    schema_version: u32,
    #[serde(flatten)]
    body: &'body T,
}

impl<'body, T> Versioned<'body, T> {
    /// The document of this body.
    pub(crate) fn of(body: &'body T) -> Self {
        Self { schema_version: SCHEMA, body }
    }
}

/// A warning in a document.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct WarningBody {
    pub(crate) kind: &'static str,
    pub(crate) message: String,
}

/// A document with the warnings of the search for its worker, where there are any.
#[derive(Debug, Serialize)]
struct Warned<'body, T> {
    #[serde(flatten)]
    body: &'body T,
    warnings: &'body [WarningBody],
}

/// Writes one JSON document with these warnings to stdout.
pub(crate) fn warned_document(body: &impl Serialize, warnings: &[WarningBody]) -> Result<(), Failure> {
    if warnings.is_empty() { document(body) } else { document(&Warned { body, warnings }) }
}

/// Writes one JSON document to stdout.
pub(crate) fn document(body: &impl Serialize) -> Result<(), Failure> {
    line(&Versioned::of(body))
}

/// Writes one line of a stream of JSON to stdout.
pub(crate) fn line(value: &impl Serialize) -> Result<(), Failure> {
    let mut line = Vec::with_capacity(1024);
    serde_json::to_writer(&mut line, value).map_err(|error| Failure::of_output(&error.into()))?;
    line.push(b'\n');
    bytes(&line)
}

/// Writes data for people to stdout.
pub(crate) fn text(text: &str) -> Result<(), Failure> {
    bytes(text.as_bytes())
}

/// Writes data to stdout as it is.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    if !bytes.is_empty() && tenure_sys::stdio::began_without_stdout() {
        return Err(Failure::of_output(&io::Error::other("it was closed when this began")));
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| Failure::of_output(&error))
}

/// The error of clap in one line. If it is help because a command is missing: the names of the commands.
fn in_a_line(kind: ErrorKind, text: &str) -> String {
    if kind == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let rows = text.split("\nCommands:\n").nth(1).and_then(|rest| rest.split("\n\n").next());
        let names: Vec<&str> =
            rows.unwrap_or_default().lines().filter_map(|row| row.split_whitespace().next()).collect();
        return format!("a command is missing: one of {}", names.join(", "));
    }
    let what = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
    what.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text from outside, without characters that could move the cursor, change the terminal, or show other words than those
/// that are there. Several lines, as
/// of a script in a command line, become one with `\n` between them.
pub(crate) fn printable(line: &str) -> String {
    let safe = |one: char| if os_text::is_invisible(one) && one != '\t' { '\u{FFFD}' } else { one };
    os_text::shown(line.trim_end_matches('\n')).replace('\n', "\\n").chars().map(safe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_line_cannot_drive_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\tc"), "a\u{FFFD}[2Jb\tc");
        assert_eq!(printable("a\u{202e}b\u{200b}"), "a\u{FFFD}b\u{FFFD}");
        assert_eq!(printable("sh -c true;\nexit\n"), "sh -c true;\\nexit");
    }
}

//! The only room that prints: documents and data to stdout, everything else to stderr.
//!
//! Each document is one write. Colour is decided once, from `--color` and what stderr is; data is never coloured.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::answer::State;
use crate::failure::{Failure, Told};
use crate::words::{Color, Common};

/// Version of every JSON document that a command writes.
pub(crate) const SCHEMA: u32 = 1;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// How this call speaks.
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

    /// The screen of a command line that could not be read: JSON if it asks for JSON anywhere.
    pub(crate) fn of_unread(json: bool) -> Self {
        Self { json, quiet: false, verbose: false, color: Color::Auto }
    }

    /// Whether documents are wanted instead of words.
    pub(crate) fn wants_json(self) -> bool {
        self.json
    }

    /// Whether people want to hear more.
    pub(crate) fn is_verbose(self) -> bool {
        self.verbose
    }

    /// Whether people want to hear nothing but errors.
    pub(crate) fn is_quiet(self) -> bool {
        self.quiet
    }

    /// What changed, for people.
    pub(crate) fn said(self, line: &str) {
        if !self.quiet && !self.json {
            self.note(&format!("{line}\n"));
        }
    }

    /// What a person should know although it went well. In JSON it stands in the document.
    pub(crate) fn warning(self, line: &str) {
        if !self.quiet && !self.json {
            self.note(&format!("{WARNING}warning{WARNING:#}: {line}\n"));
        }
    }

    /// A failure: as a document where one is wanted, else as lines with the remedy last.
    pub(crate) fn failure(self, failure: &Failure) {
        if failure.unheard {
            return;
        }
        let Failure { state, told, .. } = failure;
        if self.json && *state != State::OutputFailed {
            let refusal = Refusal { schema_version: SCHEMA, state: *state, error: told };
            // With stdout gone as well there is nobody left to tell but the exit code.
            drop(document(&refusal));
            return;
        }
        let mut lines = format!("{ERROR}error{ERROR:#}: failed to {}", told.message);
        for cause in &told.causes {
            lines.push_str(": ");
            lines.push_str(cause);
        }
        lines.push('\n');
        for line in &told.last_words {
            lines.push_str("    ");
            lines.push_str(&printable(line));
            lines.push('\n');
        }
        if let Some(hint) = &told.hint {
            lines = format!("{lines}{HINT}hint{HINT:#}: {hint}\n");
        }
        self.note(&lines);
    }

    /// What clap has to say: help and version are data, the rest is wrong use.
    pub(crate) fn clap(self, error: &clap::Error) -> u8 {
        if !error.use_stderr() {
            return error.print().map_or_else(
                |error| {
                    let failure = Failure::of_output(&error);
                    self.failure(&failure);
                    failure.exit()
                },
                |()| 0,
            );
        }
        if self.json {
            let text = error.to_string();
            let what = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
            let what = what.split_whitespace().collect::<Vec<_>>().join(" ");
            let failure = Failure::new(State::WrongUse, format!("read the command line: {what}"))
                .hint("`tenure --help` lists the commands, `tenure COMMAND --help` its flags");
            self.failure(&failure);
        } else {
            // A closed stderr leaves the exit code.
            drop(error.print());
        }
        State::WrongUse.exit()
    }

    /// Writes styled text to stderr; one that is closed is no reason to fail.
    pub(crate) fn note(self, styled: &str) {
        let choice = match self.color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        };
        let mut text = anstream::AutoStream::new(Vec::new(), anstream::ColorChoice::Always);
        if choice != anstream::ColorChoice::Always {
            let stderr = anstream::AutoStream::new(io::stderr(), choice);
            text = anstream::AutoStream::new(Vec::new(), stderr.current_choice());
        }
        if text.write_all(styled.as_bytes()).is_ok() {
            drop(io::stderr().write_all(&text.into_inner()));
        }
    }
}

/// The document of a failure.
#[derive(Debug, Serialize)]
struct Refusal<'failure> {
    schema_version: u32,
    state: State,
    error: &'failure Told,
}

/// Writes one JSON document, or one line of a stream of them, to stdout.
pub(crate) fn document(document: &impl Serialize) -> Result<(), Failure> {
    let mut line = Vec::with_capacity(1024);
    serde_json::to_writer(&mut line, document).map_err(|error| Failure::of_output(&error.into()))?;
    line.push(b'\n');
    bytes(&line)
}

/// Writes data for people to stdout.
pub(crate) fn text(text: &str) -> Result<(), Failure> {
    bytes(text.as_bytes())
}

/// Writes data to stdout as it is.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| Failure::of_output(&error))
}

/// A line that a stranger wrote, without what could move the cursor or change the terminal.
pub(crate) fn printable(line: &str) -> String {
    line.chars().map(|one| if one.is_control() && one != '\t' { '\u{FFFD}' } else { one }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_line_cannot_drive_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\tc"), "a\u{FFFD}[2Jb\tc");
    }
}

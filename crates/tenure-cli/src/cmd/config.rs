//! `tenure config`: checks the configuration files, shows each value with its source, and writes the schema for
//! editors.
//!
//! Starts nothing. A report is the answer of the call, so it goes to stdout.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::Value as Json;
use tenure_core::os_text::shell::word;
use tenure_core::os_text::{self, PathText};

use crate::answer::AnswerState;
use crate::args::{Common, KeyOrFile, WithCommon};
use crate::cmd::call::{Call, Run};
use crate::config::shown::{Shown, shown};
use crate::config::{
    self, CheckReport, ConfigNotice, Level, SoundWorker, TrustStanding, ValueSource, written,
};
use crate::output::failure::Failure;
use crate::output::render::{self, printable};

/// Widest value beside which its source is put in one column with the others.
const WIDE: usize = 48;

/// Check the configuration, show it, or write its schema.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tenure config check     does every file hold together?
  tenure config show web  where does each value come from?")]
pub(crate) struct Config {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
enum ConfigCommand {
    Check(WithCommon<ConfigCheck>),
    Show(WithCommon<Show>),
    Schema(WithCommon<Schema>),
}

impl ConfigCommand {
    fn parts(&self) -> (Common, &dyn Run) {
        match self {
            Self::Check(typed) => typed.parts(),
            Self::Show(typed) => typed.parts(),
            Self::Schema(typed) => typed.parts(),
        }
    }
}

impl Run for Config {
    fn run(&self, call: &Call) -> Result<u8, Failure> {
        self.command.parts().1.run(call)
    }

    fn below(&self) -> Option<Common> {
        Some(self.command.parts().0)
    }
}

/// Write the JSON Schema of a tenure.toml to stdout.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tenure config schema > tenure.schema.json  for an editor")]
struct Schema {}

impl Run for Schema {
    fn run(&self, _: &Call) -> Result<u8, Failure> {
        let text = serde_json::to_string_pretty(&config::schema()).expect("a schema is JSON");
        render::text(&format!("{text}\n"))?;
        Ok(0)
    }
}

#[derive(Debug, Serialize)]
struct CheckDocument<'a> {
    state: AnswerState,
    files: Vec<FileRow<'a>>,
    workers: &'a [SoundWorker],
    faults: Vec<FaultRow<'a>>,
    warnings: &'a [ConfigNotice],
}

#[derive(Debug, Serialize)]
struct FileRow<'a> {
    path: PathText<'a>,
    level: &'static str,
    trust: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct FaultRow<'a> {
    path: Option<PathText<'a>>,
    line: Option<usize>,
    key: Option<&'a str>,
    message: &'a str,
    hint: Option<&'a str>,
}

/// Check the configuration files and show what is wrong.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tenure config check                          every file that counts here
  tenure config check --config ci/tenure.toml  this one

Exit codes:
  6  a file cannot be used; the line is named")]
struct ConfigCheck {
    /// Check this file; without it, every file that a call from here would read.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Run for ConfigCheck {
    fn run(&self, call: &Call) -> Result<u8, Failure> {
        let checked = config::checked(&call.places()?, self.config.as_deref())?;
        let state = if checked.faults.is_empty() { AnswerState::Valid } else { AnswerState::BadConfig };
        if call.screen.wants_json() {
            render::document(&check_document(state, &checked))?;
        } else {
            render::text(&report(&checked, call.screen.is_quiet()))?;
        }
        Ok(state.exit())
    }
}

fn check_document(state: AnswerState, checked: &CheckReport) -> CheckDocument<'_> {
    let files = checked.files.iter().map(|(path, level, standing)| FileRow {
        path: PathText(path),
        level: level.word(),
        trust: standing.map(trust_word),
    });
    let faults = checked.faults.iter().map(|fault| FaultRow {
        path: fault.place.as_ref().map(|place| PathText(&place.path)),
        line: fault.place.as_ref().and_then(|place| place.line),
        key: fault.key.as_deref(),
        message: &fault.message,
        hint: fault.hint.as_deref(),
    });
    CheckDocument {
        state,
        files: files.collect(),
        workers: &checked.workers,
        faults: faults.collect(),
        warnings: &checked.notices,
    }
}

fn trust_word(standing: TrustStanding) -> &'static str {
    match standing {
        TrustStanding::Trusted => "trusted",
        TrustStanding::Changed => "changed",
        TrustStanding::Unknown => "unknown",
    }
}

/// The report for people: faults, then what is odd, then the sum. The faults alone where nothing else is wanted.
fn report(checked: &CheckReport, quiet: bool) -> String {
    let mut lines = Vec::new();
    for fault in &checked.faults {
        let place = fault.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
        lines.push(format!("{place}error: {}", fault.message));
        lines.extend(fault.hint.iter().map(|hint| format!("  hint: {hint}")));
    }
    if !quiet {
        for notice in &checked.notices {
            lines.push(format!("{}: warning: {}", notice.place, notice.message));
            lines.push(format!("  hint: {}", notice.hint));
        }
        let (workers, files) = (checked.workers.len(), counted(checked.files.len(), "file"));
        lines.push(match checked.faults.len() {
            0 => format!("{} in {files}, no fault", counted(workers, "worker")),
            faults => format!("{} in {files}", counted(faults, "fault")),
        });
    }
    lines.iter().map(|line| printable(line) + "\n").collect()
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[derive(Debug, Serialize)]
struct ShowDocument<'a> {
    workers: Vec<ShownRow<'a>>,
}

#[derive(Debug, Serialize)]
struct ShownRow<'a> {
    name: &'a str,
    key: Option<&'a str>,
    files: Vec<FileRow<'a>>,
    values: Vec<ValueRow<'a>>,
}

#[derive(Debug, Serialize)]
struct ValueRow<'a> {
    key: &'a str,
    value: Option<&'a Json>,
    source: SourceRow<'a>,
    note: Option<&'a str>,
}

/// Who says a value.
#[derive(Debug, Default, Serialize)]
struct SourceRow<'a> {
    kind: &'static str,
    path: Option<PathText<'a>>,
    line: Option<usize>,
    name: Option<&'static str>,
}

impl<'a> SourceRow<'a> {
    fn of(origin: &'a ValueSource) -> Self {
        match origin {
            ValueSource::Flag(name) => Self { kind: "flag", name: Some(name), ..Self::default() },
            ValueSource::Variable(name) => Self { kind: "environment", name: Some(name), ..Self::default() },
            ValueSource::File(level, place) => {
                Self { kind: level.word(), path: Some(PathText(&place.path)), line: place.line, name: None }
            }
            ValueSource::Record(file) => {
                Self { kind: "record", path: file.as_deref().map(PathText), ..Self::default() }
            }
            ValueSource::Default => Self { kind: "default", ..Self::default() },
        }
    }
}

/// Show each value in force and where it comes from.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tenure config show             every worker that is configured here
  tenure config show web --json  for a program

Exit codes:
  6  a configuration cannot be read")]
struct Show {
    /// The worker's name; without it, every worker that is configured here.
    name: Option<String>,
    #[command(flatten)]
    by: KeyOrFile,
}

impl Run for Show {
    fn run(&self, call: &Call) -> Result<u8, Failure> {
        let shown = shown(&call.places()?, self.name.as_deref(), &self.by)?;
        if shown.is_empty() {
            return Err(Failure::new(
                AnswerState::NotConfigured,
                "find a worker to show: none is configured here",
            )
            .hint(format!("{} writes a file to begin with", call.command("init"))));
        }
        if call.screen.wants_json() {
            let workers = shown.iter().map(shown_row).collect();
            render::document(&ShowDocument { workers })?;
        } else {
            let tables: Vec<String> = shown.iter().map(table).collect();
            render::text(&tables.join("\n"))?;
        }
        Ok(0)
    }
}

fn shown_row(shown: &Shown) -> ShownRow<'_> {
    let trust = |level| if level == Level::Project { shown.standing.map(trust_word) } else { None };
    let files = shown.files.iter().map(|(path, level)| FileRow {
        path: PathText(path),
        level: level.word(),
        trust: trust(*level),
    });
    let values = shown.values.iter().map(|value| ValueRow {
        key: &value.key,
        value: value.value.as_ref(),
        source: SourceRow::of(&value.origin),
        note: value.note.as_deref(),
    });
    ShownRow {
        name: shown.target.scope.name(),
        key: shown.target.scope.key(),
        files: files.collect(),
        values: values.collect(),
    }
}

/// A worker as a table that could stand in a file, each value with what says it.
fn table(shown: &Shown) -> String {
    let mut text = format!("[worker.{}]\n", shown.target.scope.name());
    if shown.standing.is_some_and(|standing| standing != TrustStanding::Trusted) {
        let file = shown.files.iter().find(|(_, level)| *level == Level::Project);
        let directory = file.and_then(|(path, _)| path.parent()).map(word).unwrap_or_default();
        let line = format!("# not trusted: `tenure trust {directory}` allows its project's file to start it");
        text.push_str(&printable(&line));
        text.push('\n');
    }
    let rows: Vec<(String, String)> = shown.values.iter().map(row).collect();
    let width = rows.iter().map(|(value, _)| value.chars().count()).filter(|width| *width <= WIDE).max();
    for (value, source) in &rows {
        let gap = width.unwrap_or(0).saturating_sub(value.chars().count()) + 2;
        text.push_str(&printable(&format!("{value}{:gap$}# {source}", "")));
        text.push('\n');
    }
    text
}

fn row(value: &config::Setting) -> (String, String) {
    let shown = value.value.as_ref().map_or_else(|| "\"…\"".to_owned(), written);
    let source = match &value.origin {
        ValueSource::Flag(name) | ValueSource::Variable(name) => (*name).to_owned(),
        ValueSource::File(level, place) => format!("{place} ({})", level.word()),
        ValueSource::Record(Some(file)) => format!("on record, by {}", os_text::text(file.as_os_str())),
        ValueSource::Record(None) => "on record, by a call".to_owned(),
        ValueSource::Default => "default".to_owned(),
    };
    let note = value.note.as_ref().map(|note| format!("; {note}")).unwrap_or_default();
    (format!("{} = {shown}", value.key), format!("{source}{note}"))
}

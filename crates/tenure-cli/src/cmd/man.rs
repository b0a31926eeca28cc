//! `tenure man`: the manual, made from the declaration of the commands, so that it cannot fall behind them.
//!
//! One page to stdout, or a page for each command that is shown into a directory.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use roff::{Roff, bold, roman};
use serde::Serialize;

use crate::answer::AnswerState;
use crate::cmd::call::{Call, Run};
use crate::cmd::help;
use crate::output::failure::Failure;
use crate::output::render::{self, printable};

/// The document of pages that were written.
#[derive(Debug, Serialize)]
struct ManDocument<'a> {
    #[serde(serialize_with = "tenure_core::os_text::paths::serialize")]
    pages: &'a [PathBuf],
}

/// A page of the manual.
struct Manual {
    /// Such as `tenure-ensure.1`.
    file: String,
    text: String,
}

/// Write the manual to stdout, or its pages into a directory.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tenure man | man -l -                           read the manual
  tenure man --directory ~/.local/share/man/man1  install every page")]
pub(crate) struct Man {
    /// Write the pages of all commands into DIR instead, and list them.
    #[arg(id = "pages", long = "directory", value_name = "DIR")]
    directory: Option<PathBuf>,
}

impl Run for Man {
    fn run(&self, call: &Call) -> Result<u8, Failure> {
        let mut command = (call.declare)();
        command.build();
        let Some(directory) = &self.directory else {
            render::text(&manual(&command).text)?;
            return Ok(0);
        };
        let directory = call.here()?.join(directory);
        let mut manuals = Vec::new();
        all(&command, &mut manuals);
        let written = write(&directory, &manuals)?;
        if call.screen.wants_json() {
            render::document(&ManDocument { pages: &written })?;
        } else {
            for path in &written {
                call.screen.info(&format!("wrote {}", printable(&path.display().to_string())));
            }
        }
        Ok(0)
    }
}

fn write(directory: &Path, manuals: &[Manual]) -> Result<Vec<PathBuf>, Failure> {
    let failed = |path: &Path, error: &std::io::Error| {
        let message = format!("write the manual to {}", path.display());
        Failure::caused(AnswerState::OutputFailed, message, error)
            .hint("name a directory that you can write to with --directory")
    };
    fs::create_dir_all(directory).map_err(|error| failed(directory, &error))?;
    let write = |manual: &Manual| {
        let path = directory.join(&manual.file);
        fs::write(&path, &manual.text).map_err(|error| failed(&path, &error))?;
        Ok(path)
    };
    manuals.iter().map(write).collect()
}

/// The pages of a command and of all that are shown below it.
fn all(command: &Command, manuals: &mut Vec<Manual>) {
    manuals.push(manual(command));
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        all(below, manuals);
    }
}

/// The page of a command.
fn manual(command: &Command) -> Manual {
    let page = clap_mangen::Man::new(command.clone())
        .source(concat!("tenure ", env!("CARGO_PKG_VERSION")))
        .manual("tenure manual");
    let mut text = Vec::new();
    let made = (|| {
        page.render_title(&mut text)?;
        page.render_name_section(&mut text)?;
        page.render_synopsis_section(&mut text)?;
        page.render_description_section(&mut text)?;
        commands(command).to_writer(&mut text)?;
        page.render_options_section(&mut text)?;
        below_the_options(command).to_writer(&mut text)
    })();
    made.expect("memory takes all that is written to it");
    Manual { file: page.get_filename(), text: once(&String::from_utf8(text).expect("roff is text")) }
}

/// The page without the definition that stands before every section but the first: roff needs it once.
fn once(text: &str) -> String {
    let preamble: String = text.split_inclusive('\n').take(2).collect();
    preamble.clone() + &text.replace(&preamble, "")
}

fn commands(command: &Command) -> Roff {
    let mut own = Roff::new();
    if command.has_subcommands() {
        own.control("SH", ["COMMANDS"]);
    }
    for (heading, group) in help::groups(command) {
        if !heading.is_empty() {
            own.control("SS", [heading]);
        }
        for one in group {
            let page = one.get_display_name().unwrap_or_else(|| one.get_name());
            let about = one.get_about().map(ToString::to_string).unwrap_or_default();
            own.control("TP", []).text([bold(page), roman("(1)")]).text([roman(format!("{about}."))]);
        }
    }
    own
}

/// What help shows below the options as sections of the manual, what only the manual says, and other pages to see.
fn below_the_options(command: &Command) -> Roff {
    let mut own = Roff::new();
    let texts = [command.get_after_help(), command.get_after_long_help()];
    for text in texts.into_iter().flatten() {
        for line in text.to_string().lines().filter(|line| !line.is_empty()) {
            if help::is_heading(line) {
                own.control("SH", [line.trim_end_matches(':').to_uppercase().as_str()]);
            } else if let Some(row) = line.strip_prefix("  ") {
                let (first, more) = row.split_once("  ").unwrap_or((row, "\u{a0}"));
                own.control("TP", []).text([bold(first)]).text([roman(more.trim_start())]);
            } else {
                own.control("PP", []).text([roman(line)]);
            }
        }
    }
    own.control("SH", ["SEE ALSO"]);
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let pages = match name.rsplit_once('-') {
        None => vec!["tenure-ensure", "tenure-status", "tenure-stop"],
        Some(("tenure", _)) => vec!["tenure"],
        Some((above, _)) => vec![above, "tenure"],
    };
    own.text(pages.into_iter().flat_map(|page| [bold(page), roman("(1) ")]).collect::<Vec<_>>());
    own
}

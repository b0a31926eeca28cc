//! `tenure man`: the manual, made from the words of the command line and their pages, so that it cannot fall behind them.
//!
//! One page to stdout, or a page for each command that is shown into a directory.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Command;
use roff::{Roff, bold, roman};
use serde::Serialize;

use crate::answer::AnswerState;
use crate::args::{self, EXITS, GROUPS, Rows};
use crate::cmd::call::Call;
use crate::output::failure::Failure;
use crate::output::render::{self, SCHEMA, printable};

const DESCRIPTION: [&str; 3] = [
    "tenure keeps long-lived background processes (workers) so that any number of callers get exactly one healthy worker \
     of the right version. There is no daemon of its own: whoever calls does what has to be done, and the kernel says who \
     is alive.",
    "NAME is a worker's name, or NAME@KEY as `tenure list` shows it. A tenure.toml that is found upward from the working \
     directory describes the workers of a project; ~/.config/tenure/*.toml those of a user; /etc/tenure/*.toml those of a \
     system. `tenure ensure NAME -- CMD` needs none of them.",
    "Data goes to stdout, everything else to stderr: what changed, warnings, errors, and with each error a hint that says \
     what to type next. With --json stdout has one document, or one a line where there is a stream; errors are documents \
     too.",
];

const ENVIRONMENT: Rows = &[
    (
        "TENURE_STATE_DIR",
        "Root of all state, an absolute path. Default: .local/state/tenure in the home of the user.",
    ),
    (
        "TENURE_CONFIG_DIR",
        "Directory of the user's configuration files, an absolute path. Default: .config/tenure in the home.",
    ),
    ("TENURE_NO_SPAWN", "Anything but the empty string or 0: never start anything, as --no-daemon."),
    ("NO_COLOR, CLICOLOR_FORCE, TERM", "No colours, colours everywhere, and no colours where it is `dumb`."),
];

const FILES: Rows = &[
    ("tenure.toml", "Workers of a project, found upward from the working directory."),
    ("~/.config/tenure/*.toml", "Workers of a user."),
    ("/etc/tenure/*.toml", "Workers of a system."),
    ("~/.local/state/tenure", "Locks, records, sockets and logs of every worker."),
];

/// The document of pages that were written.
#[derive(Debug, Serialize)]
struct ManDocument<'a> {
    schema_version: u32,
    pages: &'a [PathBuf],
}

/// A page of the manual.
struct Manual {
    /// Such as `tenure-ensure.1`.
    file: String,
    text: String,
}

/// Writes the manual; the exit code.
pub(crate) fn run(call: &Call, words: &args::Man) -> Result<u8, Failure> {
    let mut command = args::command();
    command.build();
    let Some(directory) = &words.directory else {
        render::text(&manual(&command, "").text)?;
        return Ok(0);
    };
    let directory = call.here()?.join(directory);
    let mut manuals = Vec::new();
    all(&command, "", &mut manuals);
    let written = write(&directory, &manuals)?;
    if call.screen.wants_json() {
        render::document(&ManDocument { schema_version: SCHEMA, pages: &written })?;
    } else {
        for path in &written {
            call.screen.said(&format!("wrote {}", printable(&path.display().to_string())));
        }
    }
    Ok(0)
}

fn write(directory: &Path, manuals: &[Manual]) -> Result<Vec<PathBuf>, Failure> {
    let failed = |path: &Path, error: &std::io::Error| {
        let mut failure =
            Failure::new(AnswerState::OutputFailed, format!("write the manual to {}", path.display()));
        failure.told.causes = vec![error.to_string()];
        failure.hint("name a directory that you can write to with --directory")
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
fn all(command: &Command, words: &str, manuals: &mut Vec<Manual>) {
    manuals.push(manual(command, words));
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        all(below, format!("{words} {}", below.get_name()).trim_start(), manuals);
    }
}

/// The page of a command, whose words are empty for `tenure` itself.
fn manual(command: &Command, words: &str) -> Manual {
    let page = clap_mangen::Man::new(command.clone())
        .source(concat!("tenure ", env!("CARGO_PKG_VERSION")))
        .manual("tenure manual");
    let file = page.get_filename();
    let mut text = Vec::new();
    let made = (|| {
        page.render_title(&mut text)?;
        page.render_name_section(&mut text)?;
        page.render_synopsis_section(&mut text)?;
        describe(command, words).to_writer(&mut text)?;
        page.render_options_section(&mut text)?;
        close(words).to_writer(&mut text)
    })();
    made.expect("memory takes all that is written to it");
    Manual { file, text: once(&String::from_utf8(text).expect("roff is text")) }
}

/// The page without the definition that stands before every section but the first: roff needs it once.
fn once(text: &str) -> String {
    let preamble: String = text.split_inclusive('\n').take(2).collect();
    preamble.clone() + &text.replace(&preamble, "")
}

/// What it is for; of `tenure` itself also the commands.
fn describe(command: &Command, words: &str) -> Roff {
    let mut own = Roff::new();
    own.control("SH", ["DESCRIPTION"]);
    if words.is_empty() {
        own.text([roman(DESCRIPTION[0])]);
        for paragraph in &DESCRIPTION[1..] {
            own.control("PP", []).text([roman(*paragraph)]);
        }
    } else {
        own.text([roman(format!("{}.", about(command)))]);
        if let Some(page) = args::page(words).filter(|page| !page.more.is_empty()) {
            own.control("PP", []).text([roman(page.more)]);
        }
    }
    let shown: Vec<&Command> = command.get_subcommands().filter(|one| !one.is_hide_set()).collect();
    if shown.is_empty() {
        return own;
    }
    own.control("SH", ["COMMANDS"]);
    if !words.is_empty() {
        for one in shown {
            name(&mut own, one);
        }
        return own;
    }
    for (group, names) in GROUPS {
        own.control("SS", [group]);
        names.iter().filter_map(|name| command.find_subcommand(name)).for_each(|one| name(&mut own, one));
    }
    own
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn name(own: &mut Roff, command: &Command) {
    let page = command.get_display_name().unwrap_or_else(|| command.get_name());
    own.control("TP", []).text([bold(page), roman("(1)")]).text([roman(format!("{}.", about(command)))]);
}

/// What stands below the options: exit codes, environment, files, examples, other pages.
fn close(words: &str) -> Roff {
    let mut own = Roff::new();
    let page = args::page(words);
    let exits = page.map_or(&[][..], |page| page.exits);
    rows(&mut own, "EXIT STATUS", if exits.is_empty() && words.is_empty() { EXITS } else { exits });
    if words.is_empty() {
        rows(&mut own, "ENVIRONMENT", ENVIRONMENT);
        rows(&mut own, "FILES", FILES);
    }
    let examples = page.or_else(|| args::page("ensure")).map_or(&[][..], |page| page.examples);
    own.control("SH", ["EXAMPLES"]);
    for (line, what) in examples {
        own.control("TP", []).text([bold(*line)]).text([roman(if what.is_empty() {
            "\u{a0}"
        } else {
            *what
        })]);
    }
    own.control("SH", ["SEE ALSO"]);
    match page.and_then(|page| page.name.rsplit_once(' ')) {
        Some((above, _)) => {
            own.text([bold(format!("tenure-{above}")), roman("(1), "), bold("tenure"), roman("(1)")])
        }
        None if words.is_empty() => {
            let pages = ["tenure-ensure", "tenure-status", "tenure-stop"];
            own.text(pages.map(|page| [bold(page), roman("(1) ")]).concat())
        }
        None => own.text([bold("tenure"), roman("(1)")]),
    };
    own
}

fn rows(own: &mut Roff, heading: &str, rows: Rows) {
    if rows.is_empty() {
        return;
    }
    own.control("SH", [heading]);
    for (first, more) in rows {
        own.control("TP", []).text([bold(*first)]).text([roman(*more)]);
    }
}

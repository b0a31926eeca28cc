//! `tenure trust`: shows what a project's file would start, and then allows it, for as long as not one byte of it changes.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use tenure_core::os_text::shell::{self, word};
use tenure_core::os_text::{PathText, shell_word};

use crate::answer::AnswerState;
use crate::cmd::call::{Call, Run};
use crate::config::{
    self, ConfigPlaces, Level, PROJECT_FILE, ProjectPlan, SourceFile, TrustStanding, TrustedFiles,
};
use crate::output::account;
use crate::output::failure::Failure;
use crate::output::render::{self, printable};

#[derive(Debug, Serialize)]
struct TrustDocument<'a> {
    state: AnswerState,
    path: PathText<'a>,
    workers: &'a [ProjectPlan],
}

/// Allow a project's tenure.toml to start what it describes.
///
/// The tenure.toml of a project starts nothing until somebody trusts it. The permission is for its content: a file that
/// was changed must be trusted again.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tenure trust --show               what it would start; allows nothing
  tenure trust                      the same, and allows it
  tenure trust ~/src/shop --revoke  take it back

Exit codes:
  6  there is no tenure.toml, or it cannot be read")]
pub(crate) struct Trust {
    /// The directory of the project; without it, the one whose `tenure.toml` is found from here.
    #[arg(id = "project", value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Only show what the file would start, and whether it is trusted.
    #[arg(long, conflicts_with = "revoke")]
    show: bool,
    /// Take the permission back.
    #[arg(long)]
    revoke: bool,
}

impl Run for Trust {
    fn run(&self, call: &Call) -> Result<u8, Failure> {
        let mut places = call.places()?;
        if let Some(directory) = &self.directory {
            places.here = Some(config::here(Some(&places.absolute(directory)?))?);
        }
        if self.revoke { revoke(call, &places) } else { self.show(call, &places) }
    }
}

impl Trust {
    /// The command that writes a first file where this one was looked for.
    fn first_file(&self, call: &Call, places: &ConfigPlaces) -> String {
        match places.here.as_deref().filter(|_| self.directory.is_some()) {
            Some(directory) => format!("`tenure -C {} init`", word(directory)),
            None => call.command("init"),
        }
    }

    /// Shows what the file would start, and allows it unless it was asked only to show.
    fn show(&self, call: &Call, places: &ConfigPlaces) -> Result<u8, Failure> {
        let sources = places.found()?;
        let Some(source) = sources.first().filter(|source| source.level == Level::Project) else {
            return Err(none(places, &self.first_file(call, places)));
        };
        let plans = config::plans(&sources)?;
        let trusted = TrustedFiles::of_user()?;
        let standing = trusted.standing(source)?;
        let shown = report(source, &plans, self.show.then_some(standing));
        let state = if self.show { AnswerState::Shown } else { AnswerState::Trusted };
        if !self.show {
            call.screen.info(&shown);
            trusted.allow(source)?;
            call.screen.info(&printable(&allowed(source)));
        } else if !call.screen.wants_json() {
            render::text(&format!("{shown}\n"))?;
        }
        print_document(call, state, &source.path, &plans)?;
        Ok(state.exit())
    }
}

fn revoke(call: &Call, places: &ConfigPlaces) -> Result<u8, Failure> {
    // The file may be gone or invalid by now, so its path is enough to revoke the permission.
    let path = match places.project() {
        Ok(Some(source)) => source.path,
        Ok(None) | Err(_) => places.here()?.join(PROJECT_FILE),
    };
    let known = TrustedFiles::of_user()?.revoke(&path)?;
    print_document(call, AnswerState::Revoked, &path, &[])?;
    let again = if known { "may not start anything any more" } else { "was not trusted" };
    let shown = printable(&path.display().to_string());
    call.screen.info(&format!("{shown} {again}; its running workers go on until they are stopped"));
    Ok(AnswerState::Revoked.exit())
}

fn print_document(
    call: &Call,
    state: AnswerState,
    path: &Path,
    plans: &[ProjectPlan],
) -> Result<(), Failure> {
    if !call.screen.wants_json() {
        return Ok(());
    }
    render::document(&TrustDocument { state, path: PathText(path), workers: plans })
}

/// What the file would start; `standing` is told where that is all that was asked.
fn report(source: &SourceFile, plans: &[ProjectPlan], standing: Option<TrustStanding>) -> String {
    let path = source.path.display();
    let mut lines = vec![match standing {
        None => format!("{path}, as it is now, starts"),
        Some(TrustStanding::Trusted) => format!("{path} is trusted, as it is now; it may start"),
        Some(TrustStanding::Changed) => {
            format!("{path} has changed since it was trusted; it would start")
        }
        Some(TrustStanding::Unknown) => format!("{path} is not trusted; it would start"),
    }];
    for plan in plans {
        lines.extend(described(plan));
    }
    if plans.is_empty() {
        lines.push("  nothing: it describes no worker".to_owned());
    }
    if matches!(standing, Some(TrustStanding::Changed | TrustStanding::Unknown)) {
        lines.push(format!("`tenure trust {}` allows it", word(source.directory())));
    }
    lines.iter().map(|line| printable(line)).collect::<Vec<_>>().join("\n")
}

fn allowed(source: &SourceFile) -> String {
    let (path, directory) = (source.path.display(), word(source.directory()));
    format!(
        "{path} is trusted, until any byte of it changes; `tenure trust {directory} --revoke` takes back this and every earlier content"
    )
}

/// Longest value that is shown whole.
const LONGEST: usize = 1000;

/// One worker of the file: what is run, where, as what, and with which variables.
fn described(plan: &ProjectPlan) -> Vec<String> {
    let mut lines = vec![format!("  {}: {}", plan.name, shell::line(&plan.command))];
    let commands = [
        ("asks for its version", plan.version_command.iter().collect::<Vec<_>>()),
        ("checks it with", plan.check_commands.iter().collect()),
        ("runs before it takes over", plan.preflight_command.iter().collect()),
        ("runs before each start", plan.before_start_command.iter().collect()),
    ];
    for (what, words) in commands {
        lines.extend(words.into_iter().map(|words| format!("    {what}: {}", shell::line(words))));
    }
    lines.push(format!("    runs in: {}", shell_word(&plan.cwd)));
    let whose = if plan.scope == plan.name { "one for the user" } else { "one for this key" };
    lines.push(format!("    runs as: {}, {whose}", plan.scope));
    if !plan.depends.is_empty() {
        lines.push(format!("    starts before it: {}", plan.depends.join(", ")));
    }
    let listen = plan
        .listen
        .iter()
        .map(|listen| format!("    listens on: {} ({})", account::wanted_address(listen), listen.name));
    lines.extend(listen);
    if let Some(file) = &plan.env_file {
        lines.push(format!("    gets the variables of: {}", shell_word(file)));
    }
    if !plan.keeps.is_empty() {
        lines.push(format!("    gets from the caller: {}", plan.keeps.join(", ")));
    }
    lines.extend(plan.set.iter().map(|(name, value)| match value {
        Some(value) if value.len() > LONGEST => {
            let short: String = value.chars().take(LONGEST).collect();
            format!("    sets: {name}={}… ({} bytes; the file has the rest)", shell_word(&short), value.len())
        }
        Some(value) => format!("    sets: {name}={}", shell_word(value)),
        None => format!("    sets: {name}, whose value is not shown, because its name looks secret"),
    }));
    lines
}

fn none(places: &ConfigPlaces, init: &str) -> Failure {
    let here = match places.here() {
        Ok(here) => here,
        Err(gone) => return gone.into(),
    };
    if let Some((path, owner)) = places.strangers() {
        let message = format!(
            "trust {}: it belongs to uid {owner}, who could change at any time what is started",
            path.display()
        );
        return Failure::new(AnswerState::NotConfigured, message).hint(format!(
            "`cp {} DIR/` makes it a file of your own in a directory DIR of yours, once you have read it; then `tenure trust DIR`",
            word(&path)
        ));
    }
    let message = format!("find a file to trust: there is no {PROJECT_FILE} in {} or above", here.display());
    Failure::new(AnswerState::NotConfigured, message)
        .hint(format!("{init} writes one; files of yours and files given with --config need no trust"))
}

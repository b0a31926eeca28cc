//! What a project's file would start: for `trust`, which shows it, and allows it after that.
//!
//! Pure. Lists every command that the file names, since trust allows each of them.

use std::collections::BTreeMap;

use serde::Serialize;
use tenure_core::spec::{Listen, Ready};
use tenure_core::{Scope, os_text};

use super::error::ConfigError;
use super::find::{Level, SourceFile};
use super::layers::{Description, Layers};
use super::origin::is_secret;
use super::worker::understand;

/// What a project's file would start.
#[derive(Debug, Serialize)]
pub(crate) struct ProjectPlan {
    pub(crate) name: String,
    /// What "exactly one" is counted over, as NAME or NAME@KEY.
    pub(crate) scope: String,
    /// The directory that it runs in.
    pub(crate) cwd: String,
    /// The addresses that it listens on.
    pub(crate) listen: Vec<Listen>,
    pub(crate) command: Vec<String>,
    /// The command that prints its version.
    pub(crate) version_command: Option<Vec<String>>,
    /// The commands of its checks.
    pub(crate) check_commands: Vec<Vec<String>>,
    /// The command that looks at it before it takes the place of one that serves.
    pub(crate) preflight_command: Option<Vec<String>>,
    /// The command that is run before each start.
    pub(crate) before_start_command: Option<Vec<String>>,
    /// The workers that are ensured before it is started.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) depends: Vec<String>,
    /// The file whose variables it gets.
    pub(crate) env_file: Option<String>,
    /// The names of the variables that it sets.
    pub(crate) sets: Vec<String>,
    /// The variables that it sets, with their values; none where the name looks secret.
    pub(crate) set: BTreeMap<String, Option<String>>,
    /// The variables of the caller that it gets besides the usual ones, as names and patterns.
    pub(crate) keeps: Vec<String>,
}

/// What the project's file among `sources` would start, alone or with what the system's files say.
pub(crate) fn plans(sources: &[SourceFile]) -> Result<Vec<ProjectPlan>, ConfigError> {
    let mut layers = Layers::open(sources)?;
    let mut plans = Vec::new();
    for name in layers.names() {
        let found = layers.pick(&name);
        let Some(own) = found.first().filter(|(source, _)| source.level == Level::Project).cloned() else {
            continue;
        };
        // The user's files may define the name too, and win then: the project's table is shown alone.
        let Description { about, value } =
            Layers::combine(&name, found).or_else(|_| Layers::combine(&name, vec![own]))?;
        let worker = understand(&about, value).map_err(|flaw| *flaw.error)?;
        let checks = [worker.spec.ready.as_ref(), worker.spec.health.as_ref().map(|health| &health.check)];
        let scope = Scope::new(&name, worker.key.as_deref())?;
        let shown = |(name, value): (&String, &String)| {
            (name.clone(), Some(value.clone()).filter(|_| !is_secret(name)))
        };
        plans.push(ProjectPlan {
            name,
            scope: scope.to_string(),
            cwd: os_text::text(worker.spec.cwd.as_os_str()),
            set: worker.spec.env.set.iter().map(shown).collect(),
            env_file: worker.spec.env.file.as_ref().map(|file| file.display().to_string()),
            depends: worker.spec.depends,
            keeps: worker.spec.env.keep,
            listen: worker.spec.listen,
            command: worker.spec.command,
            version_command: worker.version_command.map(|asked| asked.command),
            check_commands: checks
                .into_iter()
                .flatten()
                .filter_map(Ready::command)
                .map(<[_]>::to_vec)
                .collect(),
            preflight_command: Some(worker.spec.preflight).filter(|words| !words.is_empty()),
            before_start_command: Some(worker.spec.before_start).filter(|words| !words.is_empty()),
            sets: worker.spec.env.set.into_keys().collect(),
        });
    }
    Ok(plans)
}

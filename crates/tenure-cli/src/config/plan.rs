//! What a project's file would start: for `trust`, which shows it before it allows it.
//!
//! Pure. Lists every command that the file names, since trust allows each of them.

use serde::Serialize;
use tenure_core::spec::Ready;

use super::error::ConfigError;
use super::find::{Level, SourceFile};
use super::layers::{Description, Layers};
use super::worker::understand;

/// What a project's file would start.
#[derive(Debug, Serialize)]
pub(crate) struct ProjectPlan {
    pub(crate) name: String,
    pub(crate) command: Vec<String>,
    /// The command that prints its version.
    pub(crate) version_command: Option<Vec<String>>,
    /// The commands of its checks.
    pub(crate) check_commands: Vec<Vec<String>>,
    /// The command that looks at it before it takes the place of one that serves.
    pub(crate) preflight_command: Option<Vec<String>>,
    /// The command that is run before each start.
    pub(crate) before_start_command: Option<Vec<String>>,
    /// The names of the variables that it sets.
    pub(crate) sets: Vec<String>,
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
        plans.push(ProjectPlan {
            name,
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

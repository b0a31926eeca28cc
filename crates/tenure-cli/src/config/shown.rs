//! A worker as `config show` prints it: each value in force with its source.
//!
//! Starts nothing and runs no version command. The search for the worker is that of `ensure`.

use std::path::{Path, PathBuf};

use tenure_core::Scope;
use tenure_core::launch::version;

use super::choice::{TypedKey, name_and_key};
use super::error::ConfigError;
use super::find::{ConfigPlaces, Level};
use super::layers::{Description, Layers};
use super::origin::{DescriptionSource, EffectiveWorker, Setting};
use super::recorded;
use super::trusted::{TrustStanding, TrustedFiles};
use super::variables::Overrides;
use super::worker::understand;
use super::{ScopeTarget, not_configured, sources};
use crate::args::KeyOrFile;

/// A worker as `config show` prints it.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) target: ScopeTarget,
    /// The files that set a value of it, the strongest first.
    pub(crate) files: Vec<(PathBuf, Level)>,
    /// Whether its project's file may start it, if such a file sets a value of it.
    pub(crate) standing: Option<TrustStanding>,
    /// Its values, in the order of the reference.
    pub(crate) values: Vec<Setting>,
}

/// The worker of that name, or every one, with each value in force and its source.
pub(crate) fn shown(
    places: &ConfigPlaces,
    name: Option<&str>,
    by: &KeyOrFile,
) -> Result<Vec<Shown>, ConfigError> {
    let overrides = Overrides::of_environment()?;
    let sources = sources(places, by.config.as_deref())?;
    let mut layers = Layers::open(&sources)?;
    let names = name.map_or_else(|| layers.names(), |name| vec![name.to_owned()]);
    let mut shown = Vec::with_capacity(names.len());
    for name in names {
        let (name, key) = name_and_key(&name, by.key.as_deref())?;
        let described = layers.take(name)?;
        let is_meant = match (&described, key) {
            (Some(described), TypedKey::OfName(key)) if by.config.is_none() => is_of(described, (name, key))?,
            (described, _) => described.is_some(),
        };
        shown.push(match described {
            Some(description) if is_meant => show(&description, key, &overrides, by)?,
            _ => {
                let unknown = || not_configured(places, by.config.as_deref(), &layers, name);
                show_recorded((name, key), &overrides, by, unknown)?
            }
        });
    }
    Ok(shown)
}

/// Whether the name with this key means what is described: not if that has another key, and the key that was typed is
/// on record.
fn is_of(
    Description { about, value }: &Description<'_>,
    (name, key): (&str, Option<&str>),
) -> Result<bool, ConfigError> {
    let described = understand(about, value.clone()).map_err(|flaw| *flaw.error)?;
    Ok(described.key.as_deref() == key || recorded::offer(&Scope::new(name, key)?, None)?.is_none())
}

fn show(
    Description { about, value }: &Description<'_>,
    key: TypedKey<'_>,
    overrides: &Overrides,
    by: &KeyOrFile,
) -> Result<Shown, ConfigError> {
    let mut worker = understand(about, value.clone()).map_err(|flaw| *flaw.error)?;
    overrides.apply(&mut worker);
    let found = !key.is_typed() && by.config.is_none();
    let target = ScopeTarget::new(&about.name, key.or(worker.key.as_deref()), found)?;
    let version_command = worker.version_command.as_ref();
    let answered = version_command.and_then(|command| version::cached(command, &worker.spec, &target.scope));
    let effective = EffectiveWorker {
        source: DescriptionSource::Files { about, written: value },
        worker: &worker,
        overrides,
        key: key.typed(),
        answered: answered.as_ref(),
    };
    let values = effective.values();
    let project = about.project().map(|project| TrustedFiles::of_user()?.standing(project));
    Ok(Shown {
        target,
        files: about.sources.iter().map(|source| (source.path.clone(), source.level)).collect(),
        standing: project.transpose()?,
        values,
    })
}

/// The worker as its record has it, where no configuration describes it.
fn show_recorded(
    (name, key): (&str, TypedKey<'_>),
    overrides: &Overrides,
    by: &KeyOrFile,
    unknown: impl Fn() -> ConfigError,
) -> Result<Shown, ConfigError> {
    if by.config.is_some() {
        return Err(unknown());
    }
    let target = ScopeTarget::new(name, key.typed(), !key.is_typed())?;
    let offer = recorded::offer(&target.scope, None)?.ok_or_else(unknown)?;
    let mut worker = recorded::described(&offer);
    overrides.apply(&mut worker);
    let source = DescriptionSource::Record(offer.origin.path().map(Path::to_owned));
    let effective = EffectiveWorker { source, worker: &worker, overrides, key: key.typed(), answered: None };
    let values = effective.values();
    Ok(Shown { target, files: Vec::new(), standing: None, values })
}

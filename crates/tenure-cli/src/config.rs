//! From a worker's name, and the words around it, to what is wanted and under which scope.
//!
//! A description comes from the command line, from stdin, from one named file, or from the files that are found: the
//! project's, the user's, the system's. It is taken whole from one of them. A project cannot redefine a name that the user
//! has defined: what `tenure ensure NAME` starts must not depend on a directory that somebody else wrote.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use tenure::Scope;
use tenure::Spec;

use crate::words::{By, Wanted};

mod error;
mod file;
mod find;
mod keys;

pub(crate) use error::ConfigError;

use error::contradiction;
use file::{Kept, Workers};
use find::Source;

/// A scope, and the word for it that works where the call was made.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The scope.
    pub(crate) scope: Scope,
    /// The plain name where the configuration found here leads to the scope, else NAME@KEY.
    pub(crate) called: String,
}

/// A worker that is wanted.
#[derive(Debug)]
pub(crate) struct Order {
    /// Under which scope.
    pub(crate) target: Target,
    /// What.
    pub(crate) spec: Spec,
}

/// The directory that a call starts from, without links in its path: project keys are made from it.
pub(crate) fn here(directory: Option<&Path>) -> Result<PathBuf, ConfigError> {
    match directory {
        Some(directory) => std::fs::canonicalize(directory)
            .map_err(|source| ConfigError::Read { path: directory.to_owned(), source }),
        None => std::env::current_dir().map_err(ConfigError::Directory),
    }
}

/// What is wanted, by the words of `ensure` or `restart`.
pub(crate) fn wanted(here: &Path, wanted: &Wanted, command: &[String]) -> Result<Order, ConfigError> {
    let (name, key) = name_and_key(&wanted.name, wanted.key.as_deref())?;
    let kept = if !command.is_empty() {
        let spec = Spec::of_command(command.to_vec(), here.to_owned());
        Kept { spec, key: None }
    } else if wanted.spec.is_some() {
        Kept { spec: from_stdin(here)?, key: None }
    } else {
        match &wanted.config {
            Some(file) => from_given(here, file, name)?,
            None => from_found(here, name)?,
        }
        .ok_or_else(|| not_configured(here, wanted.config.as_deref(), name))?
    };
    let Kept { mut spec, key: own } = kept;
    if let Some(version) = &wanted.version {
        spec.version.clone_from(version);
    }
    let found = key.is_none() && command.is_empty() && wanted.spec.is_none() && wanted.config.is_none();
    let target = Target::new(name, key.or(own.as_deref()), found)?;
    spec.validate().map_err(|bad| contradiction("the description given", name, &bad))?;
    Ok(Order { target, spec })
}

impl Target {
    fn new(name: &str, key: Option<&str>, found: bool) -> Result<Self, ConfigError> {
        let scope = Scope::new(name, key)?;
        let called = if found { name.to_owned() } else { scope.to_string() };
        Ok(Self { scope, called })
    }

    /// The scope by its whole name, as a list of them shows it.
    pub(crate) fn whole(scope: Scope) -> Self {
        let called = scope.to_string();
        Self { scope, called }
    }
}

/// The scope that a name stands for: as configured, else the plain name. A key bypasses the configuration.
pub(crate) fn target(here: &Path, name: &str, by: &By) -> Result<Target, ConfigError> {
    let (plain, key) = name_and_key(name, by.key.as_deref())?;
    if key.is_some() {
        return Target::new(plain, key, false);
    }
    let kept = match &by.config {
        Some(file) => from_given(here, file, plain)?,
        None => from_found(here, plain)?,
    };
    Target::new(plain, kept.as_ref().and_then(|kept| kept.key.as_deref()), by.config.is_none())
}

/// Every worker that is configured here, by name.
pub(crate) fn all(here: &Path, by: &By) -> Result<Vec<Target>, ConfigError> {
    let names = names(here, by.config.as_deref())?;
    names.iter().map(|name| target(here, name, by)).collect()
}

fn name_and_key<'word>(
    name: &'word str,
    key: Option<&'word str>,
) -> Result<(&'word str, Option<&'word str>), ConfigError> {
    match (name.split_once('@'), key) {
        (None, key) => Ok((name, key)),
        (Some((plain, own)), None) => Ok((plain, Some(own))),
        (Some((plain, own)), Some(key)) if own == key => Ok((plain, Some(key))),
        (Some(_), Some(key)) => Err(ConfigError::TwoKeys { name: name.to_owned(), key: key.to_owned() }),
    }
}

fn from_given(here: &Path, file: &Path, name: &str) -> Result<Option<Kept>, ConfigError> {
    let source = find::given(here, file)?;
    Workers::parse(&source)?.take(name)
}

fn from_found(here: &Path, name: &str) -> Result<Option<Kept>, ConfigError> {
    let project = find::project(here)?;
    let of_project = match &project {
        Some(source) => Workers::parse(source)?.take(name)?.map(|kept| (source, kept)),
        None => None,
    };
    let users = find::user()?;
    let of_user = from_files(&users, name)?;
    match (of_user, of_project) {
        (Some((user, _)), Some((project, _))) => Err(ConfigError::Redefined {
            name: name.to_owned(),
            one: user.path.clone(),
            other: project.path.clone(),
        }),
        (Some((_, kept)), None) | (None, Some((_, kept))) => Ok(Some(kept)),
        (None, None) => Ok(from_files(&find::system()?, name)?.map(|(_, kept)| kept)),
    }
}

/// The worker of that name in files of one level, of which only one may define it.
fn from_files<'files>(
    files: &'files [Source],
    name: &str,
) -> Result<Option<(&'files Source, Kept)>, ConfigError> {
    let mut found: Option<(&Source, Kept)> = None;
    for source in files {
        let Some(kept) = Workers::parse(source)?.take(name)? else { continue };
        if let Some((first, _)) = &found {
            let (one, other) = (first.path.clone(), source.path.clone());
            return Err(ConfigError::Redefined { name: name.to_owned(), one, other });
        }
        found = Some((source, kept));
    }
    Ok(found)
}

fn names(here: &Path, given: Option<&Path>) -> Result<Vec<String>, ConfigError> {
    let sources = match given {
        Some(file) => vec![find::given(here, file)?],
        None => find::project(here)?.into_iter().chain(find::user()?).chain(find::system()?).collect(),
    };
    let mut names = Vec::new();
    for source in &sources {
        names.extend(Workers::parse(source)?.names().map(str::to_owned));
    }
    names.sort();
    names.dedup();
    Ok(names)
}

fn not_configured(here: &Path, given: Option<&Path>, name: &str) -> ConfigError {
    let known = names(here, given).unwrap_or_default();
    let suggestion = keys::nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
    let looked = given.map_or_else(|| find::places(here), |file| vec![here.join(file).display().to_string()]);
    ConfigError::NotConfigured { name: name.to_owned(), known, suggestion, looked }
}

fn from_stdin(here: &Path) -> Result<Spec, ConfigError> {
    let text = find::text(io::stdin().lock()).map_err(ConfigError::Stdin)?;
    let bad = |message: String| ConfigError::Text { place: "the description on stdin".to_owned(), message };
    let mut json: serde_json::Value = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
    let Some(object) = json.as_object_mut() else { return Err(bad("it is not an object".to_owned())) };
    object.entry("cwd").or_insert_with(|| here.to_string_lossy().into_owned().into());
    if let Some(found) = keys::unknown(&json, keys::spec()) {
        let suggestion = found.suggestion.map(Cow::Borrowed);
        let key = found.path.join(".");
        return Err(ConfigError::UnknownKey {
            place: "the description on stdin".to_owned(),
            key,
            suggestion,
        });
    }
    let spec: Spec = serde_json::from_value(json).map_err(|error| bad(error.to_string()))?;
    Ok(Spec { cwd: here.join(&spec.cwd), ..spec })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_in_the_name_or_beside_it() {
        assert_eq!(name_and_key("m", None).expect("plain"), ("m", None));
        assert_eq!(name_and_key("m@k", None).expect("inside"), ("m", Some("k")));
        assert_eq!(name_and_key("m", Some("k")).expect("beside"), ("m", Some("k")));
        assert_eq!(name_and_key("m@k", Some("k")).expect("twice"), ("m", Some("k")));
        assert!(name_and_key("m@k", Some("l")).is_err());
    }
}

//! How a call chose its worker, as it was typed: what a command repeats that is to mean the same worker.
//!
//! Pure. A remedy is typed where the call was made. The plain name alone may lead elsewhere there: the flags that led to
//! the worker (-C, --config, --key) are part of it, and for a command that may start the worker what describes it as
//! well (--version, --spec, `-- CMD…`).

use std::path::{Path, PathBuf};

use tenure_core::Scope;
use tenure_core::os_text::shell::{self, word};

use super::error::ConfigError;
use crate::args::{KeyOrFile, WorkerSelection};

/// The commands that read a description.
const MAY_START: [&str; 3] = ["ensure", "start", "restart"];

/// The key of a worker as it was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TypedKey<'word> {
    /// None: the configuration says which.
    Configured,
    /// Inside the name: `NAME@KEY` is the worker of that key, `NAME@` the one that has none.
    OfName(Option<&'word str>),
    /// Beside the name, with --key: what is described under the name, kept under that key.
    Beside(&'word str),
}

impl<'word> TypedKey<'word> {
    /// The key, where the configuration has this one.
    pub(super) fn or<'key>(self, configured: Option<&'key str>) -> Option<&'key str>
    where
        'word: 'key,
    {
        match self {
            Self::Configured => configured,
            Self::OfName(key) => key,
            Self::Beside(key) => Some(key),
        }
    }

    /// The key, where one was typed.
    pub(super) fn typed(self) -> Option<&'word str> {
        self.or(None)
    }

    /// Whether the configuration has no say.
    pub(super) fn is_typed(self) -> bool {
        self != Self::Configured
    }
}

/// The plain name and the key of what was typed.
pub(super) fn name_and_key<'word>(
    name: &'word str,
    key: Option<&'word str>,
) -> Result<(&'word str, TypedKey<'word>), ConfigError> {
    let Some((plain, own)) = name.split_once('@') else {
        return Ok((name, key.map_or(TypedKey::Configured, TypedKey::Beside)));
    };
    match (own, key) {
        ("", None) => Ok((plain, TypedKey::OfName(None))),
        (own, None) => Ok((plain, TypedKey::OfName(Some(own)))),
        (own, Some(key)) if own == key => Ok((plain, TypedKey::OfName(Some(own)))),
        (_, Some(key)) => Err(ConfigError::TwoKeys { name: name.to_owned(), key: key.to_owned() }),
    }
}

/// The words and flags of a call that choose its worker.
#[derive(Debug, Clone, Default)]
pub(crate) struct Choice {
    /// NAME, NAME@KEY or NAME@.
    name: String,
    /// What every command repeats: --key and --config,
    pub(super) by: KeyOrFile,
    /// and -C.
    pub(super) directory: Option<PathBuf>,
    /// What a command repeats besides that may start the worker.
    description: String,
    /// The configuration was not asked: what the plain name means in it is another question.
    passed_by: bool,
}

impl Choice {
    /// The choice of a command that names a worker.
    pub(crate) fn of_name(name: &str, by: &KeyOrFile, directory: Option<&Path>) -> Self {
        Self {
            name: name.to_owned(),
            by: by.clone(),
            directory: directory.map(Path::to_owned),
            ..Self::default()
        }
    }

    /// The choice of a command that wants a worker.
    pub(crate) fn of_selection(
        selection: &WorkerSelection,
        command: &[String],
        directory: Option<&Path>,
    ) -> Self {
        let WorkerSelection { name, key, version, config, spec } = selection;
        let version = version.as_ref().map(|version| format!(" --version {version}"));
        let spec = spec.as_ref().map(|spec| format!(" --spec {spec}"));
        let command = Some(command).filter(|words| !words.is_empty());
        let command = command.map(|words| format!(" -- {}", shell::line(words)));
        Self {
            name: name.clone(),
            by: KeyOrFile { key: key.clone(), config: config.clone() },
            directory: directory.map(Path::to_owned),
            passed_by: (spec.is_some() || command.is_some()) && key.is_none() && !name.contains('@'),
            description: [version, spec, command].into_iter().flatten().collect(),
        }
    }

    /// The choice of a scope by its whole name.
    pub(super) fn whole(scope: &Scope) -> Self {
        let passed_by = scope.key().is_none();
        Self { name: scope.to_string(), passed_by, ..Self::default() }
    }

    /// Whether a key in the name chose it, and nothing else: only a record can describe it then.
    pub(crate) fn is_by_name_and_key(&self) -> bool {
        self.name.contains('@') && self.flags().is_empty()
    }

    /// `tenure VERB NAME REST…` with what was typed. `leads_elsewhere` tells what the configuration makes of the plain
    /// name, and is asked only where that matters.
    pub(super) fn command(&self, verb: &str, rest: &str, leads_elsewhere: impl FnOnce() -> bool) -> String {
        let Self { name, description, passed_by, .. } = self;
        let flags = self.flags();
        if rest.starts_with("-- ") {
            return format!("tenure {verb} {name}{flags} {rest}");
        }
        let rest = if rest.is_empty() { String::new() } else { format!(" {rest}") };
        if MAY_START.contains(&verb.split(' ').next().unwrap_or_default()) {
            let plain = *passed_by && description.is_empty() && leads_elsewhere();
            let at = if plain { "@" } else { "" };
            return format!("tenure {verb} {name}{at}{rest}{flags}{description}");
        }
        let at = if *passed_by && leads_elsewhere() { "@" } else { "" };
        format!("tenure {verb} {name}{at}{rest}{flags}")
    }

    fn flags(&self) -> String {
        let key = self.by.key.as_ref().map(|key| format!(" --key {key}"));
        let config = self.by.config.as_ref().map(|file| format!(" --config {}", word(file)));
        let directory = self.directory.as_ref().map(|directory| format!(" -C {}", word(directory)));
        [key, config, directory].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_in_the_name_or_beside_it() {
        assert_eq!(name_and_key("m", None).expect("plain"), ("m", TypedKey::Configured));
        assert_eq!(name_and_key("m@", None).expect("without a key"), ("m", TypedKey::OfName(None)));
        assert_eq!(name_and_key("m@k", None).expect("inside"), ("m", TypedKey::OfName(Some("k"))));
        assert_eq!(name_and_key("m", Some("k")).expect("beside"), ("m", TypedKey::Beside("k")));
        assert_eq!(name_and_key("m@k", Some("k")).expect("twice"), ("m", TypedKey::OfName(Some("k"))));
        assert!(name_and_key("m@k", Some("l")).is_err() && name_and_key("m@", Some("l")).is_err());
    }

    #[test]
    fn a_command_repeats_what_led_to_the_worker() {
        let by = KeyOrFile { key: None, config: Some("/a b/f.toml".into()) };
        let named = Choice::of_name("w", &by, Some(Path::new("it's")));
        let typed = |choice: &Choice, verb, rest, elsewhere| choice.command(verb, rest, || elsewhere);
        assert_eq!(
            typed(&named, "pin", "1.0.0", true),
            r"tenure pin w 1.0.0 --config '/a b/f.toml' -C 'it'\''s'"
        );
        let selection = WorkerSelection {
            name: "w".into(),
            key: None,
            version: Some("2.0.0".parse().expect("a version")),
            config: None,
            spec: None,
        };
        let wanted = Choice::of_selection(&selection, &["sleep".into(), "1 0".into()], None);
        assert_eq!(typed(&wanted, "restart", "", true), "tenure restart w --version 2.0.0 -- sleep '1 0'");
        assert_eq!(typed(&wanted, "logs", "-f", false), "tenure logs w -f");
        assert_eq!(typed(&wanted, "logs", "-f", true), "tenure logs w@ -f");
    }
}

//! A configuration file: its workers by name, and one of them understood.
//!
//! The text is parsed once; only the worker that is asked for is turned into a spec, so a mistake in another worker's
//! table stands in nobody's way. Every error names the file and the line.

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use tenure::Spec;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::error::{ConfigError, contradiction};
use super::find::{Level, Source};
use super::keys::{self, BARE_CHECKS, Described, WORKER};

/// The one table of the top level.
const TABLE: &str = "worker";

/// A worker as a file describes it.
#[derive(Debug)]
pub(crate) struct Kept {
    /// What is wanted.
    pub(crate) spec: Spec,
    /// The key of its scope, where it has one.
    pub(crate) key: Option<String>,
}

/// The workers of one file.
#[derive(Debug)]
pub(crate) struct Workers<'text> {
    source: &'text Source,
    table: DeTable<'text>,
}

impl<'text> Workers<'text> {
    /// Parses a file.
    pub(crate) fn parse(source: &'text Source) -> Result<Self, ConfigError> {
        let document = DeTable::parse(&source.text)
            .map_err(|error| bad(source, error.span(), error.message().to_owned()))?;
        let mut table = DeTable::new();
        for (key, value) in document.into_inner() {
            let name: &str = key.get_ref();
            if name != TABLE {
                let suggestion = keys::nearest(name, [TABLE]).or(Some("worker.NAME"));
                return Err(unknown(source, key.span(), name.to_owned(), suggestion));
            }
            let span = value.span();
            let DeValue::Table(workers) = value.into_inner() else {
                return Err(bad(
                    source,
                    Some(span),
                    "`worker` holds a table for each name: [worker.NAME]".to_owned(),
                ));
            };
            table = workers;
        }
        Ok(Self { source, table })
    }

    /// Their names, sorted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.table.keys().map(|name| name.get_ref().as_ref())
    }

    /// The worker of that name, where there is one.
    pub(crate) fn take(&mut self, name: &str) -> Result<Option<Kept>, ConfigError> {
        let Some(mut worker) = self.table.remove(name) else { return Ok(None) };
        let source = self.source;
        if let Some(found) = keys::unknown(&worker, WORKER) {
            let span = span_of(&worker, &found.path);
            let key = format!("{TABLE}.{name}.{}", found.path.join("."));
            return Err(unknown(source, span.unwrap_or_default(), key, found.suggestion));
        }
        let wrong = |error: toml::de::Error, span: &Range<usize>| {
            let span = error.span().unwrap_or_else(|| span.clone());
            bad(source, Some(span), format!("worker {name:?}: {}", error.message()))
        };
        let span = worker.span();
        let DeValue::Table(table) = worker.get_mut() else {
            return Err(bad(source, Some(span), format!("worker {name:?} is not a table")));
        };
        let (has_cwd, shared) = (table.contains_key("cwd"), table.remove("scope"));
        let key = table.remove("key");
        spell_out(table);
        let shared: Option<Shared> = optional(shared).map_err(|error| wrong(error, &span))?;
        let key: Option<String> = optional(key).map_err(|error| wrong(error, &span))?;
        let mut spec =
            Spec::deserialize(ValueDeserializer::from(worker)).map_err(|error| wrong(error, &span))?;
        spec.cwd = if has_cwd { below(source.directory(), &spec.cwd) } else { source.directory().to_owned() };
        spec.validate().map_err(|bad| contradiction(&place(source, Some(span.clone())), name, &bad))?;
        let key = self.key(name, key, shared, &span)?;
        Ok(Some(Kept { spec, key }))
    }

    /// The key of a worker: as written, or its project's.
    fn key(
        &self,
        name: &str,
        key: Option<String>,
        shared: Option<Shared>,
        span: &Range<usize>,
    ) -> Result<Option<String>, ConfigError> {
        let source = self.source;
        let project = match (shared, source.level) {
            (Some(Shared::User), _) | (None, Level::User | Level::System | Level::Given) => false,
            (None, Level::Project) | (Some(Shared::Project), Level::Project | Level::Given) => true,
            (Some(Shared::Project), Level::User | Level::System) => {
                let message = format!(
                    "worker {name:?} has scope \"project\" outside of a project's file: write \"user\", or a `key`"
                );
                return Err(bad(source, Some(span.clone()), message));
            }
        };
        Ok(key.or_else(|| project.then(|| tenure::Scope::project_key(source.directory()))))
    }
}

/// How far a name reaches.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Shared {
    /// One worker for each project directory.
    Project,
    /// One worker for the user.
    User,
}

fn optional<'text, T: Deserialize<'text>>(
    value: Option<Spanned<DeValue<'text>>>,
) -> Result<Option<T>, toml::de::Error> {
    value.map(|value| T::deserialize(ValueDeserializer::from(value))).transpose()
}

/// Checks that carry no value are written `{ tcp = true }`: TOML has no word for nothing.
fn spell_out(table: &mut DeTable<'_>) {
    for check in ["ready", "health"] {
        let Some(DeValue::Table(check)) = table.get_mut(check).map(Spanned::get_mut) else { continue };
        for name in BARE_CHECKS {
            if let Some(value) = check.get_mut(name)
                && value.get_ref().as_bool() == Some(true)
            {
                *value.get_mut() = DeValue::Table(DeTable::new());
            }
        }
    }
}

/// `path` from `directory`, without the dots that change nothing.
fn below(directory: &Path, path: &Path) -> PathBuf {
    directory.join(path).components().filter(|part| *part != Component::CurDir).collect()
}

impl Described for Spanned<DeValue<'_>> {
    fn entries(&self) -> Vec<(&str, &Self)> {
        let table = self.get_ref().as_table().into_iter().flatten();
        table.map(|(key, value)| (key.get_ref().as_ref(), value)).collect()
    }

    fn items(&self) -> &[Self] {
        match self.get_ref() {
            DeValue::Array(items) => items,
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => &[],
        }
    }
}

/// Where the key at the end of `path` is written.
fn span_of(value: &Spanned<DeValue<'_>>, path: &[String]) -> Option<Range<usize>> {
    let (first, rest) = path.split_first()?;
    if let DeValue::Array(items) = value.get_ref() {
        return items.iter().find_map(|item| span_of(item, path));
    }
    let (key, below) = value.get_ref().as_table()?.get_key_value(first.as_str())?;
    if rest.is_empty() { Some(key.span()) } else { span_of(below, rest) }
}

fn bad(source: &Source, span: Option<Range<usize>>, message: String) -> ConfigError {
    ConfigError::Text { place: place(source, span), message }
}

fn unknown(
    source: &Source,
    span: Range<usize>,
    key: String,
    suggestion: Option<&'static str>,
) -> ConfigError {
    ConfigError::UnknownKey {
        place: place(source, Some(span)),
        key,
        suggestion: suggestion.map(Cow::Borrowed),
    }
}

/// `file:line`.
fn place(source: &Source, span: Option<Range<usize>>) -> String {
    let path = source.path.display();
    match span {
        Some(span) => {
            let before = source.text.get(..span.start).unwrap_or(&source.text);
            format!("{path}:{}", before.matches('\n').count() + 1)
        }
        None => path.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use tenure::spec::{Health, Ready};

    use super::*;

    fn source(text: &str, level: Level) -> Source {
        Source { path: "/p/tenure.toml".into(), text: text.to_owned(), level }
    }

    fn take(text: &str) -> Result<Option<Kept>, ConfigError> {
        Workers::parse(&source(text, Level::Project))?.take("w")
    }

    fn fault(text: &str) -> String {
        take(text).expect_err("a fault").to_string()
    }

    #[test]
    fn relative_directories_start_from_the_file() {
        let cwd = |line: &str| {
            let text = format!("[worker.w]\ncommand = [\"x\"]\n{line}");
            take(&text).expect("valid").expect("there").spec.cwd
        };
        assert_eq!(cwd(""), Path::new("/p"));
        assert_eq!(cwd("cwd = \".\""), Path::new("/p"));
        assert_eq!(cwd("cwd = \"a/./b\""), Path::new("/p/a/b"));
        assert_eq!(cwd("cwd = \"/abs\""), Path::new("/abs"));
    }

    #[test]
    fn a_project_has_its_own_worker_unless_it_says_user() {
        let key = |line: &str, level| {
            let source = source(&format!("[worker.w]\ncommand = [\"x\"]\n{line}"), level);
            Workers::parse(&source).expect("parses").take("w").map(|kept| kept.expect("there").key)
        };
        let project = Some(tenure::Scope::project_key(Path::new("/p")));
        assert_eq!(key("", Level::Project).expect("valid"), project);
        assert_eq!(key("scope = \"user\"", Level::Project).expect("valid"), None);
        assert_eq!(key("key = \"k\"", Level::Project).expect("valid"), Some("k".to_owned()));
        assert_eq!(key("", Level::User).expect("valid"), None);
        assert!(key("scope = \"project\"", Level::User).is_err());
    }

    #[test]
    fn checks_without_a_value_can_be_written() {
        for (line, ready) in [
            ("ready = \"notify\"", Ready::Notify),
            ("ready = { notify = true }", Ready::Notify),
            ("ready = { log = \"up\" }", Ready::Log("up".into())),
        ] {
            let kept = take(&format!("[worker.w]\ncommand = [\"x\"]\n{line}")).expect(line).expect("there");
            assert_eq!(kept.spec.ready, Some(ready), "{line}");
        }
        let text = "[worker.w]\ncommand = [\"x\"]\nhealth = { tcp = true, failures = 2 }\n\
                    listen = [{ name = \"a\", tcp = \"127.0.0.1:9\", mode = \"self\" }]";
        let health = Some(Health { failures: 2, ..Health::of(Ready::Tcp) });
        assert_eq!(take(text).expect("valid").expect("there").spec.health, health);
    }

    #[test]
    fn every_fault_names_its_line() {
        for (text, line) in [
            ("[worker.w\n", 1),
            ("[worker.w]\ncommand = [\"x\"]\nstop = { grase = \"5s\" }", 3),
            ("[worker.w]\ncommand = [\"x\"]\nstart_timeout = 5", 3),
            ("[worker.w]\ncommand = [\"x\"]\n\n[wroker.v]\n", 4),
            ("\n[worker.w]\ncommand = []", 2),
        ] {
            assert!(fault(text).contains(&format!("/p/tenure.toml:{line}")), "{text:?}: {}", fault(text));
        }
    }

    #[test]
    fn a_fault_in_another_worker_stands_in_nobodys_way() {
        let text = "[worker.w]\ncommand = [\"x\"]\n[worker.v]\ncomand = 3";
        assert!(take(text).is_ok());
    }
}

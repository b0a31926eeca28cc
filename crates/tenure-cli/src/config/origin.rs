//! Where each value of a worker comes from: for `config show`.
//!
//! Pure. Values of variables whose names look secret are left out.

use std::path::PathBuf;

use serde_json::{Value as Json, json};
use tenure_core::spec::USUAL_BAKE;
use tenure_core::{Version, os_text};

use super::error::SourcePlace;
use super::file::{Written, span_of};
use super::find::Level;
use super::keys::{Key, Shape};
use super::layers::About;
use super::table::{self, WORKER};
use super::variables::{self, Overrides};
use super::worker::DescribedWorker;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ValueSource {
    /// A flag of the call.
    Flag(&'static str),
    /// A variable.
    Variable(&'static str),
    /// A file of this level.
    File(Level, SourcePlace),
    /// The record of what was offered, and the file that it was read from.
    Record(Option<PathBuf>),
    /// The default: nothing sets it.
    Default,
}

/// Where a worker is described.
#[derive(Debug)]
pub(crate) enum DescriptionSource<'text> {
    /// In files.
    Files {
        about: &'text About<'text>,
        /// As it is written.
        written: &'text Written<'text>,
    },
    /// In the record of its scope alone, which has read it from this file, or from a call.
    Record(Option<PathBuf>),
}

/// One value in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Its key, from the worker's table inwards.
    pub(crate) key: String,
    /// The value in force; none if it is kept secret.
    pub(crate) value: Option<Json>,
    /// Where the value comes from.
    pub(crate) origin: ValueSource,
    /// A remark for people.
    pub(crate) note: Option<String>,
}

/// A description that was understood, with every source that set a value of it.
#[derive(Debug)]
pub(crate) struct EffectiveWorker<'text> {
    pub(crate) source: DescriptionSource<'text>,
    /// As it is in force.
    pub(crate) worker: &'text DescribedWorker,
    pub(crate) overrides: &'text Overrides,
    /// The key that --key sets.
    pub(crate) key: Option<&'text str>,
    /// What the command of the version printed last.
    pub(crate) answered: Option<&'text Version>,
}

impl EffectiveWorker<'_> {
    /// Every value in force, in the order of the reference.
    pub(crate) fn values(&self) -> Vec<Setting> {
        let whole = self.whole();
        let mut values = Vec::new();
        for key in WORKER {
            let Some(value) = whole.get(key.name).filter(|value| !value.is_null()) else { continue };
            match key.shape.settings() {
                Some(below) => {
                    let checks = matches!(key.shape, Shape::Repeated(..));
                    let is_set = |name: &str| !checks || value.get(name).is_some();
                    for below in below.into_iter().flatten().filter(|below| is_set(below.name)) {
                        self.below(&mut values, &[key.name, below.name], &value[below.name], below);
                    }
                }
                None => values.push(self.value(&[key.name], value.clone())),
            }
        }
        values
    }

    fn below(&self, values: &mut Vec<Setting>, path: &[&str; 2], value: &Json, key: &Key) {
        let [above, name] = *path;
        match (key.shape, value.as_object()) {
            (Shape::Named, Some(entries)) => {
                let entry = |(own, value): (&String, &Json)| {
                    let shown = self.value(&[above, name, own], value.clone());
                    if is_secret(own) {
                        let note = Some("not shown: its name looks secret".to_owned());
                        return Setting { value: None, note, ..shown };
                    }
                    shown
                };
                values.extend(entries.iter().map(entry));
            }
            (Shape::Bare, _) => values.push(self.value(path, json!(true))),
            _ => values.push(self.value(path, value.clone())),
        }
    }

    fn value(&self, path: &[&str], value: Json) -> Setting {
        let asked = path == ["version"] && self.worker.version_command.is_some();
        let unsaid = path == ["bake"] && self.worker.spec.bake.is_none();
        let answer = asked.then(|| match self.answered {
            Some(version) => {
                format!("the command printed {version} last; it runs again when the worker is wanted and its inputs have changed")
            }
            None => "the command runs when the worker is wanted".to_owned(),
        });
        let note = answer.or_else(|| unsaid.then(|| "\"0s\" for a restart".to_owned()));
        Setting { key: path.join("."), value: Some(value), origin: self.origin(path), note }
    }

    fn origin(&self, path: &[&str]) -> ValueSource {
        if path == ["key"] && self.key.is_some() {
            return ValueSource::Flag("--key");
        }
        if let (&[key], Some(variable)) = (path, variables::of_key(path[0]))
            && self.overrides.sets(key)
        {
            return ValueSource::Variable(variable);
        }
        let (about, written) = match &self.source {
            DescriptionSource::Files { about, written } => (about, written),
            // The record has whole specs: what was set in it and what is a default is not told apart.
            DescriptionSource::Record(file) if table::is_of_spec(path[0]) => {
                return ValueSource::Record(file.clone());
            }
            DescriptionSource::Record(_) => return ValueSource::Default,
        };
        let path: Vec<String> = path.iter().map(|&key| key.to_owned()).collect();
        match span_of(written, &path) {
            Some(span) => ValueSource::File(about.source_at(span.start).level, about.place(span.start)),
            None => ValueSource::Default,
        }
    }

    /// The description as one table, with what stands for the defaults that depend on others.
    fn whole(&self) -> Json {
        let mut whole = serde_json::to_value(&self.worker.spec).expect("a spec is JSON");
        let worker = self.worker;
        whole["scope"] = json!(if worker.of_project { "project" } else { "user" });
        whole["key"] = json!(self.key.or(worker.key.as_deref()));
        whole["first_answer"] = json!(worker.first_answer.map_or_else(|| "500ms".to_owned(), String::from));
        whole["wedged_after"] = json!(worker.wedged_after.map_or_else(|| "10s".to_owned(), String::from));
        whole["ready"] = json!(worker.spec.readiness());
        for check in ["ready", "health"] {
            // Names only: a value may be a token.
            let headers = whole[check].get_mut("headers").and_then(Json::as_object_mut);
            headers.into_iter().flatten().for_each(|(_, value)| *value = json!("(not shown)"));
        }
        whole["build"] = json!(worker.spec.build);
        whole["preflight"] = json!(worker.spec.preflight);
        whole["reload"] = json!(worker.spec.reload);
        whole["before_start"] = json!(worker.spec.before_start);
        whole["stdin"] = json!(worker.spec.stdin);
        whole["forking"] = json!(worker.spec.forking);
        whole["idle_timeout"] = json!(worker.spec.idle_timeout);
        whole["overlap"] = json!(worker.spec.overlap);
        whole["bake"] = json!(worker.spec.bake.unwrap_or(USUAL_BAKE));
        if let Some(version_command) = &worker.version_command {
            whole["version"] = json!(version_command);
        }
        whole
    }
}

/// Whether the name of a variable looks as if its value were secret.
pub(crate) fn is_secret(name: &str) -> bool {
    let name = name.to_uppercase();
    ["TOKEN", "SECRET", "PASSWORD", "KEY"].iter().any(|word| name.contains(word))
}

/// A value as TOML writes it.
pub(crate) fn written(value: &Json) -> String {
    match value {
        Json::Array(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(", ")),
        Json::Object(entries) if entries.is_empty() => "{}".to_owned(),
        Json::Object(entries) => {
            let entry = |(key, value): (&String, &Json)| match value {
                // A check without a value.
                Json::Null => format!("{key} = true"),
                Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) | Json::Object(_) => {
                    format!("{key} = {}", written(value))
                }
            };
            format!("{{ {} }}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        // JSON's text is a basic string of TOML but for DEL, which TOML wants escaped.
        Json::String(_) => {
            let text = value.to_string().replace('\u{7f}', "\\u007f");
            let escaped = |one: char| match os_text::byte_of(one) {
                Some(_) => format!("\\U{:08x}", u32::from(one)),
                None => one.to_string(),
            };
            text.chars().map(escaped).collect()
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => value.to_string(),
    }
}

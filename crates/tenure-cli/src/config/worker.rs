//! A worker's table, read: its spec, its key, and how its version is known.
//!
//! Runs nothing. Every fault names file, line and key.

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tenure_core::Spec;
use tenure_core::launch::version::{StatedVersion, VersionCommand};
use tenure_core::spec::amount::Span;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::error::ConfigError;
use super::file::{TABLE, Written, span_of};
use super::find::Level;
use super::keys::{self, Shape};
use super::layers::About;
use super::table::WORKER;
use super::values;

/// The rule for names and keys.
const NAMES: &str =
    "names and keys are 1 to 64 letters, digits, '.', '_' or '-', and begin with a letter or digit";

/// A worker as it is described.
#[derive(Debug, Clone)]
pub(crate) struct DescribedWorker {
    /// The wanted spec; its version is 0.0.0 if the command in `version_command` has to print it.
    pub(crate) spec: Spec,
    pub(crate) key: Option<String>,
    /// One worker for each project directory.
    pub(crate) of_project: bool,
    /// The command that prints the version.
    pub(crate) version_command: Option<VersionCommand>,
    /// How long the first answer may take.
    pub(crate) first_answer: Option<Span>,
    /// How long a worker may be silent.
    pub(crate) wedged_after: Option<Span>,
}

impl DescribedWorker {
    /// A spec that no file describes, without the keys that only files have.
    pub(crate) fn plain(spec: Spec) -> Self {
        Self {
            spec,
            key: None,
            of_project: false,
            version_command: None,
            first_answer: None,
            wedged_after: None,
        }
    }
}

/// What is wrong with a description.
#[derive(Debug)]
pub(crate) struct Flaw {
    pub(crate) error: Box<ConfigError>,
    /// The position, counted through the text of all files.
    pub(crate) position: usize,
    /// The key to blame, from the worker's table inwards, where it is known without looking for the position.
    pub(crate) path: Option<Vec<String>>,
}

impl Flaw {
    fn of(about: &About<'_>, position: usize, message: &str) -> Self {
        Self { error: Box::new(about.wrong(position, message)), position, path: None }
    }

    fn of_key(about: &About<'_>, position: usize, key: &str, message: &str) -> Self {
        // A check with a fault is one fault, whichever of its keys has it.
        let path = key.split('.').take(1).map(str::to_owned).collect();
        Self { path: Some(path), ..Self::of(about, position, message) }
    }
}

/// The value of `scope`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Shared {
    /// One worker for each project directory.
    Project,
    /// One worker for the user.
    User,
}

/// The keys of the table that are no part of a spec.
struct Extras {
    shared: Option<(Shared, Range<usize>)>,
    key: Option<String>,
    version: Option<StatedVersion>,
    first_answer: Option<Span>,
    wedged_after: Option<Span>,
}

/// Where the values of a worker's table are, and the table itself.
struct Spans {
    header: usize,
    keys: Vec<(String, usize)>,
}

impl Spans {
    fn of(value: &Written<'_>) -> Self {
        let mut keys = Vec::new();
        for (key, value) in value.get_ref().as_table().into_iter().flatten() {
            let below = value.get_ref().as_table().into_iter().flatten();
            let below = below.map(|(inner, value)| (format!("{key}.{inner}", key = key.get_ref()), value));
            keys.extend(below.map(|(path, value)| (path, value.span().start)));
            keys.push((key.get_ref().to_string(), value.span().start));
        }
        Self { header: value.span().start, keys }
    }

    fn at(&self, key: &str) -> Option<usize> {
        self.keys.iter().find(|(name, _)| name == key).map(|(_, position)| *position)
    }

    /// The key whose value begins last before a position: what is wrong there is in it.
    fn before(&self, position: usize) -> Option<&str> {
        let outer = self.keys.iter().filter(|(key, _)| !key.contains('.'));
        let before = outer.filter(|(_, start)| *start <= position);
        before.max_by_key(|(_, start)| *start).map(|(key, _)| key.as_str())
    }

    fn or_header(&self, key: &str) -> usize {
        self.at(key).unwrap_or(self.header)
    }
}

/// Understands a description.
pub(crate) fn understand(about: &About<'_>, mut value: Written<'_>) -> Result<DescribedWorker, Flaw> {
    refuse_unknown(about, &value)?;
    refuse_wrong(about, &value)?;
    let written = value.clone();
    let spans = Spans::of(&value);
    let blame = |key: &str, message: &str| Flaw::of_key(about, spans.or_header(key), key, message);
    let DeValue::Table(table) = value.get_mut() else {
        return Err(Flaw::of(about, spans.header, "it is not a table"));
    };
    if !table.contains_key("command") {
        return Err(blame("command", "`command` is missing: name the program and its arguments"));
    }
    let extras = Extras::take(about, table)?;
    spell_out(table);
    let mut spec = Spec::deserialize(ValueDeserializer::from(value)).map_err(|error| {
        // Shapes were looked at before: what is refused here is refused for its value.
        let position = error.span().map_or(spans.header, |span| span.start);
        let key = spans.before(position).map(str::to_owned);
        // A check says by itself what does not belong to it.
        let is_check = |key: &String| matches!(key.as_str(), "ready" | "health");
        let told = match key {
            Some(key) if is_check(&key) => Some(format!("`{key}`: {}", error.message())),
            key => key.and_then(|key| values::refused(&written, &[key])),
        };
        Flaw::of(about, position, &told.unwrap_or_else(|| error.message().to_owned()))
    })?;
    spec.cwd = directory(about, &spec.cwd, &spans);
    let version_command = match extras.version {
        Some(StatedVersion::Literal(version)) => {
            spec.version = version;
            None
        }
        Some(StatedVersion::Command(command)) => Some(command),
        None => None,
    };
    spec.validate().map_err(|bad| blame(bad.key, &format!("`{}` {}", bad.key, bad.why)))?;
    let of_project = is_of_project(about, extras.shared.as_ref())?;
    if !spec.build.is_empty() && !of_project {
        let why = "`build` is for workers of a project: it takes `scope = \"project\"`, in a project's file";
        return Err(blame("build", why));
    }
    for (key, span) in [("first_answer", extras.first_answer), ("wedged_after", extras.wedged_after)] {
        if span.is_some_and(|span| span.duration().is_zero()) {
            return Err(blame(key, &format!("`{key}` must be longer than zero")));
        }
    }
    let project = || tenure_core::Scope::project_key(about.strongest().directory());
    let key = extras.key.or_else(|| of_project.then(project));
    check_key(key.as_deref()).map_err(|why| blame("key", &why))?;
    tenure_core::Scope::new(&about.name, None).map_err(|bad| {
        Flaw::of(about, spans.header, &format!("it cannot have this name: {}; {NAMES}", bad.why))
    })?;
    let Extras { first_answer, wedged_after, .. } = extras;
    Ok(DescribedWorker { spec, key, of_project, version_command, first_answer, wedged_after })
}

/// A key as a scope may have it.
fn check_key(key: Option<&str>) -> Result<(), String> {
    match tenure_core::Scope::new("name", key) {
        Ok(_) => Ok(()),
        Err(bad) => Err(format!("`key` cannot be {:?}: {}; {NAMES}", bad.text, bad.why)),
    }
}

fn refuse_unknown(about: &About<'_>, value: &Written<'_>) -> Result<(), Flaw> {
    let Some(found) = keys::unknown(value, WORKER) else { return Ok(()) };
    let position = span_of(value, &found.path).unwrap_or_default().start;
    let key = format!("{TABLE}.{}.{}", about.name, found.path.join("."));
    let suggestion = found.suggestion.map(Cow::Borrowed);
    let error = Box::new(ConfigError::UnknownKey { place: about.place(position), key, suggestion });
    Err(Flaw { error, position, path: Some(found.path) })
}

fn refuse_wrong(about: &About<'_>, value: &Written<'_>) -> Result<(), Flaw> {
    let Some(wrong) = values::wrong(value, WORKER) else { return Ok(()) };
    let position = wrong.position.unwrap_or_else(|| value.span().start);
    Err(Flaw { path: Some(wrong.path), ..Flaw::of(about, position, &wrong.message) })
}

/// Whether there is one worker for each project directory.
fn is_of_project(about: &About<'_>, shared: Option<&(Shared, Range<usize>)>) -> Result<bool, Flaw> {
    let strongest = about.strongest().level;
    match shared {
        None => Ok(strongest == Level::Project),
        Some((Shared::User, _)) => Ok(false),
        Some((Shared::Project, span)) => match about.source_at(span.start).level {
            Level::Project | Level::Given => Ok(true),
            Level::User | Level::System => {
                let why =
                    "`scope = \"project\"` stands outside of a project's file: write \"user\", or a `key`";
                Err(Flaw::of_key(about, span.start, "scope", why))
            }
        },
    }
}

/// The directory of the worker: from the file that names it; else the project's, or that of the file with the command.
fn directory(about: &About<'_>, cwd: &Path, spans: &Spans) -> PathBuf {
    match spans.at("cwd") {
        Some(position) => below(about.source_at(position).directory(), cwd),
        None => about
            .project()
            .unwrap_or_else(|| about.source_at(spans.or_header("command")))
            .directory()
            .to_owned(),
    }
}

/// `path` from `directory`, without the dots that change nothing.
fn below(directory: &Path, path: &Path) -> PathBuf {
    directory.join(path).components().filter(|part| *part != Component::CurDir).collect()
}

impl Extras {
    fn take(about: &About<'_>, table: &mut DeTable<'_>) -> Result<Self, Flaw> {
        let shared = table.get("scope").map(Spanned::span);
        Ok(Self {
            shared: optional(about, table, "scope")?.zip(shared),
            key: optional(about, table, "key")?,
            version: version(about, table)?,
            first_answer: optional(about, table, "first_answer")?,
            wedged_after: optional(about, table, "wedged_after")?,
        })
    }
}

fn version(about: &About<'_>, table: &mut DeTable<'_>) -> Result<Option<StatedVersion>, Flaw> {
    let position = table.get("version").map(Spanned::span).unwrap_or_default().start;
    let stated = optional(about, table, "version")?;
    if let Some(StatedVersion::Command(VersionCommand { command, .. })) = &stated
        && command.first().is_none_or(String::is_empty)
    {
        let message = "`version.command` is empty: name a program";
        return Err(Flaw::of_key(about, position, "version", message));
    }
    Ok(stated)
}

fn optional<T: DeserializeOwned>(
    about: &About<'_>,
    table: &mut DeTable<'_>,
    key: &str,
) -> Result<Option<T>, Flaw> {
    let Some(value) = table.remove(key) else { return Ok(None) };
    let start = value.span().start;
    T::deserialize(ValueDeserializer::from(value)).map(Some).map_err(|error| {
        let position = error.span().map_or(start, |span| span.start);
        Flaw::of_key(about, position, key, &format!("`{key}`: {}", error.message()))
    })
}

/// Checks that carry no value are written `{ tcp = true }`: TOML has no word for nothing.
fn spell_out(table: &mut DeTable<'_>) {
    for check in ["ready", "health"] {
        let below = keys::find(WORKER, check).and_then(|key| key.shape.below());
        let Some(DeValue::Table(check)) = table.get_mut(check).map(Spanned::get_mut) else { continue };
        for key in below.into_iter().flatten().flatten() {
            if matches!(key.shape, Shape::Bare)
                && let Some(value) = check.get_mut(key.name)
                && value.get_ref().as_bool() == Some(true)
            {
                *value.get_mut() = DeValue::Table(DeTable::new());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tenure_core::spec::{Health, ListenMode, Ready, TcpCheck, Upstream};

    use super::super::find::SourceFile;
    use super::super::layers::{Description, Layers};
    use super::*;

    fn understood(text: &str, level: Level) -> Result<DescribedWorker, ConfigError> {
        let sources = [SourceFile::new("/p/tenure.toml".into(), text.to_owned(), level)];
        let Description { about, value } = Layers::open(&sources)?.take("w")?.expect("it is described");
        understand(&about, value).map_err(|flaw| *flaw.error)
    }

    fn with(line: &str, level: Level) -> Result<DescribedWorker, ConfigError> {
        understood(&format!("[worker.w]\ncommand = [\"x\"]\n{line}"), level)
    }

    fn project(line: &str) -> DescribedWorker {
        with(line, Level::Project).expect(line)
    }

    #[test]
    fn relative_directories_start_from_the_file() {
        assert_eq!(project("").spec.cwd, Path::new("/p"));
        assert_eq!(project("cwd = \".\"").spec.cwd, Path::new("/p"));
        assert_eq!(project("cwd = \"a/./b\"").spec.cwd, Path::new("/p/a/b"));
        assert_eq!(project("cwd = \"/abs\"").spec.cwd, Path::new("/abs"));
    }

    #[test]
    fn a_project_has_its_own_worker_unless_it_says_user() {
        let own = Some(tenure_core::Scope::project_key(Path::new("/p")));
        assert_eq!(project("").key, own);
        assert_eq!(project("scope = \"user\"").key, None);
        assert_eq!(project("key = \"k\"").key, Some("k".to_owned()));
        assert_eq!(with("", Level::User).expect("valid").key, None);
        assert_eq!(with("scope = \"project\"", Level::Given).expect("valid").key, own);
        assert!(with("scope = \"project\"", Level::User).is_err());
        assert!(with("key = \"a/b\"", Level::User).is_err());
    }

    #[test]
    fn checks_without_a_value_can_be_written() {
        for (line, ready) in [
            ("ready = \"notify\"", Ready::Notify),
            ("ready = { notify = true }", Ready::Notify),
            ("ready = { log = \"up\" }", Ready::Log("up".into())),
        ] {
            assert_eq!(project(line).spec.ready, Some(ready), "{line}");
        }
        let health = project(
            "health = { tcp = true, failures = 2 }\n\
             listen = [{ name = \"a\", tcp = \"127.0.0.1:9\", mode = \"self\" }]",
        );
        let mut wanted = Health::of(Ready::Tcp(TcpCheck::default()));
        wanted.failures = 2;
        assert_eq!(health.spec.health, Some(wanted));
    }

    #[test]
    fn a_version_is_a_literal_or_a_command_that_is_not_run_here() {
        assert_eq!(project("version = \"1.2.3\"").spec.version, tenure_core::Version::new(1, 2, 3));
        let asked = project("version = { command = [\"./no-such\"], inputs = [\"package.json\"] }");
        assert_eq!(asked.spec.version, Spec::unversioned());
        assert_eq!(asked.version_command.expect("a command").inputs, [Path::new("package.json")]);
        for bad in
            ["version = \"1.2.x\"", "version = 7", "version = { command = [] }", "version = { inputs = [] }"]
        {
            assert!(with(bad, Level::Project).expect_err(bad).to_string().contains(":3"), "{bad}");
        }
    }

    #[test]
    fn the_content_of_a_build_is_for_workers_of_a_project() {
        assert_eq!(project("build = [\"dist/**\"]").spec.build, ["dist/**"]);
        for level in [Level::User, Level::System, Level::Given] {
            let refused = with("build = [\"dist/**\"]", level).expect_err("no project").to_string();
            assert!(refused.contains("tenure.toml:3") && refused.contains("project"), "{refused}");
        }
        assert!(with("scope = \"user\"\nbuild = [\"a\"]", Level::Project).is_err());
        assert!(with("scope = \"project\"\nbuild = [\"a\"]", Level::Given).is_ok());
    }

    #[test]
    fn how_long_an_answer_may_take_stands_beside_the_spec() {
        let worker = project("first_answer = \"2s\"\nwedged_after = \"1m\"");
        assert_eq!((worker.first_answer, worker.wedged_after), (Some(Span::secs(2)), Some(Span::secs(60))));
        assert!(with("wedged_after = \"0s\"", Level::User).is_err());
    }

    #[test]
    fn how_a_worker_makes_room_is_part_of_its_spec() {
        let spec = project(
            "preflight = [\"node\", \"--check\"]\noverlap = true\nbake = \"5s\"\n\
             listen = [{ name = \"a\", tcp = \"127.0.0.1:0\", mode = \"proxy\", to = \"env:PORT\" }]",
        )
        .spec;
        assert_eq!((spec.preflight.len(), spec.overlap, spec.bake), (2, true, Some(Span::secs(5))));
        assert_eq!(
            (spec.listen[0].mode, spec.readiness()),
            (ListenMode::Proxy, Ready::Tcp(TcpCheck::default()))
        );
        assert_eq!(spec.listen[0].to, Some(Upstream::Port("PORT".into())));
        for bad in ["overlap = true", "bake = \"11m\"", "preflight = [\"\"]"] {
            assert!(with(bad, Level::Project).expect_err(bad).to_string().contains(":3"), "{bad}");
        }
    }

    #[test]
    fn every_fault_names_its_line() {
        for (text, line) in [
            ("[worker.w]\ncommand = [\"x\"]\nstop = { grase = \"5s\" }", 3),
            ("[worker.w]\ncommand = [\"x\"]\nstart_timeout = 5", 3),
            ("[worker.w]\ncommand = [\"x\"]\n[worker.w.health]\nhttp = \"/\"\ninterval = \"0\"", 5),
            ("\n[worker.w]\ncommand = []", 3),
            ("\n[worker.w]\n", 2),
            ("[worker.w]\ncommand = [\"x\"]\nready = { http = \"/\" }", 3),
            ("[worker.w]\ncommand = [\"x\"]\nscope = \"projekt\"", 3),
        ] {
            let fault = understood(text, Level::Project).expect_err(text).to_string();
            assert!(fault.contains(&format!("/p/tenure.toml:{line}:")), "{text:?}: {fault}");
        }
    }
}

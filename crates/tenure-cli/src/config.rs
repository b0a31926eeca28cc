//! Turns a worker's name, and the arguments around it, into the wanted spec and its scope.
//!
//! A description comes from the command line, from stdin, from one named file, or from the files that are found: the
//! project's, the user's, the system's, value by value. Flags and variables come before all of them. What a project's
//! file describes is wanted only after its content was trusted; naming a worker (`status`, `stop`, `logs`) needs no
//! trust, for a project's file can only lead to a scope of the name that was typed, and never to one that the user's
//! files define.

use std::path::Path;
use std::time::Duration;

use tenure_core::deadline::{Deadline, monotonic};
use tenure_core::launch::version;
use tenure_core::spec::amount::Span;
use tenure_core::spec::origin::{Origin as Offered, StatedNow};
use tenure_core::{Scope, Spec};

use crate::args::{KeyOrFile, WorkerSelection};

mod check;
mod choice;
pub(crate) mod dependency;
mod depends;
mod error;
mod file;
mod find;
mod keys;
mod layers;
mod origin;
mod passed;
mod plan;
mod recorded;
mod schema;
pub(crate) mod shown;
mod starter;
mod stdin;
mod table;
mod trusted;
mod values;
mod variables;
mod worker;

pub(crate) use check::{CheckReport, ConfigFault, ConfigNotice, SoundWorker};
pub(crate) use choice::Choice;
pub(crate) use error::{ConfigError, trust_remedy};
pub(crate) use find::{ConfigPlaces, Level, PROJECT_FILE, SourceFile, here};
pub(crate) use origin::{Setting, ValueSource, written};
pub(crate) use passed::Passed;
pub(crate) use plan::{ProjectPlan, plans};
pub(crate) use schema::schema;
pub(crate) use starter::starter;
pub(crate) use trusted::{TrustStanding, TrustedFiles};
pub(crate) use variables::timeout;

use choice::{TypedKey, name_and_key};
use error::SourcePlace;
use layers::{Description, Layers};
use variables::Overrides;
use worker::{DescribedWorker, understand};

/// A scope, and how it was chosen.
#[derive(Debug, Clone)]
pub(crate) struct ScopeTarget {
    pub(crate) scope: Scope,
    /// What it is called in what is said: the plain name where the configuration found here leads to the scope, else
    /// NAME@KEY.
    pub(crate) display_name: String,
    /// What chooses it again in a command.
    pub(crate) choice: Choice,
}

/// A worker that is wanted.
#[derive(Debug)]
pub(crate) struct WantedWorker {
    pub(crate) target: ScopeTarget,
    pub(crate) spec: Spec,
    /// What it was read from.
    pub(crate) origin: Offered,
    /// Whether that file names the version, and not the call.
    pub(crate) version_from_file: bool,
    /// No configuration describes it, and the offer on record is used.
    pub(crate) is_recorded: bool,
    /// How long its first answer may take, if that is set.
    pub(crate) first_answer: Option<Span>,
    /// How long it may be silent, if that is set.
    pub(crate) wedged_after: Option<Span>,
    /// How much of the call's time it took to learn the version.
    pub(crate) spent: Duration,
}

/// The worker that the arguments of `ensure`, `start` or `restart` ask for. A version command runs last, within
/// `budget`, after everything else was found to be valid and a project's file to be trusted.
pub(crate) fn wanted(
    places: &ConfigPlaces,
    selection: &WorkerSelection,
    command: &[String],
    budget: Duration,
) -> Result<Passed<WantedWorker>, ConfigError> {
    wanted_with(places, selection, command, &Overrides::of_environment()?, budget)
}

fn wanted_with(
    places: &ConfigPlaces,
    selection: &WorkerSelection,
    command: &[String],
    overrides: &Overrides,
    budget: Duration,
) -> Result<Passed<WantedWorker>, ConfigError> {
    let (name, key) = name_and_key(&selection.name, selection.key.as_deref())?;
    let mut is_recorded = false;
    let Passed { found: (mut worker, origin), warning } = if !command.is_empty() {
        let spec = Spec::of_command(command.to_vec(), places.here()?.to_owned());
        Passed::nothing((DescribedWorker::plain(spec), Offered::Call))
    } else if selection.spec.is_some() {
        Passed::nothing((stdin::read(places.here.as_deref())?, Offered::Call))
    } else {
        let found = described_or_passed(places, selection.config.as_deref(), name);
        or_recorded(found, (places, selection), (name, key), &mut is_recorded)?
    };
    let written = worker.spec.version.clone();
    overrides.apply(&mut worker);
    let version_from_file = selection.version.is_none()
        && !is_recorded
        && (worker.version_command.is_some() || worker.spec.version == written);
    if let Some(version) = &selection.version {
        worker.spec.version.clone_from(version);
        worker.version_command = None;
    }
    let found =
        !key.is_typed() && command.is_empty() && selection.spec.is_none() && selection.config.is_none();
    let target = ScopeTarget::new(name, key.or(worker.key.as_deref()), found)?;
    let DescribedWorker { mut spec, version_command, first_answer, wedged_after, .. } = worker;
    spec.validate().map_err(|bad| ConfigError::Text {
        place: SourcePlace::whole("the description given"),
        message: format!("worker {name:?}: `{}` {}", bad.key, bad.why),
    })?;
    let mut spent = Duration::ZERO;
    if let Some(version_command) = version_command {
        let began = monotonic();
        let stage = Deadline::start(budget).stage("version")?;
        spec.version = version::resolve(&version_command, &spec, &target.scope, stage)?;
        spent = monotonic().saturating_sub(began);
    }
    let found = WantedWorker {
        target,
        spec,
        origin,
        version_from_file,
        is_recorded,
        first_answer,
        wedged_after,
        spent,
    };
    Ok(Passed { found, warning })
}

/// The worker that the configuration describes. If the configuration does not know the name, or describes a worker of
/// another key than the typed name has, the worker that the offer on record describes.
fn or_recorded(
    found: Result<Passed<(DescribedWorker, Offered)>, ConfigError>,
    (places, selection): (&ConfigPlaces, &WorkerSelection),
    (name, key): (&str, TypedKey<'_>),
    is_recorded: &mut bool,
) -> Result<Passed<(DescribedWorker, Offered)>, ConfigError> {
    let is_meant = match (&found, key) {
        _ if selection.config.is_some() => true,
        (Err(ConfigError::NotConfigured { .. }), _) => false,
        (_, TypedKey::Configured | TypedKey::Beside(_)) => true,
        (Ok(found), TypedKey::OfName(key)) => found.found.0.key.as_deref() == key,
        (Err(_), TypedKey::OfName(_)) => {
            let scope = Scope::new(name, key.typed())?;
            target(places, name, &KeyOrFile::default()).map_or(true, |found| found.scope == scope)
        }
    };
    if is_meant {
        return found;
    }
    let scope = Scope::new(name, key.typed())?;
    let Some(offer) = recorded::offer(&scope, selection.version.as_ref())? else { return found };
    *is_recorded = true;
    Ok(Passed::nothing((recorded::described(&offer), offer.origin)))
}

impl ScopeTarget {
    fn new(name: &str, key: Option<&str>, found: bool) -> Result<Self, ConfigError> {
        let scope = Scope::new(name, key)?;
        let display_name = if found { name.to_owned() } else { scope.to_string() };
        let choice = Choice::whole(&scope);
        Ok(Self { scope, display_name, choice })
    }

    /// The scope by its whole name, as a list of them shows it.
    pub(crate) fn whole(scope: Scope) -> Self {
        let (display_name, choice) = (scope.to_string(), Choice::whole(&scope));
        Self { scope, display_name, choice }
    }

    /// The scope of a plain name, as the configuration leads to it.
    #[cfg(test)]
    pub(crate) fn found(name: &str) -> Self {
        let choice = Choice::of_name(name, &KeyOrFile::default(), None);
        Self::whole(name.parse().expect("a name")).chosen(choice)
    }

    /// The same, chosen so.
    pub(crate) fn chosen(self, choice: Choice) -> Self {
        Self { choice, ..self }
    }

    /// The command that does this to the same worker, in backquotes as every command that is printed to be typed. It is
    /// for the place where the call was made.
    pub(crate) fn command(&self, verb: &str, rest: &str) -> String {
        format!("`{}`", self.typed(verb, rest))
    }

    /// The name and the flags that choose the worker again in any command.
    pub(crate) fn arguments(&self) -> String {
        self.typed("status", "").split_off("tenure status ".len())
    }

    /// What starts the worker where nothing on record says how.
    pub(crate) fn first_start(&self) -> String {
        let Choice { by, directory, .. } = &self.choice;
        let places = here(directory.as_deref()).and_then(|here| ConfigPlaces::of(Some(here)));
        let described = places.and_then(|places| all(&places, by));
        // A configuration with a fault says so when it is used.
        if described.is_ok_and(|all| all.iter().all(|target| target.scope != self.scope)) {
            if self.choice.is_by_name_and_key() && self.scope.key().is_some() {
                let name = self.scope.name();
                return format!("in the directory of its project, `tenure ensure {name}` starts it");
            }
            return format!("{} starts one", self.command("ensure", "-- CMD…"));
        }
        format!("{} starts it", self.command("ensure", ""))
    }

    fn typed(&self, verb: &str, rest: &str) -> String {
        self.choice.command(verb, rest, || {
            let places = here(None).and_then(|here| ConfigPlaces::of(Some(here)));
            let found = places.and_then(|places| target(&places, self.scope.name(), &KeyOrFile::default()));
            found.map_or(true, |found| found.scope != self.scope)
        })
    }
}

/// The scope that a name stands for: as [`target`] says, or where a project's file is broken that cannot concern it, as
/// the user's files or the records say.
pub(crate) fn target_or_passed(
    places: &ConfigPlaces,
    name: &str,
    by: &KeyOrFile,
) -> Result<Passed<ScopeTarget>, ConfigError> {
    let fault = match target(places, name, by) {
        Err(fault) if by.config.is_none() => fault,
        found => return found.map(Passed::nothing),
    };
    if let Some(alone) = passed::users_alone(places, name, &fault) {
        return Ok(Passed::over(target(&alone, name, by)?, &fault, &passed::users_own(name)));
    }
    let Some(found) = passed::on_record(places, name, &fault) else { return Err(fault) };
    let because = format!("{found} is the worker on record");
    Ok(Passed::over(ScopeTarget::whole(found), &fault, &because))
}

/// The scope that a name stands for: as configured, else the plain name. A key bypasses the configuration.
pub(crate) fn target(places: &ConfigPlaces, name: &str, by: &KeyOrFile) -> Result<ScopeTarget, ConfigError> {
    let (plain, key) = name_and_key(name, by.key.as_deref())?;
    if key.is_typed() {
        return ScopeTarget::new(plain, key.typed(), false);
    }
    let sources = sources(places, by.config.as_deref())?;
    target_in(&mut Layers::open(&sources)?, plain, by)
}

fn target_in(layers: &mut Layers<'_>, name: &str, by: &KeyOrFile) -> Result<ScopeTarget, ConfigError> {
    let key = match layers.take(name)? {
        Some(Description { about, value }) => understand(&about, value).map_err(|flaw| *flaw.error)?.key,
        None => None,
    };
    ScopeTarget::new(name, key.as_deref(), by.config.is_none())
}

/// Every worker that is configured here, by name.
pub(crate) fn all(places: &ConfigPlaces, by: &KeyOrFile) -> Result<Vec<ScopeTarget>, ConfigError> {
    let sources = sources(places, by.config.as_deref())?;
    let mut layers = Layers::open(&sources)?;
    layers.names().iter().map(|name| target_in(&mut layers, name, by)).collect()
}

/// Every fault and every notice of one file, or of all files that are found.
pub(crate) fn checked(places: &ConfigPlaces, given: Option<&Path>) -> Result<CheckReport, ConfigError> {
    let (sources, unread) = match given {
        Some(file) => (vec![places.given(file)?], Vec::new()),
        None => places.found_all(),
    };
    Ok(check::check(&sources, &unread, &TrustedFiles::of_user()?))
}

/// The files of a call: the one that is given, else all that are found.
fn sources(places: &ConfigPlaces, given: Option<&Path>) -> Result<Vec<SourceFile>, ConfigError> {
    match given {
        Some(file) => Ok(vec![places.given(file)?]),
        None => places.found(),
    }
}

/// The worker of that name as files describe it, if it may be started, and which file that is.
fn described(
    places: &ConfigPlaces,
    given: Option<&Path>,
    name: &str,
) -> Result<(DescribedWorker, Offered), ConfigError> {
    let sources = sources(places, given)?;
    let mut layers = Layers::open(&sources)?;
    let Some(Description { about, value }) = layers.take(name)? else {
        return Err(not_configured(places, given, &layers, name));
    };
    let worker = understand(&about, value).map_err(|flaw| *flaw.error)?;
    let Some(project) = about.project() else {
        let path = about.strongest().path.clone();
        return Ok((worker, Offered::File { path }));
    };
    TrustedFiles::of_user()?.demand(project, name)?;
    let sha256 = tenure_core::spec::scope::fingerprint(project.text.as_bytes());
    Ok((worker, Offered::Project { path: project.path.clone(), sha256 }))
}

/// The same, where a project's file is broken that cannot concern the worker.
fn described_or_passed(
    places: &ConfigPlaces,
    given: Option<&Path>,
    name: &str,
) -> Result<Passed<(DescribedWorker, Offered)>, ConfigError> {
    let fault = match described(places, given, name) {
        Err(fault) if given.is_none() => fault,
        found => return found.map(Passed::nothing),
    };
    let Some(alone) = passed::users_alone(places, name, &fault) else { return Err(fault) };
    Ok(Passed::over(described(&alone, None, name)?, &fault, &passed::users_own(name)))
}

/// The version that a file states now for a worker. A file that cannot be read or understood counts as unchanged.
pub(crate) fn read_stated_version(path: &Path, name: &str) -> StatedNow {
    let text = match find::read(path) {
        Ok(Some(text)) => text,
        Ok(None) => return StatedNow::Nothing,
        Err(_) => return StatedNow::Elsewhere,
    };
    let Ok(document) = toml::from_str::<toml::Table>(&text) else { return StatedNow::Elsewhere };
    let Some(worker) = document.get("worker").and_then(|workers| workers.get(name)) else {
        return StatedNow::Nothing;
    };
    let version = worker.get("version").and_then(toml::Value::as_str);
    match version.map(version::parse) {
        Some(Ok(version)) => StatedNow::Version(version),
        Some(Err(_)) | None => StatedNow::Elsewhere,
    }
}

fn not_configured(
    places: &ConfigPlaces,
    given: Option<&Path>,
    layers: &Layers<'_>,
    name: &str,
) -> ConfigError {
    let known = layers.names();
    let suggestion = keys::nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
    let file =
        |file: &Path| vec![places.absolute(file).unwrap_or_else(|_| file.to_owned()).display().to_string()];
    let looked = given.map_or_else(|| places.looked_at(), file);
    ConfigError::NotConfigured { name: name.to_owned(), known, suggestion, looked }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A world with the system's, the user's and a project's file; the project below `here`.
    fn world(system: &str, user: &str) -> (tempfile::TempDir, ConfigPlaces) {
        let root = tempfile::tempdir().expect("a directory");
        let at = |name: &str| root.path().join(name);
        for (name, text) in [("system", system), ("user", user)] {
            std::fs::create_dir(at(name)).expect("made");
            std::fs::write(at(name).join("a.toml"), text).expect("written");
            std::fs::write(at(name).join("a.toml.old"), "not read").expect("written");
        }
        std::fs::create_dir(at("here")).expect("made");
        let places = ConfigPlaces { here: Some(at("here")), user: Some(at("user")), system: at("system") };
        (root, places)
    }

    fn by() -> KeyOrFile {
        KeyOrFile { key: None, config: None }
    }

    #[test]
    fn each_value_comes_from_the_strongest_file_that_has_it() {
        let (_root, places) = world(
            "[worker.w]\ncommand = [\"x\"]\nversion = \"1.0.0\"\nstop.grace = \"1s\"\n[worker.v]\ncommand = [\"y\"]\n",
            "[worker.w]\nversion = \"2.0.0\"\nkey = \"k\"\n",
        );
        let shown = shown::shown(&places, Some("w"), &by()).expect("valid").remove(0);
        assert_eq!(shown.target.scope.to_string(), "w@k");
        let levels: Vec<Level> = shown.files.iter().map(|(_, level)| *level).collect();
        assert_eq!((levels, shown.standing), (vec![Level::User, Level::System], None));
        let of = |key: &str| shown.values.iter().find(|setting| setting.key == key).expect(key);
        for (key, level, line) in
            [("version", Level::User, 2), ("command", Level::System, 2), ("stop.grace", Level::System, 4)]
        {
            let ValueSource::File(own, place) = &of(key).origin else {
                panic!("{key}: {:?}", of(key).origin)
            };
            assert_eq!((*own, place.line), (level, Some(line)), "{key}");
        }
        assert_eq!(of("stop.signal").origin, ValueSource::Default);
        let names: Vec<String> =
            all(&places, &by()).expect("valid").into_iter().map(|target| target.scope.to_string()).collect();
        assert_eq!(names, ["v", "w@k"]);
    }

    #[test]
    fn what_refines_the_systems_worker_is_told_by_a_check() {
        let (_root, places) =
            world("[worker.w]\ncommand = [\"true\"]\n", "[worker.w]\ncwd = \"/\"\n[worker.u]\ncwd = \"/\"\n");
        let (sources, unread) = places.found_all();
        let checked = check::check(&sources, &unread, &TrustedFiles::below(Path::new("/nonexistent")));
        let faults: Vec<&str> = checked.faults.iter().map(|fault| fault.message.as_str()).collect();
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].contains("worker \"u\": `command` is missing"), "{faults:?}");
        assert!(checked.notices.iter().any(|notice| notice.kind == "refined"), "{:?}", checked.notices);
    }

    #[test]
    fn a_call_from_inside_the_users_directory_finds_its_files_as_the_users() {
        let (root, mut places) = world("", "");
        let user = root.path().join("user");
        std::fs::write(user.join("tenure.toml"), "[worker.w]\ncommand = [\"x\"]\n").expect("written");
        places.here = Some(user);
        assert_eq!(target(&places, "w", &by()).expect("one file, once").scope.to_string(), "w");
    }
}

//! Every fault in the files of a call, and what is unusual: for `config check`.
//!
//! Reads files and starts nothing. A fault keeps a worker from being started; a notice does not. To find the faults
//! after the first one, the faulty value is removed from the worker's table and the rest is read again.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use tenure_core::causes;
use tenure_core::os_text::shell::word;
use tenure_core::spec::program;
use tenure_sys::user;
use toml::Spanned;
use toml::de::DeValue;

use super::depends;
use super::error::{ConfigError, SourcePlace, trust_remedy};
use super::file::{Written, span_of};
use super::find::{Level, SourceFile};
use super::layers::{Description, Layers};
use super::trusted::{TrustStanding, TrustedFiles};
use super::worker::{DescribedWorker, understand};

/// What a check found.
#[derive(Debug, Default)]
pub(crate) struct CheckReport {
    /// The files that were read, and where trust is asked for, whether it is given.
    pub(crate) files: Vec<(PathBuf, Level, Option<TrustStanding>)>,
    /// The workers that can be used, with their keys and the files that describe them.
    pub(crate) workers: Vec<SoundWorker>,
    pub(crate) faults: Vec<ConfigFault>,
    pub(crate) notices: Vec<ConfigNotice>,
}

/// A worker without a fault.
#[derive(Debug, Serialize)]
pub(crate) struct SoundWorker {
    pub(crate) name: String,
    pub(crate) key: Option<String>,
    /// The files that have a word in it, the strongest first.
    #[serde(serialize_with = "tenure_core::os_text::paths::serialize")]
    pub(crate) files: Vec<PathBuf>,
}

/// What is wrong.
#[derive(Debug)]
pub(crate) struct ConfigFault {
    /// File and line, if they are known.
    pub(crate) place: Option<SourcePlace>,
    /// The key, from the worker's table inwards.
    pub(crate) key: Option<String>,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// Something unusual that keeps no worker from being started.
#[derive(Debug, Serialize)]
pub(crate) struct ConfigNotice {
    pub(crate) kind: &'static str,
    #[serde(flatten)]
    pub(crate) place: SourcePlace,
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// Most faults of one worker that are shown. Each further fault costs another pass over the rest of the description.
const MOST_FAULTS: usize = 50;

/// Checks these files, of which `unread` could not be read.
pub(crate) fn check(sources: &[SourceFile], unread: &[ConfigError], trusted: &TrustedFiles) -> CheckReport {
    let mut checked = CheckReport::default();
    checked.faults.extend(unread.iter().map(|error| fault(error, None)));
    let (mut layers, broken) = Layers::open_all(sources);
    for source in sources {
        checked.look_at(source, trusted, layers.describes(source));
    }
    checked.faults.extend(broken.iter().map(|error| fault(error, None)));
    for name in layers.names() {
        let found = layers.pick(&name);
        let alone: Vec<_> = match Layers::combine(&name, found.clone()) {
            Ok(description) => vec![description],
            Err(error) => {
                checked.faults.push(fault(&error, None));
                let each = found.into_iter().map(|one| Layers::combine(&name, vec![one]));
                each.filter_map(Result::ok).collect()
            }
        };
        let whole = alone.len() == 1;
        for description in alone {
            checked.examine(description, whole);
        }
    }
    let sound = checked.workers.iter().map(|worker| worker.name.clone());
    let looked = || sources.iter().map(|source| source.path.display().to_string()).collect();
    let has_records = sources.iter().all(|source| source.level != Level::Given);
    let wrong = depends::faults(sources, has_records, sound, &looked);
    checked.faults.extend(wrong.iter().map(|error| fault(error, Some("depends".to_owned()))));
    checked.faults.sort_by(|one, other| one.place.cmp(&other.place));
    checked
}

impl CheckReport {
    /// Records a file with its trust, and notices what is unusual about the file itself.
    fn look_at(&mut self, source: &SourceFile, trusted: &TrustedFiles, describes: bool) {
        let mut standing = None;
        match source.level {
            Level::Project => match trusted.standing(source) {
                Ok(found) => {
                    standing = Some(found);
                    self.notices.extend(untrusted(source, found).filter(|_| describes));
                }
                Err(error) => self.notices.push(ConfigNotice {
                    kind: "trust-unusable",
                    place: SourcePlace::whole(&source.path),
                    message: format!(
                        "none of its workers can be started: failed to {}",
                        causes::in_one_line(&error)
                    ),
                    hint: error.remedy(),
                }),
            },
            Level::User | Level::System => {
                for path in [source.path.as_path(), source.directory()] {
                    self.notices.extend(open_to_others(path));
                }
            }
            Level::Given => {}
        }
        self.files.push((source.path.clone(), source.level, standing));
    }

    /// Finds every fault of one description: each faulty value is removed, until the rest is understood.
    fn examine(&mut self, description: Description<'_>, whole: bool) {
        let Description { about, mut value } = description;
        let before = self.faults.len();
        let worker = loop {
            if self.faults.len() - before == MOST_FAULTS {
                let message =
                    format!("there may be more: {MOST_FAULTS} faults of one worker are shown at a time");
                self.faults.push(fault(&about.wrong(description_start(&value), &message), None));
                break None;
            }
            let flaw = match understand(&about, value.clone()) {
                Ok(worker) => break Some(worker),
                Err(flaw) => flaw,
            };
            let path = flaw.path.or_else(|| path_at(&value, flaw.position)).unwrap_or_default();
            self.faults.push(fault(&flaw.error, Some(path.join(".")).filter(|path| !path.is_empty())));
            if !take_out(&mut value, &path) {
                break None;
            }
            // A mistyped `command` is one fault; that `command` is missing is not another.
            if matches!(&*flaw.error, ConfigError::UnknownKey { suggestion: Some(meant), .. } if meant == "command")
            {
                take_out(&mut value, &["command".to_owned()]);
            }
        };
        let Some(worker) = worker.filter(|_| self.faults.len() == before && whole) else { return };
        let version =
            span_of(&value, &["version".to_owned()]).map_or(description_start(&value), |span| span.start);
        self.look_at_version(&worker, about.place(version));
        self.look_around(&worker, about.place(description_start(&value)));
        let weaker = about.sources.iter().skip(1).filter(|source| source.level == Level::System);
        for source in weaker {
            self.notices.push(ConfigNotice {
                kind: "refined",
                place: about.place(description_start(&value)),
                message: format!("worker {:?} refines the one of {}", about.name, source.path.display()),
                hint: format!("`tenure config show {}` shows where each value comes from", about.name),
            });
        }
        let files = about.sources.iter().map(|source| source.path.clone()).collect();
        self.workers.push(SoundWorker { name: about.name, key: worker.key, files });
    }

    /// Notices a version that has no order.
    fn look_at_version(&mut self, worker: &DescribedWorker, place: SourcePlace) {
        let version = &worker.spec.version;
        if version.is_build() {
            self.notices.push(ConfigNotice {
                kind: "build-without-order",
                place,
                message: format!("{:?} is a build and no version: it has no order, so it never replaces a worker", version.as_str()),
                hint: "write a version such as 1.2.3, or in a project's file `build = [\"dist/**\"]`, which replaces the worker when its files change"
                    .to_owned(),
            });
        }
    }

    /// Notices what the worker needs besides its description, and does not find.
    fn look_around(&mut self, worker: &DescribedWorker, place: SourcePlace) {
        let spec = &worker.spec;
        if !spec.cwd.is_dir() {
            let message = format!("the directory {} does not exist", spec.cwd.display());
            let hint = "create it, or correct `cwd`".to_owned();
            self.notices.push(ConfigNotice { kind: "no-directory", place, message, hint });
            return;
        }
        let path = spec.env.set.get("PATH").cloned().or_else(|| std::env::var("PATH").ok());
        let asked = worker.version_command.as_ref().map(|asked| &asked.command);
        let helpers = [asked, Some(&spec.preflight), Some(&spec.before_start)];
        for command in [Some(&spec.command)].into_iter().chain(helpers).flatten() {
            let Some(program) = command.first() else { continue };
            if let Err(error) = program::resolve(program, &spec.cwd, path.as_deref()) {
                let message = format!("failed to {error}");
                let hint = "install it, or correct the command".to_owned();
                self.notices.push(ConfigNotice { kind: "no-program", place: place.clone(), message, hint });
            }
        }
    }
}

fn description_start(value: &Written<'_>) -> usize {
    value.span().start
}

fn untrusted(source: &SourceFile, standing: TrustStanding) -> Option<ConfigNotice> {
    let message = match standing {
        TrustStanding::Trusted => return None,
        TrustStanding::Changed => "it has changed since it was trusted: none of its workers can be started",
        TrustStanding::Unknown => "it is not trusted: none of its workers can be started",
    };
    Some(ConfigNotice {
        kind: "untrusted",
        place: SourcePlace::whole(&source.path),
        message: message.to_owned(),
        hint: trust_remedy(&source.path),
    })
}

/// A notice if another user can change this file, which decides what this user starts.
fn open_to_others(path: &Path) -> Option<ConfigNotice> {
    let found = fs::metadata(path).ok()?;
    let others = found.permissions().mode() & 0o022 != 0 && !(found.is_dir() && found.mode() & 0o1000 != 0);
    let strange = ![0, user::effective_uid()].contains(&found.uid());
    let message = match (others, strange) {
        (_, true) => format!("it belongs to uid {}, who can therefore decide what is started", found.uid()),
        (true, false) => "other users can change it, and so decide what is started".to_owned(),
        (false, false) => return None,
    };
    let hint = format!("`chmod go-w {}`, or `chown` it to yourself", word(path));
    Some(ConfigNotice { kind: "open-to-others", place: SourcePlace::whole(path), message, hint })
}

fn fault(error: &ConfigError, key: Option<String>) -> ConfigFault {
    match error {
        ConfigError::Text { place, message } => {
            ConfigFault { place: Some(place.clone()), key, message: message.clone(), hint: None }
        }
        ConfigError::UnknownKey { place, key: unknown, suggestion } => ConfigFault {
            place: Some(place.clone()),
            key: key.or_else(|| Some(unknown.clone())),
            message: format!("there is no key `{unknown}`"),
            hint: suggestion.as_ref().map(|name| format!("did you mean `{name}`?")),
        },
        ConfigError::Redefined { name, one, other } => ConfigFault {
            place: Some(other.clone()),
            key,
            message: format!("worker {name:?} is defined in {one} already"),
            hint: Some("rename one of them".to_owned()),
        },
        ConfigError::NoDependency { place, dependent, name, .. } => ConfigFault {
            place: Some((**place).clone()),
            key,
            message: format!(
                "worker {dependent:?} depends on {name:?}, and no worker of that name is described"
            ),
            hint: Some(error.remedy()),
        },
        ConfigError::DependencyCycle { places, .. } => ConfigFault {
            place: places.first().cloned(),
            key,
            message: format!("failed to {error}"),
            hint: Some(error.remedy()),
        },
        ConfigError::Read { path, .. } => {
            ConfigFault { place: Some(SourcePlace::whole(path)), ..plain(error, key) }
        }
        ConfigError::Directory(_)
        | ConfigError::Stdin(_)
        | ConfigError::Variable { .. }
        | ConfigError::NotConfigured { .. }
        | ConfigError::Untrusted { .. }
        | ConfigError::Trust(_)
        | ConfigError::Root(_)
        | ConfigError::Version(_)
        | ConfigError::TimedOut(_)
        | ConfigError::Name(_)
        | ConfigError::DirectoryGone
        | ConfigError::Record { .. }
        | ConfigError::TwoKeys { .. } => plain(error, key),
    }
}

fn plain(error: &ConfigError, key: Option<String>) -> ConfigFault {
    let message = format!("failed to {}", causes::in_one_line(error));
    ConfigFault { place: None, key, message, hint: Some(error.remedy()) }
}

/// The key whose value is written at a position, from the table inwards.
fn path_at(value: &Written<'_>, position: usize) -> Option<Vec<String>> {
    for (key, below) in value.get_ref().as_table()? {
        let inside = || below.span().contains(&position).then(Vec::new);
        if let Some(mut path) = path_at(below, position).or_else(inside) {
            path.insert(0, key.get_ref().to_string());
            return Some(path);
        }
    }
    None
}

/// Removes a faulty value, and the values that cannot be judged without it. Returns `false` if nothing was removed.
fn take_out(value: &mut Written<'_>, path: &[String]) -> bool {
    let Some((first, rest)) = path.split_first() else { return false };
    let span = value.span();
    let table = match value.get_mut() {
        DeValue::Table(table) => table,
        DeValue::Array(items) => return items.iter_mut().any(|item| take_out(item, path)),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => return false,
    };
    if !rest.is_empty() {
        return table.get_mut(first.as_str()).is_some_and(|below| take_out(below, rest));
    }
    let was_there = table.remove(first.as_str()).is_some();
    let entangled: &[&str] = match first.as_str() {
        "listen" => &["ready", "health", "overlap"],
        "kind" => &["listen", "ready", "health", "overlap"],
        "ready" if !was_there => &["health", "overlap"],
        "ready" => &["overlap"],
        "command" => {
            table.insert(Spanned::new(span.clone(), "command".into()), stand_in(span));
            return true;
        }
        _ => &[],
    };
    let others = entangled.iter().filter(|name| table.remove(**name).is_some()).count();
    was_there || others > 0
}

/// A command in the place of one that is missing or wrong, so that the rest can be understood.
fn stand_in<'text>(span: std::ops::Range<usize>) -> Written<'text> {
    let word = Spanned::new(span.clone(), DeValue::String("true".into()));
    Spanned::new(span, DeValue::Array([word].into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> CheckReport {
        let source = SourceFile::new("/p/tenure.toml".into(), text.to_owned(), Level::Given);
        check(&[source], &[], &TrustedFiles::below(Path::new("/nonexistent")))
    }

    fn lines(checked: &CheckReport) -> Vec<(usize, &str)> {
        let line = |fault: &ConfigFault| fault.place.as_ref().and_then(|place| place.line).unwrap_or(0);
        checked.faults.iter().map(|fault| (line(fault), fault.key.as_deref().unwrap_or("-"))).collect()
    }

    #[test]
    fn every_fault_is_found_and_none_that_another_one_made() {
        let checked = checked(
            "[worker.w]\nbogus = 1\nstart_timeout = 5\nlisten = [{ name = \"h\", tcp = \"nowhere\" }]\n\
             ready = { http = \"/\" }\nhealth = { http = \"/\", intervall = \"1s\", failures = 0 }\n\
             stop = { grace = \"soon\", signal = \"NO\" }\nlogs = { size = \"1B\" }\n\n\
             [worker.v]\ncommand = [\"true\"]\ncwd = \"/\"\n[worker.u]\ncommand = \"x\"\n",
        );
        assert_eq!(
            lines(&checked),
            [
                (1, "command"),
                (2, "bogus"),
                (3, "start_timeout"),
                (4, "listen"),
                (6, "health.intervall"),
                (6, "health.failures"),
                (7, "stop.grace"),
                (7, "stop.signal"),
                (8, "logs"),
                (14, "command"),
            ],
            "{:#?}",
            checked.faults
        );
        let good: Vec<&str> = checked.workers.iter().map(|found| found.name.as_str()).collect();
        assert_eq!(good, ["v"]);
    }

    #[test]
    fn a_name_or_a_key_that_cannot_be_one_is_told_where_it_is_written() {
        let checked = checked(
            "[worker.\"../a\"]\ncommand = [\"true\"]\nbogus = 1\n[worker.b]\ncommand = [\"true\"]\nkey = \"a/b\"\n",
        );
        assert_eq!(lines(&checked), [(1, "-"), (3, "bogus"), (6, "key")], "{:#?}", checked.faults);
        assert!(checked.workers.is_empty());
        for (fault, what) in
            [(0, "worker \"../a\": it cannot have this name"), (2, "`key` cannot be \"a/b\"")]
        {
            let message = &checked.faults[fault].message;
            assert!(message.contains(what) && !message.contains("failed to"), "{message}");
        }
    }

    #[test]
    fn an_overlap_is_not_blamed_for_what_is_wrong_with_that_which_it_needs() {
        for wrong in
            ["ready = \"notifi\"", "listen = [{ name = \"h\", tcp = \"nowhere\" }]", "kind = \"programm\""]
        {
            let key = wrong.split(' ').next().expect("a word");
            let checked = checked(&format!("[worker.w]\ncommand = [\"true\"]\n{wrong}\noverlap = true\n"));
            assert_eq!(lines(&checked), [(3, key)], "{:#?}", checked.faults);
        }
        let checked =
            checked("[worker.w]\ncommand = [\"true\"]\nready = { exec = [\"true\"] }\noverlap = true\n");
        assert_eq!(lines(&checked), [(4, "overlap")], "{:#?}", checked.faults);
    }

    #[test]
    fn what_is_missing_around_a_worker_is_a_notice_and_no_fault() {
        let checked = checked(
            "[worker.a]\ncommand = [\"no-such-program-anywhere\"]\ncwd = \"/\"\n\
             [worker.b]\ncommand = [\"true\"]\ncwd = \"/no/such\"\n\
             [worker.c]\ncommand = [\"true\"]\ncwd = \"/\"\npreflight = [\"no-such-program-anywhere\"]\n",
        );
        assert!(checked.faults.is_empty(), "{:?}", checked.faults);
        let kinds: Vec<&str> = checked.notices.iter().map(|notice| notice.kind).collect();
        assert_eq!(kinds, ["no-program", "no-directory", "no-program"]);
        assert_eq!(checked.workers.len(), 3);
    }
}

//! One worker's description, merged from several files.
//!
//! A value in the project's file wins over the user's, and the user's over the system's. A project never redefines a
//! name that the user's files define: what `tenure ensure NAME` starts must not depend on a directory that somebody
//! else wrote. Two files of one level cannot both define a name, because neither is stronger. Pure.

use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, SourcePlace};
use super::file::{File, Written};
use super::find::{Level, SourceFile};
use super::keys::{self, Key, Shape};
use super::table::WORKER;

/// The files of a call, each parsed once, the strongest first.
#[derive(Debug)]
pub(crate) struct Layers<'text> {
    files: Vec<File<'text>>,
}

/// The table of a worker in one file.
pub(crate) type Layer<'text> = (&'text SourceFile, Written<'text>);

/// Whose description it is, and where it is written.
#[derive(Debug, Clone)]
pub(crate) struct About<'text> {
    pub(crate) name: String,
    /// The files that set a value of it, the strongest first; never empty.
    pub(crate) sources: Vec<&'text SourceFile>,
}

/// A description as it is written, not yet understood.
#[derive(Debug, Clone)]
pub(crate) struct Description<'text> {
    pub(crate) about: About<'text>,
    pub(crate) value: Written<'text>,
}

impl<'text> Layers<'text> {
    /// Parses the files.
    pub(crate) fn open(sources: &'text [SourceFile]) -> Result<Self, ConfigError> {
        Ok(Self { files: sources.iter().map(File::parse).collect::<Result<_, _>>()? })
    }

    /// Parses what can be parsed of the files, and every fault of them.
    pub(crate) fn open_all(sources: &'text [SourceFile]) -> (Self, Vec<ConfigError>) {
        let (files, faults): (Vec<_>, Vec<_>) = sources.iter().map(File::parse_all).unzip();
        (Self { files }, faults.into_iter().flatten().collect())
    }

    /// Whether a file defines any name.
    pub(crate) fn describes(&self, source: &SourceFile) -> bool {
        self.files.iter().any(|file| std::ptr::eq(file.source, source) && file.names().next().is_some())
    }

    /// Every name that is defined, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.files.iter().flat_map(|file| file.names().map(str::to_owned)).collect();
        names.sort();
        names.dedup();
        names
    }

    /// The description of the worker of that name, where there is one.
    pub(crate) fn take(&mut self, name: &str) -> Result<Option<Description<'text>>, ConfigError> {
        let found = self.pick(name);
        if found.is_empty() { Ok(None) } else { Self::combine(name, found).map(Some) }
    }

    /// The tables of the worker of that name, one for each file that has one, the strongest first.
    pub(crate) fn pick(&mut self, name: &str) -> Vec<Layer<'text>> {
        self.files.iter_mut().filter_map(|file| Some((file.source, file.take(name)?))).collect()
    }

    /// One description of what files say, at least one; an error where two of them may not both define the name.
    pub(crate) fn combine(name: &str, found: Vec<Layer<'text>>) -> Result<Description<'text>, ConfigError> {
        for (at, (source, value)) in found.iter().enumerate() {
            if let Some((one, other)) = clash(&found[..at], source, value) {
                return Err(ConfigError::Redefined { name: name.to_owned(), one, other });
            }
        }
        let mut about = About { name: name.to_owned(), sources: Vec::with_capacity(found.len()) };
        let mut whole: Option<Written<'text>> = None;
        for (source, value) in found {
            about.sources.push(source);
            if !value.get_ref().is_table() {
                return Err(about.wrong(value.span().start, "it is not a table"));
            }
            match &mut whole {
                Some(stronger) => {
                    if let (DeValue::Table(stronger), DeValue::Table(weaker)) =
                        (stronger.get_mut(), value.into_inner())
                    {
                        merge(stronger, weaker, [WORKER, &[]]);
                    }
                }
                None => whole = Some(value),
            }
        }
        let value = whole.expect("at least one file says something");
        Ok(Description { about, value })
    }
}

/// Two places of which only one may define the name: the definition that counts, and the other.
fn clash(
    found: &[(&SourceFile, Written<'_>)],
    source: &SourceFile,
    value: &Written<'_>,
) -> Option<(SourcePlace, SourcePlace)> {
    let of = |source: &SourceFile, value: &Written<'_>| source.place(value.span().start - source.base);
    found.iter().find_map(|(before, defined)| match (before.level, source.level) {
        (Level::Project, Level::User) => Some((of(source, value), of(before, defined))),
        (one, other) if one == other => Some((of(before, defined), of(source, value))),
        _ => None,
    })
}

/// Puts the stronger table's values over the weaker one's, key by key in the tables that are made of settings. A check
/// or a version is one value: half of one and half of another would be neither.
fn merge<'text>(stronger: &mut DeTable<'text>, weaker: DeTable<'text>, known: [&'static [Key]; 2]) {
    for (name, weak) in weaker {
        let Some(strong) = stronger.get_mut(name.get_ref().as_ref()) else {
            stronger.insert(name, weak);
            continue;
        };
        let key = known.into_iter().find_map(|keys| keys::find(keys, name.get_ref()));
        let (DeValue::Table(strong), DeValue::Table(mut weak)) = (strong.get_mut(), weak.into_inner()) else {
            continue;
        };
        let Some(settings) = key.and_then(|key| key.shape.settings()) else { continue };
        if let Some(Shape::Repeated(checks, _)) = key.map(|key| key.shape)
            && checks.iter().any(|check| !keys::is_detail(check) && strong.contains_key(check.name))
        {
            for check in checks {
                weak.remove(check.name);
            }
        }
        merge(strong, weak, settings);
    }
}

impl<'text> About<'text> {
    /// The strongest file.
    pub(crate) fn strongest(&self) -> &'text SourceFile {
        self.sources[0]
    }

    /// The project's file, if it sets a value of it.
    pub(crate) fn project(&self) -> Option<&'text SourceFile> {
        Some(self.strongest()).filter(|source| source.level == Level::Project)
    }

    /// The file in which a position is.
    pub(crate) fn source_at(&self, position: usize) -> &'text SourceFile {
        let holds =
            |source: &&&SourceFile| (source.base..=source.base + source.text.len()).contains(&position);
        self.sources.iter().find(holds).copied().unwrap_or(self.sources[0])
    }

    /// File and line of a position.
    pub(crate) fn place(&self, position: usize) -> SourcePlace {
        let source = self.source_at(position);
        source.place(position.saturating_sub(source.base))
    }

    /// What is wrong at a position.
    pub(crate) fn wrong(&self, position: usize, message: &str) -> ConfigError {
        let message = format!("worker {:?}: {message}", self.name);
        ConfigError::Text { place: self.place(position), message }
    }
}

#[cfg(test)]
mod tests {
    use super::super::worker::{DescribedWorker, understand};
    use super::*;

    fn source(level: Level, path: &str, text: &str) -> SourceFile {
        SourceFile::new(path.into(), text.to_owned(), level)
    }

    /// Numbers the files through, as they are when they are found.
    fn numbered(mut sources: Vec<SourceFile>) -> Vec<SourceFile> {
        let mut base = 0;
        for source in &mut sources {
            source.base = base;
            base += source.text.len() + 1;
        }
        sources
    }

    fn of_user_and_system(user: &str, system: &str) -> Result<DescribedWorker, ConfigError> {
        let user = source(Level::User, "/u/a.toml", &format!("[worker.w]\n{user}"));
        let system = source(Level::System, "/s/a.toml", &format!("[worker.w]\n{system}"));
        let sources = numbered(vec![user, system]);
        let Description { about, value } = Layers::open(&sources)?.take("w")?.expect("described");
        understand(&about, value).map_err(|flaw| *flaw.error)
    }

    #[test]
    fn the_users_value_wins_key_by_key() {
        let worker = of_user_and_system(
            "version = \"2.0.0\"\nstop = { grace = \"9s\" }\nenv = { set = { A = \"user\" } }",
            "command = [\"x\"]\nversion = \"1.0.0\"\nstart_timeout = \"7s\"\n\
             stop = { signal = \"INT\", grace = \"1s\" }\nenv = { preset = \"agent\", set = { A = \"s\", B = \"s\" } }",
        )
        .expect("valid");
        let spec = &worker.spec;
        assert_eq!((spec.version.major(), spec.start_timeout.to_string()), (2, "7s".to_owned()));
        assert_eq!((spec.stop.signal.to_string(), spec.stop.grace.to_string()), ("INT".into(), "9s".into()));
        assert_eq!(spec.env.preset, tenure_core::spec::environment::Preset::Agent);
        assert_eq!((spec.env.set["A"].as_str(), spec.env.set["B"].as_str()), ("user", "s"));
        assert_eq!(spec.cwd, std::path::Path::new("/s"), "the directory of the file that names the command");
    }

    #[test]
    fn a_check_and_a_version_are_one_value_and_are_never_mixed() {
        let listen = "listen = [{ name = \"h\", tcp = \"127.0.0.1:0\" }]\ncommand = [\"x\"]\n";
        let system = format!("{listen}ready = {{ log = \"up\" }}\nhealth = {{ http = \"/\", failures = 9 }}");
        let user = "ready = { http = \"/readyz\" }\nhealth = { exec = [\"true\"] }\nversion = \"1.0.0\"";
        let worker =
            of_user_and_system(user, &format!("{system}\nversion = {{ command = [\"v\"] }}")).expect("valid");
        assert_eq!(worker.spec.ready, Some(tenure_core::spec::Ready::Http("/readyz".into())));
        let health = worker.spec.health.expect("there");
        assert_eq!(health.check, tenure_core::spec::Ready::Exec(vec!["true".into()]));
        assert_eq!(health.failures, 9, "a setting of the weaker file stands");
        assert_eq!(worker.version_command, None);
    }

    #[test]
    fn a_fault_is_told_where_it_is_written() {
        let (good, bad) = ("command = [\"x\"]\n\n", "stop = { grace = \"soon\" }");
        let of_system = of_user_and_system("version = \"1.0.0\"", &format!("{good}{bad}")).expect_err("bad");
        assert!(of_system.to_string().contains("/s/a.toml:4:"), "{of_system}");
        let of_user = of_user_and_system(bad, good).expect_err("bad").to_string();
        assert!(of_user.contains("/u/a.toml:2:"), "{of_user}");
        let unknown = of_user_and_system("grase = 1", good).expect_err("unknown").to_string();
        assert!(unknown.contains("/u/a.toml:2:"), "{unknown}");
    }

    #[test]
    fn a_projects_file_refines_the_systems_description_and_never_the_users() {
        let project = || source(Level::Project, "/p/tenure.toml", "[worker.w]\nversion = \"2.0.0\"");
        let whole = "[worker.w]\ncommand = [\"x\"]\nversion = \"1.0.0\"";
        let sources = numbered(vec![project(), source(Level::System, "/s/a.toml", whole)]);
        let Description { about, value } =
            Layers::open(&sources).expect("parses").take("w").expect("one").expect("described");
        assert!(about.project().is_some(), "what it takes from a project needs its trust");
        let worker = understand(&about, value).expect("valid");
        assert_eq!((worker.spec.version.major(), worker.of_project), (2, true));
        assert_eq!(worker.spec.cwd, std::path::Path::new("/p"));

        let sources = numbered(vec![project(), source(Level::User, "/u/a.toml", whole)]);
        let refused = Layers::open(&sources).expect("parses").take("w").expect_err("redefined").to_string();
        assert!(refused.contains("/u/a.toml:1 and /p/tenure.toml:1"), "{refused}");
    }

    #[test]
    fn two_files_of_one_level_cannot_both_define_a_name() {
        for level in [Level::User, Level::System] {
            let file = |path| source(level, path, "[worker.w]\ncommand = [\"x\"]");
            let sources = numbered(vec![file("/u/a.toml"), file("/u/b.toml")]);
            let taken = Layers::open(&sources).expect("parses").take("w");
            assert!(matches!(taken, Err(ConfigError::Redefined { .. })), "{level:?}");
        }
    }
}

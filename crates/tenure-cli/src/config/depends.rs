//! Following the names of the workers that a worker depends on, through the files that describe them.
//!
//! A name of a user's or system's file leads to no project: what a user's worker depends on must not depend on a
//! directory that somebody else wrote. Runs nothing.

use tenure_core::Scope;

use super::error::{ConfigError, SourcePlace};
use super::file::span_of;
use super::find::{Level, SourceFile};
use super::layers::{Description, Layers};
use super::worker::understand;
use super::{keys, recorded};

/// Every name of these workers that leads nowhere, and every cycle: for `config check`.
pub(super) fn faults(
    sources: &[SourceFile],
    has_records: bool,
    workers: impl Iterator<Item = String>,
    looked_at: &dyn Fn() -> Vec<String>,
) -> Vec<ConfigError> {
    let names = Names { sources, has_records, looked_at };
    let mut seen: Vec<Scope> = Vec::new();
    let mut faults = Vec::new();
    for worker in workers {
        let found = match node(sources, &worker) {
            Ok(Some(found)) if !seen.contains(&found.scope) => found,
            Ok(_) | Err(_) => continue,
        };
        let mut path = Vec::new();
        let Err(fault) = names.walk(found, &mut path, &mut seen) else { continue };
        // A cycle is told once, whichever of its workers is asked about first. What else is wrong with a description is
        // told as a fault of its own.
        if matches!(fault, ConfigError::NoDependency { .. } | ConfigError::DependencyCycle { .. }) {
            seen.extend(path.into_iter().map(|node| node.scope));
            faults.push(fault);
        }
    }
    faults
}

/// A worker, and the names of those that it depends on.
struct Node {
    /// As it was named.
    word: String,
    scope: Scope,
    depends: Vec<String>,
    /// Where that is written.
    place: SourcePlace,
    /// Its names do not lead into a project's file.
    without_project: bool,
}

/// The scope that a name leads to; `None` where no file describes it.
pub(super) fn scope_of(sources: &[SourceFile], name: &str) -> Result<Option<Scope>, ConfigError> {
    Ok(node(sources, name)?.map(|node| node.scope))
}

/// The worker of that name, as files describe it.
fn node(sources: &[SourceFile], word: &str) -> Result<Option<Node>, ConfigError> {
    let named: Scope = word.parse()?;
    let mut layers = Layers::open(sources)?;
    let Some(Description { about, value }) = layers.take(named.name())? else { return Ok(None) };
    let written = span_of(&value, &["depends".to_owned()]).unwrap_or_else(|| value.span());
    let place = about.place(written.start);
    let without_project = matches!(about.strongest().level, Level::User | Level::System);
    let worker = understand(&about, value).map_err(|flaw| *flaw.error)?;
    let scope = Scope::new(named.name(), named.key().or(worker.key.as_deref()))?;
    Ok(Some(Node { word: word.to_owned(), scope, depends: worker.spec.depends, place, without_project }))
}

/// The files of one place, in which names are followed.
pub(super) struct Names<'call> {
    pub(super) sources: &'call [SourceFile],
    /// A name that no file describes may be one on record.
    pub(super) has_records: bool,
    /// Every place of these files, for messages.
    pub(super) looked_at: &'call dyn Fn() -> Vec<String>,
}

impl Names<'_> {
    /// Refuses a name of a dependent that leads nowhere, or back to a worker that waits for it. These files need not
    /// describe the dependent.
    pub(super) fn check_from(&self, dependent: &Scope, name: &str) -> Result<(), ConfigError> {
        let described = node(self.sources, dependent.name())?.filter(|node| node.scope == *dependent);
        let whole = || SourcePlace::whole(format!("the description of {dependent}"));
        let node = Node {
            word: described.as_ref().map_or_else(|| dependent.to_string(), |node| node.word.clone()),
            scope: dependent.clone(),
            depends: vec![name.to_owned()],
            without_project: false,
            place: described.map_or_else(whole, |node| node.place),
        };
        self.walk(node, &mut Vec::new(), &mut Vec::new())
    }

    /// Follows the names of a worker as far as they lead. `path` leads to it, and `seen` is what has been followed.
    fn walk(&self, node: Node, path: &mut Vec<Node>, seen: &mut Vec<Scope>) -> Result<(), ConfigError> {
        let (names, without_project) = (node.depends.clone(), node.without_project);
        path.push(node);
        for name in &names {
            let Some(next) = self::node(self.sources(without_project), name)? else {
                self.expect_on_record(name, path)?;
                continue;
            };
            if let Some(at) = path.iter().position(|before| before.scope == next.scope) {
                return Err(cycle(&path[at..], &next.word));
            }
            if !seen.contains(&next.scope) {
                self.walk(next, path, seen)?;
            }
        }
        seen.extend(path.pop().map(|node| node.scope));
        Ok(())
    }

    fn sources(&self, without_project: bool) -> &[SourceFile] {
        let own = self.sources.iter().take_while(|source| without_project && source.level == Level::Project);
        &self.sources[own.count()..]
    }

    /// Refuses a name that no file describes, unless a worker of it is on record.
    fn expect_on_record(&self, word: &str, path: &[Node]) -> Result<(), ConfigError> {
        if self.has_records && recorded::offer(&word.parse()?, None)?.is_some() {
            return Ok(());
        }
        let Some(dependent) = path.last() else { return Ok(()) };
        let known = Layers::open(self.sources(dependent.without_project))?.names();
        Err(ConfigError::NoDependency {
            place: Box::new(dependent.place.clone()),
            dependent: dependent.word.clone(),
            name: word.to_owned(),
            suggestion: keys::nearest(word, known.iter().map(String::as_str)).map(str::to_owned),
            looked: (self.looked_at)(),
        })
    }
}

/// The fault of the worker whose names lead back into its own path.
fn cycle(path: &[Node], again: &str) -> ConfigError {
    let words = path.iter().map(|node| node.word.as_str()).chain([again]);
    let cycle = words.collect::<Vec<_>>().join(" -> ");
    let places = path.iter().map(|node| node.place.clone()).collect();
    ConfigError::DependencyCycle { places, cycle }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(level: Level, path: &str, text: &str) -> SourceFile {
        SourceFile::new(path.into(), text.to_owned(), level)
    }

    /// The faults of a project's and a user's file.
    fn of(project: &str, user: &str) -> Vec<String> {
        let mut sources =
            vec![source(Level::Project, "/p/tenure.toml", project), source(Level::User, "/u/a.toml", user)];
        sources[1].base = project.len() + 1;
        let names = Layers::open(&sources).expect("parses").names();
        let faults = faults(&sources, false, names.into_iter(), &|| vec!["/p".to_owned()]);
        faults.iter().map(ToString::to_string).collect()
    }

    fn worker(name: &str, depends: &str) -> String {
        format!("[worker.{name}]\ncommand = [\"x\"]\ndepends = [{depends}]\n")
    }

    #[test]
    fn names_that_lead_to_workers_are_no_fault() {
        let project = [worker("app", "'api', 'db'"), worker("api", "'db'"), worker("db", "'cache@main'")];
        assert_eq!(of(&project.concat(), &worker("cache", "")), Vec::<String>::new());
    }

    #[test]
    fn a_cycle_is_told_once_with_its_way_and_the_lines_that_make_it() {
        let project = [worker("app", "'db'"), worker("db", "'app'"), worker("own", "'own'")];
        let faults = of(&project.concat(), "");
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].contains("app -> db -> app (/p/tenure.toml:3, /p/tenure.toml:6)"), "{faults:?}");
        assert!(faults[1].contains("own -> own"), "{faults:?}");
        let keyed = of(&worker("w", "'w@a'"), "");
        assert!(keyed[0].contains("w@a -> w@a ("), "the description is that of each key: {keyed:?}");
    }

    #[test]
    fn a_name_that_leads_nowhere_is_told_where_it_is_written() {
        let faults = of(&[worker("app", "'dbb'"), worker("dba", "")].concat(), "");
        assert_eq!(faults.len(), 1);
        assert!(faults[0].contains("/p/tenure.toml:3: worker \"app\" depends on \"dbb\""), "{faults:?}");
        assert!(faults[0].contains("did you mean `dba`"), "{faults:?}");
    }

    #[test]
    fn a_users_worker_never_depends_on_a_project() {
        let faults = of(&worker("db", ""), &worker("app", "'db'"));
        assert!(faults[0].contains("/u/a.toml:3: worker \"app\" depends on \"db\""), "{faults:?}");
        assert_eq!(of(&worker("app", "'db'"), &worker("db", "")), Vec::<String>::new());
    }
}

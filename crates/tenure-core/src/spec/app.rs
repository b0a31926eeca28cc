//! Whose worker it is: the identity of what is kept. It tells another installation of one app from another app.
//!
//! Pure. `record/desired` keeps the identity of the first offer, and `policy/decide` compares.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::os_text;
use crate::spec::origin::Origin;
use crate::spec::{Spec, Summary};

/// The identity of what is kept under a name.
///
/// An app that has a name is the same wherever it is installed. Without a name it is what one file describes, or a
/// program that calls name.
///
/// ```
/// use tenure::{AppId, Origin, Spec};
///
/// let mut spec = Spec::of_command(vec!["node".into(), "/opt/a/server.mjs".into()], "/opt/a".into());
/// spec.app = Some("acme.notes".into());
/// let one = AppId::of(&spec, &Origin::File { path: "/opt/a/tenure.toml".into() });
/// let other = AppId::of(&spec, &Origin::File { path: "/opt/b/tenure.toml".into() });
/// assert!(one.is_same(&other));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AppId {
    /// The `app` that the spec names.
    #[serde(default, rename = "app", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it is described.
    pub from: DescribedBy,
}

/// Where an app is described.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DescribedBy {
    /// In the file at this path.
    File(String),
    /// In calls, which run a program of this name.
    Program(String),
}

impl AppId {
    /// The identity of what `spec` describes, read from `origin`.
    #[must_use]
    pub fn of(spec: &Spec, origin: &Origin) -> Self {
        let from = match origin.path() {
            Some(path) => DescribedBy::File(os_text::text(path.as_os_str())),
            None => DescribedBy::Program(file_name(spec.command.first().map_or("", String::as_str))),
        };
        Self { name: spec.app.clone(), from }
    }

    /// The app, and where it is described, in words.
    #[must_use]
    pub fn with_place(&self) -> String {
        if self.name.is_some() { format!("{self}, described by {}", self.from) } else { self.to_string() }
    }

    /// Whether both are one app: they have one name; or at least one has no name, and they are described in one place.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.name, &other.name) {
            (Some(own), Some(others)) => own == others,
            (None, _) | (_, None) => self.from == other.from,
        }
    }

    /// Whether both have one name: then they may be installed in several places.
    #[must_use]
    pub fn shares_name(&self, other: &Self) -> bool {
        self.name.is_some() && self.name == other.name
    }

    /// Whether another identity is another app's, for a spec that is or is not the same program in the same place. The
    /// same program is nobody else's, unless both apps have a name.
    #[must_use]
    pub fn is_stranger(&self, other: &Self, is_same_program: bool) -> bool {
        let have_names = self.name.is_some() && other.name.is_some();
        !self.is_same(other) && (have_names || !is_same_program)
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, &self.from) {
            (Some(name), _) => write!(f, "app {name}"),
            (None, DescribedBy::File(path)) => write!(f, "what {path} describes"),
            (None, DescribedBy::Program(name)) => write!(f, "the program {name} of a call"),
        }
    }
}

impl fmt::Display for DescribedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.write_str(path),
            Self::Program(name) => write!(f, "a call, which runs {name}"),
        }
    }
}

/// Whether a name may be used by who asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AppStanding {
    /// Nobody's worker is on record.
    Free,
    /// It is kept for this app, which is the asker's.
    Ours(AppId),
    /// It is kept for this app, and another one asks.
    Taken(AppId),
}

/// How what runs differs from what is wanted, where both are one version of one app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// In nothing that identifies it.
    Nothing,
    /// In where it is installed.
    Place,
    /// In what it does, named for people.
    Matters(&'static str),
}

impl Difference {
    /// Compares two specs. A word of a command that is an absolute path counts by its last part, for two installations
    /// differ in the rest.
    #[must_use]
    pub fn between(running: &Summary, wanted: &Summary) -> Self {
        if running.identity == wanted.identity {
            return Self::Nothing;
        }
        let placeless = |summary: &Summary| summary.command.iter().map(|word| placeless(word)).collect();
        let [runs, wants]: [Vec<String>; 2] = [placeless(running), placeless(wanted)];
        let is_command_same = running.command == wanted.command && running.cwd == wanted.cwd;
        match (runs == wants, running.listen == wanted.listen) {
            (true, true) if is_command_same => Self::Matters("kind"),
            (true, true) => Self::Place,
            (true, false) => Self::Matters("listeners"),
            (false, true) => Self::Matters("command"),
            (false, false) => Self::Matters("command and listeners"),
        }
    }
}

fn placeless(word: &str) -> String {
    if word.starts_with('/') { format!("/{}", file_name(word)) } else { word.to_owned() }
}

fn file_name(path: &str) -> String {
    Path::new(path).file_name().map_or_else(|| path.to_owned(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use crate::spec::Listen;

    use super::*;

    fn spec(app: Option<&str>, command: &[&str]) -> Spec {
        let command = command.iter().map(|&word| word.to_owned()).collect();
        let mut spec = Spec::of_command(command, "/".into());
        spec.app = app.map(str::to_owned);
        spec
    }

    fn by_file(app: Option<&str>, path: &str) -> AppId {
        AppId::of(&spec(app, &["x"]), &Origin::File { path: path.into() })
    }

    fn by_call(command: &str) -> AppId {
        AppId::of(&spec(None, &[command]), &Origin::Call)
    }

    #[test]
    fn a_name_counts_wherever_it_is_installed() {
        assert!(by_file(Some("a.b"), "/p").is_same(&by_file(Some("a.b"), "/q")));
        assert!(!by_file(Some("a.b"), "/p").is_same(&by_file(Some("a.c"), "/p")));
    }

    #[test]
    fn without_a_name_the_place_of_the_description_counts() {
        assert!(by_file(None, "/p").is_same(&by_file(None, "/p")));
        assert!(!by_file(None, "/p").is_same(&by_file(None, "/q")));
        assert!(by_call("/usr/bin/node").is_same(&by_call("node")));
        assert!(!by_call("node").is_same(&by_call("python3")));
        assert!(!by_call("node").is_same(&by_file(None, "node")));
        assert!(
            by_file(None, "/p").is_same(&by_file(Some("a.b"), "/p")),
            "its author has given it a name since"
        );
        assert!(!by_file(None, "/q").is_same(&by_file(Some("a.b"), "/p")));
    }

    #[test]
    fn the_same_program_is_no_strangers_unless_both_have_a_name() {
        assert!(!by_file(None, "/p").is_stranger(&by_call("x"), true));
        assert!(by_file(None, "/p").is_stranger(&by_call("x"), false));
        assert!(by_file(Some("a.b"), "/p").is_stranger(&by_file(Some("a.c"), "/p"), true));
    }

    #[test]
    fn an_identity_reads_back_what_it_writes() {
        for (id, text) in [
            (by_file(Some("a.b"), "/p"), r#"{"app":"a.b","from":{"file":"/p"}}"#),
            (by_call("node"), r#"{"from":{"program":"node"}}"#),
        ] {
            assert_eq!(serde_json::to_string(&id).expect("writes"), text);
            assert_eq!(serde_json::from_str::<AppId>(text).expect("reads"), id);
        }
    }

    #[test]
    fn two_installations_differ_in_their_paths_alone() {
        let summary = |words: &[&str], cwd: &str, ports: &[&str]| {
            let mut spec = spec(None, words);
            spec.cwd = cwd.into();
            spec.listen =
                ports.iter().map(|tcp| Listen::inherit("http", tcp.parse().expect("address"))).collect();
            spec.summary()
        };
        let one = summary(&["/a/bin/python3", "-m", "srv"], "/a", &["127.0.0.1:0"]);
        let between =
            |words: &[&str], cwd, ports: &[&str]| Difference::between(&one, &summary(words, cwd, ports));
        let port = ["127.0.0.1:0"];
        assert_eq!(between(&["/a/bin/python3", "-m", "srv"], "/a", &port), Difference::Nothing);
        assert_eq!(between(&["/b/bin/python3", "-m", "srv"], "/b", &port), Difference::Place);
        assert_eq!(between(&["/b/bin/python3", "-m", "other"], "/b", &port), Difference::Matters("command"));
        assert_eq!(between(&["/b/bin/python3", "-m", "srv"], "/b", &[]), Difference::Matters("listeners"));
    }
}

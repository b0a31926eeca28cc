//! What cargo tells of this workspace: its root and its packages with their dependencies.
//!
//! Cargo is asked, because manifests and target directory can be set in several places.

use std::path::PathBuf;

use serde_json::Value;

use crate::command;
use crate::failure::Failure;

/// The workspace.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// Where the root manifest lies.
    pub(crate) root: PathBuf,
    /// The members.
    pub(crate) packages: Vec<Package>,
}

/// One member.
#[derive(Debug)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// Its dependencies of every kind, also for tests and build.
    pub(crate) dependencies: Vec<String>,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn ask() -> Result<Self, Failure> {
        let words = ["metadata", "--no-deps", "--format-version", "1"];
        let text = command::read(command::cargo(&words))?;
        read_answer(&text).ok_or_else(|| Failure::Answer {
            command: "cargo metadata".to_owned(),
            lacks: "a known shape".to_owned(),
        })
    }
}

fn read_answer(text: &str) -> Option<Workspace> {
    let answer: Value = serde_json::from_str(text).ok()?;
    let root = PathBuf::from(answer["workspace_root"].as_str()?);
    let packages = answer["packages"].as_array()?.iter().map(read_package).collect::<Option<_>>()?;
    Some(Workspace { root, packages })
}

fn read_package(package: &Value) -> Option<Package> {
    let names = package["dependencies"].as_array()?.iter().map(|one| one["name"].as_str().map(str::to_owned));
    Some(Package { name: package["name"].as_str()?.to_owned(), dependencies: names.collect::<Option<_>>()? })
}

/// The path of the executable `name` in the JSON messages of one `cargo build`.
pub(crate) fn executable_in(messages: &str, name: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact" && message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_read_with_what_they_depend_on() {
        let text = r#"{"workspace_root": "/w", "packages": [
            {"name": "upper", "dependencies": [{"name": "lower", "kind": "dev"}]}]}"#;
        let workspace = read_answer(text).expect("the shape is cargo's");
        assert_eq!(workspace.root, PathBuf::from("/w"));
        assert_eq!(workspace.packages[0].name, "upper");
        assert_eq!(workspace.packages[0].dependencies, ["lower"]);
    }

    #[test]
    fn the_executable_is_the_one_cargo_names() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"storm"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"storm"},"executable":"/t/storm"}"#,
            "\nnot json\n",
        );
        assert_eq!(executable_in(messages, "storm"), Some(PathBuf::from("/t/storm")));
        assert_eq!(executable_in(messages, "bench"), None);
    }
}

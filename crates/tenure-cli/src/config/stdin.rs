//! A description on stdin: a spec as JSON, with the version as text or as a command.

use std::borrow::Cow;
use std::io;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};
use tenure_core::{Spec, os_text};

use super::error::{ConfigError, STDIN_PLACE, SourcePlace};
use super::worker::DescribedWorker;
use super::{find, keys, table, values};

/// Reads and understands it.
pub(crate) fn read(here: Option<&Path>) -> Result<DescribedWorker, ConfigError> {
    if tenure_sys::stdio::began_without_stdin() {
        return Err(ConfigError::Stdin(io::Error::other("it was closed when this began")));
    }
    understand(&find::text(io::stdin().lock()).map_err(ConfigError::Stdin)?, here)
}

fn understand(text: &str, here: Option<&Path>) -> Result<DescribedWorker, ConfigError> {
    let bad = |message: String| ConfigError::Text { place: SourcePlace::whole(STDIN_PLACE), message };
    let mut json: Value = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
    if !json.is_object() {
        return Err(bad("it is not an object".to_owned()));
    }
    if let Some(found) = keys::unknown(&json, table::spec()) {
        let suggestion = found.suggestion.map(Cow::Borrowed);
        let key = found.path.join(".");
        return Err(ConfigError::UnknownKey { place: SourcePlace::whole(STDIN_PLACE), key, suggestion });
    }
    let Some(object) = json.as_object_mut() else { return Err(bad("it is not an object".to_owned())) };
    if !object.contains_key("cwd") {
        let here = here.ok_or(ConfigError::DirectoryGone)?;
        object.insert("cwd".to_owned(), os_text::text(here.as_os_str()).into());
    }
    if let Some(wrong) = values::wrong(&json, table::spec()) {
        return Err(bad(wrong.message));
    }
    let Some(object) = json.as_object_mut() else { return Err(bad("it is not an object".to_owned())) };
    let version_command = match object.get("version") {
        Some(version) if version.is_object() => object.remove("version"),
        Some(_) | None => None,
    };
    let version_command = version_command.map(serde_json::from_value).transpose();
    let version_command = version_command.map_err(|error| bad(format!("`version`: {error}")))?;
    if !object.contains_key("command") {
        return Err(bad("`command` is missing: name the program and its arguments".to_owned()));
    }
    let mut spec = Spec::deserialize(&json).map_err(|error| bad(blamed(&json, &error)))?;
    if !spec.build.is_empty() {
        return Err(bad("`build` is for workers of a project: describe it in a project's file".to_owned()));
    }
    if spec.cwd.is_relative() {
        spec.cwd = here.ok_or(ConfigError::DirectoryGone)?.join(&spec.cwd);
    }
    spec.validate().map_err(|flaw| bad(format!("`{}` {}", flaw.key, flaw.why)))?;
    Ok(DescribedWorker { version_command, ..DescribedWorker::plain(spec) })
}

/// What is wrong: the key that is refused in a description that is good without it.
fn blamed(json: &Value, error: &serde_json::Error) -> String {
    let refused = |(key, value): (&String, &Value)| {
        let mut alone = json!({ "command": ["x"], "cwd": "/" });
        alone[key] = value.clone();
        Spec::deserialize(alone).is_err().then(|| key.clone())
    };
    let key = json.as_object().into_iter().flatten().find_map(refused);
    key.and_then(|key| values::refused(json, &[key])).unwrap_or_else(|| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_text_or_a_command() {
        let worker = |version: &str| {
            let text = format!(r#"{{"command":["x"],"cwd":"a","version":{version}}}"#);
            understand(&text, Some(Path::new("/h"))).expect(version)
        };
        assert_eq!(worker("\"1.2.3\"").spec.version, tenure_core::Version::new(1, 2, 3));
        let described = worker(r#"{"command":["./v"],"inputs":["p"]}"#);
        assert_eq!(described.version_command.expect("a command").command, ["./v"]);
        assert_eq!(described.spec.cwd, Path::new("/h/a"));
    }

    #[test]
    fn a_fault_names_its_key() {
        for (text, message) in [
            (
                r#"{"command":["x"],"start_timeout":5}"#,
                "`start_timeout` cannot be 5: write a duration, such as ",
            ),
            (r#"{"command":"x"}"#, "`command` cannot be \"x\""),
            (r#"{"command":["x"],"stop":{"grace":"soon"}}"#, "`stop.grace` cannot be \"soon\""),
            (r#"{"command":["x"],"version":{"command":1}}"#, "`version.command` cannot be 1"),
            (r#"{"cwd":"/"}"#, "`command` is missing"),
            (r#"{"command":[]}"#, "`command` "),
            (r#"{"command":["x"],"stop":{"grase":"5s"}}"#, "`stop.grase`; did you mean `grace`?"),
            (r#"{"command":["x"],"preflihgt":["y"]}"#, "`preflihgt`; did you mean `preflight`?"),
            (r#"{"command":["x"],"overlap":1}"#, "`overlap` cannot be 1"),
            (r#"{"command":["x"],"bake":"11m"}"#, "`bake` "),
        ] {
            let error = understand(text, Some(Path::new("/h"))).expect_err(text);
            assert!(error.to_string().contains(message), "{text}: {error}");
            assert!(error.remedy().contains("stdin"), "{text}: {}", error.remedy());
        }
    }

    #[test]
    fn what_only_files_say_is_not_known_here() {
        for text in [r#"{"command":["x"],"scope":"user"}"#, r#"{"command":["x"],"build":["a"]}"#] {
            assert!(understand(text, Some(Path::new("/h"))).is_err(), "{text}");
        }
    }
}

//! A description on stdin: the JSON form of a spec, with the version as text or as a command.

use std::borrow::Cow;
use std::io;
use std::path::Path;

use tenure::Spec;

use super::error::{ConfigError, Place};
use super::find;
use super::keys;
use super::table;
use super::worker::Kept;

/// Where such a description stands.
const PLACE: &str = "the description on stdin";

/// Reads and understands it.
pub(crate) fn read(here: &Path) -> Result<Kept, ConfigError> {
    understand(&find::text(io::stdin().lock()).map_err(ConfigError::Stdin)?, here)
}

fn understand(text: &str, here: &Path) -> Result<Kept, ConfigError> {
    let bad = |message: String| ConfigError::Text { place: Place::whole(PLACE), message };
    let mut json: serde_json::Value = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
    if !json.is_object() {
        return Err(bad("it is not an object".to_owned()));
    }
    if let Some(found) = keys::unknown(&json, table::spec()) {
        let suggestion = found.suggestion.map(Cow::Borrowed);
        let key = found.path.join(".");
        return Err(ConfigError::UnknownKey { place: Place::whole(PLACE), key, suggestion });
    }
    let Some(object) = json.as_object_mut() else { return Err(bad("it is not an object".to_owned())) };
    object.entry("cwd").or_insert_with(|| here.to_string_lossy().into_owned().into());
    let stated = match object.get("version") {
        Some(version) if version.is_object() => object.remove("version"),
        Some(_) | None => None,
    };
    let stated = stated.map(serde_json::from_value).transpose().map_err(|error| bad(error.to_string()))?;
    let spec: Spec = serde_json::from_value(json).map_err(|error| bad(error.to_string()))?;
    if !spec.build.is_empty() {
        return Err(bad("`build` is for workers of a project: describe it in a project's file".to_owned()));
    }
    let spec = Spec { cwd: here.join(&spec.cwd), ..spec };
    Ok(Kept { stated, ..Kept::plain(spec) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_text_or_a_command() {
        let kept = |version: &str| {
            let text = format!(r#"{{"command":["x"],"cwd":"a","version":{version}}}"#);
            understand(&text, Path::new("/h")).expect(version)
        };
        assert_eq!(kept("\"1.2.3\"").spec.version, tenure::Version::new(1, 2, 3));
        let stated = kept(r#"{"command":["./v"],"inputs":["p"]}"#);
        assert_eq!(stated.stated.expect("a command").command, ["./v"]);
        assert_eq!(stated.spec.cwd, Path::new("/h/a"));
    }

    #[test]
    fn what_only_files_say_is_not_known_here() {
        for text in [r#"{"command":["x"],"scope":"user"}"#, r#"{"command":["x"],"build":["a"]}"#] {
            assert!(understand(text, Path::new("/h")).is_err(), "{text}");
        }
    }
}

//! What a configuration says about a version: the version itself, or the command that tells it. Pure.

use std::fmt;
use std::path::PathBuf;

use semver::Version;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Most of a text that is quoted because it is no version.
const LONGEST_QUOTE: usize = 100;

/// A version as a configuration states it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum StatedVersion {
    /// As it stands.
    Literal(Version),
    /// As a command tells it.
    Command(VersionCommand),
}

/// A command that writes the version to its standard output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionCommand {
    /// Program and arguments. A program without `/` is looked up in PATH.
    pub command: Vec<String>,
    /// Files that its answer depends on, relative to the directory that it runs in. It is asked again when one of them,
    /// or the program, has changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "crate::os_text::paths")]
    pub inputs: Vec<PathBuf>,
}

/// A text that is no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read {text:?} as a version such as \"13.6.0\": {why}")]
pub struct NoVersion {
    /// The text, shortened.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

/// Reads a version as programs print them: one line, with space around it and one `v` before it, or without.
pub fn parse(said: &str) -> Result<Version, NoVersion> {
    let line = said.trim();
    let bad = |why: String| NoVersion { text: shortened(line), why };
    if line.is_empty() {
        return Err(bad("it is empty".to_owned()));
    }
    if line.lines().nth(1).is_some() {
        return Err(bad("it has more than one line".to_owned()));
    }
    Version::parse(line.strip_prefix('v').unwrap_or(line)).map_err(|error| bad(error.to_string()))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_QUOTE) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

impl<'de> Deserialize<'de> for StatedVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StatedReader)
    }
}

/// Reads either form, so that an error says what is wrong with the form that was meant.
struct StatedReader;

impl<'de> Visitor<'de> for StatedReader {
    type Value = StatedVersion;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a version such as \"13.6.0\", or a table with `command`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<StatedVersion, E> {
        let bad = |error| E::custom(format_args!("{text:?} is not a version such as \"13.6.0\": {error}"));
        Version::parse(text).map(StatedVersion::Literal).map_err(bad)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<StatedVersion, A::Error> {
        VersionCommand::deserialize(MapAccessDeserializer::new(map)).map(StatedVersion::Command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_as_programs_print_it() {
        for (said, expected) in
            [("13.6.0\n", "13.6.0"), ("v22.1.0", "22.1.0"), ("  1.0.0-rc.1+b \r\n", "1.0.0-rc.1+b")]
        {
            assert_eq!(parse(said).expect(said).to_string(), expected);
        }
        for (said, why) in [
            ("", "empty"),
            (" \n", "empty"),
            ("1.0.0\n2.0.0", "more than one line"),
            ("vv1.0.0", "unexpected character"),
            ("1.0", "unexpected end"),
            ("node v1.0.0", "unexpected character"),
            ("\u{1b}[1m1.0.0", "unexpected character"),
        ] {
            let error = parse(said).expect_err(said).to_string();
            assert!(error.contains(why), "{error}");
        }
        let long = parse(&"ä".repeat(1000)).expect_err("no version");
        assert!(long.text.chars().count() == LONGEST_QUOTE + 1 && long.text.ends_with('…'));
    }

    #[test]
    fn both_forms_are_read_and_written() {
        let table = [
            r#""1.2.3""#,
            r#"{"command":["node","-p","1"],"inputs":["package.json"]}"#,
            r#"{"command":["version"]}"#,
        ];
        for text in table {
            let stated: StatedVersion = serde_json::from_str(text).expect(text);
            assert_eq!(serde_json::to_string(&stated).expect("writes"), text);
        }
    }

    #[test]
    fn what_is_wrong_with_the_form_that_was_meant_is_said() {
        let table = [
            (r#""1.2""#, "\"1.2\" is not a version"),
            (r#"{"comand":[]}"#, "unknown field `comand`"),
            (r#"{"inputs":[]}"#, "missing field `command`"),
            ("7", "expected a version such as \"13.6.0\", or a table with `command`"),
        ];
        for (text, said) in table {
            let error = serde_json::from_str::<StatedVersion>(text).expect_err(text).to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}

//! What a configuration says about a version: the version itself, or the command that prints it. Pure.

use std::fmt;
use std::path::PathBuf;

use regex_lite::{Regex, RegexBuilder};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::spec::version::{NoVersion, Version};

/// The group of a pattern that is the version, if the pattern has several.
const GROUP: &str = "version";

/// A version as a configuration states it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum StatedVersion {
    /// As it stands.
    Literal(Version),
    /// As a command tells it.
    Command(VersionCommand),
}

/// A command that prints the version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionCommand {
    /// Program and arguments. A program without `/` is looked up in PATH.
    pub command: Vec<String>,
    /// Files that its answer depends on, relative to the directory that it runs in. It is asked again when one of them,
    /// or the program, has changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "crate::os_text::paths")]
    pub inputs: Vec<PathBuf>,
    /// Where the version is in its answer. Without a pattern the version is looked for by its form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<VersionPattern>,
    /// Whether its standard error is the answer if it writes nothing to its standard output.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stderr: bool,
}

/// A regular expression that finds the version in an answer: its only group, its group `version`, or the whole match
/// if it has no group. `^` and `$` match at the ends of lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VersionPattern {
    text: String,
}

impl VersionPattern {
    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What it finds first; `None` where it matches nothing.
    pub(super) fn find<'answer>(&self, answer: &'answer str) -> Option<&'answer str> {
        // Compiled for each question and not kept: a command that runs costs a hundred times as much.
        let regex = compiled(&self.text).ok()?;
        let found = regex.captures(answer)?;
        let group = found.name(GROUP).or_else(|| found.get(regex.captures_len() - 1))?;
        Some(group.as_str())
    }
}

fn compiled(text: &str) -> Result<Regex, String> {
    let regex = RegexBuilder::new(text).multi_line(true).build();
    regex.map_err(|error| format!("{text:?} is not a regular expression: {error}"))
}

impl TryFrom<String> for VersionPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let regex = compiled(&text)?;
        let is_named = regex.capture_names().flatten().any(|name| name == GROUP);
        if regex.captures_len() > 2 && !is_named {
            return Err(format!(
                "{text:?} has several groups: write one group, or name the one that is the version (?P<{GROUP}>…)"
            ));
        }
        Ok(Self { text })
    }
}

impl From<VersionPattern> for String {
    fn from(pattern: VersionPattern) -> Self {
        pattern.text
    }
}

/// Reads a version as people and programs write it alone: with space around it and one `v` before it, or without.
pub fn parse(said: &str) -> Result<Version, NoVersion> {
    said.parse()
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
        parse(text).map(StatedVersion::Literal).map_err(|NoVersion { text, why }| {
            E::custom(format_args!("{text:?} is not a version such as \"13.6.0\": {why}"))
        })
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<StatedVersion, E> {
        Err(unquoted(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<StatedVersion, E> {
        Err(unquoted(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<StatedVersion, E> {
        Err(E::custom(format_args!(
            "{number} is a number, in which 1.10 and 1.1 are the same: write the version in quotes"
        )))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<StatedVersion, A::Error> {
        VersionCommand::deserialize(MapAccessDeserializer::new(map)).map(StatedVersion::Command)
    }
}

fn unquoted<E: Error>(number: impl fmt::Display) -> E {
    E::custom(format_args!("{number} is a number: write \"{number}\", in quotes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_written() {
        let table = [
            r#""1.2.3""#,
            r#"{"command":["node","-p","1"],"inputs":["package.json"]}"#,
            r#"{"command":["version"]}"#,
            r#"{"command":["nginx","-v"],"pattern":"nginx/(\\S+)","stderr":true}"#,
        ];
        for text in table {
            let stated: StatedVersion = serde_json::from_str(text).expect(text);
            assert_eq!(serde_json::to_string(&stated).expect("writes"), text);
        }
    }

    #[test]
    fn what_is_wrong_with_the_form_that_was_meant_is_said() {
        let table = [
            (r#""1.2.x""#, "\"1.2.x\" is not a version such as \"13.6.0\": write numbers"),
            (r#"{"comand":[]}"#, "unknown field `comand`"),
            (r#"{"inputs":[]}"#, "missing field `command`"),
            ("7", "7 is a number: write \"7\", in quotes"),
            ("1.1", "write the version in quotes"),
            ("true", "expected a version such as \"13.6.0\", or a table with `command`"),
            (r#"{"command":["x"],"pattern":"("}"#, "\"(\" is not a regular expression: "),
            (r#"{"command":["x"],"pattern":"(a)(b)"}"#, "name the one that is the version (?P<version>…)"),
        ];
        for (text, said) in table {
            let error = serde_json::from_str::<StatedVersion>(text).expect_err(text).to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_pattern_finds_its_group_and_lines_have_ends() {
        let find = |pattern: &str| {
            let pattern = VersionPattern::try_from(pattern.to_owned()).expect(pattern);
            pattern.find("Python 3.11.2\nFlask 2.2.2\n").map(str::to_owned)
        };
        for pattern in [r"Flask (\S+)", r"^Flask (?P<version>\S+)$", r"(Flask) (?P<version>\S+)"] {
            assert_eq!(find(pattern).as_deref(), Some("2.2.2"), "{pattern}");
        }
        assert_eq!(find(r"[0-9.]+").as_deref(), Some("3.11.2"));
        assert_eq!(find(r"Django (\S+)"), None);
    }
}

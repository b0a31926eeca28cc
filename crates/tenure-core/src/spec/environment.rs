//! Which variables a worker and its program get: an allow-list, plus what the spec keeps, minus what it strips, plus
//! what it sets. So a worker's environment does not depend on which launcher won the race to start it.
//!
//! Pure, except for the two functions that read the variables of this process. The start and every report about it use
//! the same lists.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::os_text;

/// Variables that always pass: who the user is, where programs are found, how text and time are shown. Nothing that
/// differs between two sessions of one user: so `TMPDIR`, `XDG_RUNTIME_DIR`, `DISPLAY` and `SSH_*` are not among them.
pub const ALLOWED: &[&str] =
    &["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "LC_*", "TZ", "RUST_BACKTRACE"];

/// What the agent preset strips, even where `keep` has a pattern that covers it; only an exact name in `keep` wins.
/// The first three groups tie a child to the agent session that happened to start it (claude-mem #1352, #2357).
pub const AGENT_STRIPS: &[&str] = &[
    "CLAUDECODE*",
    "CLAUDE_CODE_*",
    "MCP_SESSION_ID",
    "CODEX_*",
    "CI",
    "GITHUB_ACTIONS",
    "GITHUB_RUN_*",
    "GITLAB_CI",
    "BUILD_ID",
    "BUILDKITE*",
];

/// Variables that belong to `tenure` and are set anew for each process.
const OURS: &[&str] =
    &["TENURE_*", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_*"];

/// A named group of rules.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Preset {
    /// Nothing beyond the rules given.
    #[default]
    None,
    /// For workers of agent plugins: [`AGENT_STRIPS`].
    Agent,
}

/// The variables of a process by their names.
pub type Variables = BTreeMap<String, String>;

/// The environment part of a spec. Patterns are exact names, or a prefix followed by `*`.
///
/// ```
/// let mut env = tenure::Environment::default();
/// env.keep = vec!["DATABASE_URL".into()];
/// assert!(env.passes("DATABASE_URL") && env.passes("PATH") && !env.passes("TMPDIR"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Environment {
    /// A named group of rules.
    pub preset: Preset,
    /// Never passed, unless `keep` names the variable exactly.
    pub strip: Vec<String>,
    /// Passed from the caller in addition to [`ALLOWED`].
    pub keep: Vec<String>,
    /// A file of variables in the form of `.env`, from the worker's directory. It is read when the worker is started;
    /// its values are above those of the caller and below `set`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Set to these values, whatever the caller has.
    pub set: BTreeMap<String, String>,
}

impl Environment {
    /// The environment that a worker gets from a caller with these variables.
    pub fn build(&self, caller: impl IntoIterator<Item = (String, String)>) -> Variables {
        let mut built: Variables = caller.into_iter().filter(|(name, _)| self.passes(name)).collect();
        built.extend(self.set.iter().map(|(name, value)| (name.clone(), value.clone())));
        built
    }

    /// The environment that a worker gets from this process, with bytes that are not UTF-8 as [`os_text`]
    /// writes them.
    #[must_use]
    pub fn build_here(&self) -> Variables {
        self.build(std::env::vars_os().map(|(name, value)| (os_text::text(&name), os_text::text(&value))))
    }

    /// The PATH that a worker started by this process gets.
    #[must_use]
    pub fn path_here(&self) -> Option<String> {
        let own = || {
            self.passes("PATH").then(|| std::env::var_os("PATH").map(|path| os_text::text(&path))).flatten()
        };
        self.set.get("PATH").cloned().or_else(own)
    }

    /// Whether a caller's variable of this name reaches the worker.
    #[must_use]
    pub fn passes(&self, name: &str) -> bool {
        if is_ours(name) {
            return false;
        }
        if self.keep.iter().any(|kept| kept == name) {
            return true;
        }
        let stripped = any(self.strip.iter().map(String::as_str), name)
            || (self.preset == Preset::Agent && any(AGENT_STRIPS.iter().copied(), name));
        !stripped && (any(ALLOWED.iter().copied(), name) || any(self.keep.iter().map(String::as_str), name))
    }
}

/// Whether a variable of this name belongs to `tenure`, and never comes from elsewhere.
pub(crate) fn is_ours(name: &str) -> bool {
    any(OURS.iter().copied(), name)
}

/// Whether a variable of this name has a meaning for `tenure` or for most programs, so that a port cannot be passed in
/// it.
pub(crate) fn is_reserved(name: &str) -> bool {
    any(OURS.iter().chain(ALLOWED).copied(), name)
}

fn any<'a>(mut patterns: impl Iterator<Item = &'a str>, name: &str) -> bool {
    patterns.any(|pattern| match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(strip: &[&str], keep: &[&str], preset: Preset) -> Environment {
        let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        Environment { preset, strip: owned(strip), keep: owned(keep), file: None, set: BTreeMap::new() }
    }

    #[test]
    fn only_the_allow_list_passes_by_default() {
        let rules = Environment::default();
        assert!(rules.passes("PATH") && rules.passes("LC_ALL"));
        for name in ["TMPDIR", "XDG_RUNTIME_DIR", "SECRET", "SSH_AUTH_SOCK", "LD_PRELOAD"] {
            assert!(!rules.passes(name), "{name}");
        }
    }

    #[test]
    fn the_agent_preset_strips_the_session_and_keeps_what_is_named() {
        let rules = rules(&[], &["CLAUDE_*", "CLAUDE_CODE_OAUTH_TOKEN"], Preset::Agent);
        assert!(!rules.passes("CLAUDECODE") && !rules.passes("CLAUDE_CODE_ENTRYPOINT"));
        assert!(!rules.passes("MCP_SESSION_ID"));
        assert!(rules.passes("CLAUDE_CODE_OAUTH_TOKEN") && rules.passes("CLAUDE_CONFIG_DIR"));
    }

    #[test]
    fn strip_beats_a_kept_pattern_and_an_exact_keep_beats_strip() {
        let rules = rules(&["FOO_*"], &["FOO_*", "FOO_TOKEN"], Preset::None);
        assert!(!rules.passes("FOO_BAR"));
        assert!(rules.passes("FOO_TOKEN"));
    }

    #[test]
    fn variables_of_tenure_and_of_socket_activation_never_leak() {
        let rules = rules(&[], &["*"], Preset::None);
        for name in ["TENURE_STATE_DIR", "TENURE_COOKIE", "LISTEN_FDS", "NOTIFY_SOCKET"] {
            assert!(!rules.passes(name), "{name}");
        }
        // What overrides the description of a worker is for the call that has it, not for calls from inside the worker.
        for key in [
            "VERSION",
            "START_TIMEOUT",
            "DRAIN_TIMEOUT",
            "STALL_TIMEOUT",
            "FIRST_ANSWER",
            "WEDGED_AFTER",
            "TIMEOUT",
        ] {
            let name = format!("TENURE_{key}");
            assert!(!rules.passes(&name), "{name}");
            assert!(
                !Environment { keep: vec![name.clone()], ..rules.clone() }.passes(&name),
                "{name}, kept by name"
            );
        }
        assert!(rules.passes("ANYTHING"));
    }

    #[test]
    fn set_wins_over_the_caller() {
        let mut rules = Environment::default();
        rules.set.insert("PATH".into(), "/opt/bin".into());
        let built = rules.build([("PATH".into(), "/bin".into()), ("HOME".into(), "/h".into())]);
        assert_eq!(built["PATH"], "/opt/bin");
        assert_eq!(built["HOME"], "/h");
    }
}

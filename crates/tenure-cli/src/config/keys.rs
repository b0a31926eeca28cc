//! Which keys a worker's description may have, and what to suggest for one that it may not.
//!
//! Pure. The shapes follow the serde form of [`tenure::Spec`], which takes unknown keys because records of newer versions
//! have them; a person's file must not. A test holds the two together.

/// What may stand at a place.
#[derive(Debug)]
pub(crate) enum Shape {
    /// A value whose type says enough.
    Value,
    /// A table with any keys.
    Free,
    /// A table, or list of tables, with these keys.
    Keys(&'static [(&'static str, Shape)]),
}

use Shape::{Free, Keys, Value};

/// A worker's table in a configuration file: `scope` and `key`, then its spec.
pub(crate) static WORKER: &[(&str, Shape)] = &[
    ("scope", Value),
    ("key", Value),
    ("command", Value),
    ("cwd", Value),
    ("kind", Value),
    ("version", Value),
    ("listen", Keys(&[("name", Value), ("tcp", Value), ("mode", Value)])),
    ("ready", Keys(CHECKS)),
    (
        "health",
        Keys(&[
            ("http", Value),
            ("tcp", Value),
            ("exec", Value),
            ("interval", Value),
            ("timeout", Value),
            ("failures", Value),
        ]),
    ),
    ("start_timeout", Value),
    ("drain_timeout", Value),
    ("stall_timeout", Value),
    ("stop", Keys(&[("signal", Value), ("grace", Value)])),
    ("restart", Keys(&[("on", Value), ("backoff", Value), ("limit", Value), ("window", Value)])),
    ("env", Keys(&[("preset", Value), ("strip", Value), ("keep", Value), ("set", Free)])),
    ("logs", Keys(&[("size", Value), ("keep", Value)])),
];

/// A spec alone, as `--spec` takes it.
pub(crate) fn spec() -> &'static [(&'static str, Shape)] {
    &WORKER[2..]
}

/// Ways to tell readiness.
const CHECKS: &[(&str, Shape)] = &[
    ("http", Value),
    ("tcp", Value),
    ("exec", Value),
    ("log", Value),
    ("notify", Value),
    ("fd", Value),
    ("up", Value),
];

/// Checks that carry no value: written `{ tcp = true }` or `"tcp"`.
pub(crate) const BARE_CHECKS: [&str; 4] = ["tcp", "notify", "fd", "up"];

/// A description, whatever format it came in.
pub(crate) trait Described: Sized {
    /// Its keys and what stands there; none where it is no table.
    fn entries(&self) -> Vec<(&str, &Self)>;
    /// Its items, where it is a list.
    fn items(&self) -> &[Self];
}

/// A key that is not known: its path, its place in the tree and the nearest one that is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unknown {
    /// Keys from the outside in; the last is the unknown one.
    pub(crate) path: Vec<String>,
    /// What was probably meant.
    pub(crate) suggestion: Option<&'static str>,
}

/// The first key that `shape` does not have.
pub(crate) fn unknown<T: Described>(
    described: &T,
    shape: &'static [(&'static str, Shape)],
) -> Option<Unknown> {
    for (key, value) in described.entries() {
        let known = shape.iter().find(|(name, _)| *name == key);
        let Some((_, below)) = known else {
            let suggestion = nearest(key, shape.iter().map(|(name, _)| *name));
            return Some(Unknown { path: vec![key.to_owned()], suggestion });
        };
        if let Keys(below) = below
            && let Some(mut found) = unknown(value, below)
        {
            found.path.insert(0, key.to_owned());
            return Some(found);
        }
    }
    described.items().iter().find_map(|item| unknown(item, shape))
}

/// The name that `typed` was probably meant to be: at most a third of it is wrong.
pub(crate) fn nearest<'name>(typed: &str, names: impl IntoIterator<Item = &'name str>) -> Option<&'name str> {
    let limit = typed.chars().count().max(3) / 3;
    let far = names.into_iter().map(|name| (distance(typed, name), name));
    far.filter(|(distance, _)| *distance <= limit).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// Insertions, removals, replacements and swaps of neighbours from one word to the other (optimal string alignment).
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows = vec![(0..=to.len()).collect::<Vec<usize>>()];
    for (line, left) in from.iter().enumerate() {
        let above = &rows[line];
        let mut row = vec![line + 1];
        for (column, right) in to.iter().enumerate() {
            let replaced = above[column] + usize::from(left != right);
            let mut least = replaced.min(above[column + 1] + 1).min(row[column] + 1);
            if line > 0 && column > 0 && from[line - 1] == *right && *left == to[column - 1] {
                least = least.min(rows[line - 1][column - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

impl Described for serde_json::Value {
    fn entries(&self) -> Vec<(&str, &Self)> {
        let table = self.as_object().into_iter().flatten();
        table.map(|(key, value)| (key.as_str(), value)).collect()
    }

    fn items(&self) -> &[Self] {
        self.as_array().map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};
    use tenure::Spec;
    use tenure::spec::{Health, Listen, ListenMode, Ready};

    use super::*;

    fn whole() -> Json {
        let mut spec = Spec::of_command(vec!["true".into()], "/".into());
        let tcp = "127.0.0.1:1".parse().expect("an address");
        spec.listen = vec![Listen { name: "http".into(), tcp, mode: ListenMode::Inherit }];
        spec.ready = Some(Ready::Http("/".into()));
        spec.health = Some(Health::of(Ready::Http("/".into())));
        serde_json::to_value(spec).expect("a spec is JSON")
    }

    fn paths(shape: &[(&str, Shape)], below: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (key, shape) in shape {
            found.push(format!("{below}{key}"));
            if let Keys(keys) = shape {
                found.extend(paths(keys, &format!("{below}{key}.")));
            }
        }
        found
    }

    fn paths_of(json: &Json, below: &str) -> Vec<String> {
        let mut found: Vec<String> = json.items().iter().flat_map(|item| paths_of(item, below)).collect();
        for (key, value) in json.entries() {
            found.push(format!("{below}{key}"));
            found.extend(paths_of(value, &format!("{below}{key}.")));
        }
        found
    }

    #[test]
    fn every_key_of_a_spec_is_known_and_every_known_key_is_one_of_a_spec() {
        assert_eq!(unknown(&whole(), WORKER), None);
        let written = paths_of(&whole(), "");
        let checks = |path: &String| path.starts_with("ready.") || path.starts_with("health.");
        for path in paths(WORKER, "") {
            let ours = path == "scope" || path == "key";
            assert!(ours || checks(&path) || written.contains(&path), "{path} is not in a spec");
        }
    }

    #[test]
    fn a_mistyped_key_is_named_with_its_path_and_what_was_meant() {
        let json = json!({ "command": [], "health": { "http": "/", "intervall": "5s" } });
        let found = unknown(&json, WORKER).expect("unknown");
        assert_eq!((found.path.join("."), found.suggestion), ("health.intervall".into(), Some("interval")));
        let json = json!({ "listen": [{ "name": "http" }, { "adress": 1 }] });
        assert_eq!(unknown(&json, WORKER).expect("unknown").suggestion, None);
    }

    #[test]
    fn what_stands_under_set_is_the_users() {
        assert_eq!(unknown(&json!({ "env": { "set": { "ANYTHING": "1" } } }), WORKER), None);
    }

    #[test]
    fn a_suggestion_is_near() {
        assert_eq!(nearest("comand", ["cwd", "command"]), Some("command"));
        assert_eq!(nearest("memroy", ["memory", "web"]), Some("memory"));
        assert_eq!(nearest("wbe", ["memory", "web"]), Some("web"));
        assert_eq!(nearest("pin", ["env", "logs"]), None);
    }
}

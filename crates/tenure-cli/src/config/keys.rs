//! The keys that a worker's description may have, their shapes, and a suggestion for a mistyped one.
//!
//! Pure. The keys themselves are in one table (`table`), from which the check for unknown keys, the JSON Schema, the
//! page of the reference and the starter file are made.

/// One key of a description.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// What holds if the key is not written.
    pub(crate) default: Default,
    /// What it means, for people.
    pub(crate) what: &'static str,
}

/// What holds for a key that is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Default {
    /// It must be written.
    Required,
    /// Either it or the key of this name must be written, and not both.
    Either(&'static str),
    /// This value, as TOML.
    Value(&'static str),
    /// What these words describe, where the default is no single value.
    Words(&'static str),
}

/// The values that a key may have.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// Any text.
    Text,
    /// Text that matches this regular expression.
    Pattern(&'static str),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of statuses of HTTP: numbers, classes (`"2xx"`), ranges.
    Statuses,
    /// A list of text, at least so long.
    Texts(u8),
    /// A whole number, at least so large.
    Number(u8),
    /// First and longest wait.
    Waits,
    /// `true` or `false`.
    Switch,
    /// `true` or `false`, or a table with all of these keys, which says yes and more.
    SwitchOr(&'static [Key]),
    /// `true`: a check that needs no value.
    Bare,
    /// A table of the user's own names.
    Named,
    /// A table; a stronger layer's keys are put over a weaker one's.
    Table(&'static [Key]),
    /// A list of tables.
    Tables(&'static [Key]),
    /// One of these checks, with what belongs to it, or the word of a bare one.
    Check(&'static [Key]),
    /// A check that repeats: one of the checks, and any of the settings.
    Repeated(&'static [Key], &'static [Key]),
    /// Text that matches this regular expression, or a table with these keys.
    Version(&'static str, &'static [Key]),
}

impl Shape {
    /// The keys that may stand below.
    pub(crate) fn below(self) -> Option<[&'static [Key]; 2]> {
        match self {
            Self::Table(keys)
            | Self::Tables(keys)
            | Self::Check(keys)
            | Self::SwitchOr(keys)
            | Self::Version(_, keys) => Some([keys, &[]]),
            Self::Repeated(checks, settings) => Some([checks, settings]),
            Self::Text
            | Self::Pattern(_)
            | Self::Word(_)
            | Self::Texts(_)
            | Self::Statuses
            | Self::Number(_)
            | Self::Waits
            | Self::Switch
            | Self::Bare
            | Self::Named => None,
        }
    }

    /// The keys of a table whose entries are settings of their own; empty where the user chooses the names.
    pub(crate) fn settings(self) -> Option<[&'static [Key]; 2]> {
        if matches!(self, Self::Named) {
            return Some([&[], &[]]);
        }
        self.below().filter(|_| matches!(self, Self::Table(_) | Self::Repeated(..)))
    }
}

/// Whether a key of a check says how something is asked, and is no check itself.
pub(crate) fn is_detail(key: &Key) -> bool {
    ["listener", "status", "degraded", "headers", "tls"].contains(&key.name)
}

/// The key of that name.
pub(crate) fn find(keys: &'static [Key], name: &str) -> Option<&'static Key> {
    keys.iter().find(|key| key.name == name)
}

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
    pub(crate) suggestion: Option<&'static str>,
}

/// The first key that is not among `known`.
pub(crate) fn unknown<T: Described>(described: &T, known: &'static [Key]) -> Option<Unknown> {
    unknown_in(described, [known, &[]])
}

fn unknown_in<T: Described>(described: &T, known: [&'static [Key]; 2]) -> Option<Unknown> {
    for (name, value) in described.entries() {
        let Some(key) = find(known[0], name).or_else(|| find(known[1], name)) else {
            let names = known.into_iter().flatten().map(|key| key.name);
            return Some(Unknown { path: vec![name.to_owned()], suggestion: nearest(name, names) });
        };
        if let Some(below) = key.shape.below()
            && let Some(mut found) = unknown_in(value, below)
        {
            found.path.insert(0, name.to_owned());
            return Some(found);
        }
    }
    described.items().iter().find_map(|item| unknown_in(item, known))
}

/// The name that `typed` was probably meant to be: at most a third of it is wrong.
pub(crate) fn nearest<'name>(typed: &str, names: impl IntoIterator<Item = &'name str>) -> Option<&'name str> {
    let length = typed.chars().count();
    let limit = length.max(3) / 3;
    // Words whose lengths differ by more are further apart: what is compared is never much longer than a name.
    let alike = names.into_iter().filter(|name| name.chars().count().abs_diff(length) <= limit);
    // Insertions, removals, replacements and swaps of neighbours (optimal string alignment).
    let far = alike.map(|name| (strsim::osa_distance(typed, name), name));
    far.filter(|(distance, _)| *distance <= limit).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
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
    use serde_json::json;

    use super::super::table::WORKER;
    use super::*;

    #[test]
    fn a_mistyped_key_is_named_with_its_path_and_what_was_meant() {
        let json = json!({ "command": [], "health": { "http": "/", "intervall": "5s" } });
        let found = unknown(&json, WORKER).expect("unknown");
        assert_eq!((found.path.join("."), found.suggestion), ("health.intervall".into(), Some("interval")));
        let json = json!({ "listen": [{ "name": "http" }, { "adress": 1 }] });
        assert_eq!(unknown(&json, WORKER).expect("unknown").suggestion, None);
        let json = json!({ "version": { "command": ["x"], "imputs": [] } });
        assert_eq!(unknown(&json, WORKER).expect("unknown").suggestion, Some("inputs"));
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

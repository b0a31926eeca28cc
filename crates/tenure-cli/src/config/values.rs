//! Whether the values of a description have the shapes that the table of keys gives them, and what to write instead.
//!
//! Pure. Every message names the key, the value, what is wanted and an example. Values are looked at before they are
//! read, so that no reader's own words about them are shown.

use tenure_core::os_text;
use tenure_core::spec::StatusCodes;
use tenure_core::spec::amount::Span;

use super::keys::{self, Default, Key, Shape};
use super::table;

mod wanted;

use wanted::{form, wanted};

/// A value as it stands in a description.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Found<'a> {
    Text(&'a str),
    /// A whole number, as far as it can be one of ours.
    Number(Option<i64>),
    Switch(bool),
    List,
    Table,
    /// JSON's word for nothing.
    Nothing,
    /// A fraction or a date.
    Other,
}

/// A description whose values can be looked at.
pub(crate) trait Valued: keys::Described {
    /// What stands there.
    fn found(&self) -> Found<'_>;
    /// Where, counted through the text of all files.
    fn position(&self) -> Option<usize>;
}

/// A value that cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// The key to blame, from the outside in; of what is wrong in a list of tables, the list.
    pub(crate) path: Vec<String>,
    /// Where the value stands.
    pub(crate) position: Option<usize>,
    /// What is wrong, and what to write.
    pub(crate) message: String,
}

/// The first value that does not have the shape of its key.
pub(crate) fn wrong<T: Valued>(described: &T, known: &'static [Key]) -> Option<Wrong> {
    wrong_in(described, [known, &[]], &Above { path: &[], shown: "" })
}

/// The message about a value that has the shape of its key and is refused all the same.
pub(crate) fn refused<T: Valued>(described: &T, path: &[String]) -> Option<String> {
    let (first, rest) = path.split_first()?;
    let mut key = keys::find(table::WORKER, first)?;
    let mut value = described.entries().into_iter().find(|(name, _)| name == first)?.1;
    for name in rest {
        key = key.shape.below()?.into_iter().find_map(|keys| keys::find(keys, name))?;
        value = value.entries().into_iter().find(|(known, _)| known == name)?.1;
    }
    Some(message(&path.join("."), key, value.found()))
}

/// The message about the key at `path` whose value is `found`.
fn message(path: &str, key: &Key, found: Found<'_>) -> String {
    let (what, example) = wanted(key);
    format!("`{path}` cannot be {}: write {what}, such as {example}", shown(found))
}

/// The way to what is looked at.
struct Above<'a> {
    path: &'a [String],
    /// The same for people, with a dot at its end.
    shown: &'a str,
}

fn wrong_in<T: Valued>(described: &T, known: [&'static [Key]; 2], above: &Above<'_>) -> Option<Wrong> {
    for (name, value) in described.entries() {
        let Some(key) = known.into_iter().find_map(|keys| keys::find(keys, name)) else { continue };
        let path: Vec<String> = above.path.iter().cloned().chain([name.to_owned()]).collect();
        let shown = format!("{}{name}", above.shown);
        let wrong = |value: &T, message| Wrong { path: path.clone(), position: value.position(), message };
        if let Some(text) = with_nul(value) {
            let message =
                format!("`{shown}` has a NUL byte in it: no path, argument or variable can have one");
            return Some(wrong(text, message));
        }
        if !fits(key, value) {
            let odd = value.items().iter().find(|item| {
                matches!(key.shape, Shape::Texts(_) | Shape::Waits) && !matches!(item.found(), Found::Text(_))
            });
            let told = odd.filter(|_| matches!(value.found(), Found::List)).map_or(value.found(), T::found);
            return Some(wrong(odd.unwrap_or(value), message(&shown, key, told)));
        }
        let Some(below) = key.shape.below() else { continue };
        let inside = Above { path: &path, shown: &format!("{shown}.") };
        if let Shape::Tables(keys) = key.shape {
            for item in value.items() {
                if !matches!(item.found(), Found::Table) {
                    return Some(wrong(item, message(&shown, key, item.found())));
                }
                let missing =
                    keys.iter().find(|key| key.default == Default::Required && !has(item, key.name));
                if let Some(missing) = missing {
                    let (what, example) = wanted(missing);
                    let message =
                        format!("`{shown}.{}` is missing: write {what}, such as {example}", missing.name);
                    return Some(wrong(item, message));
                }
                if let Some(message) = not_one_of_two(item, keys, &shown) {
                    return Some(wrong(item, message));
                }
                if let Some(found) = wrong_in(item, below, &inside) {
                    // A list has no names for its items.
                    return Some(Wrong { path, ..found });
                }
            }
        } else if let Some(found) = wrong_in(value, below, &inside) {
            return Some(found);
        }
    }
    None
}

/// The first text with a NUL byte, of the value itself and of what is directly in it.
fn with_nul<T: Valued>(value: &T) -> Option<&T> {
    let entries = value.entries().into_iter().map(|(_, value)| value);
    std::iter::once(value)
        .chain(value.items())
        .chain(entries)
        .find(|one| matches!(one.found(), Found::Text(text) if text.contains('\0')))
}

/// What is wrong where neither or both of two keys are written that exclude each other.
fn not_one_of_two<T: Valued>(item: &T, keys: &'static [Key], shown: &str) -> Option<String> {
    let (key, other) = keys.iter().find_map(|key| match key.default {
        Default::Either(other) => Some((key, other)),
        Default::Required | Default::Value(_) | Default::Words(_) => None,
    })?;
    let name = key.name;
    match (has(item, name), has(item, other)) {
        (true, true) => Some(format!("`{shown}` has both `{name}` and `{other}`: write one of them")),
        (false, false) => {
            let (what, example) = wanted(key);
            Some(format!(
                "`{shown}.{name}` is missing: write {what}, such as {example}, or `{other}` instead"
            ))
        }
        (true, false) | (false, true) => None,
    }
}

fn has<T: Valued>(table: &T, name: &str) -> bool {
    table.entries().iter().any(|(known, value)| *known == name && value.found() != Found::Nothing)
}

/// Whether the value itself has the shape; what is below a table is looked at on its own.
fn fits<T: Valued>(key: &Key, value: &T) -> bool {
    let found = value.found();
    let texts = || value.items().iter().all(|item| matches!(item.found(), Found::Text(_)));
    let checks = |keys: &'static [Key]| {
        let is_check = |name: &str| keys::find(keys, name).is_some_and(|key| !keys::is_detail(key));
        value.entries().iter().filter(|(name, _)| is_check(name)).count()
    };
    let bare = |keys: &'static [Key], word: &str| {
        keys::find(keys, word).is_some_and(|key| matches!(key.shape, Shape::Bare))
    };
    match (key.shape, found) {
        // A key that need not be written may say so; a check without a value says nothing else.
        (_, Found::Nothing) => key.default != Default::Required,
        // Which texts are versions is said where versions are read.
        (Shape::Text | Shape::Version(..), Found::Text(_))
        | (Shape::Switch | Shape::SwitchOr(_), Found::Switch(_))
        | (Shape::Bare, Found::Switch(true))
        | (Shape::Table(_), Found::Table)
        | (Shape::Tables(_), Found::List) => true,
        // As a spec writes a check without a value.
        (Shape::Bare, Found::Table) => value.entries().is_empty(),
        (Shape::Pattern(pattern), Found::Text(text)) => form(pattern).is_none_or(|form| (form.fits)(text)),
        (Shape::Word(words), Found::Text(text)) => words.contains(&text),
        (Shape::Texts(least), Found::List) => texts() && value.items().len() >= usize::from(least),
        (Shape::Number(least), Found::Number(Some(number))) => {
            u32::try_from(number).is_ok_and(|number| number >= u32::from(least))
        }
        (Shape::Statuses, Found::List) => {
            let is_status = |item: &T| {
                let is_number = matches!(item.found(), Found::Number(Some(200..=599)));
                is_number || matches!(item.found(), Found::Text(text) if text.parse::<StatusCodes>().is_ok())
            };
            !value.items().is_empty() && value.items().iter().all(is_status)
        }
        (Shape::Waits, Found::List) => {
            let is_span =
                |item: &T| matches!(item.found(), Found::Text(text) if text.parse::<Span>().is_ok());
            value.items().len() == 2 && value.items().iter().all(is_span)
        }
        (Shape::Named, Found::Table) => {
            value.entries().iter().all(|(_, value)| matches!(value.found(), Found::Text(_)))
        }
        (Shape::Check(keys), Found::Text(word)) => bare(keys, word),
        (Shape::Check(keys) | Shape::Repeated(keys, _), Found::Table) => checks(keys) == 1,
        (Shape::SwitchOr(keys), Found::Table) => keys.iter().all(|key| has(value, key.name)),
        (Shape::Version(..), Found::Table) => has(value, "command"),
        _ => false,
    }
}

/// Longest part of a text that is quoted.
const LONGEST: usize = 60;

fn shown(found: Found<'_>) -> String {
    match found {
        Found::Text(text) => {
            let safe = |one: char| if os_text::is_invisible(one) { '\u{FFFD}' } else { one };
            let short: String = text.chars().take(LONGEST).map(safe).collect();
            let dots = if text.chars().nth(LONGEST).is_some() { "…" } else { "" };
            format!("\"{short}{dots}\"")
        }
        Found::Number(Some(number)) => number.to_string(),
        Found::Number(None) => "a number of that size".to_owned(),
        Found::Switch(switch) => switch.to_string(),
        Found::List => "this list".to_owned(),
        Found::Table => "this table".to_owned(),
        Found::Nothing => "null".to_owned(),
        Found::Other => "a fraction or a date".to_owned(),
    }
}

impl Valued for serde_json::Value {
    fn found(&self) -> Found<'_> {
        match self {
            Self::Null => Found::Nothing,
            Self::Bool(switch) => Found::Switch(*switch),
            Self::Number(number) if number.is_f64() => Found::Other,
            Self::Number(number) => Found::Number(number.as_i64()),
            Self::String(text) => Found::Text(text),
            Self::Array(_) => Found::List,
            Self::Object(_) => Found::Table,
        }
    }

    fn position(&self) -> Option<usize> {
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::super::table::WORKER;
    use super::*;

    /// Values of every kind: for each key, most of them are wrong.
    fn values() -> Vec<Json> {
        let texts = ["", "localhost:3000", "soon", "\u{1b}[2J", "tcp"].map(Json::from);
        let others = [
            json!(5),
            json!(-1),
            json!(1.5),
            json!(99_999_999_999_u64),
            json!(true),
            json!(null),
            json!([]),
            json!([5]),
            json!(["a", 5]),
            json!({}),
            json!({ "a": 5 }),
            json!({ "http": "/", "tcp": true }),
        ];
        texts.into_iter().chain(others).collect()
    }

    /// The description with this value at the end of the path, in a list where the table wants one.
    fn with(path: &[(&'static str, bool)], value: &Json) -> Json {
        let mut whole = value.clone();
        for (name, is_item) in path.iter().rev() {
            if *is_item {
                whole = json!([whole]);
            }
            whole = json!({ *name: whole });
        }
        whole
    }

    /// Names from the outside in, and whether each holds a list of tables.
    type Way = [(&'static str, bool)];

    fn each_key(keys: &'static [Key], above: &Way, seen: &mut dyn FnMut(&Way, &'static Key)) {
        for key in keys {
            let path: Vec<_> = above.iter().copied().chain([(key.name, false)]).collect();
            seen(&path, key);
            let mut inside = path.clone();
            if let (Shape::Tables(_), Some(last)) = (key.shape, inside.last_mut()) {
                last.1 = true;
            }
            for below in key.shape.below().into_iter().flatten() {
                each_key(below, &inside, seen);
            }
        }
    }

    #[test]
    fn every_key_says_of_a_wrong_value_what_it_is_what_is_wanted_and_an_example() {
        each_key(WORKER, &[], &mut |path, key| {
            let mut refused = 0;
            for value in values() {
                let Some(wrong) = wrong(&with(path, &value), WORKER) else { continue };
                refused += 1;
                let said = &wrong.message;
                assert!(said.contains(path[0].0) && said.contains(", such as "), "{path:?} {value}: {said}");
                assert!(
                    said.contains("cannot be") || said.contains("is missing"),
                    "{path:?} {value}: {said}"
                );
                for foreign in ["invalid", "expected", "missing field", "\u{1b}"] {
                    assert!(!said.contains(foreign), "{path:?} {value}: {said}");
                }
            }
            assert!(refused >= 6, "{path:?} takes nearly everything");
            if let Shape::Pattern(pattern) = key.shape {
                assert!(form(pattern).is_some(), "{path:?} needs a row in `form`");
            }
        });
    }

    #[test]
    fn the_values_of_a_spec_have_the_shapes_of_their_keys() {
        let spec = tenure_core::Spec::of_command(vec!["true".into()], "/".into());
        assert_eq!(wrong(&serde_json::to_value(spec).expect("JSON"), WORKER), None);
    }

    #[test]
    fn a_value_is_told_with_its_key_and_an_example() {
        for (value, message) in [
            (
                json!({ "listen": [{ "name": "http", "tcp": "localhost:3000" }] }),
                "`listen.tcp` cannot be \"localhost:3000\": write a numeric address and a port, such as \"127.0.0.1:8080\"",
            ),
            (
                json!({ "start_timeout": 5 }),
                "`start_timeout` cannot be 5: write a duration, such as \"250ms\", \"5s\" or \"1m\"",
            ),
            (
                json!({ "command": ["node", 1] }),
                "`command` cannot be 1: write a list of text that is not empty, such as [\"node\", \"server.mjs\"]",
            ),
            (
                json!({ "listen": [{ "name": "http" }] }),
                "`listen.tcp` is missing: write a numeric address and a port, such as \"127.0.0.1:8080\", or `unix` instead",
            ),
            (
                json!({ "listen": [{ "name": "http", "tcp": "127.0.0.1:0", "unix": "" }] }),
                "`listen` has both `tcp` and `unix`: write one of them",
            ),
            (
                json!({ "health": { "http": "x" } }),
                "`health.http` cannot be \"x\": write a path that begins with /, such as \"/healthz\"",
            ),
        ] {
            assert_eq!(wrong(&value, WORKER).expect("wrong").message, message);
        }
    }
}

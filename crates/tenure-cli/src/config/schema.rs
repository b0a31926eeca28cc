//! The JSON Schema of a configuration file (draft 2020-12), for editors.
//!
//! Made from the table of keys, so that it cannot say anything else than what is read. It is a little wider than the
//! reader: a description may be spread over two files, so no key of a worker is demanded, and what two keys say of each
//! other is left to `config check`.

use serde_json::{Map, Value as Json, json};

use super::keys::{Default, Key, Shape, is_detail};
use super::table::{DURATION_PATTERN, NAME_PATTERN, WORKER};

/// The name of the schema; it is no address, for nothing has to be fetched.
const ID: &str = "urn:tenure:schema:config:1";

/// The schema of a whole file.
pub(crate) fn schema() -> Json {
    let mut worker = table(&[WORKER], false);
    describe(&mut worker, "A worker by its name: a long-lived background process that is kept exactly once.");
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        "title": "tenure.toml",
        "description": "What tenure keeps: workers by name.",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "worker": {
                "description": "A table for each worker: [worker.NAME].",
                "type": "object",
                "propertyNames": { "pattern": NAME_PATTERN },
                "additionalProperties": worker,
            },
        },
    })
}

fn of_key(key: &Key) -> Json {
    let mut schema = of_shape(key.shape);
    describe(&mut schema, &sentence(key.what));
    if let Default::Value(text) = key.default {
        schema["default"] = value(text);
    }
    schema
}

fn of_shape(shape: Shape) -> Json {
    match shape {
        Shape::Text => json!({ "type": "string" }),
        Shape::Pattern(pattern) => json!({ "type": "string", "pattern": pattern }),
        Shape::Word(words) => json!({ "type": "string", "enum": words }),
        Shape::Texts(least) => json!({ "type": "array", "items": { "type": "string" }, "minItems": least }),
        Shape::Statuses => json!({
            "type": "array",
            "minItems": 1,
            "items": {
                "anyOf": [
                    { "type": "integer", "minimum": 200, "maximum": 599 },
                    { "type": "string", "pattern": "^[2-5](xx|[0-9]{2}(-[2-5][0-9]{2})?)$" },
                ],
            },
        }),
        Shape::Number(least) => json!({ "type": "integer", "minimum": least, "maximum": u32::MAX }),
        Shape::Waits => json!({
            "type": "array",
            "items": { "type": "string", "pattern": DURATION_PATTERN },
            "minItems": 2,
            "maxItems": 2,
        }),
        Shape::Switch => json!({ "type": "boolean" }),
        Shape::SwitchOr(keys) => json!({ "anyOf": [{ "type": "boolean" }, table(&[keys], true)] }),
        Shape::Bare => json!({ "const": true }),
        Shape::Named => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Shape::Table(keys) => table(&[keys], true),
        Shape::Tables(keys) => json!({ "type": "array", "items": table(&[keys], true) }),
        Shape::Check(keys) => {
            let bare = keys.iter().filter(|key| matches!(key.shape, Shape::Bare));
            let words: Vec<&str> = bare.map(|key| key.name).collect();
            let mut one = table(&[keys], true);
            one["oneOf"] = one_of(keys);
            json!({ "anyOf": [{ "type": "string", "enum": words }, one] })
        }
        Shape::Repeated(checks, settings) => {
            let mut all = table(&[checks, settings], true);
            all["oneOf"] = one_of(checks);
            all
        }
        Shape::Version(pattern, keys) => {
            json!({ "anyOf": [{ "type": "string", "pattern": pattern }, table(&[keys], true)] })
        }
    }
}

/// Exactly one of these checks is written.
fn one_of(keys: &[Key]) -> Json {
    let checks = keys.iter().filter(|key| !is_detail(key));
    Json::Array(checks.map(|check| json!({ "required": [check.name] })).collect())
}

/// A table of these keys and no others; those that must be written are demanded where the table is whole.
fn table(keys: &[&'static [Key]], whole: bool) -> Json {
    let keys = || keys.iter().copied().flatten();
    let properties: Map<String, Json> = keys().map(|key| (key.name.to_owned(), of_key(key))).collect();
    let mut table = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    let required: Vec<&str> =
        keys().filter(|key| whole && key.default == Default::Required).map(|key| key.name).collect();
    if !required.is_empty() {
        table["required"] = json!(required);
    }
    let either: Vec<Json> = keys()
        .filter(|key| whole && matches!(key.default, Default::Either(_)))
        .map(|key| json!({ "required": [key.name] }))
        .collect();
    if !either.is_empty() {
        table["oneOf"] = Json::Array(either);
    }
    table
}

fn describe(schema: &mut Json, what: &str) {
    schema["description"] = json!(what);
}

/// A row of the reference as a sentence.
fn sentence(what: &str) -> String {
    let mut letters = what.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

/// A default as JSON.
fn value(text: &str) -> Json {
    let table: Option<Json> = toml::from_str(&format!("value = {text}")).ok();
    table.map_or(Json::Null, |table| table["value"].clone())
}

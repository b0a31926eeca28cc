//! What the value of a key must be, in words, with an example that can be copied.
//!
//! Pure.

use std::net::SocketAddr;

use tenure_core::Scope;
use tenure_core::spec::amount::{Size, Span};
use tenure_core::spec::{IdleTimeout, Umask, Upstream};

use super::super::keys::{Default, Key, Shape};
use super::super::table;

/// What a text must be, beyond being text.
pub(super) struct Form {
    what: &'static str,
    example: &'static str,
    pub(super) fits: fn(&str) -> bool,
}

/// The form that a pattern of the table stands for, where its texts are read.
pub(super) fn form(pattern: &str) -> Option<Form> {
    let form = |what, example, fits| Some(Form { what, example, fits });
    match pattern {
        table::DURATION_PATTERN => {
            form("a duration", "\"250ms\", \"5s\" or \"1m\"", |text| text.parse::<Span>().is_ok())
        }
        table::IDLE_PATTERN => form("a duration or \"off\"", "\"30m\" or \"off\"", |text| {
            IdleTimeout::try_from(text.to_owned()).is_ok()
        }),
        table::SIZE_PATTERN => form("a size", "\"10MB\"", |text| text.parse::<Size>().is_ok()),
        table::NAME_PATTERN => {
            form("1 to 64 letters, digits, '.', '_' or '-', a letter or digit first", "\"http\"", |text| {
                Scope::new(text, None).is_ok()
            })
        }
        table::ADDRESS_PATTERN => form("a numeric address and a port", "\"127.0.0.1:8080\"", |text| {
            text.parse::<SocketAddr>().is_ok()
        }),
        table::UPSTREAM_PATTERN => form(
            "a numeric address and a port, a path, or a variable for one of them",
            "\"127.0.0.1:8081\", \"env:PORT\", \"unix:run/app.sock\" or \"env-path:SOCKET\"",
            |text| Upstream::try_from(text.to_owned()).is_ok(),
        ),
        table::PATH_PATTERN => {
            form("a path that begins with /", "\"/healthz\"", |text| text.starts_with('/'))
        }
        table::UMASK_PATTERN => {
            form("three octal digits", "\"022\"", |text| Umask::try_from(text.to_owned()).is_ok())
        }
        _ => None,
    }
}

/// What is wanted, and an example.
pub(super) fn wanted(key: &Key) -> (String, String) {
    let of = |what: &str, example: &str| (what.to_owned(), example.to_owned());
    match key.shape {
        Shape::Text => of("text", "\"…\""),
        Shape::Pattern(pattern) => match form(pattern) {
            Some(form) => of(form.what, form.example),
            None => (format!("text of the form {pattern}"), usual(key)),
        },
        Shape::Word(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
            (format!("one of {}", words.join(", ")), words.first().cloned().unwrap_or_default())
        }
        Shape::Texts(least) => {
            let some = if least > 0 { "a list of text that is not empty" } else { "a list of text" };
            of(some, "[\"node\", \"server.mjs\"]")
        }
        Shape::Statuses => of("a list of statuses from 200 to 599", "[200, \"3xx\", \"410-412\"]"),
        Shape::Number(least) => (format!("a whole number of at least {least}"), usual(key)),
        Shape::Waits => of("two durations, the first and the longest wait", "[\"250ms\", \"30s\"]"),
        Shape::Switch => of("true or false", "true"),
        Shape::SwitchOr(keys) => {
            let example = keys.first().map_or_else(String::new, |key| format!("{{ {} = \"…\" }}", key.name));
            ("true, false or a table".to_owned(), format!("true or {example}"))
        }
        Shape::Bare => of("true", "{ tcp = true }"),
        Shape::Named => of("a table of text", "{ NAME = \"value\" }"),
        Shape::Table(_) => ("a table".to_owned(), usual(key)),
        Shape::Tables(_) => of("a list of tables", "[{ name = \"http\", tcp = \"127.0.0.1:8080\" }]"),
        Shape::Check(_) => of("one check", "{ http = \"/healthz\" } or \"notify\""),
        Shape::Repeated(..) => {
            of("one check and its settings", "{ http = \"/healthz\", interval = \"10s\" }")
        }
        Shape::Version(..) => of(
            "a version, or the command that prints it",
            "\"1.4.0\" or { command = [\"node\", \"--version\"] }",
        ),
    }
}

/// The default as an example, or an example of a table.
fn usual(key: &Key) -> String {
    match key.default {
        Default::Value(text) => text.to_owned(),
        Default::Required | Default::Either(_) | Default::Words(_) => match key.name {
            "restart" => "{ on = \"failure\", limit = 5 }".to_owned(),
            "env" => "{ keep = [\"DATABASE_URL\"] }".to_owned(),
            _ => "\"…\"".to_owned(),
        },
    }
}

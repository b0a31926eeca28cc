//! The schema, the table of keys, the reference and the reader say the same.

use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::kit::Sandbox;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn schema() -> Value {
    Sandbox::new().call("config schema").document()
}

fn validator() -> Validator {
    jsonschema::draft202012::new(&schema()).expect("it is a schema")
}

fn toml(text: &str) -> Value {
    toml::from_str(text).expect(text)
}

#[test]
fn the_published_schema_is_the_one_that_is_written() {
    let path = root().join("docs/reference/tenure.schema.json");
    let written = Sandbox::new().call("config schema").stdout;
    let published = fs::read_to_string(&path).unwrap_or_default();
    assert!(published == written, "`tenure config schema > docs/reference/tenure.schema.json` mends this");
}

#[test]
fn the_schema_is_one() {
    assert!(jsonschema::meta::is_valid(&schema()));
}

#[test]
fn every_example_and_the_file_to_begin_with_follow_the_schema() {
    let validator = validator();
    let mut seen = 0;
    for entry in fs::read_dir(root().join("examples")).expect("there") {
        let path = entry.expect("listed").path().join("tenure.toml");
        if let Ok(text) = fs::read_to_string(&path) {
            assert!(validator.is_valid(&toml(&text)), "{}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 4, "the examples are there");
    let sandbox = Sandbox::new();
    for line in ["init first", "init second -- sleep 1000"] {
        sandbox.call(line);
        let path = sandbox.path("project/tenure.toml");
        let text = fs::read_to_string(&path).expect("written");
        assert!(validator.is_valid(&toml(&text)), "{text}");
        // Each line that is commented out is one that could stand there.
        for shown in text.lines().filter_map(|line| line.strip_prefix("# ")) {
            let Some((key, _)) = shown.split_once(" = ") else { continue };
            if key.contains(' ') || key == "command" {
                continue;
            }
            let whole = format!("[worker.w]\ncommand = ['x']\n{shown}\n");
            assert!(validator.is_valid(&toml(&whole)), "{shown}");
        }
        fs::remove_file(path).expect("ours");
    }
}

/// Lines of a worker's table: what the schema says of each, and what the reader says.
const LINES: [(&str, bool); 51] = [
    ("version = '1.2.3-rc.1+b'", true),
    ("version = { command = ['git', 'describe'], inputs = ['a'] }", true),
    ("start_timeout = '500ms'", true),
    ("ready = 'notify'", true),
    ("ready = { notify = true }", true),
    ("ready = { exec = ['true'] }", true),
    ("health = { exec = ['true'], failures = 2 }", true),
    ("listen = [{ name = 'a', tcp = '[::1]:0' }]", true),
    ("stop = { signal = 'SIGINT' }", true),
    ("restart = { on = 'never', backoff = ['1s', '2s'], limit = 0, window = '1h' }", true),
    ("env = { preset = 'agent', strip = ['A*'], keep = ['A'], set = { A = 'b' } }", true),
    ("logs = { size = '512kB', keep = 0 }", true),
    ("scope = 'user'", true),
    ("build = ['dist/**']", true),
    ("first_answer = '1s'\nwedged_after = '1m'", true),
    ("preflight = ['node', '--check', 'x.mjs']", true),
    ("overlap = true\nready = 'notify'", true),
    ("overlap = false", true),
    ("bake = '0s'", true),
    ("idle_timeout = 'off'", true),
    ("idle_timeout = '30m'", true),
    ("listen = [{ name = 'a', tcp = '127.0.0.1:0', mode = 'proxy', to = 'env:PORT' }]", true),
    (
        "listen = [{ name = 'a', tcp = '127.0.0.1:0', mode = 'proxy', to = '[::1]:8081' }]\nready = 'tcp'",
        true,
    ),
    ("bogus = 1", false),
    ("preflight = 'true'", false),
    ("overlap = 'yes'", false),
    ("bake = 3", false),
    ("listen = [{ name = 'a', tcp = '127.0.0.1:0', mode = 'proxy', to = 'PORT' }]", false),
    ("listen = [{ name = 'a', tcp = '127.0.0.1:0', mode = 'proxy', to = 'env:MY-PORT' }]", false),
    ("idle_timeout = '30'", false),
    ("idle_timeout = 30", false),
    ("limits = { children = 2 }", false),
    ("upstreams = ['broker']", false),
    ("hooks = { session_end = ['x'] }", false),
    ("version = '1.2 x'", false),
    ("version = 3", false),
    ("version = { inputs = ['a'] }", false),
    ("start_timeout = 5", false),
    ("start_timeout = '5'", false),
    ("ready = 'http'", false),
    ("ready = { http = 'no-slash' }", false),
    ("ready = { up = true, notify = true }", false),
    ("health = { failures = 2 }", false),
    ("listen = [{ name = 'a' }]", false),
    ("listen = [{ name = 'a', tcp = 'localhost:1' }]", false),
    ("listen = [{ name = 'a', tcp = '127.0.0.1:0', mode = 'relay' }]", false),
    ("stop = { signal = 'SEGV' }", false),
    ("restart = { backoff = ['1s'] }", false),
    ("env = { set = { A = 1 } }", false),
    ("logs = { size = '10mb' }", false),
    ("scope = 'machine'", false),
];

#[test]
fn the_schema_and_the_reader_agree() {
    let validator = validator();
    let sandbox = Sandbox::new();
    for (line, good) in LINES {
        let text = format!("[worker.w]\ncommand = ['true']\n{line}\n");
        let valid = validator.is_valid(&toml(&text));
        assert_eq!(valid, good, "the schema, of {line}");
        sandbox.write("project/tenure.toml", &text);
        let code = sandbox.call("config check -q").code;
        assert_eq!(code, Some(if good { 0 } else { 6 }), "the reader, of {line}");
    }
    for bad in [json!({ "wroker": {} }), json!({ "worker": { "a b": {} } }), json!({ "worker": 3 })] {
        assert!(!validator.is_valid(&bad), "{bad}");
    }
}

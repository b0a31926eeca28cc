//! Formats that outlive a version: records, events, wire and brief are read as they were first written, fields of a newer
//! version are no reason to refuse, and the documents of the command line keep their shape.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tenure_core::launch::start::handshake::Handshake;
use tenure_core::protocol::wire::{Answer, ControlRequest};
use tenure_core::record::desired::Desired;
use tenure_core::record::ledger::Ledger;
use tenure_core::store::event::Event;
use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::fixtures::worker::{ensure, started, status, stop};

use crate::BINARIES;

const LEDGER: &str = include_str!("../../../tenure-core/formats/ledger-1.json");
const LEDGER_PROVED: &str = include_str!("../../../tenure-core/formats/ledger-1-proved.json");
const REQUESTS: &str = include_str!("../../../tenure-core/formats/requests-1.jsonl");
const ANSWERS: &str = include_str!("../../../tenure-core/formats/answers-1.jsonl");
const DESIRED: &str = include_str!("../../../tenure-core/formats/desired-1.json");
const DESIRED_2: &str = include_str!("../../../tenure-core/formats/desired-2.json");
const DESIRED_3: &str = include_str!("../../../tenure-core/formats/desired-3.json");
const DESIRED_3_MADE: &str = include_str!("../../../tenure-core/formats/desired-3-made.json");
const DESIRED_3_NOT_READY: &str = include_str!("../../../tenure-core/formats/desired-3-not-ready.json");
const EVENTS: &str = include_str!("../../../tenure-core/formats/events-1.jsonl");
const HELLO: &str = include_str!("../../../tenure-core/formats/hello-1.json");
const HELLO_OF_A_BUILD: &str = include_str!("../../../tenure-core/formats/hello-1-build.json");
const HELLO_ON_PROBATION: &str = include_str!("../../../tenure-core/formats/hello-1-probation.json");
const HELLO_NOT_READY: &str = include_str!("../../../tenure-core/formats/hello-1-not-ready.json");
const BRIEF: &str = include_str!("../../../tenure-core/formats/brief-1.json");

fn value(text: &str) -> Value {
    serde_json::from_str(text).expect("a golden is JSON")
}

/// Whether keys of this object are names of the user's and not of the format.
fn is_free(key: &str) -> bool {
    key == "set"
}

/// The same with an unknown field in every object that belongs to the format.
fn with_news(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let inside = |(key, value): (&String, &Value)| {
                (key.clone(), if is_free(key) { value.clone() } else { with_news(value) })
            };
            let mut object: serde_json::Map<String, Value> = object.iter().map(inside).collect();
            // A choice is an object with one key, which names it: it has no room for another.
            if object.len() > 1 {
                object.insert("field_of_tomorrow".to_owned(), json!({"a": [1, null]}));
            }
            Value::Object(object)
        }
        Value::Array(items) => items.iter().map(with_news).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// What was written by the first version is read, written back the same, and read with fields that are not known yet.
fn holds<T: Serialize + DeserializeOwned + PartialEq + Debug>(golden: &str) {
    let read: T = serde_json::from_str(golden).expect("the golden is read");
    assert_eq!(serde_json::to_value(&read).expect("it writes"), value(golden), "nothing was lost or renamed");
    let newer = with_news(&value(golden));
    assert_ne!(newer, value(golden));
    let again: T = serde_json::from_value(newer).expect("fields of tomorrow are passed over");
    assert_eq!(again, read);
}

#[test]
fn the_ledger_of_format_1_holds() {
    holds::<Ledger>(LEDGER);
    holds::<Ledger>(LEDGER_PROVED);
}

#[test]
fn the_offers_of_format_1_hold() {
    holds::<Desired>(DESIRED);
}

#[test]
fn the_offers_of_format_2_hold() {
    holds::<Desired>(DESIRED_2);
}

#[test]
fn the_offers_of_format_3_hold() {
    holds::<Desired>(DESIRED_3);
    holds::<Desired>(DESIRED_3_MADE);
    holds::<Desired>(DESIRED_3_NOT_READY);
}

#[test]
fn the_hello_of_wire_1_holds() {
    holds::<Answer>(HELLO);
    holds::<Answer>(HELLO_OF_A_BUILD);
    holds::<Answer>(HELLO_ON_PROBATION);
    holds::<Answer>(HELLO_NOT_READY);
}

/// What one side of the wire says, a line each: as it was first written, and with fields of tomorrow where it has any.
fn lines_hold<T: Serialize + DeserializeOwned + PartialEq + Debug>(lines: &str, tag: &str) {
    for line in lines.lines() {
        if value(line).as_object().is_some_and(|object| object.len() > 1) {
            holds::<T>(line);
        }
        let read: T = serde_json::from_str(line).expect("the golden is read");
        assert_eq!(
            serde_json::to_value(&read).expect("it writes"),
            value(line),
            "nothing was lost or renamed"
        );
    }
    // The list of kinds stands in the message of an unknown one, so that a new kind is missed here.
    let error = serde_json::from_value::<T>(json!({ tag: "no-such-kind" })).expect_err("no kind").to_string();
    let known: BTreeSet<&str> = error.split('`').skip(3).step_by(2).collect();
    let all: Vec<Value> = lines.lines().chain(hello_line(tag)).map(value).collect();
    let golden: BTreeSet<&str> = all.iter().map(|line| line[tag].as_str().expect("a kind")).collect();
    assert_eq!(golden, known);
}

/// The answer that has a golden of its own.
fn hello_line(tag: &str) -> Option<&'static str> {
    (tag == "answer").then_some(HELLO)
}

#[test]
fn every_request_of_wire_1_holds() {
    lines_hold::<ControlRequest>(REQUESTS, "op");
}

#[test]
fn every_answer_of_wire_1_holds() {
    lines_hold::<Answer>(ANSWERS, "answer");
}

#[test]
fn the_brief_holds() {
    holds::<Handshake>(BRIEF);
}

#[test]
fn every_kind_of_event_holds() {
    for line in EVENTS.lines() {
        holds::<Event>(line);
    }
    // The list of kinds stands in the message of an unknown one, so that a new kind is missed here.
    let mut unknown = value(EVENTS.lines().next().expect("one"));
    unknown["what"] = json!("no-such-kind");
    let error = serde_json::from_value::<Event>(unknown).expect_err("no kind").to_string();
    let known: BTreeSet<&str> = error.split('`').skip(3).step_by(2).collect();
    let lines: Vec<Value> = EVENTS.lines().map(value).collect();
    let golden: BTreeSet<&str> = lines.iter().map(|line| line["what"].as_str().expect("a kind")).collect();
    assert_eq!(golden, known);
}

#[test]
fn records_of_today_have_the_shape_of_their_format() {
    let sandbox = BINARIES.sandbox(&[]);
    started(&sandbox);
    let read = |name: &str| fs::read_to_string(sandbox.scope("w").join(name)).expect("it was written");
    assert_shape(&value(LEDGER), &value(&read("ledger.json")), "ledger");
    assert_eq!(value(DESIRED_3)["schema_version"], value(&read("desired.json"))["schema_version"]);
    assert_shape(&value(DESIRED), &value(&read("desired.json")), "desired");
    for line in read("events.jsonl").lines() {
        assert_shape(&value(EVENTS.lines().next().expect("one")), &value(line), "events");
    }
    stop(&sandbox).expect(0);
}

#[test]
fn records_with_fields_of_tomorrow_serve_today() {
    let sandbox = BINARIES.sandbox(&[]);
    started(&sandbox);
    stop(&sandbox).expect(0);
    for name in ["ledger.json", "desired.json"] {
        let path = sandbox.scope("w").join(name);
        let newer = with_news(&value(&fs::read_to_string(&path).expect("it was written")));
        fs::write(&path, newer.to_string()).expect("ours");
    }
    assert_eq!(ensure(&sandbox).run().expect(0).json()["generation"], 2);
    stop(&sandbox).expect(0);
}

/// Every key of the golden, with values of the same type; a format grows by fields that older readers pass over. Where one side has nothing, or an empty list, only the other tells.
#[expect(clippy::panic, reason = "a shape that differs is a failed test")]
fn assert_shape(golden: &Value, today: &Value, place: &str) {
    match (golden, today) {
        (Value::Object(golden), Value::Object(today)) => {
            if is_free(place.rsplit('.').next().unwrap_or_default()) || is_a_choice(golden, today) {
                return;
            }
            for (key, value) in golden {
                let today = today.get(key).unwrap_or_else(|| panic!("{place}.{key} is lost"));
                assert_shape(value, today, &format!("{place}.{key}"));
            }
        }
        (Value::Array(golden), Value::Array(today)) => {
            if let (Some(golden), Some(today)) = (golden.first(), today.first()) {
                assert_shape(golden, today, &format!("{place}[]"));
            }
        }
        (Value::Null, _)
        | (_, Value::Null)
        | (Value::Bool(_), Value::Bool(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::String(_), Value::String(_)) => {}
        (golden, today) => panic!("{place}: {golden} became {today}"),
    }
}

/// Two objects with one key each may name two choices of one kind.
fn is_a_choice(golden: &serde_json::Map<String, Value>, today: &serde_json::Map<String, Value>) -> bool {
    golden.len() == 1 && today.len() == 1
}

fn document(sandbox: &Sandbox, words: &[&str]) -> Value {
    sandbox.tenure(words.iter().copied().chain(["--json"])).run().json()
}

#[test]
fn the_documents_of_the_command_line_keep_their_shape() {
    let sandbox = BINARIES.sandbox(&[]);
    let golden = |text| value(text);
    let same = |text, today: &Value, name: &str| assert_shape(&golden(text), today, name);
    same(include_str!("../../../tenure-cli/formats/ensure-1.json"), &ensure(&sandbox).run().json(), "ensure");
    same(include_str!("../../../tenure-cli/formats/status-1.json"), &status(&sandbox).json(), "status");
    same(include_str!("../../../tenure-cli/formats/list-1.json"), &document(&sandbox, &["list"]), "list");
    same(
        include_str!("../../../tenure-cli/formats/doctor-1.json"),
        &document(&sandbox, &["doctor"]),
        "doctor",
    );
    same(
        include_str!("../../../tenure-cli/formats/restart-1.json"),
        &document(&sandbox, &["restart", "w"]),
        "restart",
    );
    let signal = document(&sandbox, &["signal", "w", "CONT"]);
    same(include_str!("../../../tenure-cli/formats/signal-1.json"), &signal, "signal");
    same(include_str!("../../../tenure-cli/formats/stop-1.json"), &stop(&sandbox).json(), "stop");
    same(
        include_str!("../../../tenure-cli/formats/version-1.json"),
        &document(&sandbox, &["version"]),
        "version",
    );
    for words in [&["ensure", "none"][..], &["ensure", "../w"], &["no-such-word"], &["logs", "none"]] {
        same(include_str!("../../../tenure-cli/formats/error-1.json"), &document(&sandbox, words), "error");
    }
}

#[test]
fn the_documents_about_versions_keep_their_shape() {
    let sandbox = BINARIES.sandbox(&[]);
    let same = |text, today: &Value, name: &str| assert_shape(&value(text), today, name);
    ensure(&sandbox).run().expect(0);
    document(&sandbox, &["ensure", "w", "--version", "2.0.0"]);
    let status = status(&sandbox).json();
    same(include_str!("../../../tenure-cli/formats/status-1-offers.json"), &status, "status");
    let pin = document(&sandbox, &["pin", "w", "0.0.0"]);
    same(include_str!("../../../tenure-cli/formats/pin-1.json"), &pin, "pin");
    let unpin = document(&sandbox, &["unpin", "w"]);
    same(include_str!("../../../tenure-cli/formats/unpin-1.json"), &unpin, "unpin");
    let forget = document(&sandbox, &["forget", "w", "2.0.0"]);
    same(include_str!("../../../tenure-cli/formats/forget-1.json"), &forget, "forget");
    stop(&sandbox).expect(0);
}

#[test]
fn the_document_about_lost_projects_keeps_its_shape() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    fs::write(sandbox.work().join("README"), "").expect("ours");
    let described = "[worker.w]\ncommand = [\"sleep\", \"1000\"]\nversion = \"1.0.0\"\n";
    for name in ["gone", "disk/gone"] {
        let directory = sandbox.work().join(name);
        fs::create_dir_all(&directory).expect("ours");
        fs::write(directory.join("tenure.toml"), described).expect("ours");
        for words in [&["trust"][..], &["ensure", "w"], &["stop", "w"]] {
            sandbox.tenure(words.iter().copied()).cwd(&directory).run().expect(0);
        }
    }
    fs::remove_dir_all(sandbox.work().join("gone")).expect("ours");
    fs::remove_dir_all(sandbox.work().join("disk")).expect("ours");
    let prune = document(&sandbox, &["prune"]);
    assert_shape(&value(include_str!("../../../tenure-cli/formats/prune-1.json")), &prune, "prune");
    assert!(prune["workers"][0].is_object() && prune["kept"][0].is_object(), "{prune}");
}

#[test]
fn the_documents_about_configuration_keep_their_shape() {
    let sandbox = BINARIES.sandbox(&[]);
    let golden = |text| value(text);
    let same = |text, today: &Value, name: &str| assert_shape(&golden(text), today, name);
    same(
        include_str!("../../../tenure-cli/formats/init-1.json"),
        &document(&sandbox, &["init", "web"]),
        "init",
    );
    let text = "[worker.web]\ncommand = [\"sleep\", \"1\"]\nversion = { command = [\"true\"] }\n\
                ready = { exec = [\"true\"] }\nenv = { set = { LOG = \"info\" } }\n";
    let file = sandbox.work().join("tenure.toml");
    fs::write(&file, format!("{text}[worker.bad]\ncomand = [\"x\"]\n")).expect("ours");
    let check = document(&sandbox, &["config", "check"]);
    same(include_str!("../../../tenure-cli/formats/config-check-1.json"), &check, "config check");
    fs::write(&file, text).expect("ours");
    same(include_str!("../../../tenure-cli/formats/trust-1.json"), &document(&sandbox, &["trust"]), "trust");
    let show = document(&sandbox, &["config", "show", "web"]);
    same(include_str!("../../../tenure-cli/formats/config-show-1.json"), &show, "config show");
}

//! Where a worker's description comes from, and what is said about one that is not understood.

use crate::kit::{Sandbox, TENURE, assert_words};

const SLEEPER: &str = "command = ['sleep', '1000']\n";

fn project(worker: &str) -> Sandbox {
    Sandbox::with_project(&format!("[worker.memory]\n{SLEEPER}{worker}"))
}

#[test]
fn an_unknown_key_is_an_error_with_its_line_and_a_suggestion() {
    let sandbox = project("start_timeuot = '5s'\n");
    assert_words!(sandbox, sandbox.call("ensure memory"));
}

#[test]
fn an_unknown_key_inside_a_table_is_named_by_its_path() {
    let sandbox = project("health = { http = '/', intervall = '5s' }\n");
    assert_words!(sandbox, sandbox.call("ensure memory --json"));
}

#[test]
fn a_bad_value_is_an_error_with_its_line() {
    let sandbox = project("stop = { signal = 'TREM' }\n");
    assert_words!(sandbox, sandbox.call("ensure memory"));
}

#[test]
fn a_pattern_that_is_none_is_an_error_with_its_place() {
    let sandbox = project("[worker.memory.ready]\nlog = 'listening on (['\n");
    assert_words!(sandbox, sandbox.call("config check"));
}

#[test]
fn a_check_of_no_listener_says_which_there_are() {
    let sandbox = project(
        "listen = [{ name = 'http', tcp = '127.0.0.1:0' }]\nready = { http = '/', listener = 'admin' }\n",
    );
    assert_words!(sandbox, sandbox.call("config check"));
}

#[test]
fn what_belongs_to_another_check_is_an_error() {
    let sandbox = project("ready = { notify = true, status = [200] }\n");
    assert_words!(sandbox, sandbox.call("config check"));
}

#[test]
fn a_file_that_is_no_toml_is_an_error_with_its_line() {
    let sandbox = Sandbox::with_project("[worker.memory\n");
    assert_words!(sandbox, sandbox.call("ensure memory"));
}

#[test]
fn a_description_that_contradicts_itself_says_what_would_be_right() {
    let sandbox = project("ready = 'tcp'\n");
    assert_words!(sandbox, sandbox.call("ensure memory"));
}

#[test]
fn an_overlap_that_cannot_be_told_apart_says_what_would_be_right() {
    let sandbox = project(
        "listen = [{ name = 'http', tcp = '127.0.0.1:0' }]\nready = { http = '/' }\noverlap = true\n",
    );
    assert_words!(sandbox, sandbox.call("ensure memory"));
}

#[test]
fn a_proxied_listener_that_leads_nowhere_says_what_is_missing() {
    let sandbox = project("listen = [{ name = 'http', tcp = '127.0.0.1:0', mode = 'proxy' }]\n");
    assert_words!(sandbox, sandbox.call("ensure memory"));
}

#[test]
fn a_target_of_a_proxy_that_is_none_says_how_one_is_written() {
    let sandbox = project("listen = [{ name = 'http', tcp = '127.0.0.1:0', mode = 'proxy', to = 'PORT' }]\n");
    assert_words!(sandbox, sandbox.call("ensure memory"));
}

#[test]
fn how_a_worker_makes_room_is_shown_with_what_says_it() {
    let mut sandbox = project("overlap = true\nready = 'notify'\npreflight = ['true']\n");
    let value = |sandbox: &Sandbox, key: &str| {
        let document = sandbox.call("config show memory --json").document();
        let values = document["workers"][0]["values"].as_array().expect("values");
        values.iter().find(|value| value["key"] == key).expect(key).clone()
    };
    for (key, shown, line) in
        [("overlap", serde_json::json!(true), 3), ("preflight", serde_json::json!(["true"]), 5)]
    {
        let value = value(&sandbox, key);
        assert_eq!((&value["value"], &value["source"]["line"]), (&shown, &line.into()), "{key}");
    }
    let bake = value(&sandbox, "bake");
    assert_eq!((&bake["value"], &bake["source"]["kind"]), (&"3s".into(), &"default".into()));
    assert!(bake["note"].as_str().expect("one").contains("restart"), "{bake}");
    sandbox.set("TENURE_BAKE", "7s");
    let bake = value(&sandbox, "bake");
    assert_eq!((&bake["value"], &bake["source"]["name"]), (&"7s".into(), &"TENURE_BAKE".into()));
    assert!(bake["note"].is_null(), "{bake}");
}

#[test]
fn a_worker_that_is_not_configured_lists_those_that_are() {
    let sandbox = project("");
    assert_words!(sandbox, sandbox.call("ensure memroy"));
}

#[test]
fn with_no_configuration_at_all_the_places_are_named() {
    let sandbox = Sandbox::new();
    assert_words!(sandbox, sandbox.call("ensure memory --json"));
}

#[test]
fn a_project_cannot_redefine_a_name_of_the_user() {
    let sandbox = project("");
    sandbox.write("user/mine.toml", &format!("[worker.memory]\n{SLEEPER}"));
    assert_words!(sandbox, sandbox.call("ensure memory"));
}

#[test]
fn a_name_that_could_leave_the_state_directory_is_refused() {
    let sandbox = Sandbox::new();
    assert_words!(sandbox, sandbox.call("ensure ../x -- true"));
}

#[test]
fn a_file_that_is_named_and_missing_is_an_error() {
    let sandbox = Sandbox::new();
    assert_words!(sandbox, sandbox.call("ensure memory --config nowhere.toml"));
}

#[test]
fn a_bad_description_on_stdin_is_an_error() {
    let sandbox = Sandbox::new();
    assert_words!(sandbox, sandbox.call_with("ensure memory --spec -", r#"{"command":["true"],"comand":1}"#));
}

#[test]
fn status_without_a_name_and_without_a_configuration_says_what_to_type() {
    let sandbox = Sandbox::new();
    assert_words!(sandbox, sandbox.call("status"));
}

#[test]
fn two_projects_have_a_worker_each_and_a_user_has_one() {
    let sandbox = project("");
    sandbox.write("other/tenure.toml", &format!("[worker.memory]\n{SLEEPER}"));
    assert_eq!(sandbox.call("-C ../other trust").code, Some(0));
    sandbox.write("user/mine.toml", &format!("[worker.shared]\n{SLEEPER}"));
    let pid = |line: &str| sandbox.call(line).document()["pid"].as_u64().expect("a pid");
    let here = pid("ensure memory --json");
    let other = pid("-C ../other ensure memory --json");
    assert_ne!(here, other);
    assert_eq!(pid("ensure shared --json"), pid("-C ../other ensure shared --json"));
    assert_eq!(
        sandbox.start_in(&sandbox.path("other"), "ensure memory --json").end().document()["pid"],
        other
    );
}

#[test]
fn a_directory_below_the_project_finds_the_projects_worker() {
    let sandbox = project("");
    sandbox.write("project/deep/down/file", "");
    let above = sandbox.call("ensure memory --json").document();
    let below = sandbox.call("-C deep/down ensure memory --json").document();
    assert_eq!((&above["pid"], &above["key"]), (&below["pid"], &below["key"]));
    assert_eq!(below["state"], "up");
}

#[test]
fn a_name_with_its_key_reaches_a_worker_whose_configuration_is_broken() {
    let sandbox = project("");
    let key = sandbox.call("ensure memory --json").document()["key"].as_str().expect("a key").to_owned();
    sandbox.write("project/tenure.toml", "broken");
    assert_eq!(sandbox.call("ensure memory").code, Some(6));
    assert_eq!(sandbox.call(&format!("status memory@{key}")).code, Some(0));
    assert_eq!(sandbox.call(&format!("stop memory --key {key}")).code, Some(0));
}

#[test]
fn a_worker_made_from_a_command_is_found_by_its_name() {
    let sandbox = Sandbox::new();
    let made = sandbox.call("ensure web --json -- sleep 1000").document();
    let found = sandbox.call("status web --json").document();
    assert_eq!((&made["pid"], &made["key"]), (&found["pid"], &serde_json::Value::Null));
    assert_eq!(found["state"], "up");
}

#[test]
fn a_description_on_stdin_needs_no_file() {
    let sandbox = Sandbox::new();
    let spec = r#"{"command":["sleep","1000"],"version":"1.2.3"}"#;
    let made = sandbox.call_with("ensure web --json --spec -", spec).document();
    assert_eq!((&made["state"], &made["version"]), (&"started".into(), &"1.2.3".into()));
}

#[test]
fn what_is_no_regular_file_is_refused_and_never_waited_for() {
    let sandbox = Sandbox::new();
    sandbox.foreign("mkfifo", "pipe ../user/pipe.toml tenure.toml", "").expect("every system has it");
    let hang = |line: &str| {
        let said =
            sandbox.foreign("timeout", &format!("20 {TENURE} {line}"), "").expect("every system has it");
        assert_eq!(said.code, Some(6), "{line}: {said:?}");
        let told = said.stdout + &said.stderr;
        assert!(told.contains("it is no regular file") && told.contains("--spec -"), "{line}: {told}");
    };
    hang("ensure memory --config pipe");
    hang("ensure memory --config /dev/stdin");
    hang("ensure memory --config /dev/null");
    hang("ensure memory --config .");
    hang("ensure memory");
    hang("config check");
    std::fs::remove_file(sandbox.path("project/tenure.toml")).expect("made above");
    hang("status memory");
}

#[test]
fn a_command_that_is_missing_is_told_with_those_there_are() {
    let document = Sandbox::new().call("--json config").document();
    let message = document["error"]["message"].as_str().expect("one");
    assert_eq!(message, "read the command line: a command is missing: one of check, show, schema");
}

#[test]
fn a_relative_directory_of_the_user_is_refused() {
    let mut sandbox = Sandbox::new();
    sandbox.write("project/c/mine.toml", &format!("[worker.memory]\n{SLEEPER}"));
    sandbox.set("TENURE_CONFIG_DIR", "c");
    let document = sandbox.call("ensure memory --json").document();
    assert_eq!(document["state"], "bad-config");
    assert!(document["error"]["hint"].as_str().expect("one").contains("absolute path"), "{document}");
}

#[test]
fn a_broken_project_above_is_passed_by_for_what_the_users_files_describe() {
    let sandbox = Sandbox::with_project("[worker.memory\n");
    sandbox.write("user/own.toml", &format!("[worker.memory]\n{SLEEPER}"));
    sandbox.write("project/deep/file", "");
    assert_words!(sandbox, sandbox.call("-C deep ensure memory"));
    for line in ["status memory", "restart memory", "logs memory", "stop memory"] {
        let said = sandbox.call(line);
        assert!(said.code == Some(0) && said.stderr.contains("is passed by"), "{line}: {said:?}");
    }
    let lines =
        ["ensure", "status", "restart", "signal", "pin", "stop"].map(|verb| format!("{verb} memory --json"));
    for line in lines {
        let line = match line.split(' ').next() {
            Some("signal") => format!("{line} CONT"),
            Some("pin") => format!("{line} 9.9.9"),
            _ => line,
        };
        let document = sandbox.call(&line).document();
        let warning = &document["warnings"][0];
        assert_eq!(warning["kind"], "file-passed-by", "{line}: {document}");
        assert!(
            warning["message"].as_str().is_some_and(|told| told.contains("passed by")),
            "{line}: {document}"
        );
    }
}

#[test]
fn a_broken_project_does_not_keep_a_name_on_record_from_being_stopped() {
    let sandbox = project("");
    for line in ["trust", "ensure memory"] {
        assert_eq!(sandbox.call(line).code, Some(0), "{line}");
    }
    for broken in ["[worker.memory\n", "[worker.memory]\ncomand = ['sleep', '1000']\n"] {
        sandbox.write("project/tenure.toml", broken);
        for line in ["status memory", "logs memory", "events memory"] {
            let said = sandbox.call(line);
            assert!(said.code == Some(0) && said.stderr.contains("is passed by"), "{line}: {said:?}");
        }
        assert_eq!(sandbox.call("ensure memory").code, Some(6), "what it starts, the file decides");
    }
    assert_words!(sandbox, sandbox.call("stop memory"));
}

#[test]
fn a_broken_project_leads_to_no_worker_of_another_one() {
    let sandbox = project("");
    sandbox.write("other/tenure.toml", &format!("[worker.memory]\n{SLEEPER}"));
    for line in ["-C ../other trust", "-C ../other ensure memory"] {
        assert_eq!(sandbox.call(line).code, Some(0), "{line}");
    }
    sandbox.write("project/tenure.toml", "[worker.memory\n");
    assert_eq!(sandbox.call("stop memory").code, Some(6));
    assert_eq!(sandbox.call("-C ../other status memory").code, Some(0), "it runs");
}

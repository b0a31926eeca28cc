//! The answers that are not success, and the remedy with each.

use crate::kit::{Sandbox, TENURE, assert_words, skipped};

const BAD: &str = r#"{"command":["sh","-c","echo cannot open the store >&2; exit 3"],"ready":{"log":"up"}}"#;

const OTHER_SETTINGS: &str = r#"{"command":["sleep","1000"],"start_timeout":"9s"}"#;

#[test]
fn a_boot_that_fails_is_told_with_its_last_words() {
    let sandbox = Sandbox::new();
    assert_words!(sandbox, sandbox.call_with("ensure bad --spec -", BAD));
}

#[test]
fn a_boot_that_fails_is_a_document_for_programs() {
    let sandbox = Sandbox::new();
    assert_words!(sandbox, sandbox.call_with("ensure bad --json --spec -", BAD));
}

#[test]
fn the_next_call_is_told_at_once_what_failed_and_until_when() {
    let sandbox = Sandbox::new();
    sandbox.call_with("ensure bad --spec -", BAD);
    assert_words!(sandbox, sandbox.call_with("ensure bad --json --spec -", BAD));
}

#[test]
fn a_restart_that_fails_says_what_stood_before() {
    let sandbox = Sandbox::new();
    sandbox.call("ensure bad -- sleep 1000");
    assert_words!(sandbox, sandbox.call_with("restart bad --spec -", BAD));
}

#[test]
fn a_program_that_does_not_exist_is_named() {
    let sandbox = Sandbox::new();
    assert_words!(sandbox, sandbox.call("ensure web -- no-such-program"));
}

#[test]
fn a_directory_that_does_not_exist_is_named() {
    let sandbox = Sandbox::with_project("[worker.web]\ncommand = ['true']\ncwd = 'nowhere'\n");
    assert_words!(sandbox, sandbox.call("ensure web"));
}

#[test]
fn another_command_under_one_version_is_a_conflict_that_shows_both() {
    let sandbox = Sandbox::new();
    sandbox.call("ensure web -- sleep 1000");
    assert_words!(sandbox, sandbox.call("ensure web -- sleep 2000"));
}

#[test]
fn other_settings_are_a_warning() {
    let sandbox = Sandbox::new();
    sandbox.call("ensure web -- sleep 1000");
    assert_words!(sandbox, sandbox.call_with("ensure web --spec -", OTHER_SETTINGS));
}

#[test]
fn strict_fails_where_it_would_warn() {
    let sandbox = Sandbox::new();
    sandbox.call("ensure web -- sleep 1000");
    assert_words!(sandbox, sandbox.call_with("ensure web --strict --json --spec -", OTHER_SETTINGS));
}

#[test]
fn a_worker_that_boots_for_longer_than_the_caller_waits_is_warming() {
    let sandbox = Sandbox::new();
    let slow = r#"{"command":["sleep","1000"],"ready":"notify"}"#;
    let first = sandbox.call_with("ensure slow --timeout 2s --spec -", slow);
    assert_words!(sandbox, first);
    let again = sandbox.call_with("ensure slow --timeout 2s --accept-warming --json --spec -", slow);
    assert_eq!((again.code, &again.document()["state"]), (Some(0), &"warming".into()));
    assert_eq!(sandbox.call("status slow").code, Some(7));
}

#[test]
fn with_no_daemon_nothing_is_started() {
    let sandbox = Sandbox::new();
    assert_words!(sandbox, sandbox.call("ensure web --no-daemon -- sleep 1000"));
    assert!(!sandbox.path("state").exists());
}

#[test]
fn the_variable_forbids_starting_as_the_flag_does() {
    let mut sandbox = Sandbox::new();
    sandbox.set("TENURE_NO_SPAWN", "1");
    assert_words!(sandbox, sandbox.call("ensure web --json -- sleep 1000"));
}

#[test]
fn a_call_from_inside_the_worker_is_an_error_and_starts_nothing() {
    let sandbox = Sandbox::new();
    let inside = format!("{} ensure inner -- true; echo code $?; exec sleep 1000", crate::kit::TENURE);
    sandbox.call(&format!("ensure inner -- sh -c '{inside}'"));
    let mut following = sandbox.start("logs inner -f --raw");
    let mut lines = String::new();
    while !lines.contains("code ") {
        lines.push_str(&following.line());
    }
    following.stop_reading();
    following.end();
    assert_words!(sandbox, sandbox.call("logs inner --raw"));
}

#[test]
fn a_full_disk_under_stdout_is_told() {
    let sandbox = Sandbox::new();
    let full = std::fs::File::options().write(true).open("/dev/full").expect("there");
    let said = sandbox.start_into("version", &full).end();
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.starts_with("error: failed to write to stdout: No space left"), "{said:?}");
}

#[test]
fn a_state_directory_that_others_can_write_is_refused() {
    use std::os::unix::fs::PermissionsExt;

    let sandbox = Sandbox::new();
    sandbox.call("ensure web -- sleep 1000");
    sandbox.call("stop web");
    let host = std::fs::read_dir(sandbox.path("state")).expect("there").next().expect("a host");
    let scope = host.expect("a host").path().join("web");
    let chmod =
        |mode| std::fs::set_permissions(&scope, std::fs::Permissions::from_mode(mode)).expect("changed");
    chmod(0o777);
    let said = sandbox.call("ensure web -- sleep 1000");
    chmod(0o700);
    assert_eq!(said.code, Some(4));
    assert!(said.stderr.contains("mode 0777") && said.stderr.contains("hint: "), "{said:?}");
}

#[test]
fn a_relative_state_directory_is_refused() {
    let mut sandbox = Sandbox::new();
    sandbox.set("TENURE_STATE_DIR", "relative");
    assert_words!(sandbox, sandbox.call("ensure web -- true"));
    sandbox.set("TENURE_STATE_DIR", sandbox.path("state"));
}

#[test]
fn a_version_that_nobody_offered_cannot_be_pinned() {
    let sandbox = Sandbox::new();
    sandbox.call("ensure web --version 1.4.0 -- sleep 1000");
    assert_words!(sandbox, sandbox.call("pin web 1.3.0"));
    assert_words!(sandbox, sandbox.call("pin web 1.3.0 --json"));
    assert_eq!(sandbox.call("pin nobody 1.3.0").code, Some(5));
}

#[test]
fn a_worker_that_says_another_version_is_tried_once_more_and_left_in_peace() {
    const SAYS: &str = "import os, socket, time\n\
        told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
        told.sendto(b'READY=1\\nX_TENURE_VERSION=1.0.0', os.environ['NOTIFY_SOCKET'])\n\
        time.sleep(1000)\n";

    let sandbox = Sandbox::new();
    if sandbox.foreign("python3", "-c pass", "").is_none() {
        return skipped("a program that says its version: no `python3` here");
    }
    let says = serde_json::json!({
        "command": ["python3", "-c", SAYS],
        "version": "2.0.0",
        "ready": "notify",
    });
    assert_words!(sandbox, sandbox.call_with("ensure web --spec -", &says.to_string()));
}

#[test]
fn every_new_command_tells_its_failures_as_documents() {
    let sandbox = Sandbox::new();
    sandbox.write("project/tenure.toml", "[worker.web]\ncommand = ['sleep', '1000']\nnonsense = 1\n");
    for (line, code) in [
        ("pin web 1.0.0", 6),
        ("unpin web", 6),
        ("stop web --hold", 6),
        ("start web", 6),
        ("trust", 6),
        ("init web", 6),
        ("config check", 6),
        ("config show web", 6),
        ("config", 2),
        ("config chekc", 2),
        ("man --directory tenure.toml", 1),
        ("completions tcsh", 2),
        ("doctor --fixx", 2),
    ] {
        let said = sandbox.call(&format!("{line} --json"));
        let document = said.document();
        assert_eq!((said.code, said.stderr.as_str()), (Some(code), ""), "{line}: {said:?}");
        assert_eq!(document["schema_version"], 1, "{line}");
        let told = document["error"]["hint"].is_string() || document["faults"].is_array();
        assert!(told, "{line}: {document}");
    }
}

#[test]
fn a_directory_that_was_removed_under_the_caller_is_told() {
    let sandbox = Sandbox::new();
    let gone = |line: &str| {
        let enter = "mkdir gone; cd gone; rmdir ../gone;";
        sandbox.foreign("sh", &format!("-c '{enter} {TENURE} {line}'"), "")
    };
    for line in ["init web", "trust", "ensure web -- sleep 1000", "status web -C ."] {
        let Some(said) = gone(line) else { return };
        assert_eq!(said.code, Some(2), "{line}: {said:?}");
        assert!(said.stderr.contains("the current directory, which was removed"), "{line}: {said:?}");
        assert!(said.stderr.contains("`cd` to a directory"), "{line}: {said:?}");
    }
    for line in
        ["list", "version", "status web", "stop web", "status web -C /", "doctor -C /", "config schema"]
    {
        let said = gone(line).expect("there is a shell");
        assert!(said.code != Some(2) && !said.stderr.contains("removed"), "{line}: {said:?}");
    }
    let up = gone("ensure web -C / -- sleep 1000").expect("there is a shell");
    assert_eq!(up.code, Some(0), "{up:?}");
}

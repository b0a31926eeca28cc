//! What a directory that somebody else wrote can do to a call in it: nothing, before a person has looked.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::kit::{Sandbox, assert_words};

const SLEEPER: &str = "[worker.memory]\ncommand = ['sleep', '1000']\n";

/// A file of which every part leaves a mark when it runs.
fn hostile(sandbox: &Sandbox) -> String {
    let canary = sandbox.path("canary");
    let touch = format!("['touch', '{}']", canary.display());
    format!(
        "[worker.memory]\ncommand = {touch}\nversion = {{ command = {touch} }}\nready = {{ exec = {touch} }}\n\
         health = {{ exec = {touch} }}\npreflight = {touch}\nenv = {{ set = {{ LD_PRELOAD = '{}' }} }}\nscope = 'user'\n",
        canary.display()
    )
}

fn untouched(sandbox: &Sandbox) {
    assert!(!sandbox.path("canary").exists(), "something of the file ran");
    assert!(!sandbox.path("state").exists(), "state was made");
}

#[test]
fn a_hostile_project_gets_nothing_run_by_a_hook_that_calls_ensure() {
    let sandbox = Sandbox::new();
    sandbox.write("project/tenure.toml", &hostile(&sandbox));
    sandbox.write("project/deep/file", "");
    assert_words!(sandbox, sandbox.call("ensure memory"));
    for line in [
        "ensure memory --json",
        "start memory",
        "restart memory",
        "-C deep ensure memory",
        "ensure memory --key k",
    ] {
        assert_eq!(sandbox.call(line).code, Some(6), "{line}");
        untouched(&sandbox);
    }
    for (line, code) in [
        ("status memory", 3),
        ("status", 3),
        ("stop memory", 0),
        ("logs memory", 3),
        ("config show memory", 0),
        ("config check", 0),
    ] {
        let said = sandbox.call(line);
        assert_eq!(said.code, Some(code), "{line}: {said:?}");
        untouched(&sandbox);
    }
}

#[test]
fn a_refusal_is_a_document_that_names_the_next_command() {
    let sandbox = Sandbox::new();
    sandbox.write("project/tenure.toml", SLEEPER);
    let refused = sandbox.call("ensure memory --json");
    let document = refused.document();
    assert_eq!((refused.code, &document["state"]), (Some(6), &"untrusted".into()));
    let directory = fs::canonicalize(sandbox.path("project")).expect("there");
    let hint = document["error"]["hint"].as_str().expect("a hint");
    assert!(hint.contains(&format!("`tenure trust {}`", directory.display())), "{hint}");
}

#[test]
fn trust_shows_what_the_file_would_start() {
    let sandbox = Sandbox::new();
    sandbox.write("project/tenure.toml", &hostile(&sandbox));
    assert_words!(sandbox, sandbox.call("trust"));
    assert!(!sandbox.path("canary").exists(), "to trust is not to start");
}

#[test]
fn trust_shows_a_file_without_allowing_it() {
    let sandbox = Sandbox::new();
    sandbox.write("project/tenure.toml", SLEEPER);
    assert_words!(sandbox, sandbox.call("trust --show"));
    assert_eq!(sandbox.call("ensure memory").code, Some(6), "nothing is allowed");
    assert_eq!(sandbox.call("trust --show --json").document()["state"], "shown");
    sandbox.call("trust");
    let said = |words: &str| sandbox.call("trust --show").stdout.contains(words);
    assert!(said("is trusted, as it is now; it may start"));
    sandbox.write("project/tenure.toml", &format!("{SLEEPER}\n"));
    assert!(said("has changed since it was trusted; it would start"));
}

#[test]
fn trust_shows_where_and_as_what_a_worker_runs() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "project/tenure.toml",
        "[worker.web]\ncommand = ['sh', '-c', \"echo it's; exec sleep 9\"]\ncwd = '/'\n\
         listen = [{ name = 'http', tcp = '0.0.0.0:8080' }]\nbefore_start = ['sh', '-c', 'rm x']\n\
         env = { keep = ['AWS_*'], set = { LD_PRELOAD = '/tmp/x y.so', API_TOKEN = 'hidden' } }\n",
    );
    let said = sandbox.call("trust");
    assert!(!said.stderr.contains("hidden"), "{said:?}");
    assert_words!(sandbox, said);
    let plan = sandbox.call("trust --json").document()["workers"][0].clone();
    assert_eq!(plan["cwd"], "/");
    assert_eq!(plan["listen"][0]["tcp"], "0.0.0.0:8080");
    assert_eq!(
        (&plan["set"]["LD_PRELOAD"], &plan["set"]["API_TOKEN"]),
        (&"/tmp/x y.so".into(), &Value::Null)
    );
}

#[test]
fn a_file_of_another_user_is_not_trusted() {
    let sandbox = Sandbox::new();
    sandbox.write("project/tenure.toml", SLEEPER);
    if std::os::unix::fs::lchown(sandbox.path("project/tenure.toml"), Some(65534), None).is_err() {
        crate::kit::skipped("only root can give a file away");
        return;
    }
    assert_words!(sandbox, sandbox.call("trust"));
    assert_eq!(sandbox.call("ensure memory").code, Some(6));
}

#[test]
fn the_list_tells_the_directory_that_a_key_stands_for() {
    let sandbox = Sandbox::with_project(SLEEPER);
    assert_eq!(sandbox.call("ensure memory").code, Some(0));
    let directory = fs::canonicalize(sandbox.path("project")).expect("there");
    let listed = sandbox.call("list");
    assert!(listed.stdout.contains(&*directory.to_string_lossy()), "{listed:?}");
    let document = sandbox.call("list --json").document();
    assert_eq!(document["workers"][0]["directory"], &*directory.to_string_lossy());
    sandbox.call("stop memory");
    assert!(sandbox.call("list").stdout.contains(&*directory.to_string_lossy()));
}

#[test]
fn a_hostile_file_cannot_drive_the_terminal() {
    let sandbox = Sandbox::new();
    for worker in ["\"\\u001b[2J\" = 1", "kind = \"\\u001b[2J\"", "command = [\"\\u001b[2J\"]"] {
        sandbox.write("project/tenure.toml", &format!("[worker.memory]\n{worker}\n"));
        for line in ["ensure memory", "config check", "config show memory", "trust"] {
            let said = sandbox.call(line);
            assert!(!format!("{}{}", said.stdout, said.stderr).contains('\u{1b}'), "{line}: {said:?}");
        }
    }
}

#[test]
fn one_changed_byte_needs_trust_again() {
    let sandbox = Sandbox::with_project(SLEEPER);
    assert_eq!(sandbox.call("ensure memory").code, Some(0));
    assert_eq!(sandbox.call("restart memory").code, Some(0));
    sandbox.write("project/tenure.toml", &format!("{SLEEPER}\n"));
    assert_words!(sandbox, sandbox.call("ensure memory"));
    assert_eq!(sandbox.call("status memory").code, Some(0), "the worker that runs is not touched");
    sandbox.write("project/tenure.toml", SLEEPER);
    assert_eq!(sandbox.call("ensure memory").code, Some(0), "the content that was trusted still is");
}

#[test]
fn trust_is_for_one_directory_and_can_be_taken_back() {
    let sandbox = Sandbox::with_project(SLEEPER);
    sandbox.write("other/tenure.toml", SLEEPER);
    assert_eq!(sandbox.call("-C ../other ensure memory").code, Some(6), "the same content elsewhere");
    let trusted = sandbox.call("trust ../other --json").document();
    assert_eq!((&trusted["state"], &trusted["workers"][0]["name"]), (&"trusted".into(), &"memory".into()));
    assert_eq!(sandbox.call("-C ../other ensure memory").code, Some(0));
    assert_words!(sandbox, sandbox.call("trust ../other --revoke"));
    assert_eq!(sandbox.call("-C ../other ensure memory").code, Some(6));
    assert_eq!(sandbox.call("trust ../other --revoke").code, Some(0), "twice is once");
    assert_eq!(sandbox.call("ensure memory").code, Some(0), "the other project is still trusted");
}

#[test]
fn what_is_given_on_the_command_line_and_what_is_the_users_needs_no_trust() {
    let sandbox = Sandbox::new();
    sandbox.write("project/tenure.toml", SLEEPER);
    sandbox.write("user/mine.toml", "[worker.mine]\ncommand = ['sleep', '1000']\n");
    sandbox.write("project/given.toml", "[worker.given]\ncommand = ['sleep', '1000']\n");
    for line in ["ensure given --config given.toml", "ensure typed -- sleep 1000", "ensure mine"] {
        assert_eq!(sandbox.call(line).code, Some(0), "{line}");
    }
}

#[test]
fn a_store_that_others_can_write_is_refused() {
    let sandbox = Sandbox::with_project(SLEEPER);
    let store = sandbox.path("state/trust");
    let mode = |mode| fs::set_permissions(&store, fs::Permissions::from_mode(mode)).expect("ours");
    mode(0o777);
    assert_words!(sandbox, sandbox.call("ensure memory"));
    assert_eq!(sandbox.call("trust").code, Some(4));
    mode(0o700);
    assert_eq!(sandbox.call("ensure memory").code, Some(0));
}

#[test]
fn a_directory_without_a_file_has_nothing_to_trust() {
    let sandbox = Sandbox::new();
    assert_words!(sandbox, sandbox.call("trust"));
}

#[test]
fn a_file_that_is_not_understood_is_not_trusted() {
    let sandbox = Sandbox::new();
    sandbox.write("project/tenure.toml", "[worker.memory]\ncomand = ['x']\n");
    assert_eq!(sandbox.call("trust").code, Some(6));
    untouched(&sandbox);
}

#[test]
fn a_command_that_tells_the_version_is_asked_last_and_a_flag_goes_without_it() {
    let sandbox = Sandbox::new();
    let canary = sandbox.path("canary");
    let tells =
        format!("version = {{ command = ['sh', '-c', 'echo 3.2.1; echo x >> {}'] }}\n", canary.display());
    sandbox.write("project/tenure.toml", &format!("{SLEEPER}{tells}"));
    assert_eq!(sandbox.call("ensure memory --version 1.0.0").code, Some(6));
    assert_eq!(sandbox.call("trust").code, Some(0));
    assert_eq!(sandbox.call("ensure memory --version 3.0.0 --json").document()["version"], "3.0.0");
    assert!(!canary.exists(), "nobody asked the command");
    assert_eq!(sandbox.call("ensure memory --json").document()["version"], "3.2.1");
    assert!(canary.exists());
    let shown = sandbox.call("config show memory").stdout;
    assert!(shown.contains("the command printed 3.2.1"), "{shown}");
}

#[test]
fn trust_names_the_file_of_variables_and_shows_none_of_its_values() {
    let sandbox = Sandbox::new();
    sandbox.write(".env", "TOKEN=hunter2\n");
    sandbox.write("tenure.toml", &format!("{SLEEPER}env = {{ file = '.env' }}\n"));
    let told = sandbox.call("trust").stderr;
    assert!(told.contains("gets the variables of: .env") && !told.contains("hunter2"), "{told}");
}

//! Paths, arguments and variables of any bytes and any length that the system takes.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::kit::{Sandbox, TENURE};

/// A name that is not UTF-8: `caf\xe9`.
const NAME: &[u8] = b"caf\xe9";

/// The same in a document.
const TEXT: &str = "caf\u{1000e9}";

/// What a worker writes of itself before it says that it is ready.
const REPORT: &str = "[worker.web]\ncommand = ['sh', '-c', 'pwd >where; printf %s \"$KEPT\" >kept; env | wc -c >size; \
                      echo ready; exec sleep 1000']\nready = { log = 'ready' }\nenv = { keep = ['KEPT', 'BIG_*'] }\n";

fn words(line: &str) -> Vec<OsString> {
    line.split(' ').map(OsString::from).collect()
}

fn project(sandbox: &Sandbox) -> PathBuf {
    let project = sandbox.path("").join(OsStr::from_bytes(NAME));
    fs::create_dir(&project).expect("made");
    fs::write(project.join("tenure.toml"), REPORT).expect("written");
    project
}

#[test]
fn a_project_may_have_a_name_that_is_no_text() {
    let sandbox = Sandbox::new();
    let project = project(&sandbox);
    let call = |line: &str| {
        let said = sandbox.call_in(&project, &words(line));
        assert_eq!(said.code, Some(0), "{line}: {said:?}");
        said
    };
    let trusted: Value = serde_json::from_str(&call("trust --json").stdout).expect("a document");
    assert!(trusted["path"].as_str().is_some_and(|path| path.ends_with(&format!("{TEXT}/tenure.toml"))));
    call("ensure web");
    let written = fs::read(project.join("where")).expect("it ran there");
    assert!(written.ends_with(b"/caf\xe9\n"), "{written:?}");
    for line in
        ["ensure web", "ensure web --json", "status web -v", "status web --json", "logs web", "events web"]
    {
        call(line);
    }
    call("config check --json");
    let shown: Value = serde_json::from_str(&call("config show web --json").stdout).expect("a document");
    assert!(shown.to_string().contains(TEXT), "{shown}");
    call("restart web");
    call("doctor web");
    call("stop web");
}

#[test]
fn a_hint_names_such_a_directory_as_a_shell_takes_it() {
    let sandbox = Sandbox::new();
    let refused = sandbox.call_in(&project(&sandbox), &words("ensure web"));
    assert_eq!(refused.code, Some(6));
    let hint = refused.stderr.split('`').nth(1).expect("a command");
    let typed = hint.replacen("tenure", TENURE, 1);
    let said = sandbox.foreign("bash", "", &typed).expect("bash is there");
    assert_eq!(said.code, Some(0), "{typed}: {said:?}");
    assert_eq!(
        sandbox.call_in(&sandbox.path("").join(OsStr::from_bytes(NAME)), &words("ensure web")).code,
        Some(0)
    );
}

#[test]
fn arguments_may_have_any_bytes_and_the_same_ones_are_the_same_worker() {
    let sandbox = Sandbox::new();
    let command = |last: &[u8]| {
        let mut args = words("ensure web -- sh -c");
        args.extend(["sleep 1000; true".into(), "sh".into(), OsString::from_vec(last.to_vec())]);
        sandbox.call_in(&sandbox.path("project"), &args)
    };
    assert_eq!(command(b"a\xff\xfe\xe9").code, Some(0));
    let pid = sandbox.call("status web --json").document()["program"]["identity"]["pid"].to_string();
    let got = fs::read(format!("/proc/{pid}/cmdline")).expect("it runs");
    assert!(got.ends_with(b"\0a\xff\xfe\xe9\0"), "{got:?}");
    assert_eq!(command(b"a\xff\xfe\xe9").code, Some(0), "no difference, no conflict");
    assert_eq!(command(b"a\xff\xfe\xe8").code, Some(5), "another byte is another command");
    let document = sandbox.call("status web --json").document();
    assert_eq!(document["command"][4], "a\u{1000ff}\u{1000fe}\u{1000e9}", "{document}");
    // What a document says, --spec takes.
    let spec = serde_json::json!({ "command": document["command"], "cwd": document["cwd"] });
    assert_eq!(sandbox.call_with("ensure web --spec -", &spec.to_string()).code, Some(0));
}

#[test]
fn a_variable_may_have_any_bytes_and_the_environment_any_length() {
    let mut sandbox = Sandbox::new();
    let project = project(&sandbox);
    sandbox.set("KEPT", OsString::from_vec(b"v\x80\xff".to_vec()));
    let big = "x".repeat(100 * 1024);
    for number in 0..10 {
        sandbox.set(&format!("BIG_{number}"), big.as_str());
    }
    for line in ["trust", "ensure web"] {
        let said = sandbox.call_in(&project, &words(line));
        assert_eq!(said.code, Some(0), "{line}: {said:?}");
    }
    assert_eq!(fs::read(project.join("kept")).expect("written"), b"v\x80\xff");
    let size: usize =
        fs::read_to_string(project.join("size")).expect("written").trim().parse().expect("a number");
    assert!(size > 1_000_000, "{size}");
    assert_eq!(sandbox.call_in(&project, &words("restart web")).code, Some(0));
}

#[test]
fn values_that_a_file_sets_may_be_as_long_as_the_file() {
    let sandbox = Sandbox::new();
    let sets: Vec<String> =
        (0..8).map(|number| format!("V{number} = '{}'", "y".repeat(100 * 1024))).collect();
    let file =
        format!("{REPORT}[worker.web.env.set]\n{}\n", sets.join("\n")).replace("env = {", "env = { #\n");
    let file = file.replace("env = { #\n keep = ['KEPT', 'BIG_*'] }\n", "");
    sandbox.write("project/tenure.toml", &file);
    assert_eq!(sandbox.call("trust").code, Some(0));
    let said = sandbox.call("ensure web");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(sandbox.call("status web").code, Some(0));
}

#[test]
fn a_removed_working_directory_stops_only_what_needs_it() {
    let sandbox = Sandbox::new();
    sandbox.write("user/a.toml", "[worker.mine]\ncommand = ['sleep', '1000']\ncwd = '/'\n");
    assert_eq!(sandbox.call("ensure web -- sleep 1000").code, Some(0));
    let gone = sandbox.path("gone");
    let call = |line: &str| {
        let script = format!("cd '{0}' && rmdir '{0}' && exec {TENURE} {line}", gone.display());
        fs::create_dir(&gone).expect("made");
        sandbox.foreign("bash", "", &script).expect("bash is there")
    };
    let without = [
        ("status web", 0),
        ("status mine", 3),
        ("status", 3),
        ("list", 0),
        ("logs web", 0),
        ("events web", 0),
        ("doctor web", 0),
        ("doctor", 0),
        ("config check", 0),
        ("config show", 0),
        ("config schema", 0),
        ("version", 0),
        ("ensure mine", 0),
        ("restart mine", 0),
        ("ensure web --no-daemon --config /nowhere", 6),
        ("unpin web", 0),
        ("forget web 9.9.9", 5),
        ("stop mine", 0),
        ("start mine", 0),
        ("stop mine", 0),
        ("stop web", 0),
        ("trust /", 6),
        ("man", 0),
        ("completions bash", 0),
        ("ensure web -C / -- sleep 1000", 0),
        ("stop web", 0),
    ];
    for (line, code) in without {
        let said = call(line);
        assert_eq!(said.code, Some(code), "{line}: {said:?}");
        assert!(!said.stderr.contains("which was removed:"), "{line}: {said:?}");
    }
    for line in
        ["ensure web -- sleep 1000", "init", "trust", "-C . status web", "config check --config a.toml"]
    {
        let said = call(line);
        assert!(
            said.stderr.contains("start from the current directory, which was removed"),
            "{line}: {said:?}"
        );
        assert!(said.stderr.contains("hint: `cd` to a directory that exists"), "{line}: {said:?}");
    }
}

#[test]
fn the_path_of_tenure_and_of_its_state_may_be_no_text() {
    let mut sandbox = Sandbox::new();
    let place = sandbox.path("").join(OsStr::from_bytes(NAME));
    fs::create_dir(&place).expect("made");
    sandbox.set("TENURE_STATE_DIR", place.join("state"));
    let copy = place.join("tenure");
    fs::copy(Path::new(TENURE), &copy).expect("copied");
    let said = sandbox.call_program(&copy, &place, &words("ensure web -- sleep 1000"));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(sandbox.call_in(&place, &words("restart web -- sleep 1000")).code, Some(0));
    assert_eq!(sandbox.call("logs web --json").code, Some(0));
    assert_eq!(sandbox.call("status web --json").code, Some(0));
}

//! What is inherited from whoever happens to be first, what helpers get, and programs that cannot come: each has a rule, and
//! none depends on the launcher.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tenure_sys::process::ProcessHandle;
use tenure_test::meeting::PATIENCE;
use tenure_test::sandbox::Sandbox;
use tenure_test::usual::{Binaries, complaint, describe, ensure, shell, started, status, stop};

const BINARIES: Binaries =
    Binaries { tenure: env!("CARGO_BIN_EXE_tenure-faulted"), program: env!("CARGO_BIN_EXE_fixture-program") };

/// `w`, a program that sleeps, with these lines beside.
fn sleeper(lines: &str) -> Sandbox {
    let sandbox = BINARIES.sandbox(&[]);
    describe(&sandbox, &format!("command = [\"sleep\", \"1000\"]\n{lines}"));
    sandbox
}

fn version(call: tenure_test::sandbox::Call<'_>) -> String {
    call.run().expect(0).json()["version"].as_str().expect("a version").to_owned()
}

#[test]
fn a_version_command_looks_where_the_worker_is_and_not_where_a_hook_points() {
    let sandbox = sleeper("version = { command = [\"sh\", \"-c\", \"cat ${GIT_DIR:-.}/VERSION\"] }\n");
    let other = sandbox.path().join("other");
    fs::create_dir(&other).expect("ours");
    fs::write(other.join("VERSION"), "9.9.9\n").expect("ours");
    fs::write(sandbox.work().join("VERSION"), "1.0.0\n").expect("ours");
    let hook = ensure(&sandbox).env("GIT_DIR", &other.display().to_string());
    assert_eq!(version(hook), "1.0.0");
    assert_eq!(version(ensure(&sandbox)), "1.0.0", "nor does anybody find an answer that was kept");
    stop(&sandbox).expect(0);
}

#[test]
fn a_version_that_depends_on_a_variable_that_passes_is_asked_anew_when_that_changes() {
    let sandbox = sleeper(
        "version = { command = [\"sh\", \"-c\", \"echo $MAJOR.0.0\"] }\nenv = { keep = [\"MAJOR\"] }\nbake = \"0s\"\n",
    );
    assert_eq!(version(ensure(&sandbox).env("MAJOR", "1")), "1.0.0");
    assert_eq!(version(ensure(&sandbox).env("MAJOR", "2")), "2.0.0");
    stop(&sandbox).expect(0);
}

#[test]
fn a_readiness_command_that_is_not_there_fails_the_start_at_once_by_its_name() {
    let sandbox = sleeper("ready = { exec = [\"no-such-check\", \"now\"] }\n");
    let told = ensure(&sandbox).run().expect(1);
    let complaint = complaint(&told);
    assert!(complaint.contains("no-such-check"), "{complaint}");
    assert!(!complaint.contains("within"), "nobody waited for it: {complaint}");
    assert!(sandbox.processes().is_empty());
}

/// Has the program of `w`, which is `script` at `./run.sh`, end after `change`, and waits until its worker has given up.
fn given_up_after(script: &str, change: impl FnOnce(&Sandbox)) {
    // Another try would follow after a wait that no test has the patience for.
    let sandbox = BINARIES.sandbox(&[]);
    describe(
        &sandbox,
        "command = [\"./run.sh\"]\nready = \"fd\"\n\
         restart = { on = \"always\", backoff = [\"1ms\", \"24h\"], limit = 1000 }\n",
    );
    let write = shell(&sandbox, "mkfifo go && printf '%s' \"$TEXT\" > run.sh && chmod 755 run.sh");
    write.env("TEXT", script).run().expect(0);
    let worker = ProcessHandle::open(started(&sandbox)).expect("it runs");
    change(&sandbox);
    fs::write(sandbox.work().join("go"), "\n").expect("it reads");
    assert!(worker.wait_ended(Some(PATIENCE)).expect("a handle"), "it waits for a program that cannot come");
    assert_eq!(status(&sandbox).code(), 3);
}

const ENDS_ON_A_WORD: &str = "#!/bin/sh\necho >&$TENURE_READY_FD\nread x < go\nexit 3\n";

#[test]
fn a_program_that_was_removed_is_not_waited_for_between_restarts() {
    given_up_after(ENDS_ON_A_WORD, |sandbox| {
        fs::remove_file(sandbox.work().join("run.sh")).expect("there");
    });
}

#[test]
fn a_program_whose_interpreter_was_removed_is_not_waited_for() {
    given_up_after(ENDS_ON_A_WORD, |sandbox| {
        let next = sandbox.work().join("next");
        fs::write(&next, "#!/no/such/interpreter\n").expect("ours");
        fs::set_permissions(&next, fs::Permissions::from_mode(0o755)).expect("ours");
        fs::rename(next, sandbox.work().join("run.sh")).expect("ours");
    });
}

#[test]
fn a_program_that_may_not_be_executed_any_more_is_not_waited_for() {
    given_up_after(ENDS_ON_A_WORD, |sandbox| {
        let path = sandbox.work().join("run.sh");
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("ours");
    });
}

//! Programs that cannot run and ports that are taken: told at once, by name, and nothing is left of the try.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use tenure_test::fixtures::answer::complaint;
use tenure_test::fixtures::call::Output;
use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::fixtures::worker::{self, describe, ensure, status, stop};

use crate::BINARIES;

fn refused(sandbox: &Sandbox, words: &[&str]) -> Output {
    let refused = ensure(sandbox).run().expect(1);
    let complaint = complaint(&refused);
    for word in words {
        assert!(complaint.contains(word), "{word}: {complaint}");
    }
    assert!(sandbox.processes().is_empty(), "nothing is left of the try");
    assert_eq!(status(sandbox).code(), 3);
    refused
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let sandbox = BINARIES.sandbox(&[]);
    for program in ["/no/such/program", "no-such-program-anywhere", "./none", "/etc/passwd/none"] {
        describe(&sandbox, &format!("command = [{program:?}]\n"));
        refused(&sandbox, &[program, "check `command`"]);
    }
}

#[test]
fn what_is_there_and_cannot_be_run_is_named() {
    let sandbox = BINARIES.sandbox(&[]);
    let path = sandbox.work().join("program");
    let line = format!("command = [{path:?}]\n");
    fs::write(&path, "no program\n").expect("ours");
    describe(&sandbox, &line);
    refused(&sandbox, &["program"]);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("ours");
    refused(&sandbox, &["cannot be executed", "Exec format"]);
    fs::write(&path, "#!/no/interpreter\n").expect("ours");
    describe(&sandbox, &format!("{line}env = {{ set = {{ TRY = \"2\" }} }}\n"));
    refused(&sandbox, &["interpreter"]);
    fs::remove_file(&path).expect("ours");
    fs::create_dir(&path).expect("ours");
    refused(&sandbox, &["program"]);
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let sandbox = BINARIES.sandbox(&[]);
    fs::write(sandbox.config().join("file"), "").expect("ours");
    for cwd in ["gone", "file"] {
        describe(&sandbox, &format!("command = [\"sleep\", \"60\"]\ncwd = {cwd:?}\n"));
        refused(&sandbox, &["no directory", cwd, "check `command`, `cwd`"]);
    }
}

#[test]
fn a_worker_whose_program_file_was_removed_serves_on_and_its_loss_is_named_at_the_next_start() {
    let sandbox = BINARIES.sandbox(&[]);
    let copy = sandbox.work().join("program");
    fs::copy(BINARIES.program, &copy).expect("ours");
    let oracle = sandbox.oracle().directory().display().to_string();
    describe(&sandbox, &format!("{}command = [{copy:?}, {oracle:?}, \"1.0.0\"]\n", worker::HTTP));
    let pid = worker::started(&sandbox);
    fs::remove_file(&copy).expect("ours");
    assert_eq!(ensure(&sandbox).run().expect(0).json()["pid"], pid);
    let restart = sandbox.tenure(["restart", "w", "--json"]).run().expect(1);
    assert!(complaint(&restart).contains("nothing was stopped"), "{}", restart.stdout);
    assert_eq!(status(&sandbox).expect(0).json()["pid"], pid);
    stop(&sandbox).expect(0);
    refused(&sandbox, &["no program", "work/program"]);
    fs::copy(BINARIES.program, &copy).expect("ours");
    assert_eq!(ensure(&sandbox).run().expect(0).state(), "started");
    stop(&sandbox).expect(0);
}

/// A port that this test holds.
fn held() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    (listener, address)
}

#[test]
fn a_foreign_process_on_the_port_is_named_with_pid_and_command() {
    let command = tenure_sys::process::command_line(std::process::id()).expect("our own");
    let own = format!("pid {} ({command})", std::process::id());
    for mode in ["inherit", "self"] {
        let sandbox = BINARIES.sandbox(&[]);
        let (listener, address) = held();
        let line = format!(
            "command = [{:?}, {:?}, \"1.0.0\"]\nlisten = [{{ name = \"http\", tcp = {address:?}, mode = {mode:?} }}]\n",
            BINARIES.program,
            sandbox.oracle().directory(),
        );
        describe(&sandbox, &line);
        refused(&sandbox, &[&own, &address, "free the address"]);
        // The next one is told the same at once, and what frees the address need not wait.
        let suppressed = refused(&sandbox, &[&own, "tenure restart"]);
        assert_eq!(suppressed.state(), "spawn-suppressed", "{}", suppressed.stdout);
        assert_eq!(sandbox.oracle().count("start"), 0, "{mode}: no program was started");
        drop(listener);
        if mode == "inherit" {
            sandbox.tenure(["restart", "w", "--json"]).run().expect(0);
            stop(&sandbox).expect(0);
        }
    }
}

#[test]
fn a_foreign_process_that_took_the_remembered_port_moves_the_worker_to_another() {
    let sandbox = BINARIES.sandbox(&[]);
    let endpoint = |output: &Output| output.json()["endpoints"][0]["tcp"].as_str().expect("one").to_owned();
    let first = endpoint(&ensure(&sandbox).run().expect(0));
    stop(&sandbox).expect(0);
    let Ok(_listener) = TcpListener::bind(&first) else { return };
    let second = endpoint(&ensure(&sandbox).run().expect(0));
    assert_ne!(first, second);
    stop(&sandbox).expect(0);
}

#[test]
fn an_address_that_is_not_this_machines_is_named() {
    let sandbox = BINARIES.sandbox(&[]);
    describe(
        &sandbox,
        "command = [\"sleep\", \"60\"]\nlisten = [{ name = \"http\", tcp = \"192.0.2.1:80\" }]\n",
    );
    refused(&sandbox, &["192.0.2.1:80", "Cannot assign requested address"]);
}

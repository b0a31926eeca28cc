//! The doctor looks at real workers in real trouble: it names what is the matter and whom, starts nothing, and changes
//! nothing at all.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tenure_core::fault::Point;
use tenure_sys::process::{ProcessHandle, Signal};
use tenure_sys::socket::SockDiag;
use tenure_test::fixtures::call::{Call, Output};
use tenure_test::fixtures::processes::freeze;
use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::fixtures::system::{NOBODY, as_user, can_unshare, give_away, is_root, shell, tool};
use tenure_test::fixtures::worker::{describe, ensure, started, stop};

use crate::BINARIES;

fn doctor(sandbox: &Sandbox) -> Output {
    sandbox.tenure(["doctor", "w", "--json"]).run()
}

/// The finding of a check, which must be there.
fn finding(output: &Output, check: &str) -> serde_json::Value {
    let json = output.json();
    let findings = json["findings"].as_array().expect("a list").clone();
    findings.into_iter().find(|finding| finding["check"] == check).unwrap_or_else(|| missing(output, check))
}

#[expect(clippy::panic, reason = "a finding that is missing fails the test")]
fn missing(output: &Output, check: &str) -> serde_json::Value {
    panic!("no finding {check} in {}{}", output.stdout, output.stderr)
}

/// The names of all findings but the one that every sandbox has: its own state directory.
fn names(output: &Output) -> Vec<String> {
    let json = output.json();
    let findings = json["findings"].as_array().expect("a list").iter();
    let names = findings.map(|finding| finding["check"].as_str().expect("a name").to_owned());
    names.filter(|name| name != "other-root").collect()
}

fn evidence(finding: &serde_json::Value) -> String {
    let lines = finding["evidence"].as_array().expect("a list").iter();
    lines.filter_map(|line| line.as_str()).collect::<Vec<_>>().join("\n")
}

/// Every file below a directory, with all that a change of it would change.
fn tree(root: &Path) -> BTreeMap<PathBuf, (u64, u32, u64, i64, i64)> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        let meta = fs::symlink_metadata(&path).expect("it is there");
        if meta.is_dir() {
            let entries = fs::read_dir(&path).expect("ours");
            open.extend(entries.map(|entry| entry.expect("an entry").path()));
        }
        found.insert(path, (meta.ino(), meta.mode(), meta.len(), meta.mtime(), meta.mtime_nsec()));
    }
    found
}

fn handle(pid: u32) -> ProcessHandle {
    ProcessHandle::open(pid).expect("it lives")
}

#[test]
fn a_doctor_that_looks_changes_nothing_and_starts_nothing() {
    let sandbox = BINARIES.sandbox(&[]);
    let unchanged = |words: &[&str]| {
        let (before, ran) = (tree(&sandbox.state_root()), sandbox.processes().len());
        let output = sandbox.tenure(words.iter().copied()).run().expect(0);
        assert_eq!(tree(&sandbox.state_root()), before, "{words:?}");
        assert_eq!(sandbox.processes().len(), ran, "{words:?}");
        output
    };
    let all: [&[&str]; 4] = [&["doctor"], &["doctor", "w"], &["doctor", "--json"], &["doctor", "w", "--fix"]];
    for words in all {
        unchanged(words);
    }
    started(&sandbox);
    for words in all {
        unchanged(words);
    }
    assert_eq!(names(&unchanged(&["doctor", "w", "--json"])), [""; 0]);
    stop(&sandbox).expect(0);
    for words in all {
        unchanged(words);
    }
    assert_eq!(names(&unchanged(&["doctor", "--json"])), [""; 0]);
}

#[test]
fn a_stopped_worker_is_named_with_the_command_that_lets_it_go_on() {
    let sandbox = BINARIES.sandbox(&[]);
    let pid = started(&sandbox);
    let worker = handle(pid);
    freeze(&worker);
    let output = doctor(&sandbox).expect(7);
    assert_eq!((output.state(), names(&output)), ("findings".to_owned(), vec!["worker-stopped".to_owned()]));
    let stopped = finding(&output, "worker-stopped");
    assert!(evidence(&stopped).contains(&format!("pid {pid} (")), "{stopped}");
    assert_eq!(stopped["remedy"], format!("`kill -CONT {pid}`"));
    let mended = sandbox.tenure(["doctor", "w", "--fix", "--json"]).run().expect(7);
    assert_eq!(mended.json()["fixed"].as_array().map(Vec::len), Some(0), "nothing of it is safe to do");
    assert!(!worker.has_ended());
    worker.signal(Signal::Cont).expect("ours");
    assert_eq!(names(&doctor(&sandbox).expect(0)), [""; 0]);
    stop(&sandbox).expect(0);
}

#[test]
fn a_stopped_holder_of_the_gate_is_named_and_a_fix_does_not_wait_for_it() {
    let sandbox = BINARIES.sandbox(&[]);
    let meeting = sandbox.meeting("gate");
    let holder = ensure(&sandbox).fault(&meeting.armed(Point::GateEntered)).start();
    let met = meeting.meet();
    assert_eq!(names(&doctor(&sandbox).expect(0)), ["gate-held"], "a launcher at work is no trouble");
    freeze(holder.child().handle());
    let output = doctor(&sandbox).expect(7);
    let gate = finding(&output, "gate-holder-stopped");
    assert_eq!(gate["remedy"], format!("`kill -CONT {}`", met.pid));
    assert!(evidence(&gate).contains("ensure w"), "{gate}");
    // A fix that needs the gate says whom it did not wait for.
    fs::write(sandbox.scope("w").join("ledger.json"), "{").expect("ours");
    let fix = sandbox.tenure(["doctor", "w", "--fix", "--json", "--timeout", "100ms"]).run().expect(7).json();
    let fixed = fix["fixed"][0].clone();
    assert_eq!(fixed["done"], false, "{fix}");
    assert!(fixed["said"].as_str().is_some_and(|said| said.contains(&format!("pid {}", met.pid))), "{fix}");
    fs::remove_file(sandbox.scope("w").join("ledger.json")).expect("still there");
    holder.signal(Signal::Cont);
    met.release();
    holder.wait().expect(0);
    stop(&sandbox).expect(0);
}

#[test]
fn a_directory_that_may_not_be_read_is_named_with_its_mode() {
    let sandbox = BINARIES.sandbox_for_others(&[]);
    if !is_root() {
        return;
    }
    give_away(sandbox.path(), NOBODY);
    let run = |words: &[&str]| as_user(&sandbox, NOBODY, words).map(Call::run);
    let Some(first) = run(&["ensure", "w", "--json"]) else { return };
    first.expect(0);
    fs::set_permissions(sandbox.scope("w"), fs::Permissions::from_mode(0o000)).expect("root");
    let output = run(&["doctor", "w", "--json"]).expect("as before").expect(7);
    let locked = finding(&output, "locked-out");
    assert!(evidence(&locked).contains("mode 0000"), "{locked}");
    let mended = run(&["doctor", "w", "--json", "--fix"]).expect("as before").expect(0).json();
    assert_eq!(mended["fixed"][0]["done"], true, "{mended}");
    assert_eq!(run(&["status", "w", "--json"]).expect("as before").expect(0).state(), "up");
    let host = tenure_core::store::paths::host_directory(&sandbox.state_root()).expect("its own file tells");
    fs::set_permissions(&host, fs::Permissions::from_mode(0o000)).expect("root");
    for words in [&["doctor", "--json"][..], &["doctor", "w", "--json"]] {
        let output = run(words).expect("as before").expect(7);
        assert!(names(&output).contains(&"locked-out".to_owned()), "{}", output.stdout);
    }
    fs::set_permissions(&host, fs::Permissions::from_mode(0o700)).expect("root");
    let root = sandbox.state_root();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o000)).expect("root");
    let output = run(&["doctor", "w", "--json"]).expect("as before").expect(7);
    assert_eq!(names(&output), ["locked-out"], "only the root itself: {}", output.stdout);
    assert_eq!(finding(&output, "locked-out")["remedy"], format!("`chmod 700 {}`", root.display()));
    assert_eq!(output.json()["checked"][1]["parts"].as_array().map(Vec::len), Some(0), "{}", output.stdout);
    fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).expect("root");
    run(&["stop", "w"]).expect("as before").expect(0);
}

#[test]
fn a_record_of_a_newer_tenure_is_named_and_left_alone() {
    let sandbox = BINARIES.sandbox(&[]);
    started(&sandbox);
    stop(&sandbox).expect(0);
    let newer = r#"{"schema_version":99,"generation":5,"host":{"exe":"/opt/tenure","version":"9.9.9"}}"#;
    fs::write(sandbox.scope("w").join("ledger.json"), newer).expect("ours");
    let before = tree(&sandbox.state_root());
    let output = sandbox.tenure(["doctor", "w", "--fix", "--json"]).run().expect(7);
    assert!(evidence(&finding(&output, "record-too-new")).contains("format 99"), "{}", output.stdout);
    assert_eq!(tree(&sandbox.state_root()), before);
}

#[test]
fn a_configuration_that_cannot_be_used_hides_no_worker() {
    let sandbox = BINARIES.sandbox(&[]);
    started(&sandbox);
    describe(&sandbox, "comand = [\"x\"]\n");
    for words in [&["doctor", "--json"][..], &["doctor", "w", "--json"]] {
        let output = sandbox.tenure(words.iter().copied()).run().expect(7);
        let wrong = finding(&output, "configuration");
        assert!(evidence(&wrong).contains("comand"), "{wrong}");
        let checked = output.json()["checked"].clone();
        let looked = checked.as_array().expect("a list").iter().find(|one| one["worker"] == "w");
        let parts = looked.expect("the worker has state")["parts"].as_array().map(Vec::len);
        assert!(parts > Some(8), "it was looked at all the same: {checked}");
    }
    BINARIES.describe(&sandbox, &[]);
    stop(&sandbox).expect(0);
}

#[test]
fn whoever_has_the_port_is_named() {
    let sandbox = BINARIES.sandbox(&[]);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address");
    describe(
        &sandbox,
        &format!("listen = [{{ name = \"http\", tcp = \"{address}\" }}]\ncommand = [\"sleep\", \"1000\"]\n"),
    );
    ensure(&sandbox).run().expect(1);
    let output = doctor(&sandbox).expect(7);
    let port = finding(&output, "port-taken");
    let own = format!("pid {}", std::process::id());
    assert!(evidence(&port).contains(&own) && evidence(&port).contains(&address.to_string()), "{port}");
    finding(&output, "quarantined");
    drop(taken);
    assert!(!names(&doctor(&sandbox)).contains(&"port-taken".to_owned()));
}

/// The tables hold every connection of the machine, and reading them takes seconds where there are many.
/// Listens at an address of its own, meets the test, and is never ready.
const ELSEWHERE: &str = r#"
import os, signal, socket, sys
server = socket.create_server(("127.0.0.1", 0))
meeting = socket.socket(socket.AF_UNIX)
meeting.connect(sys.argv[1])
meeting.sendall(b"%d %d\n" % (server.getsockname()[1], os.getpid()))
signal.pause()
"#;

#[test]
fn where_a_program_listens_is_told_while_it_boots() {
    if tool("python3").is_none() {
        return;
    }
    let sandbox = BINARIES.sandbox(&[]);
    let meeting = sandbox.meeting("elsewhere");
    let path = meeting.word().replace("meet=", "");
    describe(&sandbox, &format!("command = {:?}\nready = \"notify\"\n", ["python3", "-c", ELSEWHERE, &path]));
    let start = ensure(&sandbox).start();
    let met = meeting.meet();
    let told = evidence(&finding(&doctor(&sandbox), "app-booting"));
    assert!(told.contains(&format!("its program listens on 127.0.0.1:{}", met.point)), "{told}");
    stop(&sandbox).expect(0);
    drop(start.wait());
}

#[test]
fn who_listens_is_not_looked_for_among_all_connections() {
    let sandbox = BINARIES.sandbox(&[]);
    let (Some(strace), true) = (tool("strace"), SockDiag::new().is_ok()) else { return };
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address");
    describe(
        &sandbox,
        &format!("listen = [{{ name = \"http\", tcp = \"{address}\" }}]\ncommand = [\"sleep\", \"1000\"]\n"),
    );
    let trace = sandbox.path().join("trace");
    let traced = |words: &str| {
        let script =
            format!("exec {} -f -qq -o {} -e trace=openat \"$T\" {words}", strace.display(), trace.display());
        let output = shell(&sandbox, &script).run();
        let opened = fs::read_to_string(&trace).unwrap_or_default();
        assert!(!opened.contains("/net/tcp"), "{words}: {opened}");
        (output, opened)
    };
    let (_, opened) = traced("ensure w --json");
    if !opened.contains("openat(") {
        return;
    }
    let (output, _) = traced("doctor w --json");
    finding(&output, "port-taken");
}

#[test]
fn a_worker_whose_lease_was_replaced_is_told_from_a_healthy_one() {
    let sandbox = BINARIES.sandbox(&[]);
    started(&sandbox);
    fs::rename(sandbox.scope("w").join("instance"), sandbox.path().join("instance")).expect("ours");
    let output = doctor(&sandbox).expect(7);
    finding(&output, "lease-lost");
    fs::rename(sandbox.path().join("instance"), sandbox.scope("w").join("instance")).expect("ours");
    assert_eq!(names(&doctor(&sandbox).expect(0)), [""; 0]);
    stop(&sandbox).expect(0);
}

#[test]
fn a_holder_that_no_record_names_is_found_by_its_lock() {
    let sandbox = BINARIES.sandbox(&[]);
    started(&sandbox);
    stop(&sandbox).expect(0);
    let instance = fs::File::open(sandbox.scope("w").join("instance")).expect("it stays");
    instance.lock().expect("nobody has it");
    let output = doctor(&sandbox).expect(7);
    let holder = finding(&output, "unknown-holder");
    assert!(evidence(&holder).contains(&format!("pid {} (", std::process::id())), "{holder}");
    drop(instance);
    assert_eq!(names(&doctor(&sandbox).expect(0)), [""; 0]);
}

#[test]
fn a_full_disk_is_named() {
    let sandbox = BINARIES.sandbox(&[]);
    let Some(unshare) = can_unshare(&sandbox, &["-m"]) else { return };
    let script = r#"
        mount -t tmpfs -o size=512k,mode=700 none "$TENURE_STATE_DIR"
        dd if=/dev/zero of="$TENURE_STATE_DIR/fill" bs=1k 2>/dev/null || true
        "$T" doctor --json
    "#;
    let tenure = sandbox.executable().display().to_string();
    let output = sandbox.command(&unshare, ["-m", "/bin/sh", "-c", script]).env("T", &tenure).run().expect(7);
    assert!(evidence(&finding(&output, "disk-full")).contains("room for"), "{}", output.stdout);
}

#[test]
fn a_variable_that_changes_what_is_done_is_named() {
    let sandbox = BINARIES.sandbox(&[]);
    let call =
        sandbox.tenure(["doctor", "--json"]).env("TENURE_NO_SPAWN", "1").env("TENURE_HOST", "/nowhere");
    let output = call.run().expect(7);
    assert_eq!(names(&output), ["host-variable", "starting-forbidden"]);
}

#[test]
fn people_read_the_worst_first_with_what_to_type() {
    let sandbox = BINARIES.sandbox(&[]);
    let pid = started(&sandbox);
    freeze(&handle(pid));
    let told = shell(&sandbox, r#""$T" doctor"#).run().expect(7).stdout;
    assert!(told.contains("machine: 1 finding\n") && told.contains("w (no answer): 1 finding\n"), "{told}");
    assert!(told.contains("error: the worker is stopped"), "{told}");
    assert!(told.contains(&format!("      -> `kill -CONT {pid}`\n")), "{told}");
    handle(pid).signal(Signal::Cont).expect("ours");
    let told = shell(&sandbox, r#""$T" doctor w"#).run().expect(0).stdout;
    assert!(told.contains("generation 1): no finding: state directory, gate, lease"), "{told}");
    stop(&sandbox).expect(0);
}

#[test]
fn a_worker_whose_own_log_was_moved_is_told_and_the_remedy_helps() {
    let sandbox = BINARIES.sandbox(&[]);
    started(&sandbox);
    let logs = sandbox.scope("w").join("logs");
    assert!(!names(&doctor(&sandbox)).contains(&"log-moved".to_owned()));
    for moved in ["worker.log.1", "elsewhere", ""] {
        let log = logs.join("worker.log");
        if moved.is_empty() { fs::remove_file(&log) } else { fs::rename(&log, logs.join(moved)) }
            .expect("ours");
        let output = doctor(&sandbox);
        if moved == "elsewhere" {
            // By its name it cannot be told from what a worker has pointed its output to.
            assert!(!names(&output).contains(&"log-moved".to_owned()), "{}", output.stdout);
        } else {
            let found = finding(&output, "log-moved");
            assert_eq!(found["remedy"], "`tenure restart w`", "{found}");
            assert!(evidence(&found).contains("worker.log"), "{found}");
        }
        sandbox.tenure(["restart", "w", "--timeout", "40s"]).run().expect(0);
        assert!(log.exists() && !names(&doctor(&sandbox)).contains(&"log-moved".to_owned()), "{moved}");
    }
    stop(&sandbox).expect(0);
}

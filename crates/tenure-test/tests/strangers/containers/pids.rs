//! Another pid namespace: whoever counts there can be asked and not verified, and is never signalled from here.

use std::fs;

use serde_json::Value;
use tenure_sys::process::{ProcessHandle, Signal};
use tenure_test::fixtures::answer::complaint;
use tenure_test::fixtures::call::Output;
use tenure_test::fixtures::processes;
use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::fixtures::system::shell;
use tenure_test::fixtures::worker::{ensure, shim, started, status, stop};

use super::{PID, can, carrier_of, findings, id, inside, serves_as, worker_outside};
use crate::BINARIES;

/// Runs `script` beside a worker outside of its pid namespace, and gives what it said.
fn beside_outer_worker(script: &str) -> Option<(Sandbox, ProcessHandle, Output)> {
    let (sandbox, outer) = worker_outside(&PID)?;
    let said = inside(&sandbox, &PID, script).run();
    Some((sandbox, outer, said))
}

#[test]
fn a_worker_outside_of_the_containers_pid_namespace_is_used() {
    let script = "\"$T\" ensure w --json --timeout 20s";
    let Some((sandbox, outer, said)) = beside_outer_worker(script) else { return };
    assert_eq!(said.expect(0).state(), "up");
    serves_as(&sandbox, &outer);
    stop(&sandbox).expect(0);
}

#[test]
fn nothing_is_told_of_whoever_has_here_the_number_that_a_worker_has_in_its_own_namespace() {
    if !can(&PID) {
        return;
    }
    let sandbox = BINARIES.sandbox(&[]);
    let there = sandbox.path().display().to_string();
    shell(&sandbox, "mkfifo up go").cwd(sandbox.path()).run().expect(0);
    let script =
        "\"$T\" ensure w --json --timeout 20s >\"$D/up\"; cat \"$D/go\"; \"$T\" stop w -q --timeout 20s";
    let container = inside(&sandbox, &PID, script).env("D", &there).start();
    let up = fs::read_to_string(sandbox.path().join("up")).expect("it was started");
    let answer: Value = serde_json::from_str(&up).expect("an answer");
    let told = sandbox.tenure(["doctor", "w", "--json"]).run();
    let status = sandbox.tenure(["status", "w"]).run();
    let list = sandbox.tenure(["list"]).run();
    fs::write(sandbox.path().join("go"), "").expect("it waits");
    container.wait().expect(0);
    assert!(!findings(&told).contains(&"inherited".to_owned()), "{}", told.stdout);
    assert!(!findings(&told).contains(&"port-of-another".to_owned()), "{}", told.stdout);
    told.expect(0);
    let pid = format!("{} of another pid namespace", answer["pid"]);
    for said in [status, list] {
        assert!(said.stdout.contains(&pid), "{}{}", said.stdout, said.stderr);
    }
}

#[test]
fn nobody_takes_the_place_of_a_worker_of_another_pid_namespace_and_that_is_said_at_once() {
    for word in ["restart w", "restart w --force", "ensure w --version 9.0.0"] {
        // Far longer than the test waits for any process: whoever spends its budget on this fails it.
        let script = format!("\"$T\" {word} --json --timeout 1h");
        let Some((sandbox, outer, said)) = beside_outer_worker(&script) else { return };
        let refused = said.expect(4);
        assert_eq!(refused.state(), "denied", "{word}: {}", refused.stdout);
        assert!(complaint(&refused).contains("pid namespace"), "{word}: {}", refused.stdout);
        assert!(complaint(&refused).contains("tenure stop w"), "the remedy: {}", refused.stdout);
        assert!(!outer.has_ended(), "{word}");
        stop(&sandbox).expect(0);
    }
}

#[test]
fn the_remedy_works_a_worker_of_another_pid_namespace_ends_when_it_is_asked() {
    let script =
        "\"$T\" stop w --json --timeout 20s >&2; \"$T\" ensure w --json --timeout 20s; \"$T\" stop w -q";
    let Some((sandbox, outer, said)) = beside_outer_worker(script) else { return };
    assert_eq!(said.expect(0).state(), "started");
    assert!(outer.has_ended());
    assert_eq!(sandbox.oracle().count("double"), 0);
}

#[test]
fn a_silent_worker_of_another_pid_namespace_is_named_and_not_signalled() {
    let Some((sandbox, outer)) = worker_outside(&PID) else { return };
    processes::freeze(&outer);
    let script = "\"$T\" ensure w --json --timeout 60s";
    let refused = inside(&sandbox, &PID, script).wedged_soon().run();
    assert_eq!(refused.state(), "wedged", "{}{}", refused.stdout, refused.stderr);
    assert!(!outer.has_ended());
    outer.signal(Signal::Cont).expect("ours");
    serves_as(&sandbox, &outer);
    stop(&sandbox).expect(0);
}

#[test]
fn a_container_that_starts_again_on_its_volume_has_a_worker_again() {
    if !can(&PID) {
        return;
    }
    let sandbox = BINARIES.sandbox(&[]);
    // The container ends with its worker in it; the next one is another pid namespace of the same boot.
    let script = "\"$T\" ensure w --json --timeout 20s";
    assert_eq!(inside(&sandbox, &PID, script).run().expect(0).state(), "started");
    let scope_id = format!("w:{}", id(&sandbox));
    let elsewhere = carrier_of(&sandbox, &scope_id);
    let script = format!("{script}; \"$T\" stop w -q --timeout 20s");
    assert_eq!(inside(&sandbox, &PID, &script).run().expect(0).state(), "started");
    // It counts outside, and no container ends it.
    assert!(!elsewhere.child().handle().has_ended(), "it was left alone");
    let again = ensure(&sandbox).run().expect(0);
    assert_eq!(again.state(), "started", "from outside of both as well");
    assert!(
        elsewhere.child().handle().has_ended(),
        "what an earlier worker has left here is ended from here"
    );
    stop(&sandbox).expect(0);
    let events = fs::read_to_string(sandbox.scope("w").join("events.jsonl")).expect("there");
    assert!(events.contains("\"unverified\""), "what could not be verified is on record: {events}");
    assert_eq!(sandbox.oracle().count("double"), 0);
}

#[test]
fn what_was_left_here_is_ended_here_whoever_of_another_pid_namespace_was_there_meanwhile() {
    let words = ["--pid", "--mount-proc"];
    if !can(&words) {
        return;
    }
    let sandbox = BINARIES.sandbox(&[]);
    started(&sandbox);
    stop(&sandbox).expect(0);
    // Only its cookie is left of it: it holds no lock.
    let left = carrier_of(&sandbox, &format!("w:{}", id(&sandbox)));
    let script = "\"$T\" ensure w --json --timeout 20s; \"$T\" stop w -q --timeout 20s";
    inside(&sandbox, &words, script).run().expect(0);
    assert!(!left.child().handle().has_ended(), "nobody there can tell whether it is theirs");
    stop(&sandbox).expect(0);
    assert!(left.child().handle().has_ended(), "a stop here finds it, though the record does not name it");
    drop(left.wait());
}

#[test]
fn what_holds_its_lock_in_another_pid_namespace_is_named_with_a_remedy_that_works() {
    let Some((sandbox, host)) = worker_outside(&PID) else { return };
    let program = processes::program(&status(&sandbox).expect(0));
    // Its shim cannot end it, and its host cannot be asked any more.
    let shim = shim(&sandbox);
    processes::freeze(&shim);
    processes::kill(&host);
    let refused = inside(&sandbox, &PID, "\"$T\" stop w --json --timeout 20s").run();
    let told = complaint(&refused);
    assert!(told.contains("in another pid namespace") && told.contains("the same command where"), "{told}");
    let doctor = inside(&sandbox, &PID, "\"$T\" doctor w").run();
    assert!(doctor.stdout.contains("where the worker was started"), "{}", doctor.stdout);
    assert!(!program.has_ended());
    stop(&sandbox).expect(0);
    assert!(program.has_ended());
}

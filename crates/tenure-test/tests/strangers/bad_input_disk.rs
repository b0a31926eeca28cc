//! Disks that are full or read-only: a cold start says so and leaves nothing half-done, a worker that runs goes on, and
//! both heal. Each test has a small file system of its own, in a mount namespace that ends with it.

use std::collections::BTreeMap;

use tenure_test::fixtures::answer::complaint;
use tenure_test::fixtures::call::Output;
use tenure_test::fixtures::limits::Limits;
use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::fixtures::system::can_unshare;
use tenure_test::fixtures::worker::HTTP;

use crate::BINARIES;

/// A small disk where the state is. `step NAME WORDS…` runs a command line and prints what came of it.
const DISK: &str = r#"
set -eu
mount -t tmpfs -o size=128k,mode=700 none "$TENURE_STATE_DIR"
step() {
    name=$1; shift
    code=0; out=$("$T" "$@" --json 2>"$HOME/stderr") || code=$?
    printf '%s %s %s\n' "$name" "$code" "$out"
}
fill() { dd if=/dev/zero of="$TENURE_STATE_DIR/fill" bs=1k 2>/dev/null || true; }
free() { rm "$TENURE_STATE_DIR/fill"; }
"#;

/// Runs a script on such a disk; what each step of it came to, or `None` where that cannot be done.
fn on_a_disk(sandbox: &Sandbox, script: &str) -> Option<BTreeMap<String, Output>> {
    let unshare = can_unshare(sandbox, &["-m"])?;
    let script = format!("{DISK}{script}");
    let tenure = sandbox.executable().display().to_string();
    let ran = sandbox.command(&unshare, ["-m", "/bin/sh", "-c", &script]).env("T", &tenure).run().expect(0);
    let steps = ran.stdout.lines().map(|line| {
        let mut parts = line.splitn(3, ' ');
        let mut next = || parts.next().expect("a name, a code and an answer").to_owned();
        let (name, code, stdout) = (next(), next().parse().ok(), next());
        let status = tenure_sys::process::ExitStatus { code, ..ran.status };
        (name, Output { status, stdout, stderr: ran.stderr.clone() })
    });
    Some(steps.collect())
}

#[test]
fn a_cold_start_on_a_full_disk_is_named_leaves_nothing_and_heals() {
    let sandbox = BINARIES.sandbox(&[]);
    let script = r#"
        fill
        step cold ensure w
        step status status w
        step stop stop w
        test ! -e "$TENURE_STATE_DIR"/*/w/control.sock
        free
        step healed ensure w
        step end stop w
    "#;
    let Some(steps) = on_a_disk(&sandbox, script) else { return };
    let cold = complaint(&steps["cold"]);
    assert_eq!(steps["cold"].code(), 4, "{cold}");
    assert!(cold.contains("No space left") && cold.contains("make room"), "{cold}");
    assert_eq!(steps["status"].code(), 3);
    assert_eq!(steps["stop"].code(), 0, "{}", steps["stop"].stdout);
    assert_eq!(steps["healed"].state(), "started", "{}", steps["healed"].stdout);
    assert_eq!(steps["healed"].json()["generation"], 1, "no generation was spent on a start that never was");
    assert_eq!(steps["end"].code(), 0);
    assert_eq!(sandbox.oracle().count("start"), 1, "the failed start ran no program");
}

#[test]
fn a_worker_goes_on_while_its_disk_is_full_and_can_be_stopped() {
    let sandbox = BINARIES.sandbox(&[]);
    let script = r"
        step first ensure w
        fill
        step again ensure w
        step status status w
        step list list
        step stop stop w
        free
        step healed ensure w
        step end stop w
    ";
    let Some(steps) = on_a_disk(&sandbox, script) else { return };
    for (step, state) in [("first", "started"), ("again", "up"), ("status", "up"), ("healed", "started")] {
        assert_eq!(steps[step].state(), state, "{step}: {}", steps[step].stdout);
    }
    assert_eq!(steps["again"].json()["pid"], steps["first"].json()["pid"]);
    for step in ["list", "stop", "end"] {
        assert_eq!(steps[step].code(), 0, "{step}: {}", steps[step].stdout);
    }
    assert!(!sandbox.oracle().is_held("program"));
}

#[test]
fn a_worker_that_dies_on_a_full_disk_is_replaced_or_its_cause_is_named() {
    let sandbox = BINARIES.sandbox(&["escapee"]);
    let script = r#"
        step first ensure w
        fill
        kill -9 "$(sed 's/^[^{]*{[^{]*"pid":\([0-9]*\).*/\1/' "$HOME/pid")"
        flock "$TENURE_STATE_DIR"/*/w/instance true
        step cold ensure w
        step status status w
        step stop stop w
        free
        step healed ensure w
        step end stop w
    "#;
    let script = script.replace("fill\n", "\"$T\" status w --json >\"$HOME/pid\"; fill\n");
    let Some(steps) = on_a_disk(&sandbox, &script) else { return };
    match steps["cold"].state().as_str() {
        // Renaming over a record needs room for two of them; where a page was free it may come through.
        "started" => assert!(steps["cold"].json()["generation"] == 2),
        _ => assert!(complaint(&steps["cold"]).contains("No space left"), "{}", steps["cold"].stdout),
    }
    assert_eq!(steps["stop"].code(), 0, "{}", steps["stop"].stdout);
    assert_eq!(steps["healed"].state(), "started", "{}", steps["healed"].stdout);
    assert!(steps["healed"].json()["generation"].as_u64() > Some(1), "a generation never goes back");
    assert_eq!(steps["end"].code(), 0);
    assert_eq!(sandbox.oracle().count("double"), 0);
}

#[test]
fn a_read_only_file_system_is_named_by_what_writes_and_read_by_what_looks() {
    let sandbox = BINARIES.sandbox(&[]);
    let script = r#"
        mount -o remount,ro "$TENURE_STATE_DIR"
        step fresh ensure w
        mount -o remount,rw "$TENURE_STATE_DIR"
        step first ensure w
        step before stop w
        mount -o remount,ro "$TENURE_STATE_DIR"
        step cold ensure w
        step restart restart w
        step status status w
        step list list
        step stop stop w
        step logs logs w
        printf 'events 0 %s\n' "$("$T" events w --json | tr -d '\n')"
        mount -o remount,rw "$TENURE_STATE_DIR"
        step healed ensure w
        step end stop w
    "#;
    let Some(steps) = on_a_disk(&sandbox, script) else { return };
    for step in ["fresh", "cold", "restart"] {
        let complaint = complaint(&steps[step]);
        assert_ne!(steps[step].code(), 0, "{step}");
        assert!(complaint.to_lowercase().contains("read-only file system"), "{step}: {complaint}");
    }
    assert_eq!(steps["status"].code(), 3);
    for step in ["list", "stop", "logs", "events", "end"] {
        assert_eq!(steps[step].code(), 0, "{step}: {}", steps[step].stdout);
    }
    assert_eq!(steps["healed"].json()["generation"], 2, "{}", steps["healed"].stdout);
}

#[test]
fn a_launcher_that_sees_the_state_read_only_uses_and_stops_the_worker_all_the_same() {
    let sandbox = BINARIES.sandbox(&[]);
    let script = r#"
        step first ensure w
        mount --bind "$TENURE_STATE_DIR" "$TENURE_STATE_DIR"
        mount -o remount,bind,ro "$TENURE_STATE_DIR"
        step again ensure w
        step status status w
        step stop stop w
        step down status w
    "#;
    let Some(steps) = on_a_disk(&sandbox, script) else { return };
    assert_eq!(steps["first"].state(), "started");
    assert_eq!(steps["again"].json()["pid"], steps["first"].json()["pid"]);
    assert_eq!(steps["status"].state(), "up");
    assert_eq!(steps["stop"].code(), 0, "{}", steps["stop"].stdout);
    assert_eq!(steps["down"].code(), 3);
    assert!(!sandbox.oracle().is_held("program"));
}

#[test]
fn a_disk_that_fills_up_in_a_takeover_takes_nobody_their_way_back_and_no_generation_is_told_that_is_not_on_record()
 {
    let sandbox = BINARIES.sandbox(&[]);
    let (state, work) = (sandbox.state_root(), sandbox.work());
    // The new version fills the disk when the old program is gone, and fails.
    let fills = format!("dd if=/dev/zero of={}/fill bs=1k 2>/dev/null; exit 3", state.display());
    let text = format!(
        "[worker.w]\napp = \"fixture.w\"\nversion = \"2.0.0\"\ncommand = [\"/bin/sh\", \"-c\", {fills:?}]\ncwd = {:?}\n{HTTP}\
         start_timeout = {:?}\nstop = {{ grace = \"1s\" }}\n",
        work.display().to_string(),
        Limits::GENEROUS.boot
    );
    std::fs::write(work.join("new.toml"), text).expect("a sandbox takes files");
    let old = sandbox.config().join("w.toml");
    let text = std::fs::read_to_string(&old).expect("it is described");
    std::fs::write(&old, format!("{text}app = \"fixture.w\"\n")).expect("a sandbox takes files");
    let script = format!(
        r#"
        step first ensure w
        step failed ensure w --config {new}
        step again ensure w
        step status status w
        cp "$TENURE_STATE_DIR"/*/w/ledger.json "$HOME/ledger.json"
        free
        step next restart w --force
        step end stop w
        "#,
        new = work.join("new.toml").display()
    );
    let Some(steps) = on_a_disk(&sandbox, &script) else { return };

    // The launcher cannot put the failure on record, and says so; the incumbent has done it for the next one.
    assert!(complaint(&steps["failed"]).contains("No space left"), "{}", steps["failed"].stdout);
    assert_eq!(steps["again"].code(), 0, "{}", steps["again"].stdout);
    let status = steps["status"].json();
    assert_eq!((&status["state"], &status["pid"]), (&"up".into(), &steps["first"].json()["pid"]));
    let ledger = std::fs::read_to_string(sandbox.path().join("home/ledger.json")).expect("it was copied");
    let ledger: serde_json::Value = serde_json::from_str(&ledger).expect("a record");
    assert_eq!(ledger["generation"], status["generation"], "what is told is on record");
    assert_eq!(ledger["generation"], 3, "above the one that failed");
    assert!(
        !ledger["program"]["identity"].is_null(),
        "the program that was started again is on record: {ledger}"
    );
    assert!(steps["next"].json()["generation"].as_u64() > Some(3), "{}", steps["next"].stdout);
    assert_eq!((steps["end"].code(), sandbox.oracle().count("double")), (0, 0));
}

#[test]
fn a_program_that_ends_while_its_disk_is_full_is_started_again_and_on_record() {
    let sandbox = BINARIES.sandbox(&[]);
    let (state, work) = (sandbox.state_root(), sandbox.work());
    // Its second start fills the disk and ends; the third stays.
    let program = format!(
        r"echo start >>{work}/starts
        echo ready
        case $(grep -c . {work}/starts) in
        1) read -r word <{work}/go ;;
        2) dd if=/dev/zero of={state}/fill bs=1k 2>/dev/null ;;
        *) echo back >{work}/back; read -r word <{work}/go ;;
        esac
        exit 3",
        work = work.display(),
        state = state.display()
    );
    let text = format!(
        "[worker.w]\nversion = \"1.0.0\"\ncommand = [\"/bin/sh\", \"-c\", {program:?}]\ncwd = {:?}\n\
         ready = {{ log = \"ready\" }}\nrestart = {{ backoff = [\"1ms\", \"1ms\"] }}\nstop = {{ grace = \"1s\" }}\n",
        work.display().to_string()
    );
    std::fs::write(work.join("ends.toml"), text).expect("a sandbox takes files");
    let script = format!(
        r#"
        cd {work}
        mkfifo go back
        step first ensure w --config ends.toml
        echo on >go
        timeout 30 grep -q back back || true
        step status status w
        cp "$TENURE_STATE_DIR"/*/w/ledger.json {work}/ledger.json
        free
        step end stop w
        "#,
        work = work.display()
    );
    let Some(steps) = on_a_disk(&sandbox, &script) else { return };
    let (first, status) = (steps["first"].json(), steps["status"].json());
    assert_eq!(steps["first"].state(), "started", "{first}");
    assert_eq!((&status["pid"], &status["generation"]), (&first["pid"], &first["generation"]), "{status}");
    let ledger = std::fs::read_to_string(work.join("ledger.json")).expect("it was copied");
    let ledger: serde_json::Value = serde_json::from_str(&ledger).expect("a record");
    assert_eq!(ledger["ends"].as_array().map(Vec::len), Some(2), "{ledger}");
    assert!(!ledger["program"]["shim"].is_null(), "{ledger}");
    assert_eq!(steps["end"].code(), 0, "{}", steps["end"].stdout);
    let starts = std::fs::read_to_string(work.join("starts")).expect("it wrote them");
    assert_eq!(starts.lines().count(), 3);
}

#[test]
fn what_a_full_disk_kept_from_being_recorded_is_no_event() {
    let sandbox = BINARIES.sandbox(&[]);
    let script = r#"
        step first ensure w
        step stopped stop w
        fill
        step refused stop w --hold
        free
        step serves ensure w
        step held stop w --hold
        fill
        step unreleased start w
        free
        step down ensure w
        printf 'events 0 %s\n' "$("$T" events w --json | tr -d '\n')"
        step released start w
        step end stop w
    "#;
    let Some(steps) = on_a_disk(&sandbox, script) else { return };
    let told = steps["events"].stdout.as_str();
    for failed in ["refused", "unreleased"] {
        assert_eq!(steps[failed].code(), 4, "{}", steps[failed].stdout);
    }
    assert_eq!((steps["held"].code(), steps["down"].state().as_str()), (0, "down"));
    assert_eq!(told.matches("\"held-down\"").count(), 1, "{told}");
    assert_eq!(told.matches("\"released\"").count(), 0, "{told}");
    assert_eq!(steps["released"].code(), 0, "{}", steps["released"].stdout);
}

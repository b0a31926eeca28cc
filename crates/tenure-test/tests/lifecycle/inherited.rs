//! What is inherited from whoever happens to be first, what helpers get, and programs that cannot come: each has a rule, and
//! none depends on the launcher.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tenure_sys::process::ProcessHandle;
use tenure_test::fixtures::answer::complaint;
use tenure_test::fixtures::limits::PATIENCE;
use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::fixtures::system::{shell, tool};
use tenure_test::fixtures::worker::{describe, ensure, started, status, stop};

use crate::BINARIES;

/// `w`, a program that sleeps, with these lines beside.
fn sleeper(lines: &str) -> Sandbox {
    let sandbox = BINARIES.sandbox(&[]);
    describe(&sandbox, &format!("command = [\"sleep\", \"1000\"]\n{lines}"));
    sandbox
}

fn version(call: tenure_test::fixtures::call::Call<'_>) -> String {
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

/// What `w` says when it is ensured by a shell that has done `before`: the document and the exit code. Through a pipe, since
/// a limit may be on the size of files.
fn from_a_shell(sandbox: &Sandbox, before: &str, words: &str) -> (serde_json::Value, String) {
    let line = format!("({before}; $T {words} --json; echo \"exit $?\") 2>/dev/null | cat");
    let told = shell(sandbox, &line).run().expect(0).stdout;
    let (document, code) = told.rsplit_once("exit ").expect("it ended by itself");
    (serde_json::from_str(document).expect(document), code.trim().to_owned())
}

const ENSURE: &str = "ensure w --timeout 20s";

#[test]
fn a_limit_that_no_worker_can_live_with_is_its_launchers_failure_and_nobody_elses() {
    let sandbox = sleeper("");
    for (limit, what) in [
        ("ulimit -f 0", "the size of a file (`ulimit -f`) is 0 bytes"),
        ("ulimit -n 20", "open files (`ulimit -n`) is 20"),
        ("ulimit -t 9", "processor time (`ulimit -t`) is 9"),
        ("ulimit -v 200000", "address space (`ulimit -v`) is 204800000"),
    ] {
        let (told, code) = from_a_shell(&sandbox, limit, ENSURE);
        assert_eq!((told["state"].as_str(), code.as_str()), (Some("limit-too-low"), "4"), "{limit}: {told}");
        let message = told["error"]["message"].as_str().expect("a message");
        assert!(message.contains(what), "{message}");
        assert!(sandbox.processes().is_empty(), "{limit}: something was started");
        // Nothing is held against the version.
        assert_eq!(ensure(&sandbox).run().expect(0).state(), "started", "{limit}");
        stop(&sandbox).expect(0);
    }
}

#[test]
fn a_limit_on_the_size_of_files_ends_no_command_without_an_answer() {
    let sandbox = sleeper("");
    started(&sandbox);
    for (words, state) in [(ENSURE, "up"), ("status w", "up"), ("restart w", "limit-too-low")] {
        let (told, _) = from_a_shell(&sandbox, "ulimit -f 0", words);
        assert_eq!(told["state"], state, "{words}: {told}");
    }
    let (told, code) = from_a_shell(&sandbox, "ulimit -f 0", "stop w --timeout 20s");
    assert!(told["state"].is_string() && code != "153", "{told} {code}");
    stop(&sandbox).expect(0);
}

/// The worker of `w` after a shell that has done `before` has ensured it, and its program.
fn started_after(sandbox: &Sandbox, before: &str) -> [u64; 2] {
    let (told, code) = from_a_shell(sandbox, before, ENSURE);
    assert_eq!(code, "0", "{told}");
    let stands = status(sandbox).expect(0).json();
    [&stands["pid"], &stands["program"]["identity"]["pid"]].map(|pid| pid.as_u64().expect("it runs"))
}

fn proc(pid: u64, file: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{file}")).expect("it lives")
}

/// A line of `/proc/PID/status`.
fn field(pid: u64, name: &str) -> String {
    let status = proc(pid, "status");
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.expect("the kernel tells it").trim().to_owned()
}

/// Soft and hard limit.
fn limit(pid: u64, name: &str) -> [String; 2] {
    let limits = proc(pid, "limits");
    let line = limits.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel tells it");
    let mut values = line.split_whitespace().map(str::to_owned);
    [(); 2].map(|()| values.next().expect("two values"))
}

fn findings(sandbox: &Sandbox) -> String {
    let told = sandbox.tenure(["doctor", "w", "--json"]).run().expect(0).json();
    let all = told["findings"].as_array().expect("a list");
    all.iter().filter(|one| one["check"] == "inherited").map(ToString::to_string).collect()
}

fn octal(umask: u32) -> String {
    format!("{umask:04o}")
}

#[test]
fn the_umask_is_the_systems_or_the_descriptions_and_never_the_launchers() {
    let usual = octal(tenure_sys::user::usual_umask());
    for (line, expected) in [("", usual.as_str()), ("umask = \"027\"\n", "0027")] {
        let sandbox = sleeper(&format!("{line}ready = {{ exec = [\"sh\", \"-c\", \"umask > seen\"] }}\n"));
        let [worker, program] = started_after(&sandbox, "umask 0123");
        assert_eq!(field(program, "Umask"), expected);
        assert_eq!(field(worker, "Umask"), "0077", "what the host writes is private");
        let seen = fs::read_to_string(sandbox.work().join("seen")).expect("the check ran");
        assert_eq!(seen.trim(), expected, "a check is no other than its program");
        stop(&sandbox).expect(0);
    }
}

#[test]
fn soft_limits_are_put_back() {
    let sandbox = sleeper("");
    let before =
        "ulimit -S -f 100000; ulimit -S -s 512; ulimit -S -n 99; ulimit -S -t 999; ulimit -S -v 4000000";
    let [worker, program] = started_after(&sandbox, before);
    for pid in [worker, program] {
        for name in ["Max file size", "Max cpu time", "Max address space", "Max data size"] {
            let [soft, hard] = limit(pid, name);
            assert_eq!(soft, hard, "{name} of {pid}");
        }
        assert_eq!(limit(pid, "Max stack size")[0], (8 << 20).to_string());
        assert_eq!(limit(pid, "Max core file size")[0], "0");
    }
    let files = tenure_sys::limits::usual_nofile().to_string();
    assert_eq!(limit(program, "Max open files")[0], files);
    stop(&sandbox).expect(0);
}

#[test]
fn processors_and_the_score_of_the_oom_killer_are_put_back() {
    let Some(taskset) = tool("taskset") else { return };
    let sandbox = sleeper("");
    let own = u64::from(std::process::id());
    let only = field(own, "Cpus_allowed_list").split([',', '-']).next().expect("one").to_owned();
    let before =
        format!("{} -p -c {only} $$ >/dev/null; echo 321 > /proc/self/oom_score_adj", taskset.display());
    // In a shell of its own, whose own number `$$` is.
    let line = format!("sh -c '{before}; exec $T {ENSURE}'");
    shell(&sandbox, &line).run().expect(0);
    let stands = status(&sandbox).expect(0).json();
    for pid in
        [&stands["pid"], &stands["program"]["identity"]["pid"]].map(|pid| pid.as_u64().expect("it runs"))
    {
        assert_eq!(field(pid, "Cpus_allowed_list"), field(own, "Cpus_allowed_list"));
        assert_ne!(proc(pid, "oom_score_adj").trim(), "321");
    }
    stop(&sandbox).expect(0);
}

#[test]
fn a_nice_launcher_is_not_the_workers_nature_or_doctor_tells() {
    let sandbox = sleeper("");
    let nice = |pid: u64| {
        let stat = proc(pid, "stat");
        let fields = stat.rsplit_once(')').expect("a name").1;
        fields.split_whitespace().nth(16).expect("its place").to_owned()
    };
    let line = format!("nice -n 7 $T {ENSURE}");
    shell(&sandbox, &line).run().expect(0);
    let stands = status(&sandbox).expect(0).json();
    let worker = stands["pid"].as_u64().expect("it runs");
    let told = findings(&sandbox);
    assert!(nice(worker) == "0" || told.contains("nice is 7"), "{told}");
    if nice(worker) == "0" {
        let told = shell(&sandbox, "nice -n 3 $T doctor w").run();
        assert!(!told.stdout.contains("nice is"), "who looks is nice, not the worker: {}", told.stdout);
    }
    stop(&sandbox).expect(0);
}

#[test]
fn signals_descriptors_session_and_directory_are_the_workers_own() {
    let sandbox = sleeper("");
    let before = "trap '' TERM HUP INT USR1; exec 9</etc/passwd; cd /; export PWD";
    let config = sandbox.config().display().to_string();
    let [worker, program] = started_after(&sandbox, &format!("{before}; export TENURE_CONFIG_DIR={config}"));
    assert_eq!((field(program, "SigIgn"), field(program, "SigBlk")), ("0".repeat(16), "0".repeat(16)));
    for pid in [worker, program] {
        let opened = fs::read_dir(format!("/proc/{pid}/fd")).expect("ours").flatten();
        let opened: Vec<_> = opened.filter_map(|entry| fs::read_link(entry.path()).ok()).collect();
        assert!(!opened.iter().any(|path| path.ends_with("passwd")), "{opened:?}");
        let stat = proc(pid, "stat");
        let session =
            stat.rsplit_once(')').expect("a name").1.split_whitespace().nth(3).expect("its place").to_owned();
        assert_eq!(session, pid.to_string());
        let cwd = fs::read_link(format!("/proc/{pid}/cwd")).expect("it has one");
        assert_eq!(cwd, sandbox.work().canonicalize().expect("there"));
    }
    stop(&sandbox).expect(0);
}

#[test]
fn what_cannot_be_put_back_is_told_by_doctor_with_who_started_the_worker() {
    let sandbox = sleeper("");
    assert!(started(&sandbox) > 0);
    assert_eq!(findings(&sandbox), "", "nothing is told of a worker that has what its caller has");
    stop(&sandbox).expect(0);
    started_after(&sandbox, "ulimit -n 500");
    let told = findings(&sandbox);
    assert!(told.contains("max open files\\\" is 500") && told.contains("ensure w"), "{told}");
    stop(&sandbox).expect(0);
    let Some(setpriv) = tool("setpriv") else { return };
    let line = format!("{} --no-new-privs $T {ENSURE}", setpriv.display());
    shell(&sandbox, &line).run().expect(0);
    assert!(findings(&sandbox).contains("no_new_privs is 1"));
    stop(&sandbox).expect(0);
}

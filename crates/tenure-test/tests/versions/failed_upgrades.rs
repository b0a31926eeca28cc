//! An upgrade that cannot start, and a worker that takes its time to end: neither costs a healthy worker.

use std::net::TcpListener;

use tenure_core::store::event::What;
use tenure_sys::process::{ProcessHandle, Signal};
use tenure_test::fixtures::answer;
use tenure_test::fixtures::ask;
use tenure_test::fixtures::call::Call;
use tenure_test::fixtures::limits::Limits;
use tenure_test::fixtures::processes;
use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::fixtures::versions::Fixture;

use crate::BINARIES;

/// A file that describes `w` in one version.
fn describe(sandbox: &Sandbox, file: &str, version: &str, more: &str) -> String {
    let oracle = sandbox.oracle().directory().display().to_string();
    let text = format!(
        "[worker.w]\napp = \"fixture.w\"\nscope = \"user\"\nversion = \"{version}\"\n\
         command = {:?}\nready = {{ http = \"/\" }}\n{more}",
        [BINARIES.program, &oracle, version, "deaf"]
    );
    let path = sandbox.work().join(file);
    std::fs::write(&path, text).expect("a sandbox takes files");
    path.display().to_string()
}

fn ensure<'sandbox>(sandbox: &'sandbox Sandbox, file: &str, timeout: &str) -> Call<'sandbox> {
    sandbox.tenure(["ensure", "w", "--config", file, "--json", "--timeout", timeout])
}

#[test]
fn an_upgrade_whose_port_is_taken_leaves_the_older_version_serving() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let stranger = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = stranger.local_addr().expect("it is bound");
    let free = "listen = [{ name = \"http\", tcp = \"127.0.0.1:0\" }]\nstop = { grace = \"1s\" }\n";
    let old = describe(&sandbox, "old.toml", "1.0.0", free);
    let new = describe(
        &sandbox,
        "new.toml",
        "2.0.0",
        &format!("listen = [{{ name = \"http\", tcp = \"{taken}\" }}]\nstop = {{ grace = \"1s\" }}\n"),
    );
    let first = ensure(&sandbox, &old, "40s").run().expect(0);
    let upgraded = ensure(&sandbox, &new, "40s").run().expect(0);
    assert_eq!(upgraded.json()["version"], "1.0.0", "{}", upgraded.stdout);
    assert!(upgraded.stdout.contains(&taken.to_string()), "the reason is told: {}", upgraded.stdout);
    assert_eq!(ask::address(&upgraded), ask::address(&first), "clients find it where it was");
    let again = ensure(&sandbox, &new, "40s").run().expect(0);
    assert_eq!(again.json()["pid"], upgraded.json()["pid"], "it is not tried again at once");
    assert_eq!(ensure(&sandbox, &old, "40s").run().expect(0).state(), "up");
    sandbox.stop("w").expect(0);
}

#[test]
fn a_worker_that_ends_gets_the_time_that_its_own_spec_gives_it() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let listen = "listen = [{ name = \"http\", tcp = \"127.0.0.1:0\" }]\n";
    let patient =
        describe(&sandbox, "patient.toml", "1.0.0", &format!("{listen}stop = {{ grace = \"60s\" }}\n"));
    let hasty =
        describe(&sandbox, "hasty.toml", "1.0.0", &format!("{listen}stop = {{ grace = \"100ms\" }}\n"));
    let worker = processes::host(&ensure(&sandbox, &patient, "40s").run().expect(0));
    worker.signal(Signal::Term).expect("our own worker can be asked to end");
    let program = sandbox.oracle().lines().iter().find(|line| line.what == "serve").expect("it served").pid;
    let program = ProcessHandle::open(program).expect("a deaf program outlives the request");
    let caller = ensure(&sandbox, &hasty, "4s").wedged_soon().run();
    assert_eq!(caller.state(), "timed-out", "{}{}", caller.stdout, caller.stderr);
    assert!(!worker.has_ended() && !program.has_ended(), "a caller's haste ends nobody");
    program.signal(Signal::Kill).expect("our own program can be killed");
    assert_eq!(ensure(&sandbox, &patient, "40s").run().expect(0).json()["generation"], 2);
    sandbox.end_all();
}

#[test]
fn a_version_that_cannot_boot_among_an_older_and_a_newer_one_costs_nobody_a_worker() {
    let fixture = Fixture::new(BINARIES);
    fixture.offer("1.0.0").write();
    fixture.offer("2.0.0").words(&["exit=3"]).write();
    fixture.offer("3.0.0").write();
    fixture.launcher("ensure", "1.0.0").run().expect(0);
    let crowd = || fixture.crowd((0..12).map(|turn| ["2.0.0", "1.0.0", "2.0.0", "3.0.0"][turn % 4]));
    for answer in answer::answers(crowd()) {
        let served = answer::version(&answer.clone().expect(0));
        assert!(["1.0.0", "3.0.0"].contains(&served.as_str()), "{}", answer.stdout);
    }
    let faults = fixture.count(What::StartFailed);
    assert!(faults <= 1, "it is tried once: {}", fixture.sandbox.story());
    assert!(fixture.count(What::Replacing) <= 3 - 1 + faults, "{}", fixture.sandbox.story());
    // And it ends at the newest, for all of them.
    let (stands, spawned) = (answer::pid(&fixture.status().expect(0)), fixture.count(What::Spawned));
    for answer in answer::answers(crowd()) {
        let up = answer.expect(0);
        assert_eq!((answer::pid(&up), answer::version(&up).as_str()), (stands, "3.0.0"));
    }
    assert_eq!((fixture.count(What::Spawned), fixture.sandbox.oracle().count("double")), (spawned, 0));
    fixture.stop().run().expect(0);
}

#[test]
fn a_version_that_has_served_is_started_again_whichever_installation_of_it_failed_before() {
    let fixture = Fixture::new(BINARIES);
    let broken = fixture.sandbox.work().join("broken");
    std::fs::write(&broken, "").expect("a sandbox takes files");
    fixture.offer("1.0.0").write();
    fixture.offer("2.0.0").words(&[&format!("once={}:3", broken.display())]).write();
    // The same version, installed a second time with another setting.
    let other = fixture.sandbox.work().join("other.toml");
    let text = std::fs::read_to_string(fixture.file("2.0.0")).expect("it was written");
    let text =
        text.replace(&format!("start_timeout = {:?}", Limits::GENEROUS.boot), "start_timeout = \"29s\"");
    std::fs::write(&other, text).expect("a sandbox takes files");
    let other = other.display().to_string();
    fixture.launcher("ensure", "1.0.0").run().expect(0);
    assert_eq!(
        answer::version(&fixture.launcher("ensure", "2.0.0").run().expect(0)),
        "1.0.0",
        "it failed once"
    );
    std::fs::remove_file(&broken).expect("ours");
    let healed = fixture.sandbox.tenure(["ensure", "w", "--json", "--config", &other]).run().expect(0);
    assert_eq!(answer::version(&healed), "2.0.0");
    processes::kill(&processes::host(&healed));
    let again = fixture.launcher("ensure", "2.0.0").run().expect(0);
    assert_eq!((again.state().as_str(), answer::version(&again).as_str()), ("started", "2.0.0"));
    fixture.stop().run().expect(0);
}

//! Whatever asks for another worker has it take the place of the one that stands: a restart, a newer version, a pin, a
//! changed build, a newer host. And where it cannot be taken over, that is said.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use tenure_core::store::event::What;
use tenure_test::fixtures::answer::{self, complaint};
use tenure_test::fixtures::ask;
use tenure_test::fixtures::call::Output;
use tenure_test::fixtures::executables::Binaries;
use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::fixtures::versions::{self, Fixture};

use crate::BINARIES;

/// Versions 1.0.0 and 2.0.0 on the listener of their host.
fn two_versions() -> Fixture {
    let fixture = Fixture::new(BINARIES.serving());
    for version in ["1.0.0", "2.0.0"] {
        offer(&fixture, version).write();
    }
    fixture
}

fn offer<'fixture>(fixture: &'fixture Fixture, version: &str) -> versions::Offer<'fixture> {
    fixture.offer(version).ready(Some("\"fd\"")).line("bake = \"0s\"").words(&["ready=fd"])
}

/// The first line of an answer of the server.
fn says(answer: &Output) -> String {
    ask::get(ask::address(answer), "/").expect("it serves")
}

/// Another process in the next generation has the address of the former one, and did not wait for its end.
fn took_over(fixture: &Fixture, before: &Output, version: &str) -> Output {
    let after = fixture.status().expect(0);
    assert_eq!(ask::address(&after), ask::address(before), "the address stays");
    assert_ne!(answer::pid(&after), answer::pid(before));
    let generation =
        |answer: &Output| answer.json()["generation"].as_u64().expect("a worker has a generation");
    assert_eq!(generation(&after), generation(before) + 1);
    assert!(says(&after).starts_with(&format!("version={version} ")), "{}", says(&after));
    let story = fixture.sandbox.story();
    assert_eq!(fixture.count(What::TakenOver) as u64, generation(&after) - 1, "{story}");
    assert_eq!((fixture.count(What::Stopped), fixture.count(What::RolledBack)), (0, 0), "{story}");
    assert_eq!(fixture.sandbox.oracle().count("double"), 0, "{story}");
    after
}

#[test]
fn a_restart_takes_over() {
    let fixture = two_versions();
    let first = fixture.ensure().run().expect(0);
    let restarted = fixture.restart().run().expect(0);
    let document = restarted.json();
    assert_eq!((restarted.state().as_str(), &document["manner"]), ("replaced", &"taken-over".into()));
    assert_eq!((&document["old"]["pid"], &document["why"]), (&answer::pid(&first).into(), &().into()));
    took_over(&fixture, &first, "1.0.0");
    fixture.stop().run().expect(0);
}

#[test]
fn a_newer_launcher_has_the_newer_version_take_over() {
    let fixture = two_versions();
    let first = fixture.ensure().run().expect(0);
    let newer = fixture.launcher("ensure", "2.0.0").run().expect(0);
    assert_eq!((newer.state().as_str(), answer::version(&newer).as_str()), ("replaced", "2.0.0"));
    let second = took_over(&fixture, &first, "2.0.0");
    // The older launcher uses it as it is.
    assert_eq!(answer::pid(&fixture.ensure().run().expect(0)), answer::pid(&second));
    fixture.stop().run().expect(0);
}

#[test]
fn a_pin_takes_over_down_and_up() {
    let fixture = two_versions();
    let first = fixture.ensure().run().expect(0);
    fixture.launcher("ensure", "2.0.0").run().expect(0);
    let second = took_over(&fixture, &first, "2.0.0");
    assert_eq!(fixture.pin("1.0.0").run().expect(0).state(), "pinned");
    let third = took_over(&fixture, &second, "1.0.0");
    assert_eq!(fixture.pin("2.0.0").run().expect(0).state(), "pinned");
    took_over(&fixture, &third, "2.0.0");
    fixture.stop().run().expect(0);
}

#[test]
fn a_changed_build_takes_over() {
    let fixture = Fixture::in_project(BINARIES.serving());
    let dist = fixture.sandbox.work().join("dist");
    fs::create_dir(&dist).expect("a sandbox takes directories");
    fs::write(dist.join("server.js"), "one").expect("a sandbox takes files");
    offer(&fixture, "1.0.0").line("build = [\"dist/**\"]").write();
    let first = fixture.ensure().run().expect(0);
    fs::write(dist.join("server.js"), "two").expect("a sandbox takes files");
    let second = fixture.ensure().run().expect(0);
    assert_eq!((second.state().as_str(), second.json()["generation"].as_u64()), ("replaced", Some(2)));
    assert_eq!(ask::address(&second), ask::address(&first), "the address stays");
    assert_eq!(
        (fixture.count(What::TakenOver), fixture.count(What::Stopped)),
        (1, 0),
        "{}",
        fixture.sandbox.story()
    );
    fixture.launcher("stop", "1.0.0").run().expect(0);
}

#[test]
fn another_host_takes_over_from_one_whose_file_is_gone() {
    let place = tempfile::tempdir().expect("a directory");
    let hosts = ["old", "new", "newest"].map(|name| place.path().join(name));
    for host in &hosts {
        fs::copy(BINARIES.tenure, host).expect("room for a host");
    }
    let fixture = Fixture::new(Binaries { tenure: &hosts[0].display().to_string(), ..BINARIES.serving() });
    offer(&fixture, "1.0.0").write();
    let first = fixture.ensure().run().expect(0);
    assert_eq!(fixture.ledger().host.expect("a host").exe, hosts[0].display().to_string());
    fs::remove_file(&hosts[0]).expect("ours");
    let file = fixture.file("1.0.0").display().to_string();
    // Who calls is the host, unless the environment names another.
    for (generation, named) in [(2, None), (3, Some(&hosts[2]))] {
        let words = ["restart", "w", "--json", "--config", &file];
        let call = fixture.sandbox.command(&hosts[1], words);
        let call =
            named.into_iter().fold(call, |call, host| call.env("TENURE_HOST", &host.display().to_string()));
        let restarted = call.run().expect(0).json();
        assert_eq!(
            (&restarted["manner"], &restarted["generation"]),
            (&"taken-over".into(), &generation.into())
        );
        let host = named.unwrap_or(&hosts[1]).display().to_string();
        assert_eq!(fixture.ledger().host.expect("a host").exe, host);
    }
    assert!(says(&first).starts_with("version=1.0.0 generation=3 "), "{}", says(&first));
    assert_eq!((fixture.count(What::TakenOver), fixture.count(What::Stopped)), (2, 0));
    fixture.sandbox.command(&hosts[1], ["stop", "w"]).run().expect(0);
}

#[test]
fn a_preflight_that_fails_leaves_everything_as_it_is() {
    let fixture = two_versions();
    let broken = fixture.sandbox.work().join("broken");
    fs::write(&broken, "").expect("a sandbox takes files");
    let preflight = format!("preflight = {:?}", [BINARIES.program, "check", &broken.display().to_string()]);
    offer(&fixture, "2.0.0").line(&preflight).write();
    let first = fixture.ensure().run().expect(0);
    let refused = fixture.launcher("restart", "2.0.0").run().expect(1);
    assert_eq!(refused.state(), "restart-unproved");
    assert_eq!(refused.json()["error"]["stage"], "preflight", "{}", refused.stdout);
    let caller = fixture.launcher("ensure", "2.0.0").run().expect(0);
    assert_eq!(
        (caller.state().as_str(), answer::warnings(&caller)),
        ("up", vec!["offer-not-running".into()])
    );
    assert_eq!((answer::pid(&caller), &caller.json()["generation"]), (answer::pid(&first), &1.into()));
    assert_eq!(fixture.sandbox.oracle().count("start"), 1, "no program was ended or started");
    fs::remove_file(&broken).expect("ours");
    fixture.launcher("restart", "2.0.0").run().expect(0);
    assert!(says(&first).starts_with("version=2.0.0 "), "{}", says(&first));
    fixture.stop().run().expect(0);
}

/// Version 1.0.0 runs from a file that was replaced since; 2.0.0 exits at boot.
fn overwritten() -> (Fixture, PathBuf) {
    let mut fixture = Fixture::new(BINARIES.serving());
    let (file, other) = (fixture.sandbox.path().join("server"), fixture.sandbox.path().join("other"));
    fs::copy(BINARIES.server, &file).expect("a sandbox takes files");
    fs::copy(BINARIES.server, &other).expect("a sandbox takes files");
    fixture.move_program(&file);
    offer(&fixture, "1.0.0").write();
    fixture.move_program(Path::new(BINARIES.server));
    offer(&fixture, "2.0.0").words(&["ready=fd", "exit-at-boot"]).write();
    fixture.ensure().run().expect(0);
    fs::rename(&other, &file).expect("ours");
    (fixture, file)
}

/// The end of 1.0.0 is told as what it was, and not as a kill.
fn failed_to_go_back(fixture: &Fixture, file: &Path) {
    let status = fixture.status();
    let end = &status.json()["last_end"];
    assert_eq!((&end["how"], &end["version"]), (&"rollback-failed".into(), &"1.0.0".into()), "{end}");
    let told = |words: [&str; 2]| fixture.sandbox.tenure(words).run().stdout;
    for told in [status.stdout, told(["status", "w"]), told(["doctor", "w"])] {
        assert!(told.contains("could not serve again") || told.contains("rollback-failed"), "{told}");
        assert!(told.contains(&file.display().to_string()) && told.contains("exit status 7"), "{told}");
        assert!(!told.contains("found dead") && !told.contains("SIGKILL"), "{told}");
    }
}

#[test]
fn a_program_that_was_overwritten_is_not_started_as_what_it_was_and_a_person_is_told() {
    let (fixture, file) = overwritten();
    let unproved = fixture.launcher("restart", "2.0.0").run().expect(1);
    assert!(answer::message(&unproved).contains("now: no worker answers"), "{}", unproved.stdout);
    let events = fixture.events();
    let failed = events.iter().find(|event| event.what == What::RollbackFailed).expect("it is told");
    assert!(failed.why.contains(&file.display().to_string()), "{}", failed.why);
    assert_eq!(fixture.count(What::RolledBack), 0);
    failed_to_go_back(&fixture, &file);
    let starts = fixture.sandbox.oracle().count("start");
    // Nor by the next call: what lies there is not what was offered as 1.0.0.
    let next = fixture.launcher("ensure", "2.0.0").run().expect(1);
    let told = complaint(&next);
    assert!(told.contains("exit status 7"), "the real cause: {told}");
    assert!(told.contains("1.0.0 is not started instead"), "{told}");
    assert!(told.contains(&file.display().to_string()), "{told}");
    assert_eq!(fixture.sandbox.oracle().count("start"), starts, "nothing was started");
    // Whoever offers it says that it is what lies there now.
    let vouched = fixture.launcher("ensure", "1.0.0").run().expect(0);
    assert_eq!((vouched.state().as_str(), answer::version(&vouched).as_str()), ("started", "1.0.0"));
    assert!(vouched.json()["generation"].as_u64() > Some(2), "{}", vouched.stdout);
    assert_eq!(fixture.sandbox.oracle().count("double"), 0);
    fixture.stop().run().expect(0);
}

#[test]
fn a_caller_of_a_version_that_fails_is_told_why_and_that_the_overwritten_one_is_not_started() {
    let (fixture, file) = overwritten();
    let caller = fixture.launcher("ensure", "2.0.0").run().expect(1);
    let told = complaint(&caller);
    assert!(told.contains("exit status 7") && told.contains("1.0.0 is not started instead"), "{told}");
    assert!(told.contains(&file.display().to_string()), "{told}");
    assert_eq!((fixture.count(What::RollbackFailed), fixture.count(What::RolledBack)), (1, 0));
    assert_eq!(fixture.status().state(), "down");
    fixture.stop().run().expect(0);
}

#[test]
fn a_worker_that_serves_goes_on_whatever_was_made_of_its_files() {
    let (fixture, _) = overwritten();
    let preflight = format!("preflight = {:?}", ["/bin/sh", "-c", "exit 4"]);
    offer(&fixture, "2.0.0").line(&preflight).write();
    let caller = fixture.launcher("ensure", "2.0.0").run().expect(0);
    assert_eq!((caller.state().as_str(), answer::version(&caller).as_str()), ("up", "1.0.0"));
    assert_eq!(answer::warnings(&caller), ["offer-not-running"], "{}", caller.stdout);
    fixture.stop().run().expect(0);
}

#[test]
fn a_listener_that_is_new_is_bound_and_one_that_is_gone_is_closed() {
    let fixture = Fixture::new(BINARIES.serving());
    let listen = |more: &str| {
        let tcp = "tcp = \"127.0.0.1:0\"";
        format!("{{ name = \"http\", {tcp} }}, {{ name = \"{more}\", {tcp} }}")
    };
    offer(&fixture, "1.0.0").listen(Some(&listen("old"))).write();
    offer(&fixture, "2.0.0").listen(Some(&listen("new"))).write();
    let first = fixture.ensure().run().expect(0);
    let second = fixture.launcher("ensure", "2.0.0").run().expect(0);
    let endpoint = |answer: &Output, at: usize| {
        let json = answer.json()["endpoints"][at].clone();
        let word = |key: &str| json[key].as_str().expect("an endpoint").to_owned();
        (word("name"), word("tcp"))
    };
    assert_eq!(endpoint(&second, 0), endpoint(&first, 0), "the address stays");
    assert_eq!((endpoint(&first, 1).0.as_str(), endpoint(&second, 1).0.as_str()), ("old", "new"));
    assert!(says(&second).starts_with("version=2.0.0 "));
    TcpStream::connect(endpoint(&second, 1).1).expect("the new one listens");
    // The next takeover waits for the end of who has the old one.
    fixture.launcher("restart", "2.0.0").run().expect(0);
    assert!(TcpStream::connect(endpoint(&first, 1).1).is_err(), "the old one is closed");
    assert_eq!(fixture.count(What::TakenOver), 2);
    fixture.stop().run().expect(0);
}

#[test]
fn who_forces_a_restart_has_the_old_one_stopped_first() {
    let fixture = two_versions();
    let first = fixture.ensure().run().expect(0);
    let file = fixture.file("1.0.0").display().to_string();
    let forced =
        fixture.sandbox.tenure(["restart", "w", "--json", "--force", "--config", &file]).run().expect(0);
    assert_eq!((&forced.json()["manner"], &forced.json()["why"]), (&"stopped-first".into(), &().into()));
    assert_eq!((fixture.count(What::TakenOver), fixture.count(What::Stopped)), (0, 1));
    assert_eq!(ask::address(&forced), ask::address(&first), "the port is taken again");
    fixture.stop().run().expect(0);
}

#[test]
fn who_wants_an_overlap_that_the_description_does_not_allow_is_refused_and_nothing_is_stopped() {
    let fixture = Fixture::with(BINARIES.serving(), &[]);
    let first = fixture.ensure().run().expect(0);
    let file = fixture.file("1.0.0").display().to_string();
    let refused = fixture.sandbox.tenure(["restart", "w", "--json", "--overlap", "--config", &file]).run();
    assert_ne!(refused.code(), 0, "{}", refused.stdout);
    assert!(answer::message(&refused).contains("nothing was stopped"), "{}", refused.stdout);
    assert_eq!(answer::pid(&fixture.status().expect(0)), answer::pid(&first));
    assert_eq!(fixture.sandbox.oracle().count("start"), 1);
    fixture.stop().run().expect(0);
}

#[test]
fn an_app_without_hooks_is_stopped_first_and_that_is_said() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let built = PathBuf::from(BINARIES.tenure).with_file_name("example-fence");
    fs::copy(built, sandbox.work().join("example-fence")).expect("the example is built with the workspace");
    let spec = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/fence/tenure.toml");
    fs::copy(spec, sandbox.work().join("tenure.toml")).expect("the example has a configuration");
    sandbox.tenure(["trust"]).run().expect(0);
    let first = sandbox.tenure(["ensure", "counter", "--json"]).run().expect(0);
    let restarted = sandbox.tenure(["restart", "counter", "--json"]).run().expect(0);
    let document = restarted.json();
    assert_eq!((&document["manner"], &document["generation"]), (&"stopped-first".into(), &2.into()));
    assert_eq!(document["why"], "it does not hand over");
    assert_eq!(ask::address(&restarted), ask::address(&first), "the port is taken again");
    let said = sandbox.tenure(["restart", "counter"]).run().expect(0);
    assert!(said.stderr.contains("stopped first: it does not hand over"), "{}{}", said.stdout, said.stderr);
    sandbox.tenure(["stop", "counter"]).run().expect(0);
}

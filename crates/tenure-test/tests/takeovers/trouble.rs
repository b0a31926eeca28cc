//! A successor whose own means run out, at whatever step of a takeover: the worker that serves goes on, whoever called hears
//! the cause, and the version is not blamed for it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tenure_core::fault::Point;
use tenure_core::store::event::What;
use tenure_test::fixtures::answer;
use tenure_test::fixtures::ask;
use tenure_test::fixtures::call::Output;
use tenure_test::fixtures::system::tool;
use tenure_test::fixtures::versions::{self, Fixture};

use crate::BINARIES;

/// Versions 1.0.0 and 2.0.0; with `overlap` both serve for a while.
fn two_versions(overlap: bool) -> Fixture {
    let fixture = Fixture::new(BINARIES.serving());
    let more: &[&str] = if overlap { &["ready=fd", "overlaps"] } else { &["ready=fd"] };
    for version in ["1.0.0", "2.0.0"] {
        let offer = fixture.offer(version).ready(Some("\"fd\"")).words(more);
        offer.line(&format!("overlap = {overlap}")).line("stop = { grace = \"500ms\" }").write();
    }
    fixture
}

/// `ensure` of 2.0.0 by a launcher that gives so many descriptors to itself and to all that it starts.
fn upgrade_with_few(fixture: &Fixture, prlimit: &Path, few: u32) -> Output {
    let tenure = fixture.sandbox.executable().display().to_string();
    let (limit, file) = (format!("--nofile={few}:{few}"), fixture.file("2.0.0").display().to_string());
    let args = [&*limit, &tenure, "ensure", versions::NAME, "--json", "--timeout", "20s", "--config", &file];
    fixture.sandbox.command(prlimit, args).run()
}

/// Whatever came of it, somebody serves at the same address, nobody was ended but by a successor that serves, and the call
/// said why where it could not do what it was asked.
fn somebody_serves(fixture: &Fixture, first: &Output, upgraded: &Output, few: u32) {
    let story = || format!("with {few}: {}{}\n{}", upgraded.stdout, upgraded.stderr, fixture.sandbox.story());
    let stands = fixture.status();
    assert_eq!(stands.state(), "up", "{}", story());
    assert!(ask::get(ask::address(first), "/").is_ok(), "{}", story());
    assert!(fixture.state().join("control.sock").exists(), "{}", story());
    assert_eq!((fixture.count(What::Stopped), fixture.count(What::EndedWedged)), (0, 0), "{}", story());
    if answer::version(&stands) == "1.0.0" {
        assert_eq!(answer::pid(&stands), answer::pid(first), "{}", story());
        assert_ne!(upgraded.state(), "replaced", "{}", story());
        let told =
            ["descriptor", "open files", "Input/output"].iter().any(|words| upgraded.stdout.contains(words));
        assert!(told || upgraded.stdout.is_empty(), "the cause is told: {}", story());
    }
}

/// One upgrade for each limit, from one with which nothing can be started to one that is enough.
fn upgrades_with_few_descriptors(overlap: bool) {
    let Some(prlimit) = tool("prlimit") else { return };
    let mut kept_back = 0;
    for few in (8..34).step_by(if overlap { 1 } else { 2 }) {
        let fixture = two_versions(overlap);
        let first = fixture.ensure().run().expect(0);
        let upgraded = upgrade_with_few(&fixture, &prlimit, few);
        somebody_serves(&fixture, &first, &upgraded, few);
        if upgraded.state() == "limit-too-low" {
            kept_back += 1;
            let again = fixture.launcher("ensure", "2.0.0").run().expect(0);
            assert_eq!(answer::version(&again), "2.0.0", "with {few}: not blamed: {}", again.stdout);
        }
        fixture.stop().run().expect(0);
    }
    assert!(kept_back > 0, "some limit was too low");
}

#[test]
fn a_successor_without_descriptors_leaves_the_one_that_serves() {
    upgrades_with_few_descriptors(false);
}

#[test]
fn a_successor_without_descriptors_beside_the_one_that_serves_leaves_it_its_socket() {
    upgrades_with_few_descriptors(true);
}

/// A successor that has opened its generation and cannot listen: everything that leads to the scope is the incumbent's still.
#[test]
fn a_successor_that_cannot_listen_leaves_the_one_that_serves_its_socket() {
    let Some(strace) = tool("strace") else { return };
    for overlap in [true, false] {
        let fixture = two_versions(overlap);
        let first = fixture.ensure().run().expect(0);
        let host = fixture.sandbox.path().join("host");
        let (tenure, log) = (fixture.sandbox.executable().display(), fixture.sandbox.path().join("trace"));
        let strace = format!("{} -D -f -qq -o {}", strace.display(), log.display());
        let fails = "-e trace=listen -e inject=listen:error=EIO";
        std::fs::write(&host, format!("#!/bin/sh\nexec {strace} {fails} {tenure} \"$@\"\n")).expect("ours");
        std::fs::set_permissions(&host, std::fs::Permissions::from_mode(0o700)).expect("ours");
        let upgraded =
            fixture.launcher("ensure", "2.0.0").env("TENURE_HOST", &host.display().to_string()).run();
        if !std::fs::read_to_string(&log).unwrap_or_default().contains("INJECTED") {
            // Where nobody may trace, nothing was injected.
            fixture.stop().run().expect(0);
            continue;
        }
        assert_eq!(answer::warnings(&upgraded), ["offer-not-running"], "{}", upgraded.stdout);
        assert!(upgraded.stdout.contains("Input/output error"), "{}", upgraded.stdout);
        somebody_serves(&fixture, &first, &upgraded, 0);
        assert_eq!(fixture.status().json()["generation"], 3, "it came back above the one that failed");
        let pid = std::fs::read_to_string(fixture.state().join("worker.pid")).unwrap_or_default();
        assert_eq!(pid.trim(), answer::pid(&first).to_string());
        let again = fixture.launcher("ensure", "2.0.0").run().expect(0);
        assert_eq!((answer::version(&again), fixture.count(What::EndedWedged)), ("2.0.0".to_owned(), 0));
        fixture.stop().run().expect(0);
    }
}

#[test]
fn a_program_whose_file_goes_while_it_boots_is_ready_when_it_says_so() {
    let mut fixture = Fixture::new(BINARIES.serving());
    let file = fixture.sandbox.path().join("server");
    std::fs::copy(BINARIES.server, &file).expect("a sandbox takes files");
    fixture.move_program(&file);
    for version in ["1.0.0", "2.0.0"] {
        fixture.offer(version).ready(Some("\"fd\"")).words(&["ready=fd"]).write();
    }
    for (version, state) in [("1.0.0", "started"), ("2.0.0", "replaced")] {
        if !file.exists() {
            std::fs::copy(BINARIES.server, &file).expect("a sandbox takes files");
        }
        let meeting = fixture.sandbox.meeting(version);
        let caller = fixture.launcher("ensure", version).fault(&meeting.armed(Point::WorkerReady)).start();
        let met = meeting.meet();
        std::fs::remove_file(&file).expect("ours");
        met.release();
        let answer = caller.wait().expect(0);
        assert_eq!((answer.state(), answer::version(&answer)), (state.to_owned(), version.to_owned()));
    }
    fixture.stop().run().expect(0);
}

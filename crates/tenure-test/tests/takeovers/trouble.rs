//! A successor whose own means run out, at whatever step of a takeover: the worker that serves goes on, whoever called hears
//! the cause, and the version is not blamed for it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tenure_core::fault::Point;
use tenure_core::store::event::What;
use tenure_test::ask;
use tenure_test::kept::{self, Kept};
use tenure_test::sandbox::Output;
use tenure_test::usual::tool;

const TENURE: &str = env!("CARGO_BIN_EXE_tenure-faulted");
const SERVER: &str = env!("CARGO_BIN_EXE_fixture-server");

/// Versions 1.0.0 and 2.0.0; with `overlap` both serve for a while.
fn two_versions(overlap: bool) -> Kept {
    let kept = Kept::new(TENURE, SERVER);
    let more: &[&str] = if overlap { &["ready=fd", "overlaps"] } else { &["ready=fd"] };
    for version in ["1.0.0", "2.0.0"] {
        let offer = kept.offer(version).ready(Some("\"fd\"")).words(more);
        offer.line(&format!("overlap = {overlap}")).line("stop = { grace = \"500ms\" }").write();
    }
    kept
}

/// `ensure` of 2.0.0 by a launcher that gives so many descriptors to itself and to all that it starts.
fn upgrade_with_few(kept: &Kept, prlimit: &Path, few: u32) -> Output {
    let tenure = kept.sandbox.executable().display().to_string();
    let (limit, file) = (format!("--nofile={few}:{few}"), kept.file("2.0.0").display().to_string());
    let args = [&*limit, &tenure, "ensure", kept::NAME, "--json", "--timeout", "20s", "--config", &file];
    kept.sandbox.command(prlimit, args).run()
}

/// Whatever came of it, somebody serves at the same address, nobody was ended but by a successor that serves, and the call
/// said why where it could not do what it was asked.
fn somebody_serves(kept: &Kept, first: &Output, upgraded: &Output, few: u32) {
    let story = || format!("with {few}: {}{}\n{}", upgraded.stdout, upgraded.stderr, kept.sandbox.story());
    let stands = kept.status();
    assert_eq!(stands.state(), "up", "{}", story());
    assert!(ask::get(ask::address(first), "/").is_ok(), "{}", story());
    assert!(kept.state().join("control.sock").exists(), "{}", story());
    assert_eq!((kept.count(What::Stopped), kept.count(What::EndedWedged)), (0, 0), "{}", story());
    if kept::version(&stands) == "1.0.0" {
        assert_eq!(kept::pid(&stands), kept::pid(first), "{}", story());
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
        let kept = two_versions(overlap);
        let first = kept.ensure().run().expect(0);
        let upgraded = upgrade_with_few(&kept, &prlimit, few);
        somebody_serves(&kept, &first, &upgraded, few);
        if upgraded.state() == "limit-too-low" {
            kept_back += 1;
            let again = kept.launcher("ensure", "2.0.0").run().expect(0);
            assert_eq!(kept::version(&again), "2.0.0", "with {few}: not blamed: {}", again.stdout);
        }
        kept.stop().run().expect(0);
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
        let kept = two_versions(overlap);
        let first = kept.ensure().run().expect(0);
        let host = kept.sandbox.path().join("host");
        let (tenure, log) = (kept.sandbox.executable().display(), kept.sandbox.path().join("trace"));
        let strace = format!("{} -D -f -qq -o {}", strace.display(), log.display());
        let fails = "-e trace=listen -e inject=listen:error=EIO";
        std::fs::write(&host, format!("#!/bin/sh\nexec {strace} {fails} {tenure} \"$@\"\n")).expect("ours");
        std::fs::set_permissions(&host, std::fs::Permissions::from_mode(0o700)).expect("ours");
        let upgraded = kept.launcher("ensure", "2.0.0").env("TENURE_HOST", &host.display().to_string()).run();
        if !std::fs::read_to_string(&log).unwrap_or_default().contains("INJECTED") {
            // Where nobody may trace, nothing was injected.
            kept.stop().run().expect(0);
            continue;
        }
        assert_eq!(kept::warnings(&upgraded), ["offer-not-running"], "{}", upgraded.stdout);
        assert!(upgraded.stdout.contains("Input/output error"), "{}", upgraded.stdout);
        somebody_serves(&kept, &first, &upgraded, 0);
        assert_eq!(kept.status().json()["generation"], 3, "it came back above the one that failed");
        let pid = std::fs::read_to_string(kept.state().join("worker.pid")).unwrap_or_default();
        assert_eq!(pid.trim(), kept::pid(&first).to_string());
        let again = kept.launcher("ensure", "2.0.0").run().expect(0);
        assert_eq!((kept::version(&again), kept.count(What::EndedWedged)), ("2.0.0".to_owned(), 0));
        kept.stop().run().expect(0);
    }
}

#[test]
fn a_program_whose_file_goes_while_it_boots_is_ready_when_it_says_so() {
    let mut kept = Kept::new(TENURE, SERVER);
    let file = kept.sandbox.path().join("server");
    std::fs::copy(SERVER, &file).expect("a sandbox takes files");
    kept.move_program(&file);
    for version in ["1.0.0", "2.0.0"] {
        kept.offer(version).ready(Some("\"fd\"")).words(&["ready=fd"]).write();
    }
    for (version, state) in [("1.0.0", "started"), ("2.0.0", "replaced")] {
        if !file.exists() {
            std::fs::copy(SERVER, &file).expect("a sandbox takes files");
        }
        let meeting = kept.sandbox.meeting(version);
        let caller = kept.launcher("ensure", version).fault(&meeting.armed(Point::WorkerReady)).start();
        let met = meeting.meet();
        std::fs::remove_file(&file).expect("ours");
        met.release();
        let answer = caller.wait().expect(0);
        assert_eq!((answer.state(), kept::version(&answer)), (state.to_owned(), version.to_owned()));
    }
    kept.stop().run().expect(0);
}

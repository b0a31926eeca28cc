//! What went wrong elsewhere when one worker took the place of another, each made to happen: here it does not.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tenure_core::store::event::What;
use tenure_sys::process::executable_of;
use tenure_test::fixtures::answer;
use tenure_test::fixtures::ask;
use tenure_test::fixtures::call::{Call, Output};
use tenure_test::fixtures::processes;
use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::fixtures::versions::{self, Fixture};
use tenure_test::load::Clients;
use tenure_test::load::subject::Subject;

use crate::BINARIES;

fn offer<'fixture>(fixture: &'fixture Fixture, version: &str) -> versions::Offer<'fixture> {
    fixture.offer(version).ready(Some("\"fd\"")).line("bake = \"0s\"").words(&["ready=fd"])
}

fn two_versions() -> Fixture {
    let fixture = Fixture::new(BINARIES.serving());
    for version in ["1.0.0", "2.0.0"] {
        offer(&fixture, version).write();
    }
    fixture
}

/// The generations that served, in the order in which they began to.
fn served(fixture: &Fixture) -> Vec<u64> {
    let events = fixture.events();
    events.iter().filter(|event| event.what == What::Ready).map(|event| event.generation).collect()
}

#[test]
fn a_stale_worker_does_not_choose_its_successor() {
    let mut fixture = Fixture::new(BINARIES.serving());
    let (old, new) = (fixture.sandbox.path().join("old-server"), fixture.sandbox.path().join("new-server"));
    fs::copy(BINARIES.server, &old).expect("a sandbox takes files");
    fs::copy(BINARIES.server, &new).expect("a sandbox takes files");
    fixture.move_program(&old);
    offer(&fixture, "1.0.0").write();
    fixture.ensure().run().expect(0);
    // The same version is described otherwise today, and where the old one came from there is nothing any more.
    fixture.move_program(&new);
    offer(&fixture, "1.0.0").write();
    fs::remove_file(&old).expect("ours");
    for generation in 2..=4 {
        let restarted = fixture.restart().run().expect(0);
        assert_eq!(restarted.json()["generation"], generation, "{}", restarted.stdout);
        let runs = executable_of(processes::program(&fixture.status().expect(0)).pid());
        assert_eq!(runs, Some(new.clone()));
    }
    assert_eq!(fixture.sandbox.oracle().count("start"), 4, "one start for each restart");
    fixture.stop().run().expect(0);
}

#[test]
fn a_restart_by_a_stale_launcher_runs_the_newest_version() {
    let fixture = two_versions();
    fixture.ensure().run().expect(0);
    fixture.launcher("ensure", "2.0.0").run().expect(0);
    let restarted = fixture.restart().run().expect(0);
    assert_eq!((answer::version(&restarted).as_str(), &restarted.json()["generation"]), ("2.0.0", &3.into()));
    fixture.stop().run().expect(0);
}

#[test]
fn two_versions_in_turn_make_one_replacement() {
    let fixture = two_versions();
    fixture.ensure().run().expect(0);
    for turn in 0..20 {
        let version = if turn % 2 == 0 { "2.0.0" } else { "1.0.0" };
        let answer = fixture.launcher("ensure", version).run().expect(0);
        assert_eq!(answer::version(&answer), "2.0.0", "turn {turn}");
    }
    assert_eq!(
        (fixture.count(What::Replacing), fixture.count(What::Spawned)),
        (1, 2),
        "{}",
        fixture.sandbox.story()
    );
    fixture.stop().run().expect(0);
}

/// The embedded example in two versions; the listener of the second one has another name, which the app does not know.
struct Jobs {
    sandbox: Sandbox,
    first: Output,
    address: SocketAddr,
}

impl Jobs {
    /// Version 1.0.0 serves, and has ten jobs in its queue.
    fn queued() -> Self {
        let sandbox = Sandbox::new(BINARIES.tenure);
        let built = PathBuf::from(BINARIES.tenure).with_file_name("example-axum");
        fs::copy(built, sandbox.work().join("example-axum"))
            .expect("the example is built with the workspace");
        let cwd = sandbox.work().display().to_string();
        for (version, listener) in [("1.0.0", "http"), ("2.0.0", "web")] {
            let text = format!(
                "[worker.hello]\napp = \"example.hello\"\nscope = \"user\"\nkind = \"embedded\"\nversion = \"{version}\"\ncwd = {cwd:?}\n\
                 command = [\"./example-axum\"]\nbake = \"0s\"\n\
                 listen = [{{ name = \"{listener}\", tcp = \"127.0.0.1:0\" }}]\n",
            );
            fs::write(sandbox.work().join(version), text).expect("a sandbox takes files");
        }
        let first = called(&sandbox, "ensure", "1.0.0").run().expect(0);
        let jobs = Self { sandbox, address: ask::address(&first), first };
        (0..10).for_each(|job| jobs.queue(job));
        jobs
    }

    fn call(&self, command: &str, version: &str) -> Call<'_> {
        called(&self.sandbox, command, version)
    }

    fn queue(&self, job: usize) {
        let job = format!("job {job}");
        let head = format!("Host: localhost\r\nConnection: close\r\nContent-Length: {}", job.len());
        let request = format!("POST /jobs HTTP/1.1\r\n{head}\r\n\r\n{job}");
        let answer = ask::exchange(self.address, &request).expect("it accepts");
        assert!(answer.ends_with("queued\n"), "{answer}");
    }

    /// So many jobs are there, in the order in which they were queued.
    fn are_there(&self, count: usize) {
        let queued = ask::get(self.address, "/jobs").expect("it serves");
        assert!(queued.lines().map(str::to_owned).eq((0..count).map(|job| format!("job {job}"))), "{queued}");
    }

    fn who(&self) -> String {
        ask::get(self.address, "/").expect("it serves")
    }

    fn stop(&self) {
        self.sandbox.tenure(["stop", "hello"]).run().expect(0);
    }
}

fn called<'sandbox>(sandbox: &'sandbox Sandbox, command: &str, version: &str) -> Call<'sandbox> {
    let file = sandbox.work().join(version).display().to_string();
    sandbox.tenure([command, "hello", "--json", "--timeout", "40s", "--config", &file])
}

#[test]
fn accepted_work_survives_a_restart() {
    let jobs = Jobs::queued();
    let restarted = jobs.call("restart", "1.0.0").run().expect(0);
    assert_eq!(restarted.json()["manner"], "taken-over");
    assert_eq!(ask::address(&restarted), jobs.address);
    assert_ne!(answer::pid(&restarted), answer::pid(&jobs.first));
    jobs.are_there(10);
    jobs.queue(10);
    jobs.call("restart", "1.0.0").run().expect(0);
    jobs.are_there(11);
    assert!(jobs.who().contains("generation=3 "), "{}", jobs.who());
    jobs.stop();
}

#[test]
fn accepted_work_comes_back_from_a_successor_that_fails() {
    let jobs = Jobs::queued();
    let pid = answer::pid(&jobs.first);
    let caller = jobs.call("ensure", "2.0.0").run().expect(0);
    assert_eq!((answer::version(&caller).as_str(), answer::pid(&caller)), ("1.0.0", pid));
    assert_eq!((ask::address(&caller), &caller.json()["generation"]), (jobs.address, &3.into()));
    assert_eq!(answer::warnings(&caller), ["offer-not-running"], "{}", caller.stdout);
    assert!(caller.stdout.contains("no listener named http"), "{}", caller.stdout);
    jobs.are_there(10);
    assert!(jobs.who().contains(&format!("generation=3 pid={pid}")), "{}", jobs.who());
    jobs.queue(10);
    let unproved = jobs.call("restart", "2.0.0").run().expect(1);
    assert!(answer::message(&unproved).contains("now: generation 5, version 1.0.0"), "{}", unproved.stdout);
    jobs.are_there(11);
    jobs.stop();
}

#[test]
fn twenty_restarts_leave_no_gap() {
    let subject = Subject::server(BINARIES.tenure, BINARIES.server, &["ready=fd"], &[]);
    let clients = Clients { fresh: 4, kept: 0, pace: Duration::from_millis(3), ..Clients::default() };
    let load = subject.under_load(&clients, |load| {
        for generation in 2..=21 {
            let restarted = subject.call("restart").run().expect(0);
            assert_eq!(restarted.json()["generation"], generation);
            load.flows_on();
        }
    });
    subject.stop();
    assert!(load.refused_nothing() && load.generations().into_iter().eq(1..=21), "{load}");
    assert_eq!(subject.sandbox.oracle().count("double"), 0);
}

#[test]
fn several_who_restart_at_once_get_one_worker() {
    let fixture = two_versions();
    fixture.ensure().run().expect(0);
    let calls: Vec<_> = (0..8)
        .flat_map(|turn| {
            let version = if turn % 2 == 0 { "1.0.0" } else { "2.0.0" };
            ["restart", "ensure"].map(|command| fixture.launcher(command, version).start())
        })
        .collect();
    for answer in answer::answers(calls) {
        // Whoever could not prove its own restart is told what stands.
        let told = answer.code() == 0 || answer.state() == "restart-unproved";
        assert!(told, "{}\n{}", answer.stdout, fixture.sandbox.story());
    }
    let stands = fixture.status().expect(0);
    assert_eq!((stands.state().as_str(), answer::version(&stands).as_str()), ("up", "2.0.0"));
    let served = served(&fixture);
    assert!(served.is_sorted_by(|before, after| before < after), "{served:?}");
    assert_eq!(served.last().copied(), stands.json()["generation"].as_u64());
    assert_eq!(fixture.sandbox.oracle().count("double"), 0);
    assert_eq!((fixture.count(What::StartFailed), fixture.count(What::RolledBack)), (0, 0));
    fixture.stop().run().expect(0);
}

#[test]
fn a_successor_whose_files_are_gone_stops_nothing() {
    let mut fixture = Fixture::new(BINARIES.serving());
    let file = fixture.sandbox.path().join("server");
    fs::copy(BINARIES.server, &file).expect("a sandbox takes files");
    fixture.move_program(&file);
    offer(&fixture, "1.0.0").write();
    let first = fixture.ensure().run().expect(0);
    fs::remove_file(&file).expect("ours");
    let refused = fixture.restart().run();
    assert_ne!(refused.code(), 0, "{}", refused.stdout);
    assert!(refused.stdout.contains(&file.display().to_string()), "it is named: {}", refused.stdout);
    let stands = fixture.status().expect(0);
    assert_eq!((answer::pid(&stands), &stands.json()["generation"]), (answer::pid(&first), &1.into()));
    assert!(ask::get(ask::address(&first), "/").expect("it serves").contains("generation=1 "));
    assert_eq!((fixture.sandbox.oracle().count("start"), fixture.count(What::Replacing)), (1, 0));
    fixture.stop().run().expect(0);
}

#[test]
fn who_does_not_wait_for_an_upgrade_that_boots_is_told_of_it_and_to_end_nobody() {
    let fixture = Fixture::new(BINARIES);
    fixture.offer("1.0.0").words(&["notify"]).ready(Some("{ notify = true }")).line("overlap = true").write();
    let first = fixture.launcher("ensure", "1.0.0").run().expect(0);
    // It never says that it is ready.
    fixture.offer("2.0.0").ready(Some("{ notify = true }")).line("overlap = true").write();
    let hasty = || fixture.launcher_within("2s", "ensure", "2.0.0").run();
    assert_eq!(hasty().state(), "warming");
    let told = hasty().expect(8);
    let message = answer::message(&told);
    assert!(message.contains("an upgrade is under way: version 2.0.0 (pid "), "{message}");
    assert!(message.contains("so far; the version before serves meanwhile"), "{message}");
    let hint = told.json()["error"]["hint"].as_str().expect("a remedy").to_owned();
    assert!(hint.contains("longer --timeout") && !hint.contains("end it"), "{hint}");
    assert_eq!(answer::pid(&fixture.status().expect(0)), answer::pid(&first), "it serves");
    fixture.stop().run().expect(0);
}

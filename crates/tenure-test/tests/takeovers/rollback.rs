//! Upgrades that fail while clients use the worker, by the way in which they fail: whoever calls has the healthy version, a
//! person is told why, nobody who connects is refused, and the failed version is not tried again.

use std::fs;
use std::time::Duration;

use tenure_core::fault::Point;
use tenure_core::store::event::What;
use tenure_sys::process::ProcessHandle;
use tenure_test::fixtures::answer;
use tenure_test::fixtures::ask;
use tenure_test::fixtures::call::{Call, Output};
use tenure_test::fixtures::processes;
use tenure_test::fixtures::versions::Fixture;
use tenure_test::load::{Clients, Load};

use crate::BINARIES;

/// What the failed version prints before it fails.
const LAST_WORDS: &str = "say=the-disk-is-full";

/// Whether both programs serve beside each other for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// The old program ends before the new one starts.
    OneAfterTheOther,
    /// The old program ends once the new one has proved itself.
    Overlap,
}

/// A short time to become ready, the end of the old one included.
const SOON: &str = "start_timeout = \"500ms\"";

/// Ready, and dead within its probation.
const DIES: [&str; 1] = ["die-after-ready=150"];
const PROBATION: &str = "bake = \"20s\"";

fn after_the_other(words: &[&str], lines: &[&str]) -> Upgrade {
    Upgrade::offered(Order::OneAfterTheOther, words, lines)
}

fn beside(words: &[&str], lines: &[&str]) -> Upgrade {
    Upgrade::offered(Order::Overlap, words, lines)
}

/// Version 1.0.0 serves well, and 2.0.0 as these words and lines say.
struct Upgrade {
    fixture: Fixture,
    first: Output,
    /// The first program.
    program: u32,
    order: Order,
}

impl Upgrade {
    fn offered(order: Order, words: &[&str], lines: &[&str]) -> Self {
        let mut fixture = Fixture::new(BINARIES.serving());
        // A file of its own: a program whose file is replaced, as by a build that runs meanwhile, is not started again.
        let server = fixture.sandbox.path().join("server");
        fs::copy(BINARIES.server, &server).expect("a sandbox takes files");
        fixture.move_program(&server);
        let overlap = format!("overlap = {}", order == Order::Overlap);
        let both: &[&str] = match order {
            Order::OneAfterTheOther => &["ready=fd"],
            Order::Overlap => &["ready=fd", "overlaps"],
        };
        let usual = [&*overlap, "bake = \"0s\"", "stop = { grace = \"500ms\" }"];
        let offer = |version| {
            usual.iter().fold(fixture.offer(version).ready(Some("\"fd\"")), |offer, line| offer.line(line))
        };
        offer("1.0.0").words(both).write();
        let bad = offer("2.0.0").words(&[both, words, &[LAST_WORDS]].concat());
        lines.iter().fold(bad, |bad, line| bad.line(line)).write();
        let first = fixture.ensure().run().expect(0);
        let program = processes::program(&fixture.status()).pid();
        Self { fixture, first, program, order }
    }

    /// A call while clients come, and what they saw.
    fn under_load(&self, call: Call<'_>) -> (Output, Load) {
        let load = clients().load(ask::address(&self.first));
        let answer = call.run();
        load.flows_on();
        let load = load.stop();
        told(&load);
        (answer, load)
    }

    /// Likewise, for a version that fails after its call has been answered: what the next call is told, once it has ended.
    fn undone_under_load(&self) -> (Output, Load) {
        let load = clients().load(ask::address(&self.first));
        let served = self.ensure().run().expect(0);
        assert_eq!(answer::version(&served), "2.0.0", "{}", served.stdout);
        if let Ok(served) = ProcessHandle::open(answer::pid(&served)) {
            assert!(served.wait_ended(None).expect("it can be waited for"), "it fails");
        }
        let answer = self.ensure().run();
        load.flows_on();
        let load = load.stop();
        told(&load);
        (answer, load)
    }

    fn ensure(&self) -> Call<'_> {
        self.fixture.launcher("ensure", "2.0.0")
    }

    fn restart(&self) -> Call<'_> {
        self.fixture.launcher("restart", "2.0.0")
    }

    /// A launcher of the failed version has the healthy one, which was there all the time or came back above the failed
    /// one, and hears why.
    fn caller_has_the_healthy_one(&self, answer: &Output, why: &str) {
        let story = || format!("{}\n{}", answer.stdout, self.fixture.sandbox.story());
        assert_eq!(answer.code(), 0, "{}", story());
        assert_eq!(answer::version(answer), "1.0.0", "{}", story());
        assert_eq!(answer::warnings(answer), ["offer-not-running"], "{}", story());
        assert!(answer.stdout.contains(why), "{why}: {}", story());
        assert_eq!(answer::pid(answer), answer::pid(&self.first), "{}", story());
        assert_eq!(ask::address(answer), ask::address(&self.first));
    }

    /// A person is told what stands, what stood, why, and what the failed version said last.
    fn person_is_told(&self, answer: &Output, why: &str) {
        let story = || format!("{}\n{}", answer.stdout, self.fixture.sandbox.story());
        assert_eq!((answer.code(), answer.state().as_str()), (1, "restart-unproved"), "{}", story());
        let (said, pid) = (answer::message(answer), answer::pid(&self.first));
        let stands = &self.fixture.status().json()["generation"];
        let now = format!("now: generation {stands}, version 1.0.0, pid {pid}, Ready; before: generation ");
        assert!(said.contains(&now) && said.matches("version 1.0.0").count() == 2, "{said}");
        assert!(answer.stdout.contains(why), "{why}: {}", story());
    }

    /// The failed version is on record, and the next launcher does not try it again.
    fn is_not_tried_again(&self, why: &str) {
        let failures = self.fixture.desired().failures;
        let on_record: Vec<String> = failures.iter().map(|failure| failure.version.to_string()).collect();
        assert_eq!(on_record, ["2.0.0"]);
        let spawned = self.fixture.count(What::Spawned);
        let again = self.ensure().run();
        self.caller_has_the_healthy_one(&again, why);
        assert_eq!(again.state(), "up");
        assert_eq!(self.fixture.count(What::Spawned), spawned, "it is not tried again");
    }

    /// The worker came back so many times, each time under a generation above the one that failed.
    fn comes_back(&self, times: usize) {
        let events = self.fixture.events();
        let of = |what: What| events.iter().filter(move |event| event.what == what);
        let back: Vec<u64> = of(What::RolledBack).map(|event| event.generation).collect();
        assert_eq!(back.len(), times, "{}", self.fixture.sandbox.story());
        assert!(back.is_sorted_by(|before, after| before < after), "{back:?}");
        let begun: Vec<u64> = of(What::Spawned).skip(1).map(|event| event.generation).collect();
        assert!(begun.iter().zip(&back).all(|(failed, back)| back > failed), "{begun:?} {back:?}");
    }

    fn end(self) {
        if self.order == Order::OneAfterTheOther {
            self.comes_back(self.fixture.count(What::Spawned) - 1);
            assert_eq!(self.fixture.sandbox.oracle().count("double"), 0, "never two at once");
        }
        if self.order == Order::Overlap {
            self.serves_all_the_time();
        }
        self.fixture.stop().run().expect(0);
    }

    /// The old program was never asked to make room, so that nobody had to wait for its return.
    fn serves_all_the_time(&self) {
        let program = processes::program(&self.fixture.status());
        assert_eq!(program.pid(), self.program, "{}", self.fixture.sandbox.story());
    }
}

fn clients() -> Clients {
    Clients { fresh: 4, kept: 2, pace: Duration::from_millis(2), ..Clients::default() }
}

fn last_words_are_told(answer: &Output) {
    let said = &answer.json()["error"]["last_words"];
    let said = said.as_array().is_some_and(|said| said.contains(&"the-disk-is-full".into()));
    assert!(said, "{}", answer.stdout);
}

#[expect(clippy::print_stderr, reason = "what was counted is worth a look when it is nothing, too")]
fn told(load: &Load) {
    eprintln!("{load}");
}

fn nothing_is_lost(load: &Load) {
    assert!(load.refused_nothing() && load.cut_nothing(), "{load}");
}

fn only_the_old_one_answers(load: &Load) {
    assert!(load.by.keys().all(|told| told.version == "1.0.0"), "{load}\n{:?}", load.by);
}

/// What a caller and then a person are told of a version that fails; the first call has been made.
fn fails_twice(upgrade: Upgrade, (answer, first): (Output, Load), why: &str) -> [Load; 2] {
    upgrade.caller_has_the_healthy_one(&answer, why);
    upgrade.is_not_tried_again(why);
    let (answer, second) = upgrade.under_load(upgrade.restart());
    upgrade.person_is_told(&answer, why);
    last_words_are_told(&answer);
    upgrade.end();
    [first, second]
}

/// Both calls, for a version that never answers anybody.
fn fails_unseen(upgrade: Upgrade, why: &str) {
    let first = upgrade.under_load(upgrade.ensure());
    for load in fails_twice(upgrade, first, why) {
        nothing_is_lost(&load);
        only_the_old_one_answers(&load);
    }
}

#[test]
fn one_that_exits_at_boot_is_undone() {
    fails_unseen(after_the_other(&["exit-at-boot"], &[]), "exit status 7");
}

#[test]
fn one_that_exits_at_boot_beside_the_old_one_costs_nothing() {
    fails_unseen(beside(&["exit-at-boot"], &[]), "exit status 7");
}

#[test]
fn one_that_is_never_ready_is_undone() {
    fails_unseen(after_the_other(&["never-ready"], &[SOON]), "not ready");
}

#[test]
fn one_that_is_never_ready_beside_the_old_one_costs_nothing() {
    fails_unseen(beside(&["never-ready"], &[SOON]), "not ready");
}

/// Both calls, for a version that is there for a moment: nobody is refused, and the old one answers before and after.
fn fails_seen(upgrade: Upgrade, why: &str) -> [Load; 2] {
    let first = upgrade.under_load(upgrade.ensure());
    fails_once_more(upgrade, first, why)
}

/// The same, where the first call has been made.
fn fails_once_more(upgrade: Upgrade, first: (Output, Load), why: &str) -> [Load; 2] {
    let loads = fails_twice(upgrade, first, why);
    for load in &loads {
        let refused = load.fresh.refused + load.kept.refused + load.fresh.timed_out + load.fresh.wrong;
        assert_eq!(refused, 0, "{load}");
        assert!(load.by.keys().any(|told| told.version == "1.0.0"), "{load}");
    }
    loads
}

#[test]
fn one_that_dies_within_its_probation_is_undone_and_refuses_nobody() {
    let upgrade = after_the_other(&DIES, &[PROBATION]);
    let first = upgrade.undone_under_load();
    for load in fails_once_more(upgrade, first, "probation") {
        assert!(load.by.keys().any(|told| told.version == "2.0.0"), "it was ready: {load}");
    }
}

/// What it has accepted when it dies nobody can answer; everybody else has the old one all the time.
#[test]
fn one_that_dies_within_its_probation_beside_the_old_one_costs_only_what_it_had_accepted() {
    fails_seen(beside(&DIES, &[PROBATION]), "probation");
}

#[test]
fn one_that_says_it_is_another_version_is_undone_and_loses_nothing() {
    let loads = fails_seen(after_the_other(&["claims=1.5.0"], &[]), "says that it is 1.5.0");
    loads.iter().for_each(nothing_is_lost);
}

#[test]
fn one_that_says_it_is_another_version_beside_the_old_one_loses_nothing() {
    let loads = fails_seen(beside(&["claims=1.5.0"], &[]), "says that it is 1.5.0");
    loads.iter().for_each(nothing_is_lost);
}

/// Both calls, for a worker that stands still once the scope is its own: its time ends, and the old one goes on.
fn stands_still(upgrade: Upgrade) -> [Load; 2] {
    let (why, armed) = ("not ready within", format!("{}=stop", Point::SuccessorGranted.name()));
    let (answer, first) = upgrade.under_load(upgrade.ensure().fault(&armed));
    upgrade.caller_has_the_healthy_one(&answer, why);
    upgrade.comes_back(1);
    upgrade.is_not_tried_again(why);
    let (answer, second) = upgrade.under_load(upgrade.restart().fault(&armed));
    upgrade.person_is_told(&answer, why);
    upgrade.comes_back(2);
    upgrade.end();
    [&first, &second].into_iter().for_each(nothing_is_lost);
    [first, second]
}

#[test]
fn one_that_stands_still_in_commit_is_undone() {
    stands_still(after_the_other(&[], &[SOON])).iter().for_each(only_the_old_one_answers);
}

#[test]
fn one_that_stands_still_in_commit_beside_the_old_one_is_undone_and_nobody_waits() {
    stands_still(beside(&[], &[SOON]));
}

#[test]
fn one_that_hangs_in_commit_is_undone_without_being_let_go() {
    let upgrade = after_the_other(&[], &[SOON]);
    let meeting = upgrade.fixture.sandbox.meeting("granted");
    let clients = clients().load(ask::address(&upgrade.first));
    let caller = upgrade.ensure().fault(&meeting.armed(Point::SuccessorGranted)).start();
    let hangs = meeting.meet();
    let successor = ProcessHandle::open(hangs.pid).expect("it waits there");
    upgrade.caller_has_the_healthy_one(&caller.wait(), "not ready within");
    assert!(successor.has_ended(), "it was ended before the old one went on");
    clients.flows_on();
    let load = clients.stop();
    nothing_is_lost(&load);
    only_the_old_one_answers(&load);
    upgrade.comes_back(1);
    upgrade.is_not_tried_again("not ready within");
    upgrade.end();
}

/// The gate is free once a successor is dead, while the incumbent still ends that one's program.
#[test]
fn a_restart_right_after_a_killed_successor_waits_until_the_incumbent_is_done_with_it() {
    let fixture = Fixture::new(BINARIES.serving());
    let [booting, ending, standing_by] =
        ["booting", "ending", "standing-by"].map(|name| fixture.sandbox.meeting(name));
    let offer = fixture.offer("1.0.0").ready(Some("\"fd\"")).words(&["ready=fd", "overlaps"]);
    offer.line("overlap = true").write();
    let first = fixture.ensure().run().expect(0);

    let armed = format!("{},{}", booting.armed(Point::ProgramRunning), ending.armed(Point::ShimEnding));
    let failing = fixture.restart().fault(&armed).start();
    let successor = booting.meet();
    processes::kill(&ProcessHandle::open(successor.pid).expect("it waits there"));
    let shim = ending.meet();
    assert_eq!(failing.wait().state(), "restart-unproved");

    let restart = fixture.restart().fault(&standing_by.armed(Point::StandingBy)).start();
    standing_by.meet().release();
    assert_eq!(answer::pid(&fixture.status()), answer::pid(&first), "it answers while a successor waits");
    shim.release();
    let restarted = restart.wait();
    assert_eq!(restarted.code(), 0, "{}\n{}", restarted.stdout, fixture.sandbox.story());
    fixture.stop().run().expect(0);
}

//! What a person sees of a worker in each state, without any worker: accounts made up from the golden one.

use insta::{Settings, assert_snapshot};
use tenure_core::protocol::wire::{Answer, Asker, Check, Endpoint};
use tenure_core::record::desired::Down;
use tenure_core::{Spec, Standing, Version};

use super::*;

/// The account of a worker that serves.
fn hello() -> Hello {
    let golden = include_str!("../../../../tenure-core/formats/hello-1.json");
    let Answer::Hello(mut hello) = serde_json::from_str(golden).expect("an answer") else {
        panic!("the golden answer is a HELLO")
    };
    hello.app.state = AppState::Ready;
    hello.app.reason = None;
    hello.app.checks = vec![check("upstream", true, "200")];
    *hello
}

fn check(name: &str, ok: bool, detail: &str) -> Check {
    Check::new(name, ok, detail)
}

/// A worker whose app is so, for that reason.
fn app(state: AppState, reason: &str) -> Standing {
    let mut hello = hello();
    hello.app.state = state;
    hello.app.reason = Some(reason.to_owned());
    hello.app.checks = vec![check("upstream", state == AppState::Failed, "no answer")];
    let serves = matches!(state, AppState::Ready | AppState::Degraded);
    if serves { Standing::Serving(Box::new(hello)) } else { Standing::NotServing(Box::new(hello)) }
}

fn with(change: impl FnOnce(&mut Hello)) -> Standing {
    let mut hello = hello();
    change(&mut hello);
    Standing::Serving(Box::new(hello))
}

fn silent(booting: bool, who: &str) -> Standing {
    Standing::Silent { booting, who: vec![who.to_owned()] }
}

fn now() -> Moment {
    Moment::of("b", 100_000)
}

fn seen(name: &str, standing: Standing) -> SeenScope {
    let target = ScopeTarget::found(name);
    SeenScope {
        target,
        standing: Ok(standing),
        record: Some(Desired::default()),
        offered: Vec::new(),
        unread: None,
        ended: None,
        left: false,
        now: now(),
    }
}

/// A scope with a pinned version and one that does not start.
fn marked(name: &str, standing: Standing) -> SeenScope {
    let mut record = Desired::default();
    let mut spec = Spec::of_command(vec!["node".into()], "/".into());
    for minor in [6, 7] {
        spec.version = Version::new(13, minor, 0);
        record.offer(&spec, &now());
    }
    let then = Moment::of("b", 90_000);
    record.failed(&spec, "program ended with exit status 3 before it was ready", &then);
    record.failed(&spec, "program ended with exit status 3 before it was ready", &then);
    record.pin = Some(Version::new(13, 6, 0));
    SeenScope { record: Some(record), ..seen(name, standing) }
}

/// A scope that a person stopped for good.
fn held(name: &str) -> SeenScope {
    let mut held = marked(name, Standing::Down);
    let by = Asker::of(7, "/usr/bin/tenure stop memory --hold");
    held.record.as_mut().expect("marked").down = Some(Down { by, at: Moment::of("b", 90_000) });
    held
}

/// Offers of which one stands, one is not trusted any more, one is described nowhere, and one's program is gone.
fn doubtful() -> Vec<Offered> {
    let of = |minor, file: Option<&str>, trusted, described| Offered {
        version: Version::new(13, minor, 0),
        file: file.map(Into::into),
        trusted,
        described,
    };
    vec![
        of(6, Some("/srv/shop/tenure.toml"), false, false),
        of(7, Some("/srv/memory/tenure.toml"), true, true),
        of(8, Some("/srv/my shop/tenure.toml"), false, true),
        of(9, Some("/srv/memory/tenure.toml"), true, false),
        of(10, None, true, false),
    ]
}

/// One in each state.
fn every_state() -> Vec<SeenScope> {
    let several = |hello: &mut Hello| {
        hello.endpoints.push(Endpoint::new("admin", "127.0.0.1:4313".parse().expect("good")));
        hello.uptime_ms = 7_500_000;
    };
    let other = |hello: &mut Hello| {
        hello.app.version = Some(Version::new(13, 5, 9));
        hello.source_changed = true;
    };
    let probation = |hello: &mut Hello| {
        let before = Version::new(13, 4, 0);
        hello.probation = Some(Probation::of(before, 7_000, Some(3_000)));
    };
    let unversioned = |hello: &mut Hello| hello.version = Version::new(0, 0, 0);
    let unread = Some("read desired.json: it is damaged at line 3".to_owned());
    let mut draining = hello();
    draining.draining = true;
    vec![
        seen("up", with(several)),
        seen("unversioned", with(unversioned)),
        seen("disagrees", with(other)),
        seen("degraded", app(AppState::Degraded, "upstream: no answer")),
        seen("booting", app(AppState::Booting, "waiting for the line \"ready\"")),
        seen("backing-off", app(AppState::BackOff, "starts again in 4 s")),
        seen("failed", app(AppState::Failed, "its program ended 5 times within 1m")),
        seen("ending", Standing::NotServing(Box::new(draining))),
        seen("down", Standing::Down),
        SeenScope { left: true, ..seen("left", Standing::Down) },
        held("held"),
        marked("pinned", with(|_| {})),
        seen("proving", with(probation)),
        SeenScope { offered: doubtful(), ..seen("doubtful", with(|_| {})) },
        SeenScope { offered: doubtful(), ..marked("pinned-doubtful", with(|_| {})) },
        seen("silent", silent(true, "pid 4242 is there and silent")),
        seen("wedged", silent(false, "pid 4242 is stopped")),
        seen("denied", Standing::Denied("connect to control.sock: permission denied".into())),
        seen("foreign", Standing::Foreign("it answers for another directory".into())),
        SeenScope { record: None, ..seen("never", Standing::Down) },
        SeenScope { record: None, unread, ..seen("damaged", Standing::Down) },
    ]
}

fn settings() -> Settings {
    let mut settings = Settings::clone_current();
    settings.set_snapshot_path("../../../tests/words/snapshots");
    settings
}

#[test]
fn one_worker_in_each_state() {
    let text: Vec<String> = every_state().iter().map(|seen| lines(seen, false)).collect();
    settings().bind(|| assert_snapshot!(plain(&text.join("\n"))));
}

#[test]
fn one_worker_with_all_that_it_tells() {
    let text = lines(&marked("memory", with(|_| {})), true);
    settings().bind(|| assert_snapshot!(plain(&text)));
}

#[test]
fn many_workers_in_a_table() {
    settings().bind(|| assert_snapshot!(plain(&table(&every_state(), None))));
}

#[test]
fn many_workers_on_a_terminal_of_eighty_columns() {
    let shown = plain(&table(&every_state(), Some(80)));
    assert!(shown.lines().all(|line| line.chars().count() <= 80));
    settings().bind(|| assert_snapshot!(shown));
}

#[test]
fn a_table_of_workers_without_anything_to_note_has_no_such_column() {
    let shown = plain(&table(&[seen("up", with(|_| {}))], None));
    assert!(!shown.contains("NOTE"), "{shown}");
}

#[test]
fn each_state_has_its_colour() {
    let code = |seen: &SeenScope| {
        let line = lines(seen, false);
        line.split('\u{1b}').nth(1).and_then(|rest| rest.split('m').next().map(str::to_owned))
    };
    let expected = [
        ("up", "[32"),
        ("degraded", "[33"),
        ("booting", "[33"),
        ("failed", "[31"),
        ("down", "[2"),
        ("wedged", "[31"),
    ];
    let states = every_state();
    for (name, colour) in expected {
        let seen = states.iter().find(|seen| seen.target.display_name == name).expect("one of them");
        assert_eq!(code(seen).as_deref(), Some(colour), "{name}");
    }
}

#[test]
fn a_document_has_what_the_lines_have() {
    let standing = with(|hello| {
        hello.app.version = Some(Version::new(13, 5, 9));
        let before = Version::new(13, 4, 0);
        hello.probation = Some(Probation::of(before, 7_000, Some(3_000)));
    });
    let seen = SeenScope { standing: Ok(standing), offered: doubtful(), ..held("memory") };
    let document = One { row: seen.row(), details: seen.hello().map(Details::of) };
    let document = serde_json::to_string_pretty(&render::Versioned::of(&document)).expect("JSON");
    settings().bind(|| assert_snapshot!(document));
}

fn plain(styled: &str) -> String {
    anstream::adapter::strip_str(styled).to_string()
}
